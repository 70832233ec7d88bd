//! Every finding, from the facts that cause it.

use std::net::IpAddr;
use std::path::PathBuf;

use super::super::facts::{Inotify, Socket};
use super::*;
use crate::base::Timestamp;
use crate::docker::{DaemonFacts, DaemonInfo};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn info() -> DaemonInfo {
    DaemonInfo {
        version: "26.1.5".to_owned(),
        architecture: "linux/amd64".to_owned(),
        containers_routable: true,
        cpus: 2,
        memory: 8 << 30,
        facts: DaemonFacts {
            cgroup_version: "2".to_owned(),
            cgroup_driver: "systemd".to_owned(),
            storage_driver: "overlay2".to_owned(),
            root_dir: "/var/lib/docker".to_owned(),
            rootless: false,
            system_time: Some(Timestamp::from_micros(1_000_000_000)),
            warnings: vec!["WARNING: No swap limit support".to_owned()],
        },
    }
}

/// A machine on which nothing is wrong.
fn fine() -> Facts {
    let disk = |what, path: &str| Disk {
        what,
        path: PathBuf::from(path),
        free: 50 << 30,
        free_files: 1 << 20,
        files: 1 << 24,
    };
    Facts {
        now: Timestamp::from_micros(1_000_000_000),
        docker: Docker::Answers(Box::new(info())),
        stack: Some(2),
        disks: vec![
            disk("data dir", "/data"),
            disk("Docker's disk", "/var/lib/docker"),
        ],
        data_dir_mode: Some((PathBuf::from("/data"), 0o700)),
        newest: Some((Timestamp::from_micros(999_000_000), "the last event")),
        filters_bridges: Some(true),
        inotify: Inotify {
            instances: Some(1024),
            watches: Some(524_288),
        },
        open_files: Some((1024, 524_288)),
        ports: vec![("http-port", Ok(80))],
        names: vec![("api.cf.localhost".to_owned(), vec![ip("127.0.0.1")])],
        is_local_domain: true,
        bind: ip("127.0.0.1"),
        proxy: Vec::new(),
        families: (true, true),
        kernel: "6.1.0-amd64".to_owned(),
        cf: Some("cf8 version 8.18.4".to_owned()),
    }
}

/// What is not good, and the first line of its command.
fn faults(facts: &Facts) -> Vec<String> {
    let wrong = all(facts)
        .into_iter()
        .filter(|one| one.grade != Grade::Good);
    wrong
        .map(|one| {
            assert!(!one.advice.is_empty() && !one.command.is_empty(), "{one:?}");
            let command = one.command.lines().next().unwrap_or_default();
            format!(
                "{} {}: {} | {command}",
                one.grade.word(),
                one.what,
                one.found
            )
        })
        .collect()
}

fn check(change: impl FnOnce(&mut Facts), expected: &[&str]) {
    let mut facts = fine();
    change(&mut facts);
    let found = faults(&facts);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
}

fn daemon(change: impl FnOnce(&mut DaemonInfo)) -> impl FnOnce(&mut Facts) {
    let mut info = info();
    change(&mut info);
    move |facts| facts.docker = Docker::Answers(Box::new(info))
}

fn fails(socket: Socket, installed: bool) -> impl FnOnce(&mut Facts) {
    move |facts| {
        facts.stack = None;
        facts.docker = Docker::Fails {
            host: "unix:///var/run/docker.sock".to_owned(),
            reason: "no answer".to_owned(),
            socket,
            installed,
        };
    }
}

#[test]
fn a_fine_machine_has_no_faults() {
    check(|_| {}, &[]);
}

#[test]
fn the_ways_in_which_docker_is_not_there_are_told_apart() {
    check(
        fails(Socket::Missing, false),
        &["bad Docker: not installed: there is no unix:///var/run/docker.sock"],
    );
    check(
        fails(Socket::Missing, true),
        &["bad Docker: installed, but not running"],
    );
    check(
        fails(Socket::Denied, true),
        &[
            "bad Docker: running, but this user may not use unix:///var/run/docker.sock | sudo usermod",
        ],
    );
    check(
        fails(Socket::Refused, true),
        &["bad Docker: not running: nothing answers"],
    );
    check(
        fails(Socket::Connects, true),
        &["bad Docker: does not answer in time"],
    );
    check(
        fails(Socket::Elsewhere, true),
        &["bad Docker: unreachable at"],
    );
    check(
        daemon(|info| info.version = "19.03.15".to_owned()),
        &["bad Docker: 19.03.15 on linux/amd64, 2 CPUs, 8192 MB: older than 20.10"],
    );
}

#[test]
fn what_the_daemon_runs_on_is_judged() {
    check(
        daemon(|info| info.facts.cgroup_version = "1".to_owned()),
        &["warning cgroups: version 1"],
    );
    check(
        daemon(|info| info.facts.storage_driver = "vfs".to_owned()),
        &["warning storage driver: vfs: containers may be full copies"],
    );
    check(
        daemon(|info| {
            info.facts.rootless = true;
            info.facts.cgroup_driver = "none".to_owned();
        }),
        &["warning rootless: the daemon may not use cgroups"],
    );
    check(daemon(|info| info.facts.rootless = true), &[]);
    check(
        daemon(|info| info.facts.warnings = vec!["WARNING: No memory limit support".to_owned()]),
        &["warning Docker says: WARNING: No memory limit support"],
    );
}

