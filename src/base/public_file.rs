//! Files of this machine that every program reads, such as `/etc/hosts`; the counterpart of
//! [`super::private_file`].

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::private_file::sync_folder;

/// Writes `content` to `path`. The file appears as a whole and keeps its permissions; a new one, and its
/// folder, can be read by everybody, whatever the umask.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // A link stays a link.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = path.parent()
        && !folder.is_dir()
    {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    let permissions = match std::fs::metadata(path) {
        Ok(metadata) => metadata.permissions(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Permissions::from_mode(0o644),
        Err(error) => return Err(error),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".cflite-new");
    let temporary = path.with_file_name(name);
    let written = write(&temporary, content, permissions);
    let placed = written.and_then(|()| match std::fs::rename(&temporary, path) {
        // Somebody mounted it, as container engines do: then only its content can change.
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => overwrite(path, content),
        done => done,
    });
    // Gone after a rename.
    drop(std::fs::remove_file(&temporary));
    placed?;
    sync_folder(path)
}

fn write(path: &Path, content: &[u8], permissions: Permissions) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.set_permissions(permissions)?;
    file.write_all(content)?;
    file.sync_all()
}

fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).truncate(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        let metadata = std::fs::metadata(path).expect("metadata");
        metadata.permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_for_everybody_and_an_old_one_keeps_its_permissions() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let new = dir.path().join("folder/new");
        replace(&new, b"1").expect("written");
        assert_eq!(
            (mode(&new), mode(&dir.path().join("folder"))),
            (0o644, 0o755)
        );
        std::fs::set_permissions(&new, Permissions::from_mode(0o640)).expect("set");
        replace(&new, b"22").expect("written");
        assert_eq!(std::fs::read(&new).expect("readable"), b"22");
        assert_eq!(mode(&new), 0o640);
        let all = std::fs::read_dir(dir.path().join("folder")).expect("readable");
        assert_eq!(all.count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::write(&real, "1").expect("written");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        replace(&link, b"2").expect("written");
        assert_eq!(std::fs::read(&real).expect("readable"), b"2");
        assert!(link.is_symlink());
    }
}
