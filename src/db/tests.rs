//! Transactions, also those of cancelled callers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use futures_util::future::join_all;
use futures_util::poll;

use super::*;

fn temporary() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("fresh database");
    (dir, db)
}

#[tokio::test]
async fn an_error_rolls_back_without_a_notification() {
    let (_dir, db) = temporary();
    let changes = db.changes();
    let refused: Result<(), DbError> = db
        .write(|tx| {
            tx.sql()
                .execute("insert into settings (name, value) values ('a', 'b')", [])?;
            Err(DbError::Interrupted("no".into()))
        })
        .await;
    assert!(refused.is_err());
    let count: i64 = db
        .read(|tx| {
            let n = tx
                .sql()
                .query_row("select count(*) from settings where name = 'a'", [], |r| {
                    r.get(0)
                });
            n.map_err(DbError::from)
        })
        .await
        .expect("count");
    assert_eq!(count, 0);
    assert!(!changes.has_changed().expect("sender lives"));
}

#[tokio::test]
async fn a_commit_is_seen_by_readers_and_wakes() {
    let (_dir, db) = temporary();
    let changes = db.changes();
    db.write(|tx| {
        tx.sql()
            .execute("insert into settings (name, value) values ('a', 'b')", [])?;
        Ok::<_, DbError>(())
    })
    .await
    .expect("write");
    assert!(changes.has_changed().expect("sender lives"));
    let value: String = db
        .read(|tx| {
            let v = tx
                .sql()
                .query_row("select value from settings where name = 'a'", [], |r| {
                    r.get(0)
                });
            v.map_err(DbError::from)
        })
        .await
        .expect("value");
    assert_eq!(value, "b");
}

#[tokio::test]
async fn opening_twice_migrates_once() {
    let (dir, db) = temporary();
    drop(db);
    Db::open(&dir.path().join("cflite.db")).expect("second opening");
}

/// A transaction that reports when it has begun and runs until `release` is dropped.
struct Held {
    release: mpsc::Sender<()>,
    begun: mpsc::Receiver<()>,
}

impl Held {
    fn new() -> (Self, impl FnOnce() + Send + 'static) {
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let work = move || {
            begin.send(()).expect("the test waits");
            released.recv().expect_err("nothing is sent");
        };
        (Self { release, begun }, work)
    }
}

fn count_settings(tx: &ReadTx<'_>) -> Result<i64, DbError> {
    let sql = "select count(*) from settings";
    Ok(tx.sql().query_row(sql, [], |row| row.get(0))?)
}

#[tokio::test]
async fn readers_of_cancelled_callers_still_count() {
    let (_dir, db) = temporary();
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let mut releases = Vec::new();
    for _ in 0..READERS {
        let (held, work) = Held::new();
        let mut caller = Box::pin(db.read(move |_| {
            work();
            Ok::<_, DbError>(())
        }));
        assert!(poll!(caller.as_mut()).is_pending());
        held.begun.recv().expect("begun");
        releases.push(held.release);
        // The caller is cancelled while SQLite works.
        drop(caller);
    }
    let more: Vec<_> = (0..3 * READERS)
        .map(|_| {
            let (running, most) = (running.clone(), most.clone());
            db.read(move |tx| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let count = count_settings(tx);
                running.fetch_sub(1, Ordering::SeqCst);
                count
            })
        })
        .collect();
    let mut more = Box::pin(join_all(more));
    assert!(poll!(more.as_mut()).is_pending());
    assert_eq!(most.load(Ordering::SeqCst), 0, "all readers are taken");
    drop(releases);
    for read in more.await {
        read.expect("count");
    }
    assert!(most.load(Ordering::SeqCst) <= READERS);
    assert!(db.0.readers.count_pooled() <= READERS);
}

#[tokio::test]
async fn a_write_of_a_cancelled_caller_commits_before_the_next_begins() {
    let (_dir, db) = temporary();
    let changes = db.changes();
    let (held, work) = Held::new();
    let mut caller = Box::pin(db.write(move |tx| {
        work();
        let sql = "insert into settings (name, value) values ('a', 'b')";
        Ok::<_, DbError>(tx.sql().execute(sql, [])?)
    }));
    assert!(poll!(caller.as_mut()).is_pending());
    held.begun.recv().expect("begun");
    drop(caller);
    let before = db.read(count_settings).await.expect("count");
    let mut next = Box::pin(db.write(|tx| count_settings(tx)));
    assert!(poll!(next.as_mut()).is_pending());
    drop(held.release);
    assert_eq!(next.await.expect("count"), before + 1);
    assert!(changes.has_changed().expect("sender lives"));
}

