//! The databases of Chromium and Firefox (NSS), which belong to a user. `certutil` changes them.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::unistd::{Uid, User};

use super::{ADDED, Authority, LEFT_OUT, Line, NOT_TRUSTED, REMOVED, TRUSTED, UNCHANGED};

/// What Chromium and its relatives use.
const SHARED: [&str; 2] = [".pki/nssdb", "snap/chromium/current/.pki/nssdb"];
/// Folders with the profiles of Firefox.
const PROFILES: [&str; 4] = [
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
    ".config/mozilla/firefox",
];
/// What authorities of platforms are called.
const NAME: &str = "cflite local authority";
/// What is needed for it, for those who lack it.
const NO_CERTUTIL: &str = "certutil is not installed (package libnss3-tools, nss-tools or nss)";

/// The databases of one user.
pub(super) struct Browsers {
    databases: Vec<PathBuf>,
    /// Whose they are, if that is not who runs this.
    owner: Option<User>,
}

impl Browsers {
    /// Those of the user who runs this, or who became root for it; none with another root.
    pub(super) fn of_user(root: &Path) -> Self {
        let none = Self {
            databases: Vec::new(),
            owner: None,
        };
        if root != Path::new("/") {
            return none;
        }
        let owner = Uid::effective().is_root().then(caller).flatten();
        let home = match &owner {
            Some(owner) => Some(owner.dir.clone()),
            None => std::env::var_os("HOME").map(PathBuf::from),
        };
        home.map_or(none, |home| Self {
            databases: databases(&home),
            owner,
        })
    }

    pub(super) fn install(&self, authority: &Authority) -> Vec<Line> {
        let add = |database: &Path| {
            if self.has(database, &authority.id)? {
                return Ok(UNCHANGED);
            }
            let name = name_of(&authority.id);
            let add = ["-A", "-a", "-t", "C,,", "-n", &name];
            self.certutil(database, &add, &authority.pem)?;
            Ok(ADDED)
        };
        self.each(add)
    }

    /// Removes one authority, or all of platforms.
    pub(super) fn remove(&self, id: Option<&str>) -> Vec<Line> {
        self.each(|database| {
            let mut state = UNCHANGED;
            for name in self.names(database)? {
                if id.is_none_or(|id| name == name_of(id)) {
                    self.certutil(database, &["-D", "-n", &name], "")?;
                    state = REMOVED;
                }
            }
            Ok(state)
        })
    }

    pub(super) fn status(&self, authority: &Authority) -> Vec<Line> {
        self.each(|database| {
            let is_there = self.has(database, &authority.id)?;
            Ok(if is_there { TRUSTED } else { NOT_TRUSTED })
        })
    }

    fn each(&self, act: impl Fn(&Path) -> Result<&'static str, String>) -> Vec<Line> {
        let line = |database: &PathBuf| {
            let (state, why) = match act(database) {
                Ok(state) => (state, None),
                Err(why) => (LEFT_OUT, Some(why)),
            };
            Line {
                store: format!("Browser ({})", database.display()),
                state,
                why,
            }
        };
        self.databases.iter().map(line).collect()
    }

    fn has(&self, database: &Path, id: &str) -> Result<bool, String> {
        let wanted = name_of(id);
        Ok(self.names(database)?.contains(&wanted))
    }

    /// The names of authorities of platforms in a database.
    fn names(&self, database: &Path) -> Result<Vec<String>, String> {
        let listed = self.certutil(database, &["-L"], "")?;
        Ok(names_in(&listed))
    }

    /// What it prints; `input` is for its standard input.
    fn certutil(&self, database: &Path, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new("certutil");
        command
            .arg("-d")
            .arg(format!("sql:{}", database.display()))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(owner) = &self.owner {
            // As root, files of the database would become root's.
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
            command.env("HOME", &owner.dir);
        }
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => NO_CERTUTIL.to_owned(),
            _ => format!("cannot run certutil: {error}"),
        };
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that fails before it reads says why.
            drop(stdin.write_all(input.as_bytes()));
        }
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().map_err(failed)?;
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&stderr);
        Err(format!("certutil failed ({status}): {}", said.trim()))
    }
}

