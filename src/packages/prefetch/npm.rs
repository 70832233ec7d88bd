//! `npm:express`, `npm:express@5` and `npm:@types/node@20.1.0`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Prefetch, version};
use crate::packages::failure::Failure;

#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "dist-tags")]
    tags: BTreeMap<String, String>,
    versions: BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
}

impl Prefetch<'_> {
    pub(super) async fn npm(&mut self, name: &str) -> Result<String, Failure> {
        // The first @ may begin a scope.
        let at = name.char_indices().skip(1).find(|(_, c)| *c == '@');
        let (name, wanted) = match at {
            Some((at, _)) => (&name[..at], Some(&name[at + 1..])),
            None => (name, None),
        };
        self.take(name, Some("application/json")).await?;
        let document: Document = self
            .json(name, Some("application/vnd.npm.install-v1+json"))
            .await?;
        let versions = document.versions.keys().map(String::as_str);
        let tag = document.tags.get(wanted.unwrap_or("latest"));
        let chosen = match (tag, wanted) {
            (Some(version), _) => Some(version.as_str()),
            (None, None) => version::newest(versions, version::is_early),
            (None, Some(wanted)) => version::newest(
                versions.filter(|version| version::matches(version, wanted)),
                version::is_early,
            ),
        };
        let found = chosen.and_then(|chosen| Some((chosen, document.versions.get(chosen)?)));
        let (chosen, entry) = found.ok_or_else(|| self.no_version(name, wanted))?;
        let path = self
            .path_of(name, &entry.dist.tarball)
            .ok_or_else(|| self.no_version(name, Some(chosen)))?;
        self.take(&path, None).await?;
        Ok(format!("{name}@{chosen}"))
    }
}
