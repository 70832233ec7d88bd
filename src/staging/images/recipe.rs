//! The recipe of the stack: Dockerfiles, package lists and set-up scripts, and the hashes that name
//! what is built from them.
//!
//! The machine's own certificate authorities are in the build context, but not part of the recipe:
//! a stage that only downloads trusts them, and no image holds them.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::REPOSITORY;
use crate::docker::ByteReader;
use crate::docker::trust::Authority;

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/images/cflinuxfs4");

/// Files that only the build image is built from.
const BUILD_ONLY: [&str; 2] = ["build.Dockerfile", "packages/build.list"];
/// Length of the hash in tags.
const TAG_DIGITS: usize = 12;

/// The folder of authorities in the build context. COPY needs a file there.
const CERTIFICATES: &str = "certificates";

/// All files of a stack's build context but the authorities.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    files: BTreeMap<String, Vec<u8>>,
    run_hash: String,
    build_hash: String,
}

impl Recipe {
    /// The recipe in this binary.
    pub(super) fn embedded() -> Self {
        let mut files = BTreeMap::new();
        collect(&FOLDER, &mut files);
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

    /// The build context: a few kilobytes. Behind a TLS-intercepting proxy nothing can be downloaded
    /// without the machine's authorities.
    pub(super) fn context(&self, authorities: &[Authority]) -> ByteReader {
        let mut tar = Builder::new(Vec::new());
        let certificates = { authorities.iter() }
            .map(|one| (format!("{CERTIFICATES}/{}", one.name), one.pem.clone()));
        let readme = (format!("{CERTIFICATES}/README"), Vec::new());
        let files = self.files.clone().into_iter();
        for (path, content) in files.chain(certificates).chain([readme]) {
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
    for inner in dir.dirs() {
        collect(inner, files);
    }
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
        assert!(recipe.run_reference().starts_with("cflite/cflinuxfs4:run-"));
    }

    /// The files of a build context.
    async fn sent(authorities: &[Authority]) -> BTreeMap<String, Vec<u8>> {
        use std::io::Read;
        use tokio::io::AsyncReadExt;
        let mut bytes = Vec::new();
        let mut context = Recipe::embedded().context(authorities);
        context.read_to_end(&mut bytes).await.expect("in memory");
        let mut tar = tar::Archive::new(&bytes[..]);
        let entries = tar.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            (path, content)
        });
        entries.collect()
    }

    #[tokio::test]
    async fn authorities_are_build_inputs_that_no_name_depends_on() {
        let authority = Authority {
            name: "proxy.crt".to_owned(),
            pem: b"-----BEGIN CERTIFICATE-----".to_vec(),
        };
        let (with, without) = (
            sent(std::slice::from_ref(&authority)).await,
            sent(&[]).await,
        );
        assert_eq!(with["certificates/proxy.crt"], authority.pem);
        assert!(
            without.contains_key("certificates/README"),
            "COPY needs a file"
        );
        assert_eq!(with.len(), without.len() + 1);
        let recipe = Recipe::embedded();
        let named = |path: &String| path.starts_with("certificates/");
        assert!(
            !recipe.files.keys().any(named),
            "the hashes are those of the files"
        );
    }

    #[test]
    fn only_the_stage_that_downloads_copies_authorities() {
        for file in ["run.Dockerfile", "build.Dockerfile"] {
            let text = String::from_utf8(Recipe::embedded().files[file].clone()).expect("text");
            let mut stages = text
                .split("\nFROM ")
                .filter(|stage| stage.contains("certificates"));
            let stage = stages.next().expect("a stage");
            let name = stage.lines().next().expect("a line");
            assert!(name.ends_with(" AS downloads"), "{file}: {name}");
            assert!(stage.contains("LABEL cflite.role=\"downloads\""), "{file}");
            assert!(stages.next().is_none(), "{file}");
            assert!(
                !text.trim_end().ends_with(stage.trim_end()),
                "{file}: it is not the last"
            );
        }
    }
}
