//! `composer:monolog/monolog` and `composer:monolog/monolog@3.9.0`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Prefetch, bad_name, version};
use crate::packages::failure::Failure;

#[derive(Deserialize)]
struct Document {
    packages: BTreeMap<String, Vec<Version>>,
}

/// Only what differs from the version before it, so that there may be no archive.
#[derive(Deserialize)]
struct Version {
    version: String,
    dist: Option<Dist>,
}

#[derive(Deserialize)]
struct Dist {
    url: String,
}

impl Prefetch<'_> {
    pub(super) async fn composer(&mut self, name: &str) -> Result<String, Failure> {
        let (name, wanted) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (name, None),
        };
        if name.split('/').count() != 2 {
            return Err(bad_name(format!(
                "composer:{name} is not composer:VENDOR/NAME"
            )));
        }
        let page = format!("p2/{name}.json");
        let document: Document = self.json(&page, None).await?;
        self.take_if_there(&format!("p2/{name}~dev.json"), None)
            .await?;
        let versions = document.packages.get(name).map_or(&[][..], Vec::as_slice);
        let texts = versions.iter().map(|one| one.version.as_str());
        let chosen = match wanted {
            Some(wanted) => version::newest(
                texts.filter(|version| version::matches(version, wanted)),
                version::is_early,
            ),
            None => version::newest(texts, version::is_early),
        };
        let chosen = chosen.ok_or_else(|| self.no_version(name, wanted))?;
        let mut entries = versions.iter().filter(|one| one.version == chosen);
        let dist = entries.find_map(|one| one.dist.as_ref());
        let path = dist.and_then(|dist| self.path_of(&page, &dist.url));
        let path = path.ok_or_else(|| {
            bad_name(format!(
                "the archive of {name} {chosen} is on a server that is not cached"
            ))
        })?;
        self.take(&path, None).await?;
        Ok(format!("{name}@{chosen}"))
    }
}
