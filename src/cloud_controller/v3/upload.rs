//! Files that clients upload as `multipart/form-data` under the name `bits`: streamed into the blob
//! store, never held in memory.

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use futures_util::TryStreamExt;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use crate::blobs::{Blob, BlobError, Blobs};

/// How much of a file's start is looked at to tell its kind.
const HEAD: u64 = 512;

/// A file that came in.
#[derive(Debug)]
pub(crate) struct UploadedFile {
    /// Its name at the client's; may be empty.
    pub name: String,
    /// Its bytes.
    pub blob: Blob,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// Why no file came in.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The body is no form.
    NoForm,
    /// The body ended early or is malformed.
    Broken(String),
    /// The store failed, or the file is larger than allowed.
    Blob(BlobError),
}

/// Stores the form's one file; `None` when there is none.
pub(crate) async fn one_file(
    blobs: &Blobs,
    request: Request,
    limit: u64,
) -> Result<Option<UploadedFile>, Fault> {
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| Fault::NoForm)?;
    while let Some(field) = form.next_field().await.map_err(|e| broken(&e))? {
        if field.name() == Some("bits") {
            return store(blobs, field, limit).await.map(Some);
        }
    }
    Ok(None)
}

async fn store(blobs: &Blobs, field: Field<'_>, limit: u64) -> Result<UploadedFile, Fault> {
    let name = field.file_name().unwrap_or_default().to_owned();
    let reader = StreamReader::new(field.map_err(std::io::Error::other));
    let blob = blobs.put(reader, Some(limit)).await;
    let blob = blob.map_err(|error| match error {
        BlobError::Source(error) => Fault::Broken(error.to_string()),
        other => Fault::Blob(other),
    })?;
    let mut head = Vec::new();
    if let Some(file) = blobs.read(&blob.digest).await.map_err(Fault::Blob)? {
        let read = file.take(HEAD).read_to_end(&mut head).await;
        read.map_err(|error| Fault::Blob(BlobError::Source(error)))?;
    }
    Ok(UploadedFile { name, blob, head })
}

fn broken(error: &MultipartError) -> Fault {
    Fault::Broken(error.body_text())
}