#[tokio::test]
async fn readers_and_the_writer_survive_a_panic() {
    let (_dir, db) = temporary();
    for _ in 0..2 * READERS {
        let failed: Result<(), DbError> = db.read(|_| panic!("test panic")).await;
        assert!(matches!(failed, Err(DbError::Interrupted(_))));
    }
    let failed: Result<(), DbError> = db
        .write(|tx| {
            let sql = "insert into settings (name, value) values ('a', 'b')";
            tx.sql().execute(sql, [])?;
            panic!("test panic")
        })
        .await;
    assert!(matches!(failed, Err(DbError::Interrupted(_))));
    let count = |name: &'static str| {
        move |tx: &ReadTx<'_>| {
            let sql = "select count(*) from settings where name = ?1";
            Ok::<i64, DbError>(tx.sql().query_row(sql, [name], |row| row.get(0))?)
        }
    };
    assert_eq!(db.read(count("a")).await.expect("count"), 0);
    assert_eq!(db.write(move |tx| count("a")(tx)).await.expect("count"), 0);
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back_before_the_next_write() {
    let (_dir, db) = temporary();
    let before = db.read(count_settings).await.expect("count");
    let left = "begin; insert into settings (name, value) values ('a', 'b')";
    db.0.writer().execute_batch(left).expect("begin");
    let after = db.write(|tx| count_settings(tx)).await.expect("count");
    assert_eq!(after, before);
}

#[test]
fn the_database_has_a_thread_while_other_work_is_at_its_limit() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let (_dir, db) = temporary();
        let bounds = Bounds {
            at_once: 1,
            waiting: 8,
            timeout: QUEUE_TIMEOUT,
        };
        let slow = WorkQueue::new("slow work", bounds);
        let (held, work) = Held::new();
        let mut first = Box::pin(slow.run(work));
        assert!(poll!(first.as_mut()).is_pending());
        held.begun.recv().expect("begun");
        let mut others: Vec<_> = (0..8).map(|_| Box::pin(slow.run(|| ()))).collect();
        for other in &mut others {
            assert!(poll!(other.as_mut()).is_pending());
        }
        db.read(count_settings).await.expect("count");
        db.write(|tx| count_settings(tx)).await.expect("count");
        drop(held.release);
        first.await.expect("first");
    });
}

#[tokio::test]
async fn caches_are_updated_in_the_order_of_commits() {
    let (_dir, db) = temporary();
    let copy = Arc::new(Mutex::new(Vec::new()));
    let write = |name: &'static str, outcome: Result<(), ()>| {
        let (db, copy) = (db.clone(), copy.clone());
        async move {
            let written = db.write(move |tx| {
                let seen = copy.clone();
                tx.after_commit(move || seen.lock().expect("no panic").push(name));
                assert!(!copy.lock().expect("no panic").contains(&name));
                outcome.map_err(|()| DbError::Interrupted("no".into()))
            });
            written.await.is_ok()
        }
    };
    let done = tokio::join!(
        write("first", Ok(())),
        write("refused", Err(())),
        write("second", Ok(())),
    );
    assert_eq!(done, (true, false, true));
    assert_eq!(*copy.lock().expect("no panic"), ["first", "second"]);
}

#[tokio::test]
async fn cache_updates_of_a_failed_attempt_are_discarded() {
    let (_dir, db) = temporary();
    let copy = Arc::new(Mutex::new(Vec::new()));
    let seen = copy.clone();
    let written = db.write(move |tx| {
        for (name, outcome) in [("kept", Ok(())), ("undone", Err(()))] {
            let seen = seen.clone();
            let done = tx.attempt(|| {
                let insert = "insert into settings (name, value) values (?1, '')";
                tx.sql().execute(insert, [name])?;
                tx.after_commit(move || seen.lock().expect("no panic").push(name));
                outcome.map_err(|()| DbError::Interrupted("no".into()))
            })?;
            assert_eq!(done.is_ok(), outcome.is_ok());
        }
        let rows = "select count(*) from settings where name in ('kept', 'undone')";
        Ok::<i64, DbError>(tx.sql().query_row(rows, [], |row| row.get(0))?)
    });
    assert_eq!(written.await.expect("written"), 1);
    assert_eq!(*copy.lock().expect("no panic"), ["kept"]);
}
