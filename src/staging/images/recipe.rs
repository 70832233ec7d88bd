//! The recipe of the stack: Dockerfiles, package lists and set-up scripts, with the machine's own
//! certificate authorities, and the hashes that name what is built from them.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::REPOSITORY;
use crate::docker::ByteReader;

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/images/cflinuxfs4");

/// Where Debian and Ubuntu keep authorities that the machine's owner added.
const AUTHORITIES: &str = "/usr/local/share/ca-certificates";
/// Files that only the build image is built from.
const BUILD_ONLY: [&str; 2] = ["build.Dockerfile", "packages/build.list"];
/// Length of the hash in tags.
const TAG_DIGITS: usize = 12;

/// All files of a stack's build context.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    files: BTreeMap<String, Vec<u8>>,
    run_hash: String,
    build_hash: String,
}

impl Recipe {
    /// The recipe in this binary with the authorities of this machine: without them no package can
    /// be installed behind a TLS-intercepting proxy.
    pub(super) fn embedded() -> Self {
        let mut files = BTreeMap::new();
        collect(&FOLDER, &mut files);
        for (name, content) in own_authorities() {
            files.insert(format!("certificates/{name}"), content);
        }
        Self::of(files)
    }

    pub(super) fn of(files: BTreeMap<String, Vec<u8>>) -> Self {
        let run = files
            .iter()
            .filter(|(path, _)| !BUILD_ONLY.contains(&path.as_str()));
        let (run_hash, build_hash) = (hash(run), hash(files.iter()));
        Self {
            files,
            run_hash,
            build_hash,
        }
    }

    pub(super) fn run_hash(&self) -> &str {
        &self.run_hash
    }

    pub(super) fn build_hash(&self) -> &str {
        &self.build_hash
    }

    pub(super) fn run_tag(&self) -> String {
        format!("run-{}", &self.run_hash[..TAG_DIGITS])
    }

    pub(super) fn run_reference(&self) -> String {
        format!("{REPOSITORY}:{}", self.run_tag())
    }

    pub(super) fn build_tag(&self) -> String {
        format!("build-{}", &self.build_hash[..TAG_DIGITS])
    }

    pub(super) fn build_reference(&self) -> String {
        format!("{REPOSITORY}:{}", self.build_tag())
    }

    /// Whether this is the name of one of the images. The name decides and not the labels, as the
    /// build image inherits those of the run image.
    pub(super) fn names(&self, reference: &str) -> bool {
        reference == self.run_reference() || reference == self.build_reference()
    }

    /// The build context: a few kilobytes.
    pub(super) fn context(&self) -> ByteReader {
        let mut tar = Builder::new(Vec::new());
        for (path, content) in &self.files {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            header.set_uid(0);
            header.set_gid(0);
            // Equal times, so that Docker's cache sees equal files.
            header.set_mtime(1_000_000_000);
            // Writing to memory cannot fail.
            drop(tar.append_data(&mut header, path, &content[..]));
        }
        Box::pin(Cursor::new(tar.into_inner().unwrap_or_default()))
    }
}

fn hash<'a>(files: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) -> String {
    let mut hasher = Sha256::new();
    for (path, content) in files {
        for part in [path.as_bytes(), content] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hex::encode(hasher.finalize())
}

fn collect(dir: &Dir<'_>, files: &mut BTreeMap<String, Vec<u8>>) {
    for file in dir.files() {
        let path = file.path().display().to_string();
        // Documentation does not affect the image.
        if Path::new(&path).extension().is_none_or(|kind| kind != "md") {
            files.insert(path, file.contents().to_owned());
        }
    }
    // COPY needs a file in the folder even if there are no authorities.
    files.entry("certificates/README".to_owned()).or_default();
    for inner in dir.dirs() {
        collect(inner, files);
    }
}

/// The authorities that this machine's owner added: names of files and their contents.
pub(super) fn own_authorities() -> Vec<(String, Vec<u8>)> {
    authorities(Path::new(AUTHORITIES))
}

/// The authorities' files; empty if there is no such folder.
fn authorities(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            let wanted = path.extension().is_some_and(|kind| kind == "crt");
            wanted.then(|| Some((name, std::fs::read(&path).ok()?)))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(changes: &[(&str, &str)]) -> Recipe {
        let mut files = BTreeMap::from([
            ("run.Dockerfile".to_owned(), b"FROM x".to_vec()),
            ("build.Dockerfile".to_owned(), b"FROM y".to_vec()),
            ("packages/build.list".to_owned(), b"gcc".to_vec()),
        ]);
        for (path, content) in changes {
            files.insert((*path).to_owned(), content.as_bytes().to_vec());
        }
        Recipe::of(files)
    }

    #[test]
    fn a_change_rebuilds_only_affected_images() {
        let old = recipe(&[]);
        let compilers = recipe(&[("packages/build.list", "gcc make")]);
        assert_eq!(old.run_hash(), compilers.run_hash());
        assert_ne!(old.build_hash(), compilers.build_hash());
        let languages = recipe(&[("packages/ruby.list", "ruby")]);
        assert_ne!(old.run_hash(), languages.run_hash());
        assert_ne!(old.build_hash(), languages.build_hash());
        assert_eq!(old.run_hash(), recipe(&[]).run_hash());
    }

    #[test]
    fn the_embedded_recipe_is_complete() {
        let recipe = Recipe::embedded();
        for path in [
            "run.Dockerfile",
            "build.Dockerfile",
            "set-up-stack",
            "packages/base.list",
        ] {
            assert!(recipe.files.contains_key(path), "{path}");
        }
        assert!(
            recipe
                .files
                .keys()
                .any(|path| path.starts_with("certificates/"))
        );
        assert!(recipe.run_reference().starts_with("cflite/cflinuxfs4:run-"));
    }

    #[test]
    fn only_certificates_are_taken_from_the_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a.crt", "b.pem", "c"] {
            std::fs::write(folder.path().join(name), name).expect("a file");
        }
        let found = authorities(folder.path());
        assert_eq!(found, [("a.crt".to_owned(), b"a.crt".to_vec())]);
        assert!(authorities(&folder.path().join("missing")).is_empty());
    }
}
