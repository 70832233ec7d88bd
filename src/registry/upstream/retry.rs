//! What a failed request means, and whether another try is of use.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use super::error::UpstreamError;

/// Tries of a request that cannot connect or that the registry fails to answer.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// An answer that asks to wait longer is an error.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long to wait before another try; `None` = it is no use.
pub(super) fn pause(error: &UpstreamError, failures: u32) -> Option<Duration> {
    match error {
        UpstreamError::RateLimited {
            retry_after: Some(after),
            ..
        } if failures == 1 && *after <= LONGEST_WAIT => Some(*after),
        UpstreamError::Failed { status, .. } if *status >= 500 && failures < TRIES => {
            Some(PAUSE * failures)
        }
        UpstreamError::Unreachable { .. } if failures < TRIES => Some(PAUSE * failures),
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
        let unreachable = UpstreamError::Unreachable {
            host: "h".to_owned(),
            reason: String::new(),
        };
        assert_eq!(pause(&unreachable, 1), Some(PAUSE));
        assert_eq!(pause(&unreachable, TRIES), None);
        let limited = |seconds| UpstreamError::RateLimited {
            host: "h".to_owned(),
            detail: String::new(),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(pause(&limited(2), 1), Some(Duration::from_secs(2)));
        assert_eq!(pause(&limited(2), 2), None);
        assert_eq!(pause(&limited(600), 1), None);
        let missing = UpstreamError::NotFound {
            image: "i".to_owned(),
        };
        assert_eq!(pause(&missing, 1), None);
    }
}
