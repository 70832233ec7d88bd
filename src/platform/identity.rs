//! The identity of a data dir's platform: its id and the admin's password.
//!
//! Both are created at the first start, before the database. A damaged file is recreated while
//! there is no database; later this is an error that the user must resolve, as containers carry the
//! old id and the database stores the old password.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::{Uid, User};

use crate::base::{Secret, private_file};
use crate::config::Config;
use crate::db::holds_data;
use crate::snapshots::Places;

const PASSWORD_FILE: &str = "admin-password";
const ID_FILE: &str = "platform-id";

/// Creates the data dir, for its owner only.
pub fn prepare_data_dir(data_dir: &Path) -> anyhow::Result<()> {
    private_file::create_folder(data_dir)
        .with_context(|| format!("cannot create {}", data_dir.display()))?;
    check_owner(data_dir)
}

/// Refuses the folder of another user: root could use it, and what root creates there would keep the
/// user's service from starting.
fn check_owner(data_dir: &Path) -> anyhow::Result<()> {
    let folder = std::fs::metadata(data_dir)
        .with_context(|| format!("cannot read {}", data_dir.display()))?;
    let (owner, own) = (folder.uid(), Uid::effective());
    if Uid::from_raw(owner) == own {
        return Ok(());
    }
    let user = User::from_uid(Uid::from_raw(owner)).ok().flatten();
    let user = user.map_or_else(|| owner.to_string(), |user| user.name);
    bail!(
        "{} belongs to the user {user}: start its service with `systemctl start cflite`, run this as \
         that user, or choose another folder with --data-dir",
        data_dir.display()
    )
}

/// Path of the database.
pub(super) fn database(data_dir: &Path) -> PathBuf {
    Places::of(data_dir).database
}

/// The platform's id: value of the owner label on everything created in Docker. `None` before the
/// first start.
pub fn platform_id(data_dir: &Path) -> anyhow::Result<Option<String>> {
    let path = data_dir.join(ID_FILE);
    let id = read(&path)?;
    let valid = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if id.as_ref().is_none_or(valid) {
        return Ok(id);
    }
    if !holds_data(&database(data_dir)) {
        return Ok(None);
    }
    bail!(
        "{} is damaged. Restore the id: it is the value of the label cflite.platform on the \
         containers of this platform (`docker ps -a --filter label=cflite.platform`). If there are \
         none, remove the file to create a new id",
        path.display()
    )
}

/// The id, created if missing.
pub(super) fn ensure_platform_id(data_dir: &Path) -> anyhow::Result<String> {
    if let Some(id) = platform_id(data_dir)? {
        return Ok(id);
    }
    let id = hex::encode(rand::random::<[u8; 4]>());
    write_private(&data_dir.join(ID_FILE), &id)?;
    Ok(id)
}

/// The admin's password: from the configured file, else the one generated at first boot.
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
    let path = config.data_dir.join(PASSWORD_FILE);
    match read(&path)? {
        Some(password) if !password.is_empty() => Ok(Some(Secret::new(password))),
        Some(_) if holds_data(&database(&config.data_dir)) => bail!(
            "the admin password file {} is empty. Write a password into it, or remove it to create a \
             new one at the next start",
            path.display()
        ),
        _ => Ok(None),
    }
}

/// The same, created if missing.
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

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    private_file::replace(path, format!("{text}\n").as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;

    #[test]
    fn the_id_is_created_once() {
        let dir = tempfile::tempdir().expect("temporary folder");
        assert_eq!(platform_id(dir.path()).expect("readable"), None);
        let id = ensure_platform_id(dir.path()).expect("created");
        assert_eq!(ensure_platform_id(dir.path()).expect("kept"), id);
        assert_eq!(id.len(), 8);
    }

    #[test]
    fn empty_files_are_recreated_until_there_is_a_database() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let options = Options {
            data_dir: Some(dir.path().to_owned()),
            ..Options::default()
        };
        let config = options.resolve().expect("valid");
        let empty = || {
            for name in [ID_FILE, PASSWORD_FILE] {
                std::fs::write(dir.path().join(name), "").expect("empty file");
            }
        };
        empty();
        assert_eq!(ensure_platform_id(dir.path()).expect("created").len(), 8);
        let password = ensure_admin_password(&config).expect("created");
        assert_eq!(password.expose().len(), 20);
        empty();
        std::fs::write(database(dir.path()), "rows").expect("database");
        let id = ensure_platform_id(dir.path()).expect_err("damaged");
        assert!(id.to_string().contains("docker ps"), "{id}");
        let password = ensure_admin_password(&config).expect_err("empty");
        assert!(password.to_string().contains("is empty"), "{password}");
    }
}
