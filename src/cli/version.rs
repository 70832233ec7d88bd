//! `cflite version`: which build this is.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Session, show};

/// What `packaging/build` says of a build; other builds do not know it.
const COMMIT: Option<&str> = option_env!("CFLITE_BUILD_COMMIT");
/// When that commit was made, in RFC 3339: the time of the build itself would differ between two
/// builds of the same source.
const COMMITTED_AT: Option<&str> = option_env!("CFLITE_BUILD_COMMITTED_AT");
/// `rustc --version`.
const RUSTC: Option<&str> = option_env!("CFLITE_BUILD_RUSTC");

/// The version of this binary.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// As a document.
pub(super) fn document() -> Value {
    json!({
        "version": VERSION,
        "commit": COMMIT,
        "committed_at": COMMITTED_AT,
        "rustc": RUSTC,
        "target": target(),
    })
}

fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

pub(super) fn run(session: Session) -> ExitCode {
    if session.json {
        show::json(&document());
        return ExitCode::SUCCESS;
    }
    show::line(&format!("cflite {VERSION} ({})", target()));
    let known = [
        ("commit", COMMIT),
        ("of", COMMITTED_AT),
        ("built with", RUSTC),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            show::line(&format!("{name} {value}"));
        }
    }
    ExitCode::SUCCESS
}
