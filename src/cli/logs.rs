//! `cflite logs`: the platform's own log (`cf logs` shows the apps').

use std::io::{Read, Seek, SeekFrom};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::{Session, process, show};

/// What to show.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Last lines to show
    #[arg(long, short = 'n', default_value_t = 50)]
    lines: usize,
    /// Keep showing new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let path = config.data_dir.join(process::LOG);
    let mut file =
        std::fs::File::open(&path).with_context(|| format!("no log at {}", path.display()))?;
    for line in process::tail(&config.data_dir, arguments.lines).lines() {
        print(session.json, line);
    }
    if !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    file.seek(SeekFrom::End(0))?;
    let mut read = Vec::new();
    loop {
        if file.read_to_end(&mut read)? == 0 {
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
