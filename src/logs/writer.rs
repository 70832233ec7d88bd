//! The single writer: takes queued entries, gives every envelope its final timestamp, encodes
//! segments and stores them, with their Docker cursors, in one transaction; then publishes them to
//! readers.
//!
//! Timestamps strictly increase within a source: clients continue at "last time + 1" and would miss
//! equal ones. Within a batch, envelopes are sorted by the time they were written, so that outputs
//! and instances interleave correctly; the timestamps of late ones are raised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::envelope::{LogStream, Message, Tags};
use super::inbox::{Entry, Origin, Taken};
use super::segment::{self, Numbered, Segment, Shared};
use super::sources::Stored;
use super::store::{self, DiskLimits, Totals};
use super::{Logs, Loss, SourceOwners, warning};
use crate::base::Backoff;
use crate::base::Supervisor;
use crate::db::{DbError, WriteTx};

/// How long lines are collected into one transaction.
const COLLECT_TIME: Duration = Duration::from_millis(80);
/// How long the writer waits for the last lines of others at shutdown.
const SHUTDOWN_DELAY: Duration = Duration::from_millis(150);
const RETRIES: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(10),
};

/// A batch to store; storing it again after a failure gives the same result.
#[derive(Debug)]
struct Batch {
    stored: Vec<Stored>,
    taken: Taken,
}

/// The result of storing a batch.
#[derive(Debug, Default)]
struct Done {
    totals: Vec<(Arc<str>, Totals)>,
    /// Sources of which nothing was stored: without an owner, or with a damaged row.
    dropped: BTreeSet<Arc<str>>,
}

impl Logs {
    /// Starts the writer.
    pub fn start(&self, supervisor: &Supervisor) {
        let logs = self.clone();
        supervisor.worker("log writer", move |token| {
            let logs = logs.clone();
            async move { logs.write(token).await }
        });
        let logs = self.clone();
        supervisor.worker("log consumers", move |token| {
            let logs = logs.clone();
            async move { logs.serve_consumers(token).await }
        });
    }

    /// Waits until everything queued before is stored. Requires the running writer.
    pub async fn flush(&self) {
        let target = self.inbox().sequence();
        let mut written = self.written().subscribe();
        self.inbox().urgent.notify_one();
        // The sender lives in `self`, so this cannot fail.
        drop(written.wait_for(|sequence| *sequence >= target).await);
    }

    async fn write(&self, token: CancellationToken) -> Result<(), DbError> {
        while !token.is_cancelled() {
            tokio::select! {
                () = self.inbox().filled.notified() => {}
                () = token.cancelled() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(COLLECT_TIME) => {}
                () = self.inbox().urgent.notified() => {}
                () = token.cancelled() => {}
            }
            self.write_queued(&token).await?;
        }
        tokio::time::sleep(SHUTDOWN_DELAY).await;
        self.write_queued(&token).await
    }

    async fn write_queued(&self, shutdown: &CancellationToken) -> Result<(), DbError> {
        let taken = self.inbox().take();
        let sequence = taken.sequence;
        if !taken.is_empty() {
            let batch = Arc::new(self.prepare(taken)?);
            let done = self.commit_with_retries(&batch, shutdown).await?;
            self.publish(batch, done);
        }
        self.written().send_replace(sequence);
        Ok(())
    }

