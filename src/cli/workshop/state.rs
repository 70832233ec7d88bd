//! What a workshop is: its accounts with their passwords, its quota and its lesson, in a file of the
//! data dir that only its owner may read.
//!
//! The file is written before anything is made, and removed after everything it names is gone. So a
//! command that was killed is completed by running it again, with the passwords that were printed.
//! Everything made carries the workshop's id, and only what carries it is changed or removed.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::base::{Secret, private_file};

const FILE: &str = "workshop.json";
const LOCK: &str = "workshop.lock";

/// A workshop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Workshop {
    /// What everything that was made for it carries.
    pub(super) id: String,
    pub(super) prefix: String,
    /// Limits of each participant's org, as `--quota` has them.
    pub(super) quota: String,
    pub(super) lesson: Option<PathBuf>,
    /// Whether the page is for other machines of the network.
    pub(super) shared: bool,
    pub(super) page: PathBuf,
    pub(super) participants: Vec<Participant>,
    /// Whether everything was made.
    pub(super) complete: bool,
}

/// An account, which is also the name of its org.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Participant {
    pub(super) name: String,
    pub(super) password: Secret<String>,
}

impl Workshop {
    /// A new one without participants.
    pub(super) fn new(prefix: &str, page: PathBuf) -> Self {
        Self {
            id: hex::encode(rand::random::<[u8; 8]>()),
            prefix: prefix.to_owned(),
            quota: String::new(),
            lesson: None,
            shared: false,
            page,
            participants: Vec::new(),
            complete: false,
        }
    }

    /// The workshop of a data dir.
    pub(super) fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let read = serde_json::from_slice(&text);
        read.with_context(|| format!("{} is damaged", path.display()))
            .map(Some)
    }

    /// The workshop, or how to make one.
    pub(super) fn get(data_dir: &Path) -> anyhow::Result<Self> {
        let found = Self::read(data_dir)?;
        found.context("there is no workshop: `cflite workshop create --users 10` makes one")
    }

    pub(super) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let path = data_dir.join(FILE);
        private_file::replace(&path, &text).with_context(|| path.display().to_string())
    }

    /// Forgets it.
    pub(super) fn remove(data_dir: &Path) -> anyhow::Result<()> {
        let path = data_dir.join(FILE);
        std::fs::remove_file(&path).with_context(|| path.display().to_string())
    }

    /// Adds participants up to a number, with new passwords; nobody is removed.
    pub(super) fn grow(&mut self, users: u16) -> anyhow::Result<()> {
        let (has, wanted) = (self.participants.len(), usize::from(users));
        if wanted < has {
            bail!(
                "the workshop has {has} users already; `cflite workshop end` removes them, and \
                 `cflite workshop create --users {has}` completes it"
            );
        }
        for number in has + 1..=wanted {
            self.participants.push(Participant {
                name: format!("{}-{number:02}", self.prefix),
                password: Secret::new(password()),
            });
        }
        Ok(())
    }

    /// The name of the quota of the participants' orgs.
    pub(super) fn quota_name(&self) -> String {
        format!("{}-workshop", self.prefix)
    }

    /// What the UAA keeps of an account that belongs to the workshop.
    pub(super) fn external_id(&self) -> String {
        format!("cflite-workshop-{}", self.id)
    }
}

/// Keeps other commands from changing the workshop, as long as it lives.
pub(super) fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join(LOCK);
    let file = private_file::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    if file.try_lock().is_err() {
        bail!("another command works on the workshop: wait for its end");
    }
    Ok(file)
}

/// A password that is easy to read and to type, such as `bakuti-refamu-57`: 41 random bits, no
/// letters that look alike. The UAA slows down who guesses.
fn password() -> String {
    const CONSONANTS: &[u8] = b"bdfghjkmnprstvz";
    const VOWELS: &[u8] = b"aeiu";
    const DIGITS: &[u8] = b"23456789";
    let mut random = rand::rng();
    let mut text = String::new();
    let mut add = |from: &[u8]| text.push(char::from(from[random.random_range(0..from.len())]));
    for word in 0..2 {
        if word > 0 {
            add(b"-");
        }
        for _ in 0..3 {
            add(CONSONANTS);
            add(VOWELS);
        }
    }
    add(b"-");
    add(DIGITS);
    add(DIGITS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workshop_grows_and_keeps_the_passwords_it_has() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut workshop = Workshop::new("student", folder.path().join("page.html"));
        workshop.grow(2).expect("more");
        workshop.write(folder.path()).expect("written");
        let mut again = Workshop::get(folder.path()).expect("there");
        again.grow(3).expect("more");
        let names: Vec<&str> = { again.participants.iter() }
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, ["student-01", "student-02", "student-03"]);
        assert_eq!(
            again.participants[0].password,
            workshop.participants[0].password
        );
        again.grow(1).expect_err("nobody is removed");
        Workshop::remove(folder.path()).expect("removed");
        assert!(Workshop::get(folder.path()).is_err());
    }

    #[test]
    fn passwords_are_readable_and_differ() {
        let all: std::collections::BTreeSet<String> = (0..1000).map(|_| password()).collect();
        assert_eq!(all.len(), 1000);
        for one in all {
            let shape: Vec<usize> = one.split('-').map(str::len).collect();
            assert_eq!(shape, [6, 6, 2], "{one}");
        }
    }

    #[test]
    fn one_command_at_a_time() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let held = lock(folder.path()).expect("free");
        lock(folder.path()).expect_err("taken");
        drop(held);
        lock(folder.path()).expect("free again");
    }
}
