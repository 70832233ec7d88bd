//! Blobs that are read while they are written.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::{Blob, BlobError, Blobs};

/// How much of a growing blob is read at once.
const CHUNK: u64 = 256 * 1024;

/// How far a blob is.
#[derive(Clone)]
struct State<E> {
    /// What is written so far: the file, and how many of its bytes.
    written: Option<(Arc<File>, u64)>,
    outcome: Option<Result<Blob, E>>,
}

/// The writing end. Dropping it without an end is an error for the readers.
pub struct Grower<E>(watch::Sender<State<E>>);

/// A blob that is on its way; cheap to clone.
#[derive(Clone)]
pub struct Growing<E> {
    blobs: Blobs,
    /// The size it will have, if that is known.
    size: Option<u64>,
    state: watch::Receiver<State<E>>,
}

impl Blobs {
    /// Both ends of a blob that will be written.
    pub fn growing<E>(&self, size: Option<u64>) -> (Grower<E>, Growing<E>) {
        let (sender, state) = watch::channel(State {
            written: None,
            outcome: None,
        });
        let growing = Growing {
            blobs: self.clone(),
            size,
            state,
        };
        (Grower(sender), growing)
    }
}

impl<E> Grower<E> {
    /// So many bytes of the file are written.
    pub fn grown(&self, file: &Arc<File>, size: u64) {
        self.0
            .send_modify(|state| state.written = Some((file.clone(), size)));
    }

    /// It is stored, or will never be.
    pub fn end(&self, outcome: Result<Blob, E>) {
        self.0.send_modify(|state| state.outcome = Some(outcome));
    }
}

impl<E: Clone + From<BlobError>> Growing<E> {
    /// Waits until the blob is stored.
    pub async fn ended(&self) -> Result<Blob, E> {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| state.outcome.is_some()).await;
        let ended = ended.ok().and_then(|state| state.outcome.clone());
        ended.unwrap_or_else(|| Err(interrupted()))
    }

    /// Waits until so many bytes are written, or the blob's end.
    pub async fn reaches(&self, size: u64) {
        let mut state = self.state.clone();
        let reached = |state: &State<E>| {
            let written = state.written.as_ref().map_or(0, |(_, written)| *written);
            state.outcome.is_some() || written >= size
        };
        // Without a writer, the next read tells.
        drop(state.wait_for(reached).await);
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<Result<Blob, E>> {
        self.state.borrow().outcome.clone()
    }

    /// The next bytes of a part as soon as they are there; none at the end of the part or the blob.
    /// The last byte of a blob comes only when the whole of it was checked.
    pub async fn next(&mut self, part: &Range<u64>) -> Result<Bytes, E> {
        let (file, end) = self.readable(part).await?;
        let length = end.saturating_sub(part.start).min(CHUNK);
        let length = usize::try_from(length).unwrap_or_default();
        if length == 0 {
            return Ok(Bytes::new());
        }
        match file {
            Readable::Growing(file) => Ok(self.blobs.read_part(file, part.start, length).await?),
            Readable::Stored(blob) => Ok(self.read_stored(&blob, part.start, length).await?),
        }
    }

    /// All bytes of a part while they arrive.
    pub fn bytes(self, part: Range<u64>) -> impl Stream<Item = Result<Bytes, E>> {
        stream::try_unfold((self, part), |(mut growing, mut part)| async move {
            if part.is_empty() {
                return Ok(None);
            }
            let bytes = growing.next(&part).await?;
            part.start += bytes.len() as u64;
            let more = !bytes.is_empty();
            Ok(more.then_some((bytes, (growing, part))))
        })
    }

    /// Until where a part can be read.
    async fn readable(&mut self, part: &Range<u64>) -> Result<(Readable, u64), E> {
        let unchecked = self.size.map(|size| size.saturating_sub(1));
        let end = |state: &State<E>| match &state.written {
            Some((_, written)) => {
                let unchecked = unchecked.unwrap_or_else(|| written.saturating_sub(1));
                (*written).min(unchecked).min(part.end)
            }
            None => 0,
        };
        let ready = |state: &State<E>| state.outcome.is_some() || end(state) > part.start;
        let state = self.state.wait_for(ready).await;
        let state = state.map_err(|_| interrupted())?;
        let file = state.written.as_ref().map(|(file, _)| file.clone());
        match (&state.outcome, file) {
            (Some(Err(error)), _) => Err(error.clone()),
            (Some(Ok(blob)), Some(file)) => Ok((Readable::Growing(file), part.end.min(blob.size))),
            (Some(Ok(blob)), None) => Ok((Readable::Stored(blob.clone()), part.end.min(blob.size))),
            (None, Some(file)) => Ok((Readable::Growing(file), end(&state))),
            (None, None) => Err(interrupted()),
        }
    }

    async fn read_stored(
        &self,
        blob: &Blob,
        first: u64,
        length: usize,
    ) -> Result<Bytes, BlobError> {
        let file = self.blobs.read(&blob.digest).await?;
        let file = file.ok_or_else(|| {
            let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
            BlobError::storage("open a blob")(gone)
        })?;
        let file = Arc::new(file.into_std().await);
        self.blobs.read_part(file, first, length).await
    }
}

enum Readable {
    Growing(Arc<File>),
    Stored(Blob),
}

fn interrupted<E: From<BlobError>>() -> E {
    BlobError::Interrupted("the download was interrupted".to_owned()).into()
}
