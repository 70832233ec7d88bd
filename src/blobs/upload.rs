//! Uploads in pieces that survive their connections and the process.
//!
//! The bytes of an upload are appended to a file of its own, `uploads/<id>`. Its length is the
//! number of bytes that arrived; nothing else is needed to go on. The caller keeps the list of its
//! uploads. Bytes are hashed as they arrive; the hashes of an upload that waits for its next piece
//! are kept in memory, and after a restart the file is read again at the end.
//!
//! Invariants:
//! - One writer at a time: [`Blobs::resume_upload`] refuses an upload that another writes to. The
//!   claim belongs to the work on the file and not to the request: while a cancelled request still
//!   writes, nobody else can.
//! - What [`Blobs::sync_upload`] returned for is on disk.
//! - An upload that a disk error hit is removed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::claim::{Claim, Hashes, UploadId};
use super::draft::{Sealed, sync_folder};
use super::{Blob, BlobError, Blobs, Sha512Digest};

const CHUNK: usize = 128 * 1024;

/// An upload that this request writes to.
pub struct Upload {
    file: File,
    path: PathBuf,
    size: u64,
    /// None: the file holds bytes that were not hashed.
    hashes: Option<Hashes>,
    /// Where to return to, unless the upload is sealed.
    piece: Option<(u64, Option<Hashes>)>,
    /// None: it has no name, and its file goes with it.
    claim: Option<Claim>,
}

/// The end of a piece: the upload with all that arrived, and why it ended.
pub struct Piece {
    /// The upload.
    pub upload: Upload,
    /// How many bytes arrived.
    pub bytes: u64,
    /// An error when the sender failed or left.
    pub end: io::Result<()>,
}

/// Why an upload cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// It was completed, cancelled or never begun.
    #[error("there is no such upload")]
    Unknown,
    /// Another request writes to it.
    #[error("another request writes to this upload")]
    Busy,
    /// The disk failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl Upload {
    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Begins a piece that counts only as a whole: unless the upload is sealed then, it
    /// returns to its present end.
    pub fn begin_piece(&mut self) {
        self.piece = Some((self.size, self.hashes.clone()));
    }

    /// Forgets what came behind `size`.
    pub fn shorten(&mut self, size: u64) {
        let hashes = (size == 0).then(Hashes::new);
        self.return_to(size, hashes);
    }

    fn return_to(&mut self, size: u64, hashes: Option<Hashes>) {
        match self.file.set_len(size) {
            Ok(()) => (self.size, self.hashes) = (size, hashes),
            Err(_) => self.remove_file(),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let written = self.file.write_all(bytes);
        if let Err(error) = written {
            // Bytes may be half written, and a full disk needs the space.
            self.remove_file();
            return Err(BlobError::storage("write an upload")(error));
        }
        self.size += bytes.len() as u64;
        if let Some(hashes) = &mut self.hashes {
            hashes.update(bytes);
        }
        Ok(())
    }

    fn remove_file(&mut self) {
        (self.piece, self.hashes) = (None, None);
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "removing an upload failed; a sweep will");
        }
    }

    fn seal(mut self) -> Result<Sealed, BlobError> {
        self.piece = None;
        let synced = self.file.sync_all();
        if let Err(error) = synced {
            self.remove_file();
            return Err(BlobError::storage("sync an upload")(error));
        }
        let hashes = match self.hashes.take() {
            Some(hashes) => hashes,
            None => File::open(&self.path)
                .and_then(|mut file| Hashes::of(&mut file))
                .map_err(BlobError::storage("read an upload"))?,
        };
        let size = hashes.size;
        let digest = hashes.finish();
        let claim = self.claim.take();
        let path = std::mem::take(&mut self.path);
        Ok(Sealed::of_upload(Blob { digest, size }, path, claim))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some((size, hashes)) = self.piece.take() {
            self.return_to(size, hashes);
        }
        match &mut self.claim {
            Some(claim) => claim.hashes = self.hashes.take(),
            // Sealed uploads have no path any more.
            None if self.path.as_os_str().is_empty() => {}
            None => self.remove_file(),
        }
    }
}

impl Blobs {
    /// Creates an upload without bytes.
    pub async fn begin_upload(&self) -> Result<UploadId, BlobError> {
        let id = UploadId::random();
        let (folder, path) = (self.uploads_folder(), self.upload_path(&id));
        self.with_files(move || {
            create(&path)?;
            sync_folder(&folder)
        })
        .await?;
        Ok(id)
    }

    /// An upload without a name: its file goes when it is dropped, or at the next start.
    pub async fn unnamed_upload(&self) -> Result<Upload, BlobError> {
        let path = self.temporary_folder().join(UploadId::random().as_str());
        let create = move || {
            let file = create(&path)?;
            Ok::<_, BlobError>(Upload {
                file,
                path,
                size: 0,
                hashes: Some(Hashes::new()),
                piece: None,
                claim: None,
            })
        };
        self.with_files(create).await
    }

