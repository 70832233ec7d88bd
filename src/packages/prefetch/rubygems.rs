//! `rubygems:rack` and `rubygems:rack@3.1.8`.

use super::{Prefetch, version};
use crate::packages::failure::Failure;

/// Platforms whose gems install on Linux with x86-64, as versions write them.
const PLATFORMS: [&str; 2] = ["-x86_64-linux", "-x86_64-linux-gnu"];

impl Prefetch<'_> {
    pub(super) async fn rubygems(&mut self, name: &str) -> Result<String, Failure> {
        let (name, wanted) = match name.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (name, None),
        };
        self.take("versions", None).await?;
        let info = self.document(&format!("info/{name}"), None).await?;
        let info = String::from_utf8_lossy(&info);
        let all: Vec<&str> = info
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.0))
            .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        let plain = all.iter().copied().map(|version| {
            // What follows is the platform.
            version.split('-').next().unwrap_or(version)
        });
        let chosen = match wanted {
            Some(wanted) => version::newest(
                plain.filter(|version| version::matches(version, wanted)),
                version::is_early,
            ),
            None => version::newest(plain, version::is_early),
        };
        let chosen = chosen.ok_or_else(|| self.no_version(name, wanted))?;
        let of_platforms = PLATFORMS.map(|platform| format!("{chosen}{platform}"));
        for version in of_platforms.iter().map(String::as_str).chain([chosen]) {
            if all.contains(&version) {
                self.take(&format!("gems/{name}-{version}.gem"), None)
                    .await?;
            }
        }
        Ok(format!("{name}@{chosen}"))
    }
}
