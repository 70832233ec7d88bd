//! A queue for expensive work: a few requests at a time, and sources take turns, so that a source
//! with many requests delays only itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{MAX_WAIT, Overloaded, Source};

/// Requests that may wait in all; beyond it the source with most of them loses its oldest one.
const MOST_WAITING: usize = 1024;

struct State {
    free: usize,
    /// Sources with waiting requests, in the order in which they are served.
    ring: VecDeque<Source>,
    waiting: HashMap<Source, VecDeque<oneshot::Sender<Turn>>>,
    total: usize,
}

/// The queue; clones share it.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Mutex<State>>);

/// The right to work now; dropping it lets the next one in.
pub(crate) struct Turn(Turns);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

impl Turns {
    /// A queue that admits this many at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: at_once,
            ring: VecDeque::new(),
            waiting: HashMap::new(),
            total: 0,
        })))
    }

    /// Waits for a turn of `source`, up to a limit.
    pub(crate) async fn take(&self, source: Source) -> Result<Turn, Overloaded> {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                drop(state);
                return Ok(Turn(self.clone()));
            }
            state.queue(source)
        };
        match tokio::time::timeout(MAX_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Overloaded),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self) {
        let next = {
            let mut state = self.state();
            let next = state.next();
            if next.is_none() {
                state.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // A receiver that was dropped meanwhile drops the turn, which passes it on.
            drop(next.send(Turn(self.clone())));
        }
    }
}

impl State {
    fn queue(&mut self, source: Source) -> oneshot::Receiver<Turn> {
        if self.total >= MOST_WAITING {
            self.shed();
        }
        let (sender, receiver) = oneshot::channel();
        let own = self.waiting.entry(source).or_default();
        if own.is_empty() {
            self.ring.push_back(source);
        }
        own.push_back(sender);
        self.total += 1;
        receiver
    }

    /// Drops the oldest request of the source with most.
    fn shed(&mut self) {
        let longest = self.waiting.iter().max_by_key(|(_, queue)| queue.len());
        if let Some(source) = longest.map(|(source, _)| *source) {
            drop(self.pop(source));
        }
    }

    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(source) = self.ring.front().copied() {
            let next = self.pop(source);
            if self.ring.front() == Some(&source) {
                self.ring.rotate_left(1);
            }
            if let Some(next) = next.filter(|next| !next.is_closed()) {
                return Some(next);
            }
        }
        None
    }

    /// Takes the oldest request of a source; a source without any leaves the ring.
    fn pop(&mut self, source: Source) -> Option<oneshot::Sender<Turn>> {
        let queue = self.waiting.get_mut(&source)?;
        let popped = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&source);
            self.ring.retain(|other| *other != source);
        }
        self.total -= usize::from(popped.is_some());
        popped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::at([10, 0, 0, last].into())
    }

    /// Queues requests and returns the sources in the order of service.
    async fn order(asked: &[u8]) -> Vec<u8> {
        let turns = Turns::new(1);
        let first = turns.take(source(0)).await.expect("free");
        let mut waiting: Vec<(u8, oneshot::Receiver<Turn>)> = asked
            .iter()
            .map(|last| (*last, turns.state().queue(source(*last))))
            .collect();
        drop(first);
        let mut served = Vec::new();
        while !waiting.is_empty() {
            let at = waiting
                .iter_mut()
                .position(|(_, turn)| turn.try_recv().map(drop).is_ok());
            served.push(waiting.remove(at.expect("somebody is served")).0);
        }
        assert_eq!(turns.state().free, 1);
        assert_eq!(turns.state().total, 0);
        assert!(turns.state().ring.is_empty());
        served
    }

    #[tokio::test]
    async fn sources_take_turns_however_much_one_asks_for() {
        assert_eq!(order(&[1, 1, 1, 1, 2, 3, 2]).await, [1, 2, 3, 1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn dropped_requests_are_skipped() {
        let turns = Turns::new(1);
        let first = turns.take(source(0)).await.expect("free");
        let gone = turns.state().queue(source(1));
        let mut stays = turns.state().queue(source(1));
        drop(gone);
        drop(first);
        assert!(stays.try_recv().is_ok());
    }

    #[tokio::test]
    async fn the_source_that_asks_for_most_loses_when_there_are_too_many() {
        let turns = Turns::new(1);
        let _first = turns.take(source(0)).await.expect("free");
        let mut other = turns.state().queue(source(2));
        let mut many: Vec<_> = (1..MOST_WAITING)
            .map(|_| turns.state().queue(source(1)))
            .collect();
        let _newest = turns.state().queue(source(3));
        let closed = |turn: &mut oneshot::Receiver<Turn>| {
            matches!(turn.try_recv(), Err(oneshot::error::TryRecvError::Closed))
        };
        assert!(closed(&mut many[0]));
        assert!(!closed(&mut many[1]));
        assert!(!closed(&mut other));
        assert_eq!(turns.state().total, MOST_WAITING);
    }
}
