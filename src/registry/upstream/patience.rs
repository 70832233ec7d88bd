//! How long other registries are waited for, and which failures are worth another try.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use super::error::UpstreamError;

/// Tries of a request that cannot connect or that the registry fails to answer.
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

/// How long to wait before another try; `None` = it is no use.
pub(super) fn pause(error: &UpstreamError, failures: u32, again: Duration) -> Option<Duration> {
    match error {
        UpstreamError::RateLimited {
            retry_after: Some(after),
            ..
        } if failures == 1 && *after <= LONGEST_WAIT => Some(*after),
        UpstreamError::Failed { status, .. } if *status >= 500 && failures < TRIES => {
            Some(again * failures)
        }
        UpstreamError::Unreachable { .. } if failures < TRIES => Some(again * failures),
        _ => None,
    }
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// `0 of 100 pulls left in 6 h`, from headers such as `ratelimit-remaining: 0;w=21600`.
pub(super) fn rate_limit(headers: &HeaderMap, text: String) -> String {
    let number = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        let (count, window) = value.split_once(';').unwrap_or((value, ""));
        let window: Option<u64> = window
            .trim()
            .strip_prefix("w=")
            .and_then(|w| w.parse().ok());
        Some((count.trim().parse::<u64>().ok()?, window))
    };
    match (number("ratelimit-remaining"), number("ratelimit-limit")) {
        (Some((left, window)), Some((limit, _))) => {
            let window = window.map(|seconds| format!(" in {} min", seconds / 60));
            format!(
                "{left} of {limit} pulls left{}; {text}",
                window.unwrap_or_default()
            )
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limits_are_told_with_their_window() {
        let mut headers = HeaderMap::new();
        assert_eq!(rate_limit(&headers, "slow down".to_owned()), "slow down");
        for (name, value) in [
            ("ratelimit-limit", "100;w=21600"),
            ("ratelimit-remaining", "0;w=21600"),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        let text = rate_limit(&headers, "slow down".to_owned());
        assert_eq!(text, "0 of 100 pulls left in 360 min; slow down");
    }

    #[test]
    fn only_failures_on_the_way_are_tried_again() {
        let again = Duration::from_millis(500);
        let unreachable = UpstreamError::Unreachable {
            host: "h".to_owned(),
            reason: String::new(),
        };
        assert_eq!(pause(&unreachable, 1, again), Some(again));
        assert_eq!(pause(&unreachable, TRIES, again), None);
        let limited = |seconds| UpstreamError::RateLimited {
            host: "h".to_owned(),
            detail: String::new(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(pause(&limited(2), 1, again), Some(Duration::from_secs(2)));
        assert_eq!(pause(&limited(2), 2, again), None);
        assert_eq!(pause(&limited(600), 1, again), None);
        let missing = UpstreamError::NotFound {
            image: "i".to_owned(),
        };
        assert_eq!(pause(&missing, 1, again), None);
    }
}
