//! The folder of an app as `cf push` sees it: its files without those that `.cfignore` names, and
//! without the CLI's own exceptions.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// The user that apps run as.
const VCAP: u64 = 2000;

/// What the cf CLI never uploads (`util/ignore`, `DefaultIgnoreLines`).
const NEVER: [&str; 8] = [
    ".cfignore",
    ".DS_Store",
    ".git",
    ".gitignore",
    ".hg",
    ".svn",
    "_darcs",
    "/manifest.y*ml",
];

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What it is.
    pub(super) kind: Kind,
    /// Permission bits.
    pub(super) mode: u32,
}

/// Kinds of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A folder; listed so that empty ones arrive, too.
    Folder,
    /// A regular file; changed when its size or time is another one.
    File { size: u64, modified_nanos: i128 },
    /// A symbolic link and its target.
    Link(PathBuf),
}

/// The files by their paths, relative and with slashes.
pub(super) type Files = BTreeMap<String, Entry>;

/// The difference of two lists of files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// New or changed.
    pub(super) changed: Vec<String>,
    /// Not there any more; what is below a deleted folder is not listed again.
    pub(super) deleted: Vec<String>,
}

impl Changes {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.deleted.is_empty()
    }

    /// From `old` to `new`.
    pub(super) fn between(old: &Files, new: &Files) -> Self {
        let changed = new
            .iter()
            .filter(|(path, entry)| old.get(*path) != Some(entry))
            .map(|(path, _)| path.clone());
        let mut deleted: Vec<String> = Vec::new();
        for path in old.keys().filter(|path| !new.contains_key(*path)) {
            let below = |folder: &String| {
                path.strip_prefix(folder.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            if !deleted.iter().any(below) {
                deleted.push(path.clone());
            }
        }
        Self {
            changed: changed.collect(),
            deleted,
        }
    }
}

/// An app's folder.
pub(super) struct AppFolder {
    root: PathBuf,
}

impl AppFolder {
    /// Opens a folder.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let root = path
            .canonicalize()
            .with_context(|| format!("cannot read {}", path.display()))?;
        if !root.is_dir() {
            bail!("{} is not a folder", path.display());
        }
        Ok(Self { root })
    }

    /// Its absolute path.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file's content, if there is one.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }

    /// Lists the files. What disappears meanwhile is left out.
    pub(super) fn files(&self) -> anyhow::Result<Files> {
        let ignored = self.ignored()?;
        let mut files = Files::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let listed = match fs::read_dir(self.root.join(&folder)) {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && folder.parent().is_some() =>
                {
                    continue;
                }
                listed => listed.with_context(|| {
                    format!("cannot list {}", self.root.join(&folder).display())
                })?,
            };
            for entry in listed {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                let Ok(meta) = fs::symlink_metadata(entry.path()) else {
                    continue;
                };
                if ignored.matched(&path, meta.is_dir()).is_ignore() {
                    continue;
                }
                let Some(kind) = kind(&entry.path(), &meta) else {
                    continue;
                };
                let name = path
                    .to_str()
                    .with_context(|| format!("the name {} is not UTF-8", path.display()))?;
                if kind == Kind::Folder {
                    folders.push(path.clone());
                }
                let mode = meta.permissions().mode() & 0o7777;
                files.insert(name.to_owned(), Entry { kind, mode });
            }
        }
        Ok(files)
    }

    fn ignored(&self) -> anyhow::Result<Gitignore> {
        let mut builder = GitignoreBuilder::new("");
        for line in NEVER {
            builder.add_line(None, line)?;
        }
        if let Some(own) = self.text(".cfignore") {
            for line in own.lines() {
                builder
                    .add_line(None, line)
                    .with_context(|| format!(".cfignore: {line:?} is not a pattern"))?;
            }
        }
        Ok(builder.build()?)
    }

    /// Writes the package of an app.
    pub(super) fn write_zip(&self, files: &Files, out: impl Write + Seek) -> anyhow::Result<()> {
        let mut zip = zip::ZipWriter::new(out);
        for (path, entry) in files {
            let options = zip::write::SimpleFileOptions::default().unix_permissions(entry.mode);
            match &entry.kind {
                Kind::Folder => zip.add_directory(path, options)?,
                Kind::Link(target) => zip.add_symlink(path, target.to_string_lossy(), options)?,
                Kind::File { size, .. } => {
                    let Ok(file) = fs::File::open(self.root.join(path)) else {
                        continue;
                    };
                    let large = *size >= u64::from(u32::MAX);
                    zip.start_file(path, options.large_file(large))?;
                    io::copy(&mut file.take(*size), &mut zip)?;
                }
            }
        }
        zip.finish()?;
        Ok(())
    }

    /// Writes what is in an entry somewhere: the content of a file, the target of a link.
    pub(super) fn read_into(
        &self,
        path: &str,
        entry: &Entry,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match &entry.kind {
            Kind::Folder => Ok(()),
            Kind::Link(target) => out.write_all(target.as_os_str().as_encoded_bytes()),
            Kind::File { .. } => {
                let mut file = fs::File::open(self.root.join(path))?;
                io::copy(&mut file, out).map(drop)
            }
        }
    }

    /// Appends one file to a tar under another name, owned by the user of apps. What disappeared
    /// meanwhile is left out: the next list tells.
    pub(super) fn append(
        &self,
        tar: &mut tar::Builder<impl Write>,
        (path, entry): (&str, &Entry),
        name: &str,
    ) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_uid(VCAP);
        header.set_gid(VCAP);
        header.set_mode(entry.mode);
        match &entry.kind {
            Kind::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                tar.append_data(&mut header, format!("{name}/"), io::empty())
            }
            Kind::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, name, target)
            }
            Kind::File { .. } => {
                let Ok(file) = fs::File::open(self.root.join(path)) else {
                    return Ok(());
                };
                // The file may have grown or shrunk since it was listed.
                let size = file.metadata()?.len();
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(size);
                header.set_mtime(u64::try_from(file.metadata()?.mtime()).unwrap_or(0));
                let whole = file.take(size).chain(io::repeat(0)).take(size);
                tar.append_data(&mut header, name, whole)
            }
        }
    }
}

