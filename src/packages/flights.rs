//! Downloads that are under way: who needs the same waits for it instead of asking again.
//!
//! A download goes on when nobody waits for it any more, as others will need it. Its length in time
//! is bounded by its size, and the number of downloads is bounded, too.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::io::StreamReader;
use tokio_util::task::TaskTracker;

use super::Packages;
use super::failure::Failure;
use super::store::{self, Head, Held, Key};
use super::target::{Kind, Target};
use super::upstream::{Answer, Body};
use crate::blobs::{Blob, BlobError, Grower, Growing, Sealed};

/// The most downloads at once; each may have many readers.
const MOST: usize = 256;
/// A download may take so long, and longer the more bytes it has.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes per second that are not too slow.
const SLOWEST: u64 = 64 * 1024;
/// The size of a body that does not say it, for its time.
const UNKNOWN: u64 = 256 << 20;

/// What a registry answered.
#[derive(Clone)]
pub(super) enum Said {
    /// The copy is right.
    Same,
    /// Something new that begins to arrive.
    New {
        head: Head,
        length: Option<u64>,
        growing: Growing<Failure>,
    },
}

type Answered = watch::Receiver<Option<Result<Said, Failure>>>;

/// The downloads that are under way; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Flights {
    known: Arc<Mutex<HashMap<Key, Answered>>>,
    tasks: TaskTracker,
}

/// Leaves the list when it is dropped, also after a panic.
struct Listed(Flights, Key);

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.known().remove(&self.1);
    }
}

impl Flights {
    fn known(&self) -> MutexGuard<'_, HashMap<Key, Answered>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the registry answers to a request of its own, or to the same one that is under way.
    pub(super) async fn answer(
        &self,
        packages: &Packages,
        target: &Target,
        held: Option<Held>,
    ) -> Result<Said, Failure> {
        let mut answered = self.start(packages, target, held)?;
        let answer = answered.wait_for(Option::is_some).await;
        let answer = answer.ok().and_then(|answer| answer.clone());
        answer.unwrap_or_else(|| Err(Failure::Storage("a download was interrupted".to_owned())))
    }

    fn start(
        &self,
        packages: &Packages,
        target: &Target,
        held: Option<Held>,
    ) -> Result<Answered, Failure> {
        let key = target.key();
        let mut known = self.known();
        if let Some(same) = known.get(&key) {
            return Ok(same.clone());
        }
        if known.len() >= MOST {
            return Err(Failure::Busy);
        }
        let (sender, answered) = watch::channel(None);
        known.insert(key.clone(), answered.clone());
        drop(known);
        let flight = Flight {
            packages: packages.clone(),
            target: target.clone(),
            held,
            listed: Listed(self.clone(), key),
        };
        self.tasks.spawn(flight.run(sender));
        Ok(answered)
    }
}

struct Flight {
    packages: Packages,
    target: Target,
    held: Option<Held>,
    listed: Listed,
}

impl Flight {
    async fn run(self, sender: watch::Sender<Option<Result<Said, Failure>>>) {
        let packages = self.packages.clone();
        // Held until the last byte.
        let _turn = match packages.upstreams().turn(self.target.source).await {
            Ok(turn) => turn,
            Err(failure) => {
                sender.send_replace(Some(Err(failure)));
                return;
            }
        };
        match self.ask().await {
            Ok(Answer::Same) => {
                sender.send_replace(Some(Ok(Said::Same)));
            }
            Ok(Answer::Body(body)) => {
                let (grower, growing) = packages.blobs().growing(body.length);
                let said = Said::New {
                    head: body.head.clone(),
                    length: body.length,
                    growing,
                };
                sender.send_replace(Some(Ok(said)));
                let outcome = self.receive(*body, &grower).await;
                if let Err(failure) = &outcome {
                    tracing::warn!(package = self.target.package, %failure, "a package is not kept");
                }
                // Who asks from now on finds the copy.
                drop(self.listed);
                grower.end(outcome);
            }
            Err(failure) => {
                drop(self.listed);
                sender.send_replace(Some(Err(failure)));
            }
        }
    }

    async fn ask(&self) -> Result<Answer, Failure> {
        let (packages, key) = (&self.packages, &self.listed.1);
        // The same download may have ended since the caller looked.
        if self.target.kind == Kind::File && packages.open(key).await?.is_some() {
            return Ok(Answer::Same);
        }
        let answer = packages
            .upstreams()
            .ask(&self.target, self.held.as_ref())
            .await;
        match &answer {
            Ok(Answer::Same) => {
                let (key, now) = (key.clone(), packages.now());
                let confirm = move |tx: &crate::db::WriteTx<'_>| store::confirm(tx, &key, now);
                packages.db().write_without_wake(confirm).await?;
            }
            Err(missing @ Failure::Missing { .. }) => {
                packages.note_missing(key, missing).await?;
            }
            Ok(Answer::Body(body)) => {
                packages.check_size(&self.target, body.length.unwrap_or(0))?;
            }
            Err(_) => {}
        }
        answer
    }

    async fn receive(&self, body: Body, grower: &Grower<Failure>) -> Result<Blob, Failure> {
        let (host, head) = (body.host().to_owned(), body.head.clone());
        let size = body.length.unwrap_or(UNKNOWN);
        let limit = PATIENCE + Duration::from_secs(size / SLOWEST);
        let stored = tokio::time::timeout(limit, self.store(body, grower)).await;
        let blob = stored.map_err(|_| Failure::TooSlow {
            host,
            package: self.target.package.clone(),
            minutes: limit.as_secs() / 60,
        })??;
        let packages = &self.packages;
        let (key, digest, now) = (self.listed.1.clone(), blob.digest.clone(), packages.now());
        let note = move |tx: &crate::db::WriteTx<'_>| store::put(tx, &key, (&digest, &head), now);
        packages.db().write_without_wake(note).await?;
        Ok(blob)
    }

    async fn store(&self, body: Body, grower: &Grower<Failure>) -> Result<Blob, Failure> {
        let packages = &self.packages;
        let expected = packages.expected(&self.target).await;
        let (host, package) = (body.host().to_owned(), self.target.package.clone());
        let check = move |sealed: &Sealed| {
            let Some(expected) = expected else {
                return Ok(());
            };
            let differs = expected.differs(sealed);
            match differs.map_err(BlobError::Source)? {
                None => Ok(()),
                Some((expected, received)) => {
                    let wrong = Failure::WrongContent {
                        host,
                        package,
                        expected,
                        received,
                    };
                    Err(BlobError::Source(io::Error::other(wrong)))
                }
            }
        };
        let limit = packages.limit();
        let reader = StreamReader::new(Box::pin(body.bytes()));
        let grown = |file: &_, size| grower.grown(file, size);
        let stored = packages.blobs().put_checked(reader, limit, grown, check);
        stored.await.map_err(|error| match error {
            BlobError::TooLarge { limit } => Failure::TooLarge {
                package: self.target.package.clone(),
                limit,
            },
            error => error.into(),
        })
    }
}
