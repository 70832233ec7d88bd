//! How this machine learns names, and the files that teach it. Everything but [`Change::apply`] and
//! [`Machine::reload`] only reads.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::base::public_file;

/// The first line of files of ours.
const MARK: &str = "# Written by `cflite dns install`; `cflite dns remove` removes it.";
/// The lines around our part of the hosts file.
const BEGIN: &str = "# BEGIN cflite (written by `cflite dns install`)";
const END: &str = "# END cflite";

/// How programs of this machine find names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They ask systemd-resolved, which asks us.
    Resolved,
    /// macOS asks the server that a domain's file names.
    ResolverFolder,
    /// From the hosts file.
    Hosts,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Resolved => "systemd-resolved",
            Self::ResolverFolder => "resolver-folder",
            Self::Hosts => "hosts-file",
        }
    }

    /// What is written, at the beginning of a sentence.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Resolved => "The drop-in of systemd-resolved",
            Self::ResolverFolder => "The folder /etc/resolver",
            Self::Hosts => "The block in the hosts file",
        }
    }

    /// What its user has to know.
    pub(super) fn remark(self) -> &'static str {
        match self {
            Self::Resolved | Self::ResolverFolder => {
                "New apps and routes need nothing more; a new domain needs this command again."
            }
            Self::Hosts => {
                "A hosts file has no wildcards and no names of instances: run this again after new routes."
            }
        }
    }
}

/// What is to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Our server.
    pub(super) server: SocketAddr,
    /// Domains that it answers.
    pub(super) domains: Vec<String>,
    /// Single names, for a file without domains.
    pub(super) hosts: Vec<String>,
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    /// `None` = it is removed.
    pub(super) content: Option<String>,
}

impl Change {
    pub(super) fn verb(&self) -> &'static str {
        match self.content {
            Some(_) => "Wrote",
            None => "Removed",
        }
    }

    pub(super) fn apply(&self) -> std::io::Result<()> {
        let Some(content) = &self.content else {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                done => done,
            };
        };
        public_file::replace(&self.path, content.as_bytes())
    }
}

/// The files of a machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    root: PathBuf,
    is_mac: bool,
}

impl Machine {
    /// This one, with its files below `root`.
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            is_mac: cfg!(target_os = "macos"),
        }
    }

    /// How it finds names.
    pub(super) fn way(&self) -> Way {
        if self.is_mac {
            return Way::ResolverFolder;
        }
        let asks_stub = self.text("etc/resolv.conf").contains("127.0.0.53");
        let switch = self.text("etc/nsswitch.conf");
        let mut hosts = switch.lines().filter(|line| line.starts_with("hosts:"));
        let asks_bus = hosts.any(|line| line.split_whitespace().any(|word| word == "resolve"));
        let runs = self.root.join("run/systemd/resolve").is_dir();
        if runs && (asks_stub || asks_bus) {
            Way::Resolved
        } else {
            Way::Hosts
        }
    }

    /// What has to change for a machine that knows what is wanted; nothing when it does.
    pub(super) fn install(&self, wanted: &Wanted) -> anyhow::Result<Vec<Change>> {
        let way = self.way();
        let mut changes = match way {
            Way::Resolved => vec![written(self.drop_in(), drop_in(wanted))],
            Way::ResolverFolder => { wanted.domains.iter() }
                .map(|domain| written(self.resolver_of(domain), resolver(wanted.server)))
                .collect(),
            Way::Hosts => vec![self.hosts(Some(wanted))?],
        };
        // What an earlier way, or an earlier domain, left behind.
        for change in self.remove()? {
            if !changes.iter().any(|one| one.path == change.path) {
                changes.push(change);
            }
        }
        changes.retain(|change| std::fs::read_to_string(&change.path).ok() != change.content);
        Ok(changes)
    }

    /// What has to change for a machine that knows nothing of us.
    pub(super) fn remove(&self) -> anyhow::Result<Vec<Change>> {
        let mut changes: Vec<Change> = self.ours().into_iter().map(removed).collect();
        if self.hosts_text().contains(BEGIN) {
            changes.push(self.hosts(None)?);
        }
        Ok(changes)
    }

    /// The files that have something of ours.
    pub(super) fn installed(&self) -> Vec<PathBuf> {
        let mut found = self.ours();
        if self.hosts_text().contains(BEGIN) {
            found.push(self.hosts_file());
        }
        found
    }

    /// Lets a program take over its changed files.
    pub(super) fn reload(&self, changes: &[Change]) -> anyhow::Result<()> {
        let drop_in = self.drop_in();
        let is_other = self.root != Path::new("/");
        if is_other || !changes.iter().any(|change| change.path == drop_in) {
            return Ok(());
        }
        let arguments = ["try-reload-or-restart", "systemd-resolved.service"];
        let ended = Command::new("systemctl").args(arguments).status();
        let ended = ended.context("cannot run systemctl")?;
        if !ended.success() {
            bail!(
                "the drop-in is written, but `systemctl {}` failed ({ended})",
                arguments.join(" ")
            );
        }
        Ok(())
    }

    fn drop_in(&self) -> PathBuf {
        self.root.join("etc/systemd/resolved.conf.d/cflite.conf")
    }

    fn resolver_of(&self, domain: &str) -> PathBuf {
        self.root.join("etc/resolver").join(domain)
    }

    fn hosts_file(&self) -> PathBuf {
        self.root.join("etc/hosts")
    }

    fn hosts_text(&self) -> String {
        self.text("etc/hosts")
    }

    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// Whole files of ours.
    fn ours(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.root.join("etc/resolver"));
        let resolvers = folder.into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = resolvers.map(|entry| entry.path()).collect();
        found.sort();
        found.insert(0, self.drop_in());
        found.retain(|path| {
            let text = std::fs::read_to_string(path);
            text.is_ok_and(|text| text.starts_with(MARK))
        });
        found
    }

    /// The hosts file with our block, or without one.
    fn hosts(&self, wanted: Option<&Wanted>) -> anyhow::Result<Change> {
        let path = self.hosts_file();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let mut content = without_block(&text).with_context(|| {
            format!(
                "{} has a line `{BEGIN}` without `{END}`: remove it",
                path.display()
            )
        })?;
        if let Some(wanted) = wanted {
            if !content.is_empty() && !content.ends_with('\n') {
                content.push('\n');
            }
            content.push_str(&block(wanted));
        }
        Ok(written(path, content))
    }
}

