//! How long other servers are waited for, and which failures are worth another try.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Tries of a request that cannot connect or that the server fails to answer.
const TRIES: u32 = 3;
/// An answer that asks to wait longer is an error.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Deadlines of single steps, and pauses before another try.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To connect.
    pub connect: Duration,
    /// From the request to the head of the response.
    pub head: Duration,
    /// Between two reads of a body.
    pub idle: Duration,
    /// Before a failed request is sent again; longer each time.
    pub again: Duration,
    /// Before a broken download continues; longer each time.
    pub resume: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            again: Duration::from_millis(500),
            resume: Duration::from_secs(1),
        }
    }
}

/// What went wrong with a request, as far as it decides about another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The server does not answer.
    Unreachable,
    /// It answers with this status.
    Status(u16),
    /// It answers no more requests for a while.
    Limited {
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

impl Patience {
    /// How long to wait before another try, after so many failures; `None` = it is no use.
    pub fn pause(&self, trouble: Trouble, failures: u32) -> Option<Duration> {
        match trouble {
            Trouble::Limited {
                retry_after: Some(after),
            } if failures == 1 && after <= LONGEST_WAIT => Some(after),
            Trouble::Status(500..) | Trouble::Unreachable if failures < TRIES => {
                Some(self.again * failures)
            }
            _ => None,
        }
    }
}

/// What a server says in `Retry-After`, if in seconds.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_on_the_way_are_tried_again() {
        let patience = Patience::default();
        let pause = |trouble, failures| patience.pause(trouble, failures);
        assert_eq!(pause(Trouble::Unreachable, 1), Some(patience.again));
        assert_eq!(pause(Trouble::Unreachable, TRIES), None);
        assert_eq!(pause(Trouble::Status(503), 2), Some(patience.again * 2));
        assert_eq!(pause(Trouble::Status(404), 1), None);
        let limited = |seconds| Trouble::Limited {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(pause(limited(2), 1), Some(Duration::from_secs(2)));
        assert_eq!(pause(limited(2), 2), None);
        assert_eq!(pause(limited(600), 1), None);
    }
}
