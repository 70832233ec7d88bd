//! `cflite doctor`: checks this machine and advises how to fix problems.

use std::net::ToSocketAddrs;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::process::State;
use super::{Session, block_on, process, show};
use crate::config::Config;
use crate::net::ports;
use crate::platform;
use crate::staging::images;

/// Free space needed for staging and images.
const MIN_FREE_SPACE: u64 = 5 * 1024 * 1024 * 1024;

/// A stack is a build image and a run image.
const STACK_IMAGES: usize = 2;

struct Finding {
    what: &'static str,
    grade: Grade,
    found: String,
    advice: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    Good,
    Warning,
    Bad,
}

pub(super) fn run(session: Session) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let found = process::find(&config.data_dir)?;
    let mut findings = block_on(async { Ok(docker(&config).await) })?;
    findings.push(space(&config));
    findings.push(names(&config));
    if matches!(found, State::Stopped) {
        findings.push(port("HTTP port", &config, config.http_port));
        findings.push(port("HTTPS port", &config, config.https_port));
    }
    findings.push(cf());
    let failed = findings.iter().any(|finding| finding.grade == Grade::Bad);
    report(&findings, session.json);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn report(findings: &[Finding], as_json: bool) {
    let word = |grade| match grade {
        Grade::Good => "ok",
        Grade::Warning => "warning",
        Grade::Bad => "bad",
    };
    if as_json {
        let all: Vec<Value> = findings
            .iter()
            .map(|f| json!({ "what": f.what, "grade": word(f.grade), "found": f.found, "advice": f.advice }))
            .collect();
        show::json(&Value::Array(all));
        return;
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|f| {
            vec![
                word(f.grade).to_owned(),
                f.what.to_owned(),
                f.found.clone(),
                f.advice.clone(),
            ]
        })
        .collect();
    show::table(&["grade", "what", "found", "what to do"], &rows);
}

fn good(what: &'static str, found: impl Into<String>) -> Finding {
    Finding {
        what,
        grade: Grade::Good,
        found: found.into(),
        advice: String::new(),
    }
}

fn wrong(what: &'static str, grade: Grade, found: impl Into<String>, advice: &str) -> Finding {
    Finding {
        what,
        grade,
        found: found.into(),
        advice: advice.to_owned(),
    }
}

async fn docker(config: &Config) -> Vec<Finding> {
    let engine = platform::connect_docker(config);
    let info = match engine.info().await {
        Ok(info) => info,
        Err(error) => {
            let advice =
                "install and start Docker: packaging/prerequisites.sh, or `systemctl start docker`";
            return vec![wrong("Docker", Grade::Bad, error.to_string(), advice)];
        }
    };
    let found = format!("{} with {} CPUs", info.version, info.cpus);
    let mut findings = vec![good("Docker", found)];
    findings.push(match images::list(&*engine).await {
        Ok(list) if list.iter().filter(|image| image.current).count() == STACK_IMAGES => {
            good("stack images", "up to date")
        }
        Ok(_) => wrong(
            "stack images",
            Grade::Warning,
            "missing or outdated",
            "cflite images build",
        ),
        Err(error) => wrong(
            "stack images",
            Grade::Bad,
            error.to_string(),
            "cflite images build",
        ),
    });
    findings
}

fn space(config: &Config) -> Finding {
    let folder = config
        .data_dir
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(&config.data_dir);
    match nix::sys::statvfs::statvfs(folder) {
        Ok(stat) => {
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            let shown = format!("{} MB free in {}", free / 1_000_000, folder.display());
            if free < MIN_FREE_SPACE {
                wrong(
                    "disk",
                    Grade::Warning,
                    shown,
                    "free disk space, or use another --data-dir",
                )
            } else {
                good("disk", shown)
            }
        }
        Err(error) => wrong(
            "disk",
            Grade::Warning,
            error.to_string(),
            "check --data-dir",
        ),
    }
}

/// `*.localhost` is loopback by RFC 6761, but not every resolver implements it.
fn names(config: &Config) -> Finding {
    let host = format!("api.{}", config.domain);
    let found = (host.as_str(), 80)
        .to_socket_addrs()
        .map(|mut addresses| addresses.next());
    match found {
        Ok(Some(address)) => good("names", format!("{host} resolves to {}", address.ip())),
        _ => wrong(
            "names",
            Grade::Warning,
            format!("{host} does not resolve"),
            "install libnss-myhostname, or use cf api http://localhost:PORT",
        ),
    }
}

fn port(what: &'static str, config: &Config, choice: ports::PortChoice) -> Finding {
    match ports::probe(config.bind, choice) {
        Ok(port) => good(what, port.to_string()),
        Err(error) => wrong(
            what,
            Grade::Bad,
            error.to_string(),
            "stop the other program or choose another port",
        ),
    }
}

fn cf() -> Finding {
    let out = std::process::Command::new("cf").arg("version").output();
    match out {
        Ok(out) if out.status.success() => {
            let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
            if text.contains("version 8") {
                good("cf CLI", text)
            } else {
                wrong("cf CLI", Grade::Warning, text, "install version 8")
            }
        }
        _ => wrong(
            "cf CLI",
            Grade::Warning,
            "not on PATH",
            "install the cf CLI version 8",
        ),
    }
}