fn written(path: PathBuf, content: String) -> Change {
    let content = Some(content);
    Change { path, content }
}

fn removed(path: PathBuf) -> Change {
    let content = None;
    Change { path, content }
}

/// `~` sends the names of a domain to this server, and nothing else.
fn drop_in(wanted: &Wanted) -> String {
    let domains: Vec<String> = { wanted.domains.iter() }
        .map(|domain| format!("~{domain}"))
        .collect();
    format!(
        "{MARK}\n[Resolve]\nDNS={}\nDomains={}\n",
        wanted.server,
        domains.join(" ")
    )
}

fn resolver(server: SocketAddr) -> String {
    format!(
        "{MARK}\nnameserver {}\nport {}\n",
        server.ip(),
        server.port()
    )
}

fn block(wanted: &Wanted) -> String {
    let address = wanted.server.ip();
    let lines: Vec<String> = { wanted.hosts.iter() }
        .map(|host| format!("{address} {host}\n"))
        .collect();
    format!("{BEGIN}\n{}{END}\n", lines.concat())
}

/// `None` when the block has no end: what follows may be somebody else's.
fn without_block(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => inside = true,
            END if inside => inside = false,
            _ if inside => {}
            _ => kept.push_str(line),
        }
    }
    (!inside).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Files {
        folder: tempfile::TempDir,
        machine: Machine,
    }

    fn files(given: &[(&str, &str)]) -> Files {
        let folder = tempfile::tempdir().expect("temporary folder");
        let machine = Machine {
            root: folder.path().to_owned(),
            is_mac: false,
        };
        let files = Files { folder, machine };
        for (path, text) in given {
            files.write(path, text);
        }
        files
    }

    impl Files {
        fn write(&self, path: &str, text: &str) {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }

        fn read(&self, path: &str) -> Option<String> {
            std::fs::read_to_string(self.folder.path().join(path)).ok()
        }

        fn install(&self, wanted: &Wanted) -> usize {
            let changes = self.machine.install(wanted).expect("planned");
            for one in &changes {
                one.apply().expect("applied");
            }
            changes.len()
        }

        fn remove(&self) -> usize {
            let changes = self.machine.remove().expect("planned");
            for one in &changes {
                one.apply().expect("applied");
            }
            changes.len()
        }
    }

    fn wanted(domain: &str) -> Wanted {
        Wanted {
            server: ([127, 0, 0, 1], 8053).into(),
            domains: vec![domain.to_owned(), "apps.internal".to_owned()],
            hosts: vec![domain.to_owned(), format!("api.{domain}")],
        }
    }

    const STUB: (&str, &str) = ("etc/resolv.conf", "nameserver 127.0.0.53\n");
    const RUNS: (&str, &str) = ("run/systemd/resolve/resolv.conf", "");
    const DROP_IN: &str = "etc/systemd/resolved.conf.d/cflite.conf";

    #[test]
    fn the_machine_decides_the_way() {
        let way = |given: &[(&str, &str)]| files(given).machine.way();
        assert_eq!(way(&[]), Way::Hosts);
        assert_eq!(way(&[STUB, RUNS]), Way::Resolved);
        let switch = (
            "etc/nsswitch.conf",
            "hosts: files resolve [!UNAVAIL=return] dns\n",
        );
        assert_eq!(way(&[switch, RUNS]), Way::Resolved);
        // It runs, and nobody asks it.
        assert_eq!(
            way(&[("etc/resolv.conf", "nameserver 10.0.0.1\n"), RUNS]),
            Way::Hosts
        );
        assert_eq!(way(&[STUB]), Way::Hosts);
        let mut mac = files(&[STUB, RUNS]).machine;
        mac.is_mac = true;
        assert_eq!(mac.way(), Way::ResolverFolder);
    }

    #[test]
    fn resolved_gets_a_drop_in() {
        let files = files(&[STUB, RUNS]);
        assert_eq!(files.install(&wanted("cf.example")), 1);
        assert_eq!(
            files.read(DROP_IN).as_deref(),
            Some(
                "# Written by `cflite dns install`; `cflite dns remove` removes it.\n[Resolve]\n\
                 DNS=127.0.0.1:8053\nDomains=~cf.example ~apps.internal\n"
            )
        );
        assert_eq!(files.install(&wanted("cf.example")), 0, "it is there");
        assert_eq!(files.machine.installed().len(), 1);
        assert_eq!(files.install(&wanted("other.example")), 1);
        assert_eq!(files.remove(), 1);
        assert_eq!(files.read(DROP_IN), None);
        assert_eq!(files.remove(), 0);
        assert!(files.machine.installed().is_empty());
    }

    #[test]
    fn a_mac_gets_a_file_for_each_domain_and_loses_those_of_others() {
        let mut files = files(&[("etc/resolver/corp.example", "nameserver 10.0.0.1\n")]);
        files.machine.is_mac = true;
        assert_eq!(files.install(&wanted("cf.example")), 2);
        let text = files.read("etc/resolver/apps.internal").expect("written");
        assert!(
            text.ends_with("\nnameserver 127.0.0.1\nport 8053\n"),
            "{text}"
        );
        assert_eq!(files.install(&wanted("other.example")), 2);
        assert_eq!(files.read("etc/resolver/cf.example"), None);
        assert_eq!(files.remove(), 2);
        assert!(
            files.read("etc/resolver/corp.example").is_some(),
            "not ours"
        );
    }

    #[test]
    fn a_hosts_file_gets_a_block_and_keeps_the_rest() {
        let before = "127.0.0.1 localhost\n\n# mine\n10.0.0.9 nas";
        let files = files(&[("etc/hosts", before)]);
        assert_eq!(files.install(&wanted("cf.example")), 1);
        let text = files.read("etc/hosts").expect("written");
        let block = format!("{BEGIN}\n127.0.0.1 cf.example\n127.0.0.1 api.cf.example\n{END}\n");
        assert_eq!(text, format!("{before}\n{block}"));
        assert_eq!(files.install(&wanted("cf.example")), 0);
        // Somebody added a line below.
        files.write("etc/hosts", &format!("{text}10.0.0.8 printer\n"));
        assert_eq!(files.install(&wanted("other.example")), 1);
        let text = files.read("etc/hosts").expect("written");
        assert!(
            text.contains("10.0.0.8 printer\n") && !text.contains(" api.cf.example"),
            "{text}"
        );
        assert_eq!(text.matches(BEGIN).count(), 1);
        assert_eq!(files.remove(), 1);
        assert_eq!(
            files.read("etc/hosts").as_deref(),
            Some("127.0.0.1 localhost\n\n# mine\n10.0.0.9 nas\n10.0.0.8 printer\n")
        );
    }

    #[test]
    fn a_block_without_an_end_is_left_to_its_owner() {
        let files = files(&[(
            "etc/hosts",
            &format!("{BEGIN}\n127.0.0.1 a\n10.0.0.9 nas\n"),
        )]);
        let error = files
            .machine
            .install(&wanted("cf.example"))
            .expect_err("damaged");
        assert!(error.to_string().contains("without"), "{error}");
    }

    #[test]
    fn the_way_before_is_undone() {
        let files = files(&[("etc/hosts", "127.0.0.1 localhost\n")]);
        files.install(&wanted("cf.example"));
        files.write(STUB.0, STUB.1);
        files.write(RUNS.0, RUNS.1);
        assert_eq!(files.install(&wanted("cf.example")), 2);
        assert_eq!(
            files.read("etc/hosts").as_deref(),
            Some("127.0.0.1 localhost\n")
        );
    }
}
