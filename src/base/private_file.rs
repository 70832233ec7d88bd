//! Files that only their owner may read: keys, passwords, state, bundles.
//!
//! The only module that writes them. Writes are atomic: the content goes to a temporary file in the
//! same folder, created with the final mode, is synced to disk and then renamed; the folder is
//! synced before this returns.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Writes `content` to `path`, replacing an existing file.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path)?;
    // One left by a killed process may be incomplete or have another mode.
    remove_if_there(&temporary)?;
    let written = write_new(&temporary, content).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        // The first error is the one to report.
        drop(remove_if_there(&temporary));
        return Err(error);
    }
    sync_folder(path)
}

/// A large file, which appears when it is complete. Dropping it before leaves nothing.
pub struct NewFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    complete: bool,
}

impl NewFile {
    /// Begins a file that will replace an existing one.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let name = format!(".{}.{:016x}.part", name.display(), rand::random::<u64>());
        let temporary = path.with_file_name(name);
        Ok(Self {
            file: new_file(&temporary)?,
            temporary,
            path: path.to_owned(),
            complete: false,
        })
    }

    /// Adds bytes.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Moves the file to its place, with all bytes on disk.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.complete = true;
        sync_folder(&self.path)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.complete {
            // Nothing else can be done about it here.
            drop(remove_if_there(&self.temporary));
        }
    }
}

/// Renames a file or a folder within its folder; the new name is on disk afterwards.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_folder(to)
}

/// Creates an empty file unless it exists, for libraries that write it themselves, such as SQLite.
pub fn touch(path: &Path) -> io::Result<()> {
    match new_file(path) {
        Ok(_) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Creates a folder that only its owner may enter, and missing parent folders.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Options to open a file that must not be replaced, such as a log or a lock.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidFilename)?
        .to_owned();
    name.push(".new");
    Ok(path.with_file_name(name))
}

fn new_file(path: &Path) -> io::Result<File> {
    options().write(true).create_new(true).open(path)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = new_file(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in the folder of `path` durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Renames a file to its name with `.1`, those put aside before to `.2` and so on up to `kept`, and opens
/// a new one to append to.
pub fn put_aside(path: &Path, kept: u32) -> io::Result<File> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..kept).rev() {
        match std::fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    std::fs::rename(path, numbered(1))?;
    options().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        let metadata = std::fs::metadata(path).expect("metadata");
        metadata.permissions().mode() & 0o777
    }

    #[test]
    fn a_large_file_appears_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("large");
        let mut half = NewFile::begin(&path).expect("begun");
        half.append(b"half").expect("written");
        drop(half);
        assert_eq!(names(dir.path()), [""; 0]);
        let mut whole = NewFile::begin(&path).expect("begun");
        whole.append(b"wh").expect("written");
        whole.append(b"ole").expect("written");
        assert!(!path.exists());
        whole.finish().expect("finished");
        assert_eq!(std::fs::read(&path).expect("readable"), b"whole");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(dir.path()), ["large"]);
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("readable");
        let names = entries.map(|entry| entry.expect("entry").file_name());
        names
            .map(|name| name.into_string().expect("UTF-8"))
            .collect()
    }

    #[test]
    fn a_file_is_replaced_atomically_and_is_private() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("key.pem");
        replace(&path, b"first").expect("written");
        replace(&path, b"second").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("readable"), b"second");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(dir.path()), ["key.pem"], "no temporary file stays");
    }

    #[test]
    fn a_file_left_by_a_killed_process_is_replaced() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("key");
        let temporary = dir.path().join("key.new");
        std::fs::write(&temporary, "half a very long ke").expect("left over");
        std::fs::set_permissions(&temporary, PermissionsExt::from_mode(0o644)).expect("mode");
        replace(&path, b"key").expect("written");
        assert_eq!(std::fs::read(&path).expect("readable"), b"key");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("taken");
        std::fs::create_dir_all(path.join("inside")).expect("an existing folder");
        assert!(replace(&path, b"text").is_err());
        assert_eq!(names(dir.path()), ["taken"]);
        assert!(replace(Path::new("/"), b"text").is_err());
    }

    #[test]
    fn touching_keeps_an_existing_file() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("db");
        touch(&path).expect("created");
        assert_eq!(mode(&path), 0o600);
        replace(&path, b"rows").expect("written");
        touch(&path).expect("unchanged");
        assert_eq!(std::fs::read(&path).expect("readable"), b"rows");
    }

    #[test]
    fn the_newest_files_are_kept() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("log");
        for number in 0..8 {
            std::fs::write(&path, number.to_string()).expect("written");
            let file = put_aside(&path, 5).expect("a new file");
            assert_eq!(file.metadata().expect("metadata").len(), 0);
        }
        let read = |number: u32| std::fs::read_to_string(dir.path().join(format!("log.{number}")));
        let kept: Vec<String> = (1..=5).map(|number| read(number).expect("kept")).collect();
        assert_eq!(kept, ["7", "6", "5", "4", "3"]);
        assert!(read(6).is_err());
    }
}
