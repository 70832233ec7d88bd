//! Reads one file of a stored zip.

use std::io::Read;

use super::{ZipError, open};
use crate::blobs::{Blobs, Digest};

impl Blobs {
    /// The content of the file `name` in a stored zip; `None` if there is no such file. More than
    /// `limit` bytes are an error.
    pub async fn zip_file(
        &self,
        zip: &Digest,
        name: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, ZipError> {
        let (path, name) = (self.path(zip), name.to_owned());
        self.with_files(move || read(&path, &name, limit)).await
    }
}

fn read(path: &std::path::Path, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ZipError> {
    let mut archive = open(path)?;
    let Some(index) = archive.index_for_name(name) else {
        return Ok(None);
    };
    let mut content = Vec::new();
    archive
        .by_index(index)?
        .take(limit + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(ZipError::TooLarge { limit });
    }
    Ok(Some(content))
}
