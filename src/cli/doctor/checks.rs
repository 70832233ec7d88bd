//! What the facts mean: each check is a pure function, and every finding has its evidence and the
//! command that helps.

use super::daemon::{no_docker, of_daemon};
use super::facts::{Disk, Docker, Facts, PortFault};
use super::finding::{Finding, Grade, Mend, good, wrong};

/// Free space needed for staging and images.
const MIN_FREE_SPACE: u64 = 5 << 30;
/// Below it the database cannot be written.
const NO_SPACE: u64 = 100 << 20;
/// A stack is a build image and a run image.
const STACK_IMAGES: usize = 2;
/// Apps that watch their folders, such as development servers, take one each.
const INOTIFY_INSTANCES: u64 = 256;
const INOTIFY_WATCHES: u64 = 32_768;
/// Two for each connection of the router.
const OPEN_FILES: u64 = 8192;
/// How far clocks may be apart.
const SKEW_SECONDS: i64 = 5;

/// Every check.
pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = match &facts.docker {
        Docker::Answers(info) => of_daemon(info),
        Docker::Fails { .. } => vec![no_docker(facts)],
    };
    findings.extend(stack(facts));
    findings.extend(facts.disks.iter().map(disk));
    findings.extend(data_dir(facts));
    findings.extend(clock(facts));
    findings.push(inotify(facts));
    findings.extend(open_files(facts));
    findings.extend({ facts.ports.iter() }.map(|(option, port)| self::port(option, port)));
    findings.push(names(facts));
    findings.extend(proxy(facts));
    findings.extend(addresses(facts));
    findings.extend(wsl(facts));
    findings.push(cf(facts));
    findings
}

fn stack(facts: &Facts) -> Option<Finding> {
    let finding = match facts.stack? {
        STACK_IMAGES.. => good("stack images", "up to date"),
        _ => wrong(
            "stack images",
            Grade::Warning,
            "missing or outdated: apps with buildpacks cannot be staged",
            ("build them", "cflite images build"),
        ),
    };
    let mend = (finding.grade != Grade::Good).then_some(Mend::BuildImages);
    Some(Finding { mend, ..finding })
}

fn disk(disk: &Disk) -> Finding {
    let shown = format!("{} MB free in {}", disk.free >> 20, disk.path.display());
    let command = if disk.what == "data dir" {
        "cflite registry gc\ncflite packages gc"
    } else {
        "docker system df\ndocker image prune\ndocker builder prune"
    };
    if disk.free < NO_SPACE {
        let advice = "nothing can be written: free space first";
        return wrong(disk.what, Grade::Bad, shown, (advice, command));
    }
    if disk.files > 0 && disk.free_files < 10_000 {
        let shown = format!("{} files left in {}", disk.free_files, disk.path.display());
        let advice = "the file system has no room for more files: remove some";
        return wrong(disk.what, Grade::Bad, shown, (advice, command));
    }
    if disk.free < MIN_FREE_SPACE {
        let advice = "staging and images may need more: free space, or use another disk";
        return wrong(disk.what, Grade::Warning, shown, (advice, command));
    }
    good(disk.what, shown)
}

/// It has keys and passwords.
fn data_dir(facts: &Facts) -> Option<Finding> {
    let (path, mode) = facts.data_dir_mode.as_ref()?;
    if mode % 0o100 == 0 {
        return None;
    }
    Some(Finding {
        mend: Some(Mend::CloseDataDir),
        ..wrong(
            "data dir",
            Grade::Warning,
            format!("other users may enter {} (mode {mode:o})", path.display()),
            (
                "keep it to its owner",
                &format!("chmod 700 {}", path.display()),
            ),
        )
    })
}

