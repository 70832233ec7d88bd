//! What makes a data dir one platform: its id and the admin's password.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};

use crate::base::Secret;
use crate::config::Config;

const PASSWORD_FILE: &str = "admin-password";
const ID_FILE: &str = "platform-id";

/// Makes the data dir, for its owner only.
pub fn prepare_data_dir(data_dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("cannot make {}", data_dir.display()))
}

/// The platform's id: value of the owner label on all that is made in Docker. `None` before the
/// first start.
pub fn platform_id(data_dir: &Path) -> anyhow::Result<Option<String>> {
    read(&data_dir.join(ID_FILE))
}

/// The id, made when there is none.
pub(super) fn ensure_platform_id(data_dir: &Path) -> anyhow::Result<String> {
    if let Some(id) = platform_id(data_dir)? {
        return Ok(id);
    }
    let id = hex::encode(rand::random::<[u8; 4]>());
    write_private(&data_dir.join(ID_FILE), &id)?;
    Ok(id)
}

/// The admin's password: the configured file's, else the one made at first boot.
pub fn read_admin_password(config: &Config) -> anyhow::Result<Option<Secret<String>>> {
    if let Some(path) = &config.admin_password_file {
        let Some(password) = read(path)? else {
            bail!("there is no admin password file {}", path.display());
        };
        if password.is_empty() {
            bail!("the admin password file {} is empty", path.display());
        }
        return Ok(Some(Secret::new(password)));
    }
    Ok(read(&config.data_dir.join(PASSWORD_FILE))?.map(Secret::new))
}

/// The same, made when there is none.
pub(super) fn ensure_admin_password(config: &Config) -> anyhow::Result<Secret<String>> {
    if let Some(password) = read_admin_password(config)? {
        return Ok(password);
    }
    let password = random_word(20);
    write_private(&config.data_dir.join(PASSWORD_FILE), &password)?;
    Ok(Secret::new(password))
}

/// Letters and digits that are hard to confuse.
pub(super) fn random_word(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567899";
    (0..length)
        .map(|_| char::from(LETTERS[usize::from(rand::random::<u8>() % 32)]))
        .collect()
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Written beside and renamed, so that a file is whole or not there.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let draft = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_made_once() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert_eq!(platform_id(dir.path()).expect("readable"), None);
        let id = ensure_platform_id(dir.path()).expect("made");
        assert_eq!(ensure_platform_id(dir.path()).expect("kept"), id);
        assert_eq!(id.len(), 8);
    }
}
