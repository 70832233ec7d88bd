//! What can be mended without root.

use std::os::unix::fs::PermissionsExt;

use super::super::{images, show};
use super::finding::{Finding, Mend};
use crate::config::Config;

impl Mend {
    fn question(self) -> &'static str {
        match self {
            Self::BuildImages => "Build the stack images? This takes some minutes.",
            Self::CloseDataDir => "Let only its owner enter the data dir?",
        }
    }
}

/// Asks for each; whether anything was done.
pub(super) fn mend(config: &Config, findings: &[Finding], yes: bool) -> anyhow::Result<bool> {
    let mut done = false;
    for mend in findings.iter().filter_map(|finding| finding.mend) {
        if !yes && !show::confirm(mend.question()) {
            continue;
        }
        match mend {
            Mend::BuildImages => images::build_all(config)?,
            Mend::CloseDataDir => {
                let mode = std::fs::Permissions::from_mode(0o700);
                std::fs::set_permissions(&config.data_dir, mode)?;
                show::note(&format!("chmod 700 {}", config.data_dir.display()));
            }
        }
        done = true;
    }
    Ok(done)
}