/// Two clocks that differ, or rows of the future, after which this one was set back.
fn clock(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let seconds = |micros: i64| micros / 1_000_000;
    if let Docker::Answers(info) = &facts.docker
        && let Some(theirs) = info.facts.system_time
    {
        let apart = seconds(theirs.as_micros() - facts.now.as_micros());
        if apart.abs() > SKEW_SECONDS {
            findings.push(wrong(
                "clock",
                Grade::Bad,
                format!("Docker's clock is {} s {}", apart.abs(), side(apart)),
                (
                    "after sleep a virtual machine keeps its old time: set it",
                    "sudo hwclock --hctosys   # or restart Docker Desktop, or `wsl --shutdown`",
                ),
            ));
        }
    }
    if let Some((newest, place)) = facts.newest {
        let ahead = seconds(newest.as_micros() - facts.now.as_micros());
        if ahead > SKEW_SECONDS {
            findings.push(wrong(
                "clock",
                Grade::Bad,
                format!("{place} is {ahead} s in the future: this machine's clock was set back"),
                (
                    "set the clock; logs and events are in order again once it passes that time",
                    "timedatectl set-ntp true\ntimedatectl status",
                ),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(good("clock", "as Docker's and the platform's rows"));
    }
    findings
}

fn side(apart: i64) -> &'static str {
    if apart > 0 { "ahead" } else { "behind" }
}

fn inotify(facts: &Facts) -> Finding {
    let limits = facts.inotify;
    let is_low = limits
        .instances
        .is_some_and(|limit| limit < INOTIFY_INSTANCES)
        || limits.watches.is_some_and(|limit| limit < INOTIFY_WATCHES);
    let number = |limit: Option<u64>| limit.map_or_else(|| "?".to_owned(), |one| one.to_string());
    let found = format!(
        "{} instances, {} watches for each user",
        number(limits.instances),
        number(limits.watches)
    );
    if !is_low {
        return good("inotify", found);
    }
    wrong(
        "inotify",
        Grade::Warning,
        found,
        (
            "apps and `cflite dev` that watch files may fail with ENOSPC: allow more",
            "sudo sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288",
        ),
    )
}

fn open_files(facts: &Facts) -> Option<Finding> {
    let (soft, hard) = facts.open_files?;
    let number = |limit: u64| match limit {
        u64::MAX => "unlimited".to_owned(),
        limit => limit.to_string(),
    };
    let found = format!("{} at once, {} at most", number(soft), number(hard));
    Some(if hard.max(soft) >= OPEN_FILES {
        good("open files", found)
    } else {
        wrong(
            "open files",
            Grade::Warning,
            found,
            (
                "the router needs two for each connection: allow more for this user",
                "echo \"$USER hard nofile 65536\" | sudo tee /etc/security/limits.d/cflite.conf",
            ),
        )
    })
}

fn port(option: &str, port: &Result<u16, PortFault>) -> Finding {
    match port {
        Ok(port) => good(option, port.to_string()),
        Err(fault) if fault.denied => wrong(
            option,
            Grade::Bad,
            fault.text.clone(),
            (
                "allow it, or choose a port above 1023",
                &format!(
                    "sudo sysctl net.ipv4.ip_unprivileged_port_start={}\ncflite up --{option} 8{:03}",
                    fault.port, fault.port
                ),
            ),
        ),
        Err(fault) => wrong(
            option,
            Grade::Bad,
            fault.text.clone(),
            (
                "stop that program, or choose another port",
                &format!(
                    "ss -ltnp 'sport = :{}'\ncflite up --{option} PORT",
                    fault.port
                ),
            ),
        ),
    }
}

/// `*.localhost` is loopback by RFC 6761, but not every resolver implements it.
fn names(facts: &Facts) -> Finding {
    let lost: Vec<&str> = { facts.names.iter() }
        .filter(|(_, found)| found.is_empty())
        .map(|(name, _)| name.as_str())
        .collect();
    if !lost.is_empty() {
        let found = format!("{} do not resolve", lost.join(", "));
        return if facts.is_local_domain {
            let advice = "browsers resolve them, the cf CLI does not: install a resolver for them, or \
                          use `cf api http://localhost`";
            let command = "sudo apt install libnss-myhostname";
            wrong("names", Grade::Warning, found, (advice, command))
        } else {
            let advice = "let this machine ask cflite for them while it runs, or use the domain cf.localhost";
            wrong(
                "names",
                Grade::Bad,
                found,
                (advice, "sudo cflite dns install"),
            )
        };
    }
    let away = { facts.names.iter() }.find(|(_, found)| {
        facts.bind.is_loopback() && !found.iter().any(|address| address.is_loopback())
    });
    if let Some((name, found)) = away {
        let address = found.first().map(ToString::to_string).unwrap_or_default();
        let found = format!(
            "{name} leads to {address}, but cflite listens on {}",
            facts.bind
        );
        let advice = "listen there, too, or let the names lead to this machine only";
        return wrong(
            "names",
            Grade::Bad,
            found,
            (advice, "cflite up --bind 0.0.0.0"),
        );
    }
    let shown = facts.names.first().map(|(name, found)| {
        let address = found.first().map(ToString::to_string).unwrap_or_default();
        format!("{name} resolves to {address}")
    });
    good("names", shown.unwrap_or_default())
}

fn proxy(facts: &Facts) -> Option<Finding> {
    let is_exception = |name: &str| name.eq_ignore_ascii_case("no_proxy");
    let set = { facts.proxy.iter() }.filter(|(name, _)| !is_exception(name));
    let set: Vec<String> = set.map(|(name, value)| format!("{name}={value}")).collect();
    if set.is_empty() {
        return None;
    }
    let spared = { facts.proxy.iter() }
        .filter(|(name, _)| is_exception(name))
        .any(|(_, value)| value == "*" || value.split(',').any(|one| one.trim() == "localhost"));
    let found = set.join(", ");
    Some(if spared {
        good("proxy", found)
    } else {
        wrong(
            "proxy",
            Grade::Warning,
            format!("{found}, and NO_PROXY does not name this machine"),
            (
                "cf, curl and browsers would ask the proxy for the platform: name the exceptions",
                "export NO_PROXY=localhost,127.0.0.1,.localhost,.apps.internal",
            ),
        )
    })
}

fn addresses(facts: &Facts) -> Option<Finding> {
    match facts.families {
        (false, true) => Some(wrong(
            "addresses",
            Grade::Warning,
            "this machine has IPv6 addresses only",
            (
                "containers reach IPv4 hosts only through NAT64: use mirrors with IPv6, or run offline",
                "cflite up --registry-upstream docker.io=https://registry.ipv6.docker.com",
            ),
        )),
        (false, false) => Some(good("addresses", "no network besides this machine")),
        (true, _) => None,
    }
}

fn wsl(facts: &Facts) -> Option<Finding> {
    let kernel = facts.kernel.to_lowercase();
    if !kernel.contains("microsoft") {
        return None;
    }
    Some(if kernel.contains("wsl2") {
        let found = format!(
            "version 2, kernel {}; Windows reaches it by localhost",
            facts.kernel
        );
        good("WSL", found)
    } else {
        wrong(
            "WSL",
            Grade::Bad,
            format!(
                "version 1, kernel {}: it cannot run containers",
                facts.kernel
            ),
            (
                "convert the distribution",
                "wsl --set-version DISTRIBUTION 2",
            ),
        )
    })
}

fn cf(facts: &Facts) -> Finding {
    match &facts.cf {
        Some(text) if text.contains("version 8") => good("cf CLI", text.clone()),
        Some(text) => wrong(
            "cf CLI",
            Grade::Warning,
            text.clone(),
            (
                "install version 8",
                "https://github.com/cloudfoundry/cli/releases",
            ),
        ),
        None => wrong(
            "cf CLI",
            Grade::Warning,
            "not on PATH",
            (
                "install version 8",
                "https://github.com/cloudfoundry/cli/releases",
            ),
        ),
    }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
