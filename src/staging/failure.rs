//! Maps a staging failure to an error of the Cloud Controller. Pure.
//!
//! For exit codes the texts are Cloud Foundry's, verbatim, followed by the builder's cause.
//! Failures without a code there (timeout, disk, Docker) are a `StagingError` followed by the
//! reason.

use std::time::Duration;

use crate::base::{Bytes, Megabytes};

/// Names of the staging errors.
pub mod error_ids {
    /// All errors without a specific name.
    pub const STAGING: &str = "StagingError";
    /// No buildpack detected the app.
    pub const NOT_DETECTED: &str = "NoAppDetectedError";
    /// Compile or finalize failed.
    pub const COMPILE: &str = "BuildpackCompileFailed";
    /// Release failed.
    pub const RELEASE: &str = "BuildpackReleaseFailed";
    /// Of Cloud Native Buildpacks: any other failure.
    pub const CNB: &str = "CNBGenericBuildFailed";
    /// One cannot be had, or is malformed.
    pub const CNB_DOWNLOAD: &str = "CNBDownloadBuildpackFailed";
    /// No group passed detection.
    pub const CNB_DETECT: &str = "CNBDetectFailed";
    /// One failed to build.
    pub const CNB_BUILD: &str = "CNBBuildFailed";
    /// The droplet could not be written.
    pub const CNB_EXPORT: &str = "CNBExportFailed";
    /// The cache could not be restored.
    pub const CNB_RESTORE: &str = "CNBRestoreFailed";
}

/// The exit code for a Cloud Native Buildpack that cannot be had.
pub(super) const CNB_DOWNLOAD_CODE: i64 = 232;

/// Why a staging failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reason {
    /// The builder exited with this code and, if possible, gave a cause.
    Exit { code: i64, cause: Option<String> },
    /// The kernel killed it or one of its children.
    OutOfMemory(Megabytes),
    /// It took too long.
    Timeout(Duration),
    /// It exceeded its disk limit.
    Disk { used: Bytes, limit: Megabytes },
    /// It was interrupted twice.
    Interrupted(String),
    /// Any other reason.
    Other(String),
}

impl Reason {
    /// Error id and message.
    pub(super) fn describe(&self) -> (&'static str, String) {
        match self {
            Self::Exit { code, cause } => of_exit(*code, cause.as_deref()),
            Self::OutOfMemory(limit) => staging(&format!(
                "out of memory (limit {}): ask for more with -m or an app manifest",
                limit.to_bytes().to_short()
            )),
            Self::Timeout(limit) => staging(&format!("exceeded {} timeout", duration_text(*limit))),
            Self::Disk { used, limit } => staging(&format!(
                "out of disk: {} used of {}: ask for more with -k or an app manifest",
                used.to_short(),
                limit.to_bytes().to_short()
            )),
            Self::Interrupted(why) => staging(&format!("interrupted twice, last cause: {why}")),
            Self::Other(why) => staging(why),
        }
    }
}

fn of_exit(code: i64, cause: Option<&str>) -> (&'static str, String) {
    let (error_id, text) = match code {
        222 => (
            error_ids::NOT_DETECTED,
            "An app was not successfully detected by any available buildpack",
        ),
        223 => (
            error_ids::COMPILE,
            "App staging failed in the buildpack compile phase",
        ),
        224 => (
            error_ids::RELEASE,
            "App staging failed in the buildpack release phase",
        ),
        231..=235 | 237 => of_cnb(code),
        1 | 225 | 226 => return staging(cause.unwrap_or_default()),
        // Not one of the builder's codes: it was killed.
        _ => {
            let ended = format!("the builder ended with exit status {code}");
            return staging(cause.unwrap_or(&ended));
        }
    };
    let message = match cause {
        Some(cause) => format!("{}: {cause}", text.trim_end_matches('.')),
        None => text.to_owned(),
    };
    (error_id, message)
}

fn of_cnb(code: i64) -> (&'static str, &'static str) {
    match code {
        CNB_DOWNLOAD_CODE => (
            error_ids::CNB_DOWNLOAD,
            "cnb: downloading buildpacks failed: This may be caused by a wrong url, invalid buildpack or invalid \
             credentials. Check the staging logs for more details.",
        ),
        233 => (error_ids::CNB_DETECT, "cnb: detecting failed"),
        234 => (error_ids::CNB_BUILD, "cnb: building failed"),
        235 => (error_ids::CNB_EXPORT, "cnb: exporting failed"),
        237 => (error_ids::CNB_RESTORE, "cnb: restore failed"),
        _ => (error_ids::CNB, "cnb: generic build failure"),
    }
}

fn staging(why: &str) -> (&'static str, String) {
    (error_ids::STAGING, failure_text(why))
}

/// The message of a `StagingError`.
pub fn failure_text(why: &str) -> String {
    if why.is_empty() {
        "Staging error: staging failed".to_owned()
    } else {
        format!("Staging error: staging failed: {why}")
    }
}

/// `15m0s`: durations as Cloud Foundry's cells format them.
fn duration_text(time: Duration) -> String {
    let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_become_cloud_foundrys_errors() {
        let cases = [
            (
                222,
                "NoAppDetectedError - An app was not successfully detected by any available buildpack",
            ),
            (
                223,
                "BuildpackCompileFailed - App staging failed in the buildpack compile phase",
            ),
            (
                224,
                "BuildpackReleaseFailed - App staging failed in the buildpack release phase",
            ),
            (225, "StagingError - Staging error: staging failed"),
            (226, "StagingError - Staging error: staging failed"),
            (1, "StagingError - Staging error: staging failed"),
            (231, "CNBGenericBuildFailed - cnb: generic build failure"),
            (233, "CNBDetectFailed - cnb: detecting failed"),
            (234, "CNBBuildFailed - cnb: building failed"),
            (235, "CNBExportFailed - cnb: exporting failed"),
            (237, "CNBRestoreFailed - cnb: restore failed"),
        ];
        for (code, expected) in cases {
            let reason = |cause: Option<&str>| Reason::Exit {
                code,
                cause: cause.map(str::to_owned),
            };
            let (id, message) = reason(None).describe();
            assert_eq!(format!("{id} - {message}"), expected);
            let (id, message) = reason(Some("because")).describe();
            assert_eq!(format!("{id} - {message}"), format!("{expected}: because"));
        }
    }

    #[test]
    fn other_reasons_say_what_to_do() {
        let cases = [
            (
                Reason::Exit {
                    code: 137,
                    cause: None,
                },
                "the builder ended with exit status 137",
            ),
            (
                Reason::Timeout(Duration::from_secs(900)),
                "exceeded 15m0s timeout",
            ),
            (
                Reason::OutOfMemory(Megabytes(1024)),
                "out of memory (limit 1G): ask for more with -m or an app manifest",
            ),
            (
                Reason::Disk {
                    used: Bytes(3 << 30),
                    limit: Megabytes(2048),
                },
                "out of disk: 3G used of 2G: ask for more with -k or an app manifest",
            ),
        ];
        for (reason, expected) in cases {
            let (id, message) = reason.describe();
            assert_eq!(id, "StagingError");
            let prefix = "Staging error: staging failed: ";
            assert_eq!(message.strip_prefix(prefix), Some(expected));
        }
    }

    #[test]
    fn durations_are_formatted_as_in_cloud_foundry() {
        let cases = [(5, "5s"), (60, "1m0s"), (900, "15m0s"), (3723, "1h2m3s")];
        for (seconds, text) in cases {
            assert_eq!(duration_text(Duration::from_secs(seconds)), text);
        }
    }
}