    /// Retries until the batch is committed: meanwhile Docker keeps its lines, and own lines that
    /// do not fit are counted.
    async fn commit_with_retries(
        &self,
        batch: &Arc<Batch>,
        shutdown: &CancellationToken,
    ) -> Result<Done, DbError> {
        let mut retries = RETRIES.pauses();
        loop {
            let work = batch.clone();
            let (owners, limits) = (self.source_owners().cloned(), self.limits().disk());
            let done = self
                .db()
                .write_without_wake(move |tx| store_batch(tx, &work, owners.as_deref(), limits))
                .await;
            match done {
                Ok(done) => return Ok(done),
                Err(error) if shutdown.is_cancelled() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "storing log lines failed; retrying");
                    tokio::time::sleep(retries.pause()).await;
                }
            }
        }
    }

    fn publish(&self, batch: Arc<Batch>, done: Done) {
        // The database closure has finished and dropped its reference.
        let Some(batch) = Arc::into_inner(batch) else {
            return;
        };
        let mut sources = self.sources();
        let kept = batch.stored.into_iter();
        for stored in kept.filter(|stored| !done.dropped.contains(&stored.source_id)) {
            self.hub().offer(&stored);
            sources.publish(stored, self.limits().memory());
        }
        for (source_id, totals) in done.totals {
            sources.set_totals(&source_id, totals);
        }
        for source_id in &batch.taken.forgotten_sources {
            sources.forget(source_id);
        }
    }

    fn prepare(&self, mut taken: Taken) -> Result<Batch, DbError> {
        self.report_losses(&mut taken);
        let mut by_source: BTreeMap<Arc<str>, Vec<Entry>> = BTreeMap::new();
        for entry in std::mem::take(&mut taken.entries) {
            match by_source.get_mut(&entry.source_id) {
                Some(entries) => entries.push(entry),
                None => drop(by_source.insert(entry.source_id.clone(), vec![entry])),
            }
        }
        let mut stored = Vec::with_capacity(by_source.len());
        for (source_id, mut entries) in by_source {
            entries.sort_by_key(|entry| entry.at);
            stored.push(self.prepare_source(source_id, &entries)?);
        }
        Ok(Batch { stored, taken })
    }

    fn prepare_source(&self, source_id: Arc<str>, entries: &[Entry]) -> Result<Stored, DbError> {
        let names = self.tag_source().map(|names| names.tags(&source_id));
        let mut names = names.unwrap_or_default();
        for (tag, value) in self.place().into_iter().flatten() {
            names.insert(tag.clone(), value.clone());
        }
        let mut last = self.sources().newest(&source_id).unwrap_or(i64::MIN);
        let fresh_from = last.saturating_add(1);
        let mut segments = Vec::new();
        let mut draft = Draft::default();
        for entry in entries {
            last = entry.at.max(last.saturating_add(1));
            draft.add(last, entry, &source_id, &names);
            if draft.is_full() {
                segments.extend(std::mem::take(&mut draft).close()?);
            }
        }
        segments.extend(draft.close()?);
        let mut replaced_from = None;
        if let [only] = &segments[..] {
            let run = self.sources().mergeable(&source_id, only);
            if let Some(mut run) = run {
                run.push(only.clone());
                replaced_from = run.first().map(|segment| segment.first);
                segments = segment::merge(&run)?.into_iter().collect();
            }
        }
        Ok(Stored {
            source_id,
            segments,
            replaced_from,
            fresh_from,
            fresh_count: entries.len(),
        })
    }

    /// Reports dropped own lines in the source's log.
    fn report_losses(&self, taken: &mut Taken) {
        for (source_id, count) in &taken.lost {
            let total = self.count_lost(source_id, *count);
            let loss = Loss {
                since: *count,
                total,
            };
            let text = warning::text(loss, "log-cache");
            tracing::warn!(source_id = %source_id, count, total, "log lines dropped");
            taken.entries.push(Entry {
                source_id: source_id.clone(),
                at: self.now_nanos(),
                origin: Arc::new(Origin {
                    instance_id: "0".into(),
                    source_type: Some("LGR".to_owned()),
                    tags: Tags::new(),
                }),
                own: Tags::new(),
                message: Message::Log {
                    payload: text.into(),
                    stream: LogStream::Err,
                },
            });
        }
    }
}

