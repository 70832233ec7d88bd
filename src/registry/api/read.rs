//! Reading manifests and blobs.
//!
//! Stored bytes are returned unchanged, whatever `Accept` says: converting a manifest would break
//! references by digest.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::blobs::Blob;
use crate::db::DbError;
use crate::net::range::Part;
use crate::registry::digest::AnyDigest;
use crate::registry::name::{Reference, RepositoryName};
use crate::registry::refusal::Refusal;
use crate::registry::{RegistryError, UNTAGGED_GRACE, store};

use super::{DIGEST_HEADER, Exchange, empty};

/// The read size for blobs.
pub(super) const CHUNK: usize = 256 * 1024;
/// A client that finds a blob does not push it: the blob must then live until its manifest comes.
const REFRESH: Duration = Duration::from_secs(UNTAGGED_GRACE.as_secs() / 2);

impl Exchange<'_> {
    pub(super) async fn manifest(
        &self,
        name: &RepositoryName,
        reference: Reference,
    ) -> Result<Response, Refusal> {
        let (wanted, repository) = (reference.clone(), name.to_string());
        let read = move |tx: &crate::db::ReadTx<'_>| {
            let found = store::find(tx, &repository, &wanted)?;
            Ok::<_, DbError>((found, store::exists(tx, &repository)?))
        };
        let (found, exists) = self.registry.db().read(read).await?;
        match found {
            Some(found) => {
                let mut response = self.stream(&found.blob, Part::Whole).await?;
                let media_type = HeaderValue::try_from(found.media_type);
                if let Ok(media_type) = media_type {
                    response
                        .headers_mut()
                        .insert(header::CONTENT_TYPE, media_type);
                }
                if let Reference::Digest(digest) = &reference {
                    name_digest(&mut response, digest);
                }
                Ok(response)
            }
            None if exists => Err(Refusal::unknown_manifest(&reference.to_string())),
            None => Err(Refusal::unknown_name(name.as_str())),
        }
    }

    pub(super) async fn blob(
        &self,
        name: &RepositoryName,
        digest: AnyDigest,
    ) -> Result<Response, Refusal> {
        let (repository, wanted) = (name.to_string(), digest.clone());
        let old = self.registry.now().minus(REFRESH);
        let read = move |tx: &crate::db::ReadTx<'_>| {
            let blob = store::find_blob(tx, &repository, &wanted)?;
            let is_old = match &blob {
                Some(blob) => store::is_blob_older(tx, &repository, &blob.digest, old)?,
                None => false,
            };
            Ok::<_, DbError>(blob.map(|blob| (blob, is_old)))
        };
        let mut found = self.registry.db().read(read.clone()).await?;
        if let (None, AnyDigest::Sha256(awaited)) = (&found, &digest)
            && self.registry.restore(name, awaited).await?
        {
            found = self.registry.db().read(read).await?;
        }
        let (blob, is_old) = found.ok_or_else(Refusal::unknown_blob)?;
        // Nobody pushes to a cache.
        let pushed = !name.as_str().starts_with("cache/");
        if is_old && pushed && self.head.method == Method::HEAD {
            self.registry.show_blob(name, &blob.digest, None).await?;
        }
        let range = self.header(&header::RANGE);
        let part = match range {
            Some(range) if self.head.method == Method::GET => Part::of(range, blob.size),
            _ => Part::Whole,
        };
        let mut response = self.stream(&blob, part).await?;
        name_digest(&mut response, &digest);
        Ok(response)
    }

    /// Streams a stored blob or a part of it.
    async fn stream(&self, blob: &Blob, part: Part) -> Result<Response, Refusal> {
        let mut file = self.registry.open_checked(blob).await?;
        if let Part::Bytes { first, .. } = part {
            file.seek(std::io::SeekFrom::Start(first))
                .await
                .map_err(|error| RegistryError::unreadable(&blob.digest, &error))?;
        }
        part_response(blob, part, |range| {
            let bytes = file.take(range.end - range.start);
            Body::from_stream(ReaderStream::with_capacity(bytes, CHUNK))
        })
    }

    /// The repository shows the blob no more; its bytes go when nothing needs them.
    pub(super) async fn delete_blob(
        &self,
        name: &RepositoryName,
        digest: AnyDigest,
    ) -> Result<Response, Refusal> {
        let repository = name.to_string();
        let deleted = self
            .registry
            .db()
            .write(move |tx| store::hide_blob(tx, &repository, &digest));
        if deleted.await.map_err(RegistryError::from)? {
            Ok(empty(StatusCode::ACCEPTED, &[]))
        } else {
            Err(Refusal::unknown_blob())
        }
    }
}

/// The response with a blob or a part of it, whose bytes come from `body`.
pub(super) fn part_response(
    blob: &Blob,
    part: Part,
    body: impl FnOnce(Range<u64>) -> Body,
) -> Result<Response, Refusal> {
    let (status, range) = match part {
        Part::Whole => (StatusCode::OK, 0..blob.size),
        Part::Bytes { first, last } => (StatusCode::PARTIAL_CONTENT, first..last + 1),
        Part::Unsatisfiable => return Err(Refusal::range_not_satisfiable(blob.size)),
    };
    let mut headers = vec![
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_LENGTH,
            (range.end - range.start).to_string(),
        ),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (DIGEST_HEADER, blob.digest.to_string()),
    ];
    if let Part::Bytes { first, last } = part {
        let range = format!("bytes {first}-{last}/{}", blob.size);
        headers.push((header::CONTENT_RANGE, range));
    }
    let mut response = Response::new(body(range));
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Clients compare the digest with the one they asked for.
pub(super) fn name_digest(response: &mut Response, digest: &AnyDigest) {
    if let Ok(value) = HeaderValue::try_from(digest.as_str()) {
        response.headers_mut().insert(DIGEST_HEADER, value);
    }
}
