//! `GET /console/live`: tells a browser that something changed.
//!
//! One stream serves all tabs of a browser (`web/assets/console.js`), and a page that hears of a
//! change reads itself again and puts in what differs. So a stream costs a few bytes for each change
//! and nothing is rendered for pages that nobody looks at.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt};

use super::Console;
use super::visitor::Visitor;

/// Changes within this time are told as one.
const PAUSE: Duration = Duration::from_millis(250);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this time; the browser opens the next one, with a session that is checked.
const LIFETIME: Duration = Duration::from_secs(300);

/// The stream of changes. Its ids count the commits since the platform started.
pub(super) async fn changes(
    State(console): State<Console>,
    _: Visitor,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let commits = console.parts().db.changes();
    let instances = console.parts().scheduler.routable();
    let end = tokio::time::Instant::now() + LIFETIME;
    let state = (commits, instances, true);
    let stream = futures_util::stream::unfold(
        state,
        move |(mut commits, mut instances, first)| async move {
            if !first {
                let changed = async {
                    tokio::select! {
                        changed = commits.changed() => changed.is_ok(),
                        changed = instances.changed() => changed.is_ok(),
                    }
                };
                if !tokio::time::timeout_at(end, changed).await.unwrap_or(false) {
                    return None;
                }
                tokio::time::sleep(PAUSE).await;
            }
            let sequence = *commits.borrow_and_update();
            instances.mark_unchanged();
            let event = Event::default()
                .id(sequence.to_string())
                .event(if first { "hello" } else { "change" })
                .data(sequence.to_string());
            Some((Ok(event), (commits, instances, false)))
        },
    );
    // A page that is open must not hold up the end of the platform.
    let stream = stream.take_until(console.parts().supervisor.token().cancelled_owned());
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