#[test]
fn full_disks_are_found() {
    check(
        |facts| facts.disks[0].free = 50 << 20,
        &["bad data dir: 50 MB free in /data | cflite registry gc"],
    );
    check(
        |facts| facts.disks[1].free = 1 << 30,
        &["warning Docker's disk: 1024 MB free in /var/lib/docker | docker system df"],
    );
    check(
        |facts| facts.disks[0].free_files = 12,
        &["bad data dir: 12 files left in /data"],
    );
    check(|facts| facts.disks[0].files = 0, &[]);
}

#[test]
fn clocks_that_differ_are_found() {
    let late = Timestamp::from_micros(1_060_000_000);
    check(
        daemon(|info| info.facts.system_time = Some(late)),
        &["bad clock: Docker's clock is 60 s ahead"],
    );
    check(
        |facts| facts.now = late,
        &["bad clock: Docker's clock is 60 s behind"],
    );
    check(
        |facts| facts.newest = Some((late, "the last event")),
        &["bad clock: the last event is 60 s in the future"],
    );
}

#[test]
fn limits_and_ports_are_found() {
    check(
        |facts| facts.inotify.instances = Some(128),
        &["warning inotify: 128 instances, 524288 watches for each user | sudo sysctl"],
    );
    check(
        |facts| facts.filters_bridges = Some(false),
        &[
            "warning network policies: the kernel passes packets between containers on: apps reach each other \
             without a policy | sudo modprobe br_netfilter",
        ],
    );
    check(
        |facts| facts.open_files = Some((1024, 4096)),
        &["warning open files: 1024 at once, 4096 at most"],
    );
    check(|facts| facts.open_files = Some((1024, u64::MAX)), &[]);
    let fault = |denied| PortFault {
        port: 80,
        text: "port 80 is in use by nginx (pid 42)".to_owned(),
        denied,
    };
    check(
        |facts| facts.ports = vec![("http-port", Err(fault(false)))],
        &["bad http-port: port 80 is in use by nginx (pid 42) | ss -ltnp 'sport = :80'"],
    );
    check(
        |facts| facts.ports = vec![("http-port", Err(fault(true)))],
        &[
            "bad http-port: port 80 is in use by nginx (pid 42) | sudo sysctl net.ipv4.ip_unprivileged_port_start=80",
        ],
    );
}

#[test]
fn names_that_lead_nowhere_or_elsewhere_are_found() {
    let name = |found: &[&str]| {
        let found = found.iter().map(|one| ip(one)).collect();
        vec![("api.cf.lan".to_owned(), found)]
    };
    check(
        |facts| facts.names = name(&[]),
        &["warning names: api.cf.lan do not resolve | sudo apt install libnss-myhostname"],
    );
    check(
        |facts| {
            facts.names = name(&[]);
            facts.is_local_domain = false;
        },
        &["bad names: api.cf.lan do not resolve"],
    );
    check(
        |facts| facts.names = name(&["192.168.1.2"]),
        &["bad names: api.cf.lan leads to 192.168.1.2, but cflite listens on 127.0.0.1"],
    );
    check(
        |facts| {
            facts.names = name(&["192.168.1.2"]);
            facts.bind = ip("0.0.0.0");
        },
        &[],
    );
}

#[test]
fn proxies_networks_and_windows_are_found() {
    let proxy = ("HTTPS_PROXY".to_owned(), "http://proxy:3128".to_owned());
    let with = proxy.clone();
    check(
        move |facts| facts.proxy = vec![proxy],
        &["warning proxy: HTTPS_PROXY=http://proxy:3128, and NO_PROXY does not"],
    );
    let exception = ("no_proxy".to_owned(), "a.b, localhost".to_owned());
    check(move |facts| facts.proxy = vec![with, exception], &[]);
    check(
        |facts| facts.families = (false, true),
        &["warning addresses: this machine has IPv6 addresses only"],
    );
    check(|facts| facts.families = (false, false), &[]);
    check(
        |facts| facts.kernel = "4.4.0-19041-Microsoft".to_owned(),
        &["bad WSL: version 1"],
    );
    check(
        |facts| facts.kernel = "6.6.87.2-microsoft-standard-WSL2".to_owned(),
        &[],
    );
    check(|facts| facts.cf = None, &["warning cf CLI: not on PATH"]);
}

#[test]
fn only_what_is_safe_is_mended() {
    let mut facts = fine();
    facts.stack = Some(1);
    facts.data_dir_mode = Some((PathBuf::from("/data"), 0o755));
    facts.disks[0].free = 0;
    let mends: Vec<Mend> = all(&facts).iter().filter_map(|one| one.mend).collect();
    assert_eq!(mends, [Mend::BuildImages, Mend::CloseDataDir]);
}