/// `None` for sockets and the like.
fn kind(path: &Path, meta: &fs::Metadata) -> Option<Kind> {
    if meta.is_dir() {
        return Some(Kind::Folder);
    }
    if meta.is_symlink() {
        return fs::read_link(path).ok().map(Kind::Link);
    }
    let modified_nanos = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    meta.is_file().then_some(Kind::File {
        size: meta.len(),
        modified_nanos,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, AppFolder) {
        let dir = tempfile::tempdir().expect("temporary folder");
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("created");
            fs::write(path, content).expect("written");
        }
        let folder = AppFolder::open(dir.path()).expect("opened");
        (dir, folder)
    }

    fn names(folder: &AppFolder) -> Vec<String> {
        folder.files().expect("listed").into_keys().collect()
    }

    #[test]
    fn what_the_cf_cli_does_not_upload_is_left_out() {
        let (_dir, folder) = folder(&[
            (".cfignore", "# secret\n*.log\n/build/\n!keep.log\n"),
            (".git/HEAD", ""),
            ("sub/.DS_Store", ""),
            ("manifest.yml", ""),
            ("sub/manifest.yml", ""),
            ("a.log", ""),
            ("sub/keep.log", ""),
            ("build/out", ""),
            ("sub/build/in", ""),
            ("index.html", ""),
        ]);
        let expected = [
            "index.html",
            "sub",
            "sub/build",
            "sub/build/in",
            "sub/keep.log",
            "sub/manifest.yml",
        ];
        assert_eq!(names(&folder), expected);
    }

    #[test]
    fn changes_are_what_is_new_other_or_gone() {
        let (dir, folder) = folder(&[("a", "1"), ("b/c", "1"), ("b/d", "1"), ("e", "1")]);
        let old = folder.files().expect("listed");
        fs::write(dir.path().join("a"), "22").expect("written");
        fs::write(dir.path().join("f"), "").expect("written");
        fs::remove_dir_all(dir.path().join("b")).expect("removed");
        let changes = Changes::between(&old, &folder.files().expect("listed"));
        assert_eq!(changes.changed, ["a", "f"]);
        assert_eq!(changes.deleted, ["b"]);
        assert!(Changes::between(&old, &old).is_empty());
    }

    #[test]
    fn the_package_keeps_modes_links_and_empty_folders() {
        let (dir, folder) = folder(&[("run", "#!/bin/sh\n")]);
        fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o755))
            .expect("set");
        std::os::unix::fs::symlink("run", dir.path().join("link")).expect("linked");
        fs::create_dir(dir.path().join("empty")).expect("created");
        let mut bytes = io::Cursor::new(Vec::new());
        let files = folder.files().expect("listed");
        folder.write_zip(&files, &mut bytes).expect("written");
        let mut zip = zip::ZipArchive::new(bytes).expect("a zip");
        assert_eq!(
            zip.by_name("run").expect("there").unix_mode(),
            Some(0o100_755)
        );
        assert!(zip.by_name("link").expect("there").is_symlink());
        assert!(zip.by_name("empty/").expect("there").is_dir());
    }
}
