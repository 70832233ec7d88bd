//! Files that clients upload as `multipart/form-data` under the name `bits`: streamed into the blob
//! store, never held in memory.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use crate::blobs::{Blob, BlobError, Blobs};

/// How many bytes of a file's start are read to detect its type.
const HEAD: u64 = 512;

/// An uploaded file.
#[derive(Debug)]
pub(crate) struct UploadedFile {
    /// Its name on the client; may be empty.
    pub name: String,
    /// Its bytes.
    pub blob: Blob,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// Why no file was uploaded.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The body is not a form.
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
    let mut form = form(request).await?;
    while let Some(field) = form.next_field().await.map_err(|e| broken(&e))? {
        if field.name() == Some("bits") {
            return store(blobs, field, limit).await.map(Some);
        }
    }
    Ok(None)
}

/// The request's body as a form, which is read as a stream.
pub(crate) async fn form(request: Request) -> Result<Multipart, Fault> {
    let paced = request.map(|body| Body::from_stream(Paced::new(body)));
    let form = Multipart::from_request(paced, &()).await;
    form.map_err(|_| Fault::NoForm)
}

async fn store(blobs: &Blobs, field: Field<'_>, limit: u64) -> Result<UploadedFile, Fault> {
    let name = field.file_name().unwrap_or_default().to_owned();
    let reader = StreamReader::new(field.map_err(std::io::Error::other));
    let blob = blobs.put(reader, Some(limit)).await;
    let blob = blob?;
    let mut head = Vec::new();
    if let Some(file) = blobs.read(&blob.digest).await.map_err(Fault::Blob)? {
        let read = file.take(HEAD).read_to_end(&mut head).await;
        read.map_err(|error| Fault::Blob(BlobError::Source(error)))?;
    }
    Ok(UploadedFile { name, blob, head })
}

/// A body that ended early or is malformed, detected between its fields.
pub(crate) fn broken(error: &MultipartError) -> Fault {
    Fault::Broken(error.body_text())
}

impl From<BlobError> for Fault {
    /// The form is the source of the blob.
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Source(error) => Self::Broken(error.to_string()),
            other => Self::Blob(other),
        }
    }
}

/// A body that returns one piece and then yields to other tasks, which the form's parser (multer
/// 3.1) needs for two reasons. It reads pieces until none is ready, however many those are: a fast
/// client would fill the memory. And in the search for the first boundary it polls twice: when a
/// body arrived completely in between, it mistook the end for an early one and refused a good
/// upload.
struct Paced {
    pieces: BodyDataStream,
    rests: bool,
}

impl Paced {
    fn new(body: Body) -> Self {
        Self {
            pieces: body.into_data_stream(),
            rests: false,
        }
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(Pin::new(&mut self.pieces).poll_next(cx));
        self.rests = piece.is_some();
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{StreamExt, stream};

    use super::*;

    const FORM: &[u8] =
        b"--b\r\nContent-Disposition: form-data; name=\"bits\"\r\n\r\nzip\r\n--b--\r\n";

    fn request(body: impl Stream<Item = Poll<Bytes>> + Send + 'static) -> Request {
        let mut body = Box::pin(body);
        let pieces = stream::poll_fn(move |cx| match ready!(body.as_mut().poll_next(cx)) {
            Some(Poll::Ready(piece)) => Poll::Ready(Some(Ok::<_, Infallible>(piece))),
            Some(Poll::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        });
        Request::post("/")
            .header("Content-Type", "multipart/form-data; boundary=b")
            .body(Body::from_stream(pieces))
            .unwrap()
    }

    async fn first_field(request: Request) -> String {
        let mut form = form(request).await.unwrap();
        let field = form.next_field().await.unwrap().unwrap();
        field.text().await.unwrap()
    }

    #[tokio::test]
    async fn a_form_that_arrives_completely_between_two_polls_is_accepted() {
        let late = [Poll::Pending, Poll::Ready(Bytes::from_static(FORM))];
        assert_eq!(first_field(request(stream::iter(late))).await, "zip");
        for cut in 1..FORM.len() {
            let (start, end) = FORM.split_at(cut);
            let pieces = [start, end].map(|piece| Poll::Ready(Bytes::from_static(piece)));
            let field = first_field(request(stream::iter(pieces))).await;
            assert_eq!(field, "zip", "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_form_is_read_no_faster_than_it_is_used() {
        let given = Arc::new(AtomicUsize::new(0));
        let head = FORM.strip_suffix(b"zip\r\n--b--\r\n").unwrap();
        let counted = given.clone();
        let pieces = stream::iter(0..1000).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Bytes::from_static(&[b'x'; 1024]))
        });
        let head = stream::iter([Poll::Ready(Bytes::from_static(head))]);
        let mut form = form(request(head.chain(pieces))).await.unwrap();
        let mut field = form.next_field().await.unwrap().unwrap();
        let chunk = field.chunk().await.unwrap().unwrap();
        assert!(chunk.len() <= 2048, "{}", chunk.len());
        assert!(given.load(Ordering::Relaxed) <= 3);
    }
}
