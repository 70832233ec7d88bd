//! Pushing blobs: whole, in pieces, or from another repository.

use std::io;

use axum::body::Body;
use axum::response::Response;
use futures_util::TryStreamExt;
use http::{HeaderName, StatusCode, header};
use http_body_util::BodyDataStream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use crate::blobs::{BlobError, Piece, Upload, UploadId};
use crate::net::range::{ContentRange, RangeFault};
use crate::registry::RegistryError;
use crate::registry::access::Action;
use crate::registry::digest::AnyDigest;
use crate::registry::name::RepositoryName;
use crate::registry::refusal::Refusal;

use super::{DIGEST_HEADER, Exchange, empty};

impl Exchange<'_> {
    /// `POST`: a blob of another repository, a whole blob, or a new upload.
    pub(super) async fn begin_upload(
        &self,
        name: &RepositoryName,
        body: &mut Body,
    ) -> Result<Response, Refusal> {
        if let Some(digest) = self.mounted(name).await? {
            return Ok(created(name, &digest));
        }
        if let Some(digest) = self.parameter("digest") {
            let digest = parse_digest(&digest)?;
            let upload = self.registry.blobs().unnamed_upload().await;
            let upload = upload.map_err(RegistryError::from)?;
            let piece = self.extend(upload, None, reader(body)).await?;
            piece.end.map_err(RegistryError::Broken)?;
            self.registry
                .store_upload(name, piece.upload, &digest, None)
                .await?;
            return Ok(created(name, &digest));
        }
        let id = self.registry.begin_upload(name).await?;
        Ok(progress(StatusCode::ACCEPTED, name, &id, 0))
    }

    /// The digest of a blob that the client could read elsewhere and that is here now.
    async fn mounted(&self, name: &RepositoryName) -> Result<Option<AnyDigest>, Refusal> {
        let Some(digest) = self.parameter("mount") else {
            return Ok(None);
        };
        let Ok(digest) = AnyDigest::parse(&digest) else {
            return Ok(None);
        };
        let sources = match self.parameter("from") {
            Some(from) => RepositoryName::parse(&from).into_iter().collect(),
            None => self.registry.repositories_with(&digest).await?,
        };
        for source in sources {
            let may_read = self
                .registry
                .authorize(&self.credentials, Some(&source), Action::Pull);
            if may_read.await.is_ok() && self.registry.mount(&source, name, &digest).await? {
                return Ok(Some(digest));
            }
        }
        Ok(None)
    }

    /// `PATCH`: the next piece, of the length that `Content-Range` says, or of any.
    pub(super) async fn extend_upload(
        &self,
        name: &RepositoryName,
        id: &str,
        body: &mut Body,
    ) -> Result<Response, Refusal> {
        let (id, upload) = self.resume(name, id).await?;
        let length = self.piece_length(name, &id, &upload)?;
        let begin = upload.size();
        let piece = self.piece(upload, &id, length, body).await?;
        let mut upload = piece.upload;
        // What arrived before the connection broke is kept: the client asks how much it was.
        piece.end.map_err(RegistryError::Broken)?;
        if length.is_some_and(|length| length != piece.bytes) {
            upload.shorten(begin);
            return Err(Refusal::wrong_size());
        }
        let upload = self.registry.sync_upload(&id, upload).await?;
        Ok(progress(StatusCode::ACCEPTED, name, &id, upload.size()))
    }

    /// `PUT`: the last piece, if any, and the end.
    pub(super) async fn complete_upload(
        &self,
        name: &RepositoryName,
        id: &str,
        body: &mut Body,
    ) -> Result<Response, Refusal> {
        let digest = parse_digest(&self.parameter("digest").unwrap_or_default())?;
        let (id, mut upload) = self.resume(name, id).await?;
        let length = self.piece_length(name, &id, &upload)?;
        upload.begin_piece();
        let piece = self.piece(upload, &id, length, body).await?;
        piece.end.map_err(RegistryError::Broken)?;
        if length.is_some_and(|length| length != piece.bytes) {
            return Err(Refusal::wrong_size());
        }
        self.registry
            .store_upload(name, piece.upload, &digest, Some(&id))
            .await?;
        Ok(created(name, &digest))
    }

    /// `GET`: how much arrived.
    pub(super) async fn upload_status(
        &self,
        name: &RepositoryName,
        id: &str,
    ) -> Result<Response, Refusal> {
        let id = parse_id(id)?;
        let size = self.registry.upload_size(name, &id).await?;
        Ok(progress(StatusCode::NO_CONTENT, name, &id, size))
    }

    /// `DELETE`
    pub(super) async fn cancel_upload(
        &self,
        name: &RepositoryName,
        id: &str,
    ) -> Result<Response, Refusal> {
        self.registry.cancel_upload(name, &parse_id(id)?).await?;
        Ok(empty(StatusCode::NO_CONTENT, &[]))
    }

    async fn resume(&self, name: &RepositoryName, id: &str) -> Result<(UploadId, Upload), Refusal> {
        let id = parse_id(id)?;
        let upload = self.registry.resume_upload(name, &id).await?;
        Ok((id, upload))
    }

    /// Receives a piece of the length, or of any; one byte more than the length shows that the body
    /// is longer.
    async fn piece(
        &self,
        upload: Upload,
        id: &UploadId,
        length: Option<u64>,
        body: &mut Body,
    ) -> Result<Piece, RegistryError> {
        let limit = length.map_or(u64::MAX, |length| length + 1);
        let reader = reader(body).take(limit);
        self.extend(upload, Some(id), reader).await
    }

    /// A disk error removes the upload; what comes later may continue it.
    async fn extend(
        &self,
        upload: Upload,
        id: Option<&UploadId>,
        reader: impl AsyncRead + Send,
    ) -> Result<Piece, RegistryError> {
        match self.registry.blobs().extend_upload(upload, reader).await {
            Ok(piece) => Ok(piece),
            Err(error) => {
                if let (BlobError::Storage { .. }, Some(id)) = (&error, id) {
                    self.registry.delete_upload_row(id).await?;
                }
                Err(error.into())
            }
        }
    }

    /// The length of a piece with `Content-Range`, which must begin where the upload ends.
    fn piece_length(
        &self,
        name: &RepositoryName,
        id: &UploadId,
        upload: &Upload,
    ) -> Result<Option<u64>, Refusal> {
        let Some(range) = self.header(&header::CONTENT_RANGE) else {
            return Ok(None);
        };
        match ContentRange::parse(range, upload.size()) {
            Ok(range) => {
                let declared = self.header(&header::CONTENT_LENGTH);
                let declared = declared.and_then(|text| text.parse::<u64>().ok());
                if declared.is_some_and(|declared| declared != range.length) {
                    return Err(Refusal::wrong_size());
                }
                Ok(Some(range.length))
            }
            Err(RangeFault::Invalid) => Err(Refusal::invalid_content_range(range)),
            Err(RangeFault::OutOfOrder) => {
                let (location, arrived) = (location(name, id), arrived(upload.size()));
                let refusal = Refusal::out_of_order(upload.size());
                Err(refusal
                    .with(header::LOCATION, location)
                    .with(header::RANGE, arrived))
            }
        }
    }
}

