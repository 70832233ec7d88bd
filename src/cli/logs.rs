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
    /// Go on showing new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let path = config.data_dir.join(process::LOG);
    let mut file =
        std::fs::File::open(&path).with_context(|| format!("no log at {}", path.display()))?;
    show::line(&process::tail(&config.data_dir, arguments.lines));
    if !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    file.seek(SeekFrom::End(0))?;
    let mut text = String::new();
    loop {
        text.clear();
        if file.read_to_string(&mut text)? == 0 {
            std::thread::sleep(Duration::from_millis(200));
        } else {
            show::line(text.trim_end_matches('\n'));
        }
    }
}
