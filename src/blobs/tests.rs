//! The store as a whole.

use std::io::{Cursor, Read as _};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::base::Timestamp;
use crate::base::clock::ManualClock;
use crate::db::DbError;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) db: Db,
    pub(super) clock: ManualClock,
    pub(super) blobs: Blobs,
}

pub(super) fn fixture() -> Fixture {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
    let blobs = Blobs::open(dir.path(), db.clone(), Arc::new(clock.clone())).expect("store");
    Fixture {
        dir,
        db,
        clock,
        blobs,
    }
}

impl Fixture {
    pub(super) async fn reference(
        &self,
        digest: &Digest,
        owner: &'static str,
    ) -> Result<(), DbError> {
        let digest = digest.clone();
        self.db
            .write(move |tx| reference(tx, &digest, "test", owner))
            .await
    }

    pub(super) fn temporary_files(&self) -> usize {
        let folder = self.dir.path().join("tmp");
        std::fs::read_dir(folder).expect("folder").count()
    }
}

/// Returns some bytes, then fails.
fn broken_source() -> impl AsyncRead + Send {
    let failing = tokio_util::io::StreamReader::new(tokio_stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(std::io::Error::other("gone")),
    ]));
    Box::pin(failing)
}

#[tokio::test]
async fn a_put_blob_is_found_by_its_digest() {
    let f = fixture();
    let text = vec![7_u8; 300_000];
    let first = f
        .blobs
        .put(Cursor::new(text.clone()), None)
        .await
        .expect("put");
    let second = f
        .blobs
        .put(Cursor::new(text.clone()), None)
        .await
        .expect("put");
    assert_eq!(first, second);
    assert_eq!(first.digest, Digest::of(&text));
    assert_eq!(first.size, 300_000);
    assert_eq!(
        f.blobs.find(&first.digest).await.expect("find"),
        Some(first.clone())
    );
    let mut file = f
        .blobs
        .read(&first.digest)
        .await
        .expect("open")
        .expect("there");
    let mut read = Vec::new();
    file.read_to_end(&mut read).await.expect("read");
    assert!(read == text);
    assert_eq!(f.temporary_files(), 0);
    let missing = f.blobs.read(&Digest::of(b"other")).await.expect("open");
    assert!(missing.is_none());
}

#[tokio::test]
async fn a_too_large_or_aborted_blob_leaves_nothing() {
    let f = fixture();
    let exact = f.blobs.put(Cursor::new(vec![0; 10]), Some(10)).await;
    assert_eq!(exact.expect("fits").size, 10);
    let over = f.blobs.put(Cursor::new(vec![1; 11]), Some(10)).await;
    assert!(matches!(over, Err(BlobError::TooLarge { limit: 10 })));
    let cut = f.blobs.put(broken_source(), None).await;
    assert!(matches!(cut, Err(BlobError::Source(_))));
    assert_eq!(f.temporary_files(), 0);
    let missing = f.blobs.find(&Digest::of(b"half")).await.expect("find");
    assert_eq!(missing, None);
}

#[test]
fn a_source_that_stalls_holds_no_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let f = fixture();
        let (mut client, server) = tokio::io::duplex(1024);
        let others = async {
            client.write_all(&vec![7; 300_000]).await.expect("taken");
            // The only blocking thread is free for others while the client stalls.
            let other = f.blobs.with_files(|| Ok::<_, BlobError>(1));
            let limit = Duration::from_secs(20);
            let other = tokio::time::timeout(limit, other).await;
            drop(client);
            other
        };
        let (blob, other) = tokio::join!(f.blobs.put(server, None), others);
        assert_eq!(other.expect("in time").expect("done"), 1);
        assert_eq!(blob.expect("put").size, 300_000);
    });
}

#[tokio::test]
async fn a_crash_before_the_rename_leaves_nothing_after_a_restart() {
    let f = fixture();
    let mut draft = f.blobs.draft(None).expect("draft");
    draft.append(b"half").expect("append");
    std::mem::forget(draft);
    let sealed = f.blobs.draft(None).expect("draft").seal().expect("seal");
    std::mem::forget(sealed);
    assert_eq!(f.temporary_files(), 2);
    let clock = Arc::new(f.clock.clone());
    Blobs::open(f.dir.path(), f.db.clone(), clock).expect("next start");
    assert_eq!(f.temporary_files(), 0);
}

#[tokio::test]
async fn a_dropped_draft_leaves_nothing_and_a_sealed_one_can_be_read() {
    let f = fixture();
    let mut draft = f.blobs.draft(None).expect("draft");
    draft.append(b"text").expect("append");
    let sealed = draft.seal().expect("seal");
    let mut text = String::new();
    let mut file = sealed.open().expect("open");
    file.read_to_string(&mut text).expect("read");
    assert_eq!(text, "text");
    drop(sealed);
    assert_eq!(f.temporary_files(), 0);
}

#[tokio::test]
async fn the_sweep_keeps_referenced_and_new_blobs() {
    let f = fixture();
    let needed = f.blobs.put_bytes("needed").await.expect("put");
    let orphan = f.blobs.put_bytes("orphan").await.expect("put");
    let again = f.blobs.put_bytes("again").await.expect("put");
    f.reference(&needed.digest, "a").await.expect("reference");
    f.reference(&needed.digest, "a")
        .await
        .expect("twice is once");

    f.clock.advance(HOUR);
    assert_eq!(f.blobs.sweep().await.expect("sweep"), Swept::default());

    f.clock.advance(Duration::from_secs(1));
    f.blobs.put_bytes("again").await.expect("put");
    let swept = f.blobs.sweep().await.expect("sweep");
    assert_eq!((swept.blobs, swept.bytes), (1, 6));
    assert!(!f.blobs.path(&orphan.digest).exists());
    assert_eq!(f.blobs.find(&orphan.digest).await.expect("find"), None);
    assert!(f.blobs.path(&needed.digest).exists());
    assert!(f.blobs.path(&again.digest).exists());

    f.db.write(|tx| release(tx, "test", "a"))
        .await
        .expect("release");
    f.clock.advance(2 * HOUR);
    assert_eq!(f.blobs.sweep().await.expect("sweep").blobs, 2);
    assert!(!f.blobs.path(&needed.digest).exists());
}

#[tokio::test]
async fn a_file_that_was_never_listed_is_swept_once_it_is_old() {
    let f = fixture();
    let digest = Digest::of(b"unlisted");
    let path = f.blobs.path(&digest);
    std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
    std::fs::write(&path, b"unlisted").expect("file");
    // The manual clock is in 2023, the file is from today.
    assert_eq!(f.blobs.sweep().await.expect("sweep"), Swept::default());
    let file = File::options().write(true).open(&path).expect("file");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("old file");
    let swept = f.blobs.sweep().await.expect("sweep");
    assert_eq!(swept.unlisted, 1);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_reference_to_a_missing_blob_is_an_error() {
    let f = fixture();
    let refused = f.reference(&Digest::of(b"nothing"), "a").await;
    assert!(refused.is_err());
}
