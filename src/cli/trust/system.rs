//! The store of the system, which most programs use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::{ADDED, Authority, Line, NOT_TRUSTED, REMOVED, TRUSTED, UNCHANGED};
use crate::base::public_file;
use crate::docker::trust::PLATFORM_PREFIX;

/// How a family of systems keeps authorities.
struct Family {
    /// Files here are added to those that the system brings.
    folder: &'static str,
    /// Makes the store anew.
    update: &'static [&'static str],
}

const FAMILIES: [Family; 4] = [
    // Debian, Ubuntu
    Family {
        folder: "usr/local/share/ca-certificates",
        update: &["update-ca-certificates"],
    },
    // Fedora, RHEL
    Family {
        folder: "etc/pki/ca-trust/source/anchors",
        update: &["update-ca-trust", "extract"],
    },
    // Arch
    Family {
        folder: "etc/ca-certificates/trust-source/anchors",
        update: &["trust", "extract-compat"],
    },
    // SUSE
    Family {
        folder: "etc/pki/trust/anchors",
        update: &["update-ca-certificates"],
    },
];

pub(super) struct System {
    root: PathBuf,
    family: &'static Family,
}

impl System {
    /// The system with its files below `root`.
    pub(super) fn at(root: &Path) -> anyhow::Result<Self> {
        if cfg!(target_os = "macos") {
            bail!(
                "on macOS, run\n  cflite trust export cflite.pem\n  sudo security add-trusted-cert -d -r trustRoot \
                 -k /Library/Keychains/System.keychain cflite.pem"
            );
        }
        let family = { FAMILIES.iter() }.find(|family| root.join(family.folder).is_dir());
        let family = family.context(
            "this system keeps its certificate authorities in no known place (is the package \
             ca-certificates installed?); `cflite trust export` writes the certificate",
        )?;
        Ok(Self {
            root: root.to_owned(),
            family,
        })
    }

    fn folder(&self) -> PathBuf {
        self.root.join(self.family.folder)
    }

    fn file_of(&self, id: &str) -> PathBuf {
        self.folder().join(format!("{PLATFORM_PREFIX}{id}.crt"))
    }

    pub(super) fn install(&self, authority: &Authority) -> anyhow::Result<Line> {
        let path = self.file_of(&authority.id);
        if self.has(authority) {
            return Ok(self.line(UNCHANGED));
        }
        public_file::replace(&path, authority.pem.as_bytes())?;
        self.update()?;
        Ok(self.line(ADDED))
    }

    /// Removes one authority, or all of platforms.
    pub(super) fn remove(&self, id: Option<&str>) -> anyhow::Result<Line> {
        let paths = match id {
            Some(id) => vec![self.file_of(id)],
            None => self.all()?,
        };
        let mut state = UNCHANGED;
        for path in paths {
            match std::fs::remove_file(&path) {
                Ok(()) => state = REMOVED,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        if state == REMOVED {
            self.update()?;
        }
        Ok(self.line(state))
    }

    pub(super) fn status(&self, authority: &Authority) -> Line {
        let is_there = self.has(authority);
        self.line(if is_there { TRUSTED } else { NOT_TRUSTED })
    }

    fn has(&self, authority: &Authority) -> bool {
        let found = std::fs::read_to_string(self.file_of(&authority.id));
        found.is_ok_and(|found| found == authority.pem)
    }

    fn all(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(PLATFORM_PREFIX) {
                found.push(self.folder().join(name));
            }
        }
        found.sort();
        Ok(found)
    }

    fn line(&self, state: &'static str) -> Line {
        Line {
            store: format!("The system ({})", self.folder().display()),
            state,
            why: None,
        }
    }

    /// Lets programs see changed files.
    fn update(&self) -> anyhow::Result<()> {
        if self.root != Path::new("/") {
            return Ok(());
        }
        let shown = self.family.update.join(" ");
        let [program, arguments @ ..] = self.family.update else {
            return Ok(());
        };
        let out = Command::new(program).args(arguments).output();
        let out = out.with_context(|| format!("cannot run {shown}"))?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            bail!("`{shown}` failed ({}): {}", out.status, said.trim());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(id: &str) -> Authority {
        Authority {
            pem: format!("certificate {id}\n"),
            id: id.to_owned(),
        }
    }

    #[test]
    fn an_authority_comes_and_goes_with_its_file_alone() {
        for family in &FAMILIES {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join(family.folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("company.crt"), "company").unwrap();
            let system = System::at(root.path()).unwrap();
            let (one, other) = (authority("1"), authority("2"));
            assert_eq!(system.status(&one).state, NOT_TRUSTED);
            assert_eq!(system.install(&one).unwrap().state, ADDED);
            assert_eq!(system.install(&one).unwrap().state, UNCHANGED);
            assert_eq!(system.status(&one).state, TRUSTED);
            assert_eq!(system.install(&other).unwrap().state, ADDED);
            let file = folder.join("cflite-local-authority-1.crt");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), one.pem);
            assert_eq!(system.remove(Some("1")).unwrap().state, REMOVED);
            assert_eq!(system.remove(Some("1")).unwrap().state, UNCHANGED);
            assert_eq!(system.status(&other).state, TRUSTED);
            assert_eq!(system.remove(None).unwrap().state, REMOVED);
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        }
    }

    #[test]
    fn an_unknown_system_is_told_how_to_get_the_certificate() {
        let root = tempfile::tempdir().unwrap();
        let error = System::at(root.path()).err().unwrap().to_string();
        assert!(error.contains("cflite trust export"), "{error}");
    }
}
