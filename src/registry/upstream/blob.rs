//! Downloads of blobs that continue where they ended.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::StatusCode;
use reqwest::Response;

use super::client::Session;
use super::error::UpstreamError;
use crate::blobs::{Blob, BlobError};

/// Tries without a new byte.
const TRIES: u32 = 3;

struct Download {
    session: Session,
    blob: Blob,
    received: u64,
    response: Option<Response>,
    /// Read, but not yet returned.
    pending: Option<Bytes>,
    failures: u32,
}

impl Session {
    /// The bytes of a blob, exactly as many as it has; not yet checked against its digest. Errors
    /// are [`UpstreamError`]s inside of `io::Error`s.
    pub(crate) fn download(
        &self,
        blob: &Blob,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let download = Download {
            session: self.clone(),
            blob: blob.clone(),
            received: 0,
            response: None,
            pending: None,
            failures: 0,
        };
        stream::try_unfold(download, |mut download| async move {
            let chunk = download.next().await.map_err(io::Error::other)?;
            Ok(chunk.map(|chunk| (chunk, download)))
        })
    }

    /// What was wrong with a download.
    pub(crate) fn download_error(&self, error: BlobError) -> UpstreamError {
        match error {
            BlobError::Source(error) => match error.downcast::<UpstreamError>() {
                Ok(error) => error,
                Err(error) => self.unreachable(&error),
            },
            BlobError::WrongDigest { expected, received } => {
                self.wrong_content(&expected, &received)
            }
            other => UpstreamError::Storage(other.to_string()),
        }
    }
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        loop {
            if let Some(chunk) = self.pending.take() {
                self.received += chunk.len() as u64;
                if self.received > self.blob.size {
                    return Err(self.too_long());
                }
                self.failures = 0;
                return Ok(Some(chunk));
            }
            let Some(response) = &mut self.response else {
                if self.received == self.blob.size {
                    return Ok(None);
                }
                self.open().await?;
                continue;
            };
            match response.chunk().await {
                Ok(Some(chunk)) => self.pending = Some(chunk).filter(|chunk| !chunk.is_empty()),
                Ok(None) if self.received == self.blob.size => self.response = None,
                Ok(None) | Err(_) => self.interrupted().await?,
            }
        }
    }

    /// Asks for what is missing. From a registry that ignores the range, what is known is skipped.
    async fn open(&mut self) -> Result<(), UpstreamError> {
        let mut response = self.session.blob(&self.blob.digest, self.received).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            let mut skip = self.received;
            while skip > 0 {
                let Ok(Some(mut chunk)) = response.chunk().await else {
                    return self.interrupted().await;
                };
                let known = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
                skip -= known as u64;
                self.pending = Some(chunk.split_off(known)).filter(|rest| !rest.is_empty());
            }
        }
        self.response = Some(response);
        Ok(())
    }

    /// The connection broke: waits, unless that happened too often without a new byte.
    async fn interrupted(&mut self) -> Result<(), UpstreamError> {
        self.response = None;
        self.pending = None;
        self.failures += 1;
        if self.failures >= TRIES {
            return Err(self.truncated());
        }
        tokio::time::sleep(self.session.patience.resume * self.failures).await;
        Ok(())
    }

    fn too_long(&self) -> UpstreamError {
        UpstreamError::WrongContent {
            host: self.session.host(),
            expected: self.blob.digest.clone(),
            received: format!("more than its {} bytes", self.blob.size),
        }
    }

    fn truncated(&self) -> UpstreamError {
        UpstreamError::Truncated {
            host: self.session.host(),
            digest: self.blob.digest.clone(),
            received: self.received,
            size: self.blob.size,
        }
    }
}