/// The user who became root by sudo.
fn caller() -> Option<User> {
    let name = std::env::var("SUDO_USER").ok()?;
    User::from_name(&name).ok().flatten()
}

fn name_of(id: &str) -> String {
    format!("{NAME} {id}")
}

/// Names stand before their trust, which has no blanks.
fn names_in(listed: &str) -> Vec<String> {
    let name = |line: &str| {
        let (name, _) = line.trim_end().rsplit_once(char::is_whitespace)?;
        let name = name.trim();
        name.starts_with(NAME).then(|| name.to_owned())
    };
    listed.lines().filter_map(name).collect()
}

/// The databases below a home that are there.
fn databases(home: &Path) -> Vec<PathBuf> {
    let shared = SHARED.iter().map(|folder| home.join(folder));
    let profiles = PROFILES.iter().flat_map(|folder| {
        let entries = std::fs::read_dir(home.join(folder)).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    });
    let mut found: Vec<PathBuf> = shared
        .chain(profiles)
        .filter(|folder| folder.join("cert9.db").is_file())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_those_of_chromium_and_of_the_profiles_of_firefox() {
        let home = tempfile::tempdir().unwrap();
        for folder in [
            ".pki/nssdb",
            ".mozilla/firefox/abc.default",
            "snap/firefox/common/.mozilla/firefox/x.y",
        ] {
            let folder = home.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("cert9.db"), "").unwrap();
        }
        std::fs::create_dir_all(home.path().join(".mozilla/firefox/Crash Reports")).unwrap();
        let found = databases(home.path());
        let found: Vec<&Path> = { found.iter() }
            .map(|path| path.strip_prefix(home.path()).unwrap())
            .collect();
        let expected = [
            ".mozilla/firefox/abc.default",
            ".pki/nssdb",
            "snap/firefox/common/.mozilla/firefox/x.y",
        ];
        assert_eq!(found, expected.map(Path::new));
    }

    #[test]
    fn a_database_takes_and_forgets_one_authority_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let browsers = Browsers {
            databases: vec![folder.path().to_owned()],
            owner: None,
        };
        let authority = |id: &str| Authority {
            pem: crate::pki::testing::Authority::new().pem(),
            id: id.to_owned(),
        };
        let (one, other) = (authority("1"), authority("2"));
        let state = |lines: Vec<Line>| lines[0].state;
        let made = browsers.certutil(folder.path(), &["-N", "--empty-password"], "");
        if made.as_ref().err().map(String::as_str) == Some(NO_CERTUTIL) {
            // Where it is not installed that is what users are told.
            let lines = browsers.install(&one);
            assert_eq!(lines[0].state, LEFT_OUT);
            assert_eq!(lines[0].why.as_deref(), Some(NO_CERTUTIL));
            return;
        }
        made.unwrap();
        assert_eq!(state(browsers.status(&one)), NOT_TRUSTED);
        assert_eq!(state(browsers.install(&one)), ADDED);
        assert_eq!(state(browsers.install(&one)), UNCHANGED);
        assert_eq!(state(browsers.status(&one)), TRUSTED);
        assert_eq!(state(browsers.install(&other)), ADDED);
        assert_eq!(state(browsers.remove(Some("1"))), REMOVED);
        assert_eq!(state(browsers.status(&one)), NOT_TRUSTED);
        assert_eq!(state(browsers.status(&other)), TRUSTED);
        assert_eq!(state(browsers.remove(None)), REMOVED);
        assert_eq!(state(browsers.status(&other)), NOT_TRUSTED);
    }

    #[test]
    fn only_authorities_of_platforms_are_ours() {
        let listed = "\nCertificate Nickname                     Trust Attributes\n\
            \n\ncompany                                  C,,  \n\
            cflite local authority 0123456789ab      C,,  \n";
        assert_eq!(names_in(listed), ["cflite local authority 0123456789ab"]);
    }
}
