//! Slows down guessing of one user's password without locking anybody out.
//!
//! Attempts for one name take turns; after the second wrong password in a row each further one is
//! looked at only after a pause that grows to [`LONGEST_PAUSE`]. The count and the earliest time
//! are kept in the database; the turns are only about this process. Other users notice nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

/// The longest anyone waits for one look at a password.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Wrong passwords that cost nothing: people mistype.
const FREE: u32 = 2;

/// Attempts that may wait for their turn at one name.
const MOST_WAITING: usize = 8;

/// How long after the `failures`-th wrong password in a row the next one is looked at.
pub(crate) fn pause_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 2_u32.saturating_pow(doublings);
            FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
        }
    }
}

#[derive(Default)]
struct Gate {
    turn: Arc<tokio::sync::Mutex<()>>,
    present: usize,
}

type Gates = Arc<Mutex<HashMap<String, Gate>>>;

/// Lets attempts at one name pass one after the other.
#[derive(Clone, Default)]
pub(crate) struct Throttle(Gates);

/// Too many wait already.
#[derive(Debug)]
pub(crate) struct Crowded;

/// The right to try now; the next one's turn comes when it is dropped.
pub(crate) struct Turn {
    _guard: OwnedMutexGuard<()>,
    _place: Place,
}

/// A place in the queue, given up even when the request goes away while waiting.
struct Place {
    gates: Gates,
    name: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get_mut(&self.name) {
            gate.present -= 1;
            if gate.present == 0 {
                gates.remove(&self.name);
            }
        }
    }
}

impl Throttle {
    /// Waits for this attempt's turn at `name`.
    pub(crate) async fn turn(&self, name: &str) -> Result<Turn, Crowded> {
        let (turn, place) = self.queue(name)?;
        Ok(Turn {
            _guard: turn.lock_owned().await,
            _place: place,
        })
    }

    fn queue(&self, name: &str) -> Result<(Arc<tokio::sync::Mutex<()>>, Place), Crowded> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(name.to_owned()).or_default();
        if gate.present > MOST_WAITING {
            return Err(Crowded);
        }
        gate.present += 1;
        let place = Place {
            gates: self.0.clone(),
            name: name.to_owned(),
        };
        Ok((gate.turn.clone(), place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_cap() {
        let cases = [
            (0, 0),
            (1, 0),
            (2, 0),
            (3, 500),
            (4, 1000),
            (5, 2000),
            (6, 4000),
            (7, 5000),
            (u32::MAX, 5000),
        ];
        for (failures, millis) in cases {
            assert_eq!(
                pause_after(failures),
                Duration::from_millis(millis),
                "{failures}"
            );
        }
    }

    #[tokio::test]
    async fn the_queue_of_one_name_is_bounded_and_others_pass() {
        let throttle = Throttle::default();
        let first = throttle.turn("admin").await.unwrap();
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|_| throttle.queue("admin").unwrap())
            .collect();
        assert!(throttle.turn("admin").await.is_err());
        assert!(throttle.turn("other").await.is_ok());
        drop(waiting);
        drop(first);
        assert!(throttle.turn("admin").await.is_ok());
        assert!(
            throttle.0.lock().unwrap().is_empty(),
            "empty gates are forgotten"
        );
    }
}
