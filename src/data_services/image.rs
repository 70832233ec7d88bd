//! Images of services: built on this machine from Debian packages, once for each recipe.
//!
//! They belong to the machine: their names have the hash of the recipe and of the base.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::catalog::ImageRecipe;
use super::container::tar_of;
use super::failure::Failure;
use super::{Inner, Service};
use crate::docker::{BuildSpec, DockerError, Engine, Labels};

/// Label on images of services: the name of the recipe.
pub(super) const LABEL_IMAGE: &str = "cflite.service_image";
/// What the names of images of services begin with.
pub(super) const REPOSITORY: &str = "cflite/service";
const TAG_DIGITS: usize = 12;
/// Colours and the like.
static CONTROLS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]").ok());
/// The most of a line of progress that is told.
const LONGEST_LINE: usize = 120;
/// How often progress is told.
const TOLD: Duration = Duration::from_secs(1);

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nCOPY certificates /usr/local/share/ca-certificates/\n\
    COPY install /usr/share/cflite/\nRUN bash /usr/share/cflite/install\n";

/// Installs without asking, starts nothing of what it installs, and leaves no lists behind.
const INSTALL: &str = r"set -eu
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get update -qq -o Acquire::Languages=none -o Acquire::Retries=3
apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 PACKAGES
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt /usr/sbin/policy-rc.d
";

fn install(recipe: &ImageRecipe) -> String {
    let mut script = INSTALL.replace("PACKAGES", &recipe.packages.join(" "));
    for line in &recipe.run {
        script.push_str(line.trim_end());
        script.push('\n');
    }
    script
}

impl Inner {
    /// The image of a service; built where it is missing, which the operation tells.
    pub(super) async fn image(&self, service: &Service<'_>) -> Result<String, Failure> {
        if let Some(own) = &service.plan.spec.own {
            return self.own_image(service, own).await;
        }
        let name = &service.plan.spec.image;
        let recipe = self.settings.catalog.images.get(name);
        let recipe =
            recipe.ok_or_else(|| Failure::new(format!("the catalog has no image {name}")))?;
        let install = install(recipe);
        let hash = hex::encode(Sha256::digest(install.as_bytes()));
        let reference = format!("{REPOSITORY}-{name}:{}", &hash[..TAG_DIGITS]);
        if self.engine.image(&reference).await?.is_some() {
            return Ok(reference);
        }
        let _one = self.building.lock().await;
        if self.engine.image(&reference).await?.is_some() {
            return Ok(reference);
        }
        if self.settings.offline {
            return Err(Failure::new(format!(
                "the image {reference} is not on this Docker daemon, and cflite works offline: create such a service \
                 once while there is a network"
            )));
        }
        self.build(service, &reference, &install).await?;
        Ok(reference)
    }

    async fn build(
        &self,
        service: &Service<'_>,
        reference: &str,
        install: &str,
    ) -> Result<(), Failure> {
        let guid = &service.instance.guid;
        let name = &service.plan.spec.image;
        self.step(
            guid,
            &format!("building the image of {}", service.offering.name),
        )
        .await?;
        let (progress, texts) = tokio::sync::mpsc::unbounded_channel::<String>();
        let base = self.host.base_image(&progress).await?;
        let spec = BuildSpec {
            reference: reference.to_owned(),
            dockerfile: "Dockerfile".to_owned(),
            arguments: BTreeMap::from([("BASE".to_owned(), base)]),
            labels: Labels::from([(LABEL_IMAGE.to_owned(), name.clone())]),
        };
        // A folder without files could not be copied.
        let mut files = vec![
            ("Dockerfile".to_owned(), DOCKERFILE.into(), 0o644),
            ("install".to_owned(), install.into(), 0o644),
            ("certificates/README".to_owned(), Vec::new(), 0o644),
        ];
        let authorities = self.host.authorities().into_iter();
        files.extend(authorities.map(|one| (format!("certificates/{}", one.name), one.pem, 0o644)));
        let files: Vec<(&str, &[u8], u32)> = { files.iter() }
            .map(|(path, content, mode)| (path.as_str(), content.as_slice(), *mode))
            .collect();
        let context = tar_of(&files)?;
        let begun = Instant::now();
        let what = format!("building the image of {}", service.offering.name);
        let building = self.engine.build(spec, context, progress);
        self.telling(guid, &what, building, texts).await?;
        let seconds = begun.elapsed().as_secs();
        tracing::info!(image = reference, seconds, "built the image of a service");
        Ok(())
    }

    /// Waits for the end of long work, and makes its progress that of the operation.
    pub(super) async fn telling<T>(
        &self,
        guid: &str,
        what: &str,
        work: impl Future<Output = Result<T, DockerError>>,
        mut texts: UnboundedReceiver<String>,
    ) -> Result<T, Failure> {
        let mut work = std::pin::pin!(work);
        let mut told = Instant::now();
        loop {
            tokio::select! {
                done = &mut work => return Ok(done?),
                Some(text) = texts.recv() => if told.elapsed() > TOLD {
                    told = Instant::now();
                    let line = last_line(&text);
                    self.step(guid, &format!("{what}: {line}")).await?;
                }
            }
        }
    }
}

/// The last line of a progress text, without what only terminals understand.
fn last_line(text: &str) -> String {
    let plain = CONTROLS
        .as_ref()
        .map_or(text.into(), |all| all.replace_all(text, ""));
    let mut lines = plain.split(['\n', '\r']).map(str::trim);
    let last = lines.rfind(|line| !line.is_empty());
    let shown = last
        .unwrap_or_default()
        .chars()
        .filter(|letter| !letter.is_control());
    shown.take(LONGEST_LINE).collect()
}

/// Removes the images of services that no container uses; how many there were.
pub(super) async fn remove_unused(engine: &dyn Engine) -> Result<usize, DockerError> {
    let prefix = format!("{REPOSITORY}-");
    let mut removed = 0;
    // Images that users chose belong to their instances, and to a platform.
    let own = format!("{REPOSITORY}-own:");
    let names = engine.image_names(&prefix).await?.into_iter();
    for name in names.filter(|name| !name.starts_with(&own)) {
        match engine.remove_image(&name).await {
            Ok(()) => removed += 1,
            Err(DockerError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::last_line;

    #[test]
    fn progress_is_one_line_of_text() {
        for (text, expected) in [
            ("Step 1/3\r\n\x1b[32mok\x1b[0m \u{7}done\n\n", "ok done"),
            ("one", "one"),
            ("\n", ""),
        ] {
            assert_eq!(last_line(text), expected);
        }
    }
}
