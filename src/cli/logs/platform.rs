//! The platform's own log.

use std::io::{Read, Seek, SeekFrom};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::cli::{Session, process, show};
use crate::telemetry::own_log;

/// Shows its last lines, and new ones when it is followed.
pub(super) fn show(session: Session, lines: usize, follow: bool) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let path = config.data_dir.join(process::LOG);
    let mut file =
        std::fs::File::open(&path).with_context(|| format!("no log at {}", path.display()))?;
    for line in process::tail(&config.data_dir, lines).lines() {
        print(session.json, line);
    }
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    file.seek(SeekFrom::End(0))?;
    let mut read = Vec::new();
    loop {
        if file.read_to_end(&mut read)? == 0 {
            // It was put aside, and a new one was begun.
            if !own_log::is_open(&path, &file)
                && let Ok(newer) = std::fs::File::open(&path)
            {
                file = newer;
                continue;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        // An incomplete line is shown once it is complete.
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=end).collect();
            print(session.json, String::from_utf8_lossy(&line).trim_end());
        }
    }
}

/// Prints a line as text or as a JSON object.
fn print(json: bool, line: &str) {
    if json {
        show::line(&serde_json::json!({ "line": line }).to_string());
    } else {
        show::line(line);
    }
}