pub(super) fn reader(body: &mut Body) -> impl AsyncRead + Send + Unpin + '_ {
    StreamReader::new(BodyDataStream::new(body).map_err(io::Error::other))
}

fn parse_digest(text: &str) -> Result<AnyDigest, Refusal> {
    AnyDigest::parse(text).map_err(|_| Refusal::invalid_digest())
}

fn parse_id(text: &str) -> Result<UploadId, Refusal> {
    UploadId::parse(text).ok_or_else(Refusal::unknown_upload)
}

fn location(name: &RepositoryName, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// The header `Range`. It cannot say "nothing"; clients take `0-0` for that.
fn arrived(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn progress(status: StatusCode, name: &RepositoryName, id: &UploadId, size: u64) -> Response {
    let (location, range) = (location(name, id), arrived(size));
    let id_header = HeaderName::from_static("docker-upload-uuid");
    empty(
        status,
        &[
            (header::LOCATION, &location),
            (header::RANGE, &range),
            (id_header, id.as_str()),
        ],
    )
}

fn created(name: &RepositoryName, digest: &AnyDigest) -> Response {
    let location = format!("/v2/{name}/blobs/{digest}");
    empty(
        StatusCode::CREATED,
        &[
            (header::LOCATION, &location),
            (DIGEST_HEADER, digest.as_str()),
        ],
    )
}
