//! Files of uploaded packages that later pushes may omit: `POST /v3/resource_matches`.
//!
//! Every file of a package within the size bounds is a separate blob, found by SHA-1 and size. The
//! sweep forgets files that were not pushed or matched for a month.

mod index;
mod store;

use std::time::Duration;

pub(super) use store::forget;
pub use store::{match_resources, touch};

pub use super::sha1::Sha1;
pub(super) use super::sha1::Sha1Writer;

/// Smaller files are faster to upload than to match; both bounds are Cloud Controller's.
pub const SMALLEST: u64 = 64 * 1024;
/// Larger files are always uploaded.
pub const LARGEST: u64 = 512 * 1024 * 1024;
/// How long a file is remembered after its last use.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whether files of this size are matched at all.
pub fn is_matched_size(size: u64) -> bool {
    (SMALLEST..=LARGEST).contains(&size)
}

/// The key of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey {
    /// Of the content.
    pub sha1: Sha1,
    /// In bytes.
    pub size: u64,
}
