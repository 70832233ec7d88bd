//! A backup: a snapshot with the keys of its platform in one file, for another day or another machine.
//!
//! It is a gzip-compressed tar, encrypted when there is a passphrase ([`cipher`]). Its first entry,
//! `backup.json`, lists all others with sizes and digests; each of them is compared while it is read, an
//! entry that is not listed is refused, and so is a file that lacks one.

mod cipher;
mod contents;
mod read;
mod write;

pub use contents::{Contents, KEYS};
pub use read::{Source, is_encrypted};
pub use write::Target;

/// The first entry.
const CONTENTS: &str = "backup.json";
/// The entries below which keys, volumes and blobs are.
const FILES: &str = "files/";
const VOLUMES: &str = "volumes/";
const BLOBS: &str = "blobs/";
const DATABASE: &str = "cflite.db";

/// The most that `backup.json` may have: a platform with a hundred thousand blobs.
const LONGEST_LIST: u64 = 32 << 20;
