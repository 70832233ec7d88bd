//! The stream of new lines: server-sent events with blocks of ready HTML, ten a second at most.
//!
//! The id of a block is a [`Cursor`]: a browser that comes back with it gets what it lacks, once.
//! Too many lines for a person to see are counted instead of shown. The viewer's queue is bounded:
//! the log store drops the oldest lines for who does not read, and says how many.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::time::Instant;

use super::asked::Asked;
use super::cursor::Cursor;
use super::intake::{Batch, Intake, RING};
use super::scope::Scope;
use super::search;
use crate::db::DbError;
use crate::logs::{Envelope, Search};
use crate::web::Console;
use crate::web::show::Refused;

/// Lines of this time are one block.
const FLUSH: Duration = Duration::from_millis(100);
/// How often it is checked whether the viewer may still read.
const CHECK_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this time; the browser goes on with the next one, with a session that is
/// checked and apps that came since.
const LIFETIME: Duration = Duration::from_secs(300);

type Lines = Pin<Box<dyn Stream<Item = Result<Vec<Envelope>, DbError>> + Send>>;

struct Viewer {
    lines: Lines,
    scope: Scope,
    intake: Intake,
    last_flush: Instant,
    next_check: Instant,
    end: Instant,
    is_over: bool,
}

impl Console {
    /// The stream behind `after`, the id of the last block that the viewer got.
    pub(in crate::web) async fn stream(
        &self,
        scope: Scope,
        asked: Asked,
        after: Option<&str>,
    ) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Refused> {
        let now = self.parts().clock.now();
        let range = asked.range(now)?;
        let had = match after {
            None => Cursor::at(now.as_nanos()),
            Some(id) => Cursor::parse(id)
                .ok_or_else(|| Refused::field("after", "This is no place in a log"))?,
        };
        let search = Search {
            last: Some(RING),
            follow: true,
            ..search(
                &scope,
                &asked.filter()?,
                (range.since.max(had.begin()), i64::MAX),
            )
        };
        let results = self.parts().logs.search(search).await?;
        let stop = results.stop();
        let lines = stream::try_unfold(results, |mut results| async move {
            let found = results.next().await?;
            Ok(found.map(|found| (found, results)))
        });
        let start = Instant::now();
        let viewer = Viewer {
            lines: Box::pin(lines),
            intake: Intake::new(asked, scope.style().clone(), had, stop),
            scope,
            last_flush: start,
            next_check: start + CHECK_EVERY,
            end: start + LIFETIME,
            is_over: false,
        };
        let ready = stream::once(async { Ok(Event::default().event("ready").data("")) });
        let events = stream::unfold(viewer, |mut viewer| async move {
            let event = viewer.next().await?;
            Some((Ok(event), viewer))
        });
        Ok(Sse::new(ready.chain(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
    }
}

impl Viewer {
    /// The next block; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        let mut batch = Batch::default();
        self.intake.fill(&mut batch);
        // Until there is a line.
        while batch.is_empty() {
            if self.is_over || !self.may_go_on().await {
                return None;
            }
            let found = tokio::time::timeout_at(self.next_check, self.lines.next()).await;
            if let Ok(found) = found {
                self.take(found, &mut batch);
            }
        }
        // Then all there is at once, and what comes until the next block is due.
        let due = self.last_flush + FLUSH;
        while !(self.is_over || self.intake.is_past() && batch.is_full()) {
            let found = if self.intake.is_past() {
                match self.lines.next().now_or_never() {
                    Some(found) => found,
                    // The past is over: it is a block of its own.
                    None => {
                        self.intake.end_past();
                        break;
                    }
                }
            } else {
                match tokio::time::timeout_at(due, self.lines.next()).await {
                    Ok(found) => found,
                    Err(_) => break,
                }
            };
            self.take(found, &mut batch);
        }
        self.last_flush = Instant::now();
        let id = self.intake.cursor.id();
        let html = self.intake.html(batch);
        Some(Event::default().id(id).event("lines").data(html))
    }

    async fn may_go_on(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.end {
            return false;
        }
        if now < self.next_check {
            return true;
        }
        self.next_check = now + CHECK_EVERY;
        self.scope.holds().await
    }

    fn take(&mut self, found: Option<Result<Vec<Envelope>, DbError>>, batch: &mut Batch) {
        let lines = match found {
            Some(Ok(lines)) => lines,
            Some(Err(error)) => {
                tracing::error!(%error, "reading logs for the console failed");
                self.is_over = true;
                return;
            }
            None => {
                self.is_over = true;
                return;
            }
        };
        self.intake.take(lines);
        self.intake.fill(batch);
    }
}
