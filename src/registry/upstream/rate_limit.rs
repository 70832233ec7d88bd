//! How registries tell that they answer no more pulls for a while.

use http::HeaderMap;

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
}
