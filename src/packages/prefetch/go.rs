//! `go:rsc.io/quote` and `go:rsc.io/quote@v1.5.2`.

use serde::Deserialize;

use super::{Prefetch, bad_name};
use crate::packages::failure::Failure;
use crate::packages::names;

#[derive(Deserialize)]
struct Latest {
    #[serde(rename = "Version")]
    version: String,
}

impl Prefetch<'_> {
    pub(super) async fn go(&mut self, name: &str) -> Result<String, Failure> {
        let (module, wanted) = match name.split_once('@') {
            Some((module, version)) => (module, Some(version)),
            None => (name, None),
        };
        let folder = names::go_escaped(module);
        let version = match wanted {
            Some(version) if names::is_go_version(version) => version.to_owned(),
            Some(version) => {
                return Err(bad_name(format!(
                    "{version:?} is no whole version of a Go module, such as v1.5.2"
                )));
            }
            None => {
                let latest: Latest = self.json(&format!("{folder}/@latest"), None).await?;
                latest.version
            }
        };
        let file = format!("{folder}/@v/{}", names::go_escaped(&version));
        self.take_if_there(&format!("{folder}/@v/list"), None)
            .await
            .ok();
        // Toolchains need no more than their archive.
        for ending in ["info", "mod"] {
            self.take_if_there(&format!("{file}.{ending}"), None)
                .await?;
        }
        self.take(&format!("{file}.zip"), None).await?;
        let lookup = format!(
            "sumdb/sum.golang.org/lookup/{folder}@{}",
            names::go_escaped(&version)
        );
        if let Err(failure) = self.take_if_there(&lookup, None).await {
            // An app's go.sum has the checksum, too.
            drop(self.texts.send(format!("without its checksum: {failure}")));
        }
        Ok(format!("{module}@{version}"))
    }
}