    /// Continues an upload at its end.
    pub async fn resume_upload(&self, id: &UploadId) -> Result<Upload, ResumeError> {
        let mut claim = self.0.uploads.claim(id).ok_or(ResumeError::Busy)?;
        let path = self.upload_path(id);
        let open = move || {
            let opened = OpenOptions::new().append(true).open(&path);
            let file = match opened {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    drop(claim.hashes.take());
                    return Err(ResumeError::Unknown);
                }
                other => other.map_err(BlobError::storage("open an upload"))?,
            };
            let metadata = file.metadata();
            let size = metadata
                .map_err(BlobError::storage("open an upload"))?
                .len();
            let known = claim.hashes.take().filter(|hashes| hashes.size == size);
            let hashes = known.or_else(|| (size == 0).then(Hashes::new));
            Ok(Upload {
                file,
                path,
                size,
                hashes,
                piece: None,
                claim: Some(claim),
            })
        };
        self.with_files(open).await
    }

    /// How many bytes of an upload arrived; none if there is no such upload.
    pub async fn upload_size(&self, id: &UploadId) -> Result<Option<u64>, BlobError> {
        let path = self.upload_path(id);
        let size = move || match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::storage("read the size of an upload")(error)),
        };
        self.with_files(size).await
    }

    /// Appends what `reader` gives to an upload; the next chunk is read while the previous one is
    /// written. A reader that fails ends the piece; a disk that fails removes the upload.
    pub async fn extend_upload(
        &self,
        upload: Upload,
        reader: impl AsyncRead + Send,
    ) -> Result<Piece, BlobError> {
        let mut reader = pin!(reader);
        let mut upload = upload;
        let begin = upload.size;
        let (mut chunk, mut end) = next_chunk(&mut reader).await;
        loop {
            let writing = self.with_files(move || {
                upload.append(&chunk)?;
                Ok::<_, BlobError>(upload)
            });
            if let Some(end) = end {
                upload = writing.await?;
                let bytes = upload.size - begin;
                return Ok(Piece { upload, bytes, end });
            }
            let (written, next) = tokio::join!(writing, next_chunk(&mut reader));
            upload = written?;
            (chunk, end) = next;
        }
    }

    /// Returns when all bytes of an upload are on disk.
    pub async fn sync_upload(&self, mut upload: Upload) -> Result<Upload, BlobError> {
        self.with_files(move || match upload.file.sync_data() {
            Ok(()) => Ok(upload),
            Err(error) => {
                upload.remove_file();
                Err(BlobError::storage("sync an upload")(error))
            }
        })
        .await
    }

    /// Ends an upload; [`Blobs::keep`] stores it, and dropping it removes it.
    pub async fn seal_upload(&self, upload: Upload) -> Result<Sealed, BlobError> {
        if upload.hashes.is_some() {
            return self.with_files(move || upload.seal()).await;
        }
        self.with_archive(move || upload.seal()).await
    }

    /// The other digest of a blob that is not stored yet. Few clients ask for it, so it costs another
    /// read of the file and not a second hash of every upload.
    pub async fn sha512(&self, sealed: &Sealed) -> Result<Sha512Digest, BlobError> {
        let mut file = sealed.open()?;
        let hash = move || {
            let read = BlobError::storage("read an upload");
            Sha512Digest::of_file(&mut file).map_err(read)
        };
        self.with_archive(hash).await
    }

    /// Removes an upload, which may be gone already.
    pub async fn remove_upload(&self, id: &UploadId) -> Result<(), ResumeError> {
        match self.resume_upload(id).await {
            Ok(mut upload) => {
                self.with_files(move || {
                    upload.remove_file();
                    Ok::<_, BlobError>(())
                })
                .await?;
                Ok(())
            }
            Err(ResumeError::Unknown) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn create(path: &std::path::Path) -> Result<File, BlobError> {
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(BlobError::storage("create an upload"))
}

/// The next bytes, and how the source ended if it did. What came before an error is not lost.
async fn next_chunk(reader: &mut (impl AsyncRead + Unpin)) -> (Bytes, Option<io::Result<()>>) {
    let mut chunk = BytesMut::with_capacity(CHUNK);
    let end = loop {
        match reader.read_buf(&mut chunk).await {
            Ok(0) => break Some(Ok(())),
            Ok(_) if chunk.len() >= CHUNK / 2 => break None,
            Ok(_) => {}
            Err(error) => break Some(Err(error)),
        }
    };
    (chunk.freeze(), end)
}