fn store_batch(
    tx: &WriteTx<'_>,
    batch: &Batch,
    owners: Option<&dyn SourceOwners>,
    limits: DiskLimits,
) -> Result<Done, DbError> {
    let mut done = Done::default();
    for stored in &batch.stored {
        let source_id = &stored.source_id;
        if let Some(owners) = owners
            && !owners.keep(tx, source_id)?
        {
            done.dropped.insert(source_id.clone());
            continue;
        }
        let (segments, from) = (&stored.segments, stored.replaced_from);
        match tx.attempt(|| store::append(tx, source_id, segments, from, limits))? {
            Ok(now) => done.totals.push((source_id.clone(), now)),
            // The lines of other sources are still stored.
            Err(error) if error.is_unreadable() => {
                tracing::error!(source_id = %source_id, %error, "storing lines of a source failed; lines dropped");
                done.dropped.insert(source_id.clone());
            }
            Err(error) => return Err(error),
        }
    }
    done.totals.extend(store::trim_total(tx, limits)?);
    for (output, cursor) in &batch.taken.cursors {
        store::save_cursor(tx, output, *cursor)?;
    }
    for source_id in &batch.taken.forgotten_sources {
        store::forget_source(tx, source_id)?;
    }
    for container_id in &batch.taken.forgotten_containers {
        store::forget_container(tx, container_id)?;
    }
    Ok(done)
}

/// A segment under construction.
#[derive(Default)]
struct Draft<'a> {
    shared: Vec<Shared>,
    /// The origins of the entries in `shared`; few, so searched linearly.
    origins: Vec<&'a Origin>,
    latest: Option<(&'a Arc<Origin>, usize)>,
    envelopes: Vec<Numbered<'a>>,
    bytes: usize,
}

impl<'a> Draft<'a> {
    fn add(&mut self, at: i64, entry: &'a Entry, source_id: &Arc<str>, names: &Tags) {
        let number = self.number(&entry.origin, source_id, names);
        self.bytes += entry.size_estimate();
        self.envelopes.push(Numbered {
            at,
            number,
            own: &entry.own,
            message: &entry.message,
        });
    }

    /// The number of an origin in this segment. Lines of one container share one allocation, which
    /// makes the common case a pointer comparison.
    fn number(&mut self, origin: &'a Arc<Origin>, source_id: &Arc<str>, names: &Tags) -> usize {
        if let Some((latest, number)) = self.latest
            && Arc::ptr_eq(latest, origin)
        {
            return number;
        }
        let known = self.origins.iter().position(|known| **known == **origin);
        let number = known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.shared.push(Shared {
                instance_id: origin.instance_id.clone(),
                tags: Arc::new(origin.complete_tags(source_id, names)),
            });
            self.shared.len() - 1
        });
        self.latest = Some((origin, number));
        number
    }

    fn is_full(&self) -> bool {
        self.envelopes.len() >= segment::MAX_ENVELOPES || self.bytes >= segment::MAX_BYTES
    }

    fn close(self) -> Result<Option<Segment>, DbError> {
        segment::encode(&self.shared, &self.envelopes)
    }
}

impl Origin {
    /// The origin's tags, overridden by the current names, overridden by the identity of the
    /// origin.
    fn complete_tags(&self, source_id: &str, names: &Tags) -> Tags {
        let mut tags = self.tags.clone();
        tags.extend(names.iter().map(|(k, v)| (k.clone(), v.clone())));
        let component = match self.source_type.as_deref() {
            Some("API") => "cloud_controller",
            Some("RTR") => "gorouter",
            _ => "rep",
        };
        let origin = tags.entry("origin".to_owned());
        let job = match origin.or_insert_with(|| component.to_owned()).as_str() {
            "cloud_controller" => "api",
            "gorouter" => "router",
            "rep" => "diego-cell",
            other => other,
        };
        let job = job.to_owned();
        tags.entry("job".to_owned()).or_insert(job);
        tags.insert("source_id".to_owned(), source_id.to_owned());
        tags.insert("instance_id".to_owned(), (*self.instance_id).to_owned());
        if let Some(source_type) = &self.source_type {
            tags.insert("source_type".to_owned(), source_type.clone());
        }
        tags
    }
}
