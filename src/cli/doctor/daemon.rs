//! Checks of the Docker daemon.

use super::facts::{Docker, Facts, Socket};
use super::finding::{Finding, Grade, good, wrong};
use crate::docker::DaemonInfo;

/// The oldest daemon whose API has all that is used.
const OLDEST: (u32, u32) = (20, 10);
/// A daemon that is absent, that may not be asked and that does not run are told apart.
pub(super) fn no_docker(facts: &Facts) -> Finding {
    let Docker::Fails {
        host,
        reason,
        socket,
        installed,
    } = &facts.docker
    else {
        return good("Docker", "answers");
    };
    let (found, advice) = match (socket, installed) {
        (Socket::Missing, false) => (
            format!("not installed: there is no {host}, and no docker on PATH"),
            (
                "install Docker Engine and start it",
                "sudo apt install docker.io && sudo systemctl enable --now docker",
            ),
        ),
        (Socket::Missing, true) => (
            format!("installed, but not running: there is no {host}"),
            (
                "start the daemon; one that is elsewhere is named with --docker-host",
                "sudo systemctl start docker",
            ),
        ),
        (Socket::Denied, _) => (
            format!("running, but this user may not use {host}"),
            (
                "join the group of the socket, and log in again; its members are root in all but name",
                "sudo usermod -aG docker \"$USER\"",
            ),
        ),
        (Socket::Refused, _) => (
            format!("not running: nothing answers at {host}, which was left behind"),
            (
                "start the daemon, and look at its log when it ends again",
                "sudo systemctl restart docker\njournalctl -u docker -n 50",
            ),
        ),
        (Socket::Connects, _) => (
            format!("does not answer in time at {host}: {reason}"),
            (
                "look at its log; restart it when it hangs",
                "journalctl -u docker -n 50\nsudo systemctl restart docker",
            ),
        ),
        (Socket::Elsewhere, _) => (
            format!("unreachable at {host}: {reason}"),
            (
                "check that the address is right and that the daemon listens there",
                "docker --host ADDRESS info",
            ),
        ),
    };
    wrong("Docker", Grade::Bad, found, advice)
}

/// Its version and what it runs on.
pub(super) fn of_daemon(info: &DaemonInfo) -> Vec<Finding> {
    let mut findings = vec![of_version(info), of_cgroups(info), of_storage(info)];
    findings.extend(of_rootless(info));
    for warning in info.facts.warnings.iter().filter(|text| is_serious(text)) {
        findings.push(wrong(
            "Docker says",
            Grade::Warning,
            warning.clone(),
            ("limits of apps that need it do not work", "docker info"),
        ));
    }
    findings
}

fn of_version(info: &DaemonInfo) -> Finding {
    let found = format!(
        "{} on {}, {} CPUs, {} MB",
        info.version,
        info.architecture,
        info.cpus,
        info.memory >> 20
    );
    match version(&info.version) {
        Some(version) if version < OLDEST => wrong(
            "Docker",
            Grade::Bad,
            format!("{found}: older than {}.{}", OLDEST.0, OLDEST.1),
            (
                "install a newer Docker Engine",
                "sudo apt install docker.io",
            ),
        ),
        _ => good("Docker", found),
    }
}

fn of_cgroups(info: &DaemonInfo) -> Finding {
    let facts = &info.facts;
    match facts.cgroup_version.as_str() {
        "2" => good(
            "cgroups",
            format!("version 2, driver {}", facts.cgroup_driver),
        ),
        "" => good("cgroups", "the daemon does not tell"),
        other => wrong(
            "cgroups",
            Grade::Warning,
            format!("version {other}, which distributions and Docker no longer maintain"),
            (
                "boot with version 2",
                "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 /' /etc/default/grub\nsudo update-grub",
            ),
        ),
    }
}

fn of_storage(info: &DaemonInfo) -> Finding {
    match info.facts.storage_driver.as_str() {
        "overlay2" | "overlayfs" | "fuse-overlayfs" | "btrfs" | "zfs" => {
            good("storage driver", info.facts.storage_driver.clone())
        }
        "" => good("storage driver", "the daemon does not tell"),
        other => wrong(
            "storage driver",
            Grade::Warning,
            format!("{other}: containers may be full copies of their images"),
            (
                "use overlay2; images have to be built again then",
                "docker info --format '{{.Driver}} {{.DriverStatus}}'",
            ),
        ),
    }
}

fn of_rootless(info: &DaemonInfo) -> Option<Finding> {
    if !info.facts.rootless {
        return None;
    }
    if info.facts.cgroup_driver != "none" {
        let found = "the daemon is rootless: containers are reached by ports of this machine";
        return Some(good("rootless", found));
    }
    Some(wrong(
        "rootless",
        Grade::Warning,
        "the daemon may not use cgroups: apps have no limits of memory",
        (
            "use cgroups version 2 with systemd, and delegate the controllers",
            "sudo systemctl edit user@.service   # [Service] Delegate=cpu cpuset io memory pids",
        ),
    ))
}

/// Warnings about limits that apps have.
fn is_serious(warning: &str) -> bool {
    ["memory limit", "cpu cfs", "pids limit", "bridge-nf-call"]
        .iter()
        .any(|part| warning.to_lowercase().contains(part))
        && !warning.to_lowercase().contains("swap")
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
