//! The options `log-drain` and `log-drain-blocked`.

use url::Url;

use super::ConfigError;
use crate::net::Network;

const SCHEMES: [&str; 4] = ["syslog", "syslog-tls", "https", "https-batch"];

/// Checks URLs of log drains. What is told of a wrong one has no password.
pub(super) fn check(urls: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let usable = |text: &String| {
        Url::parse(text).is_ok_and(|url| SCHEMES.contains(&url.scheme()) && url.host().is_some())
    };
    if urls.iter().all(usable) {
        return Ok(urls);
    }
    Err(ConfigError::Value {
        option: "log-drain",
        reason: "a URL must have a host and the scheme syslog, syslog-tls, https or https-batch, \
                 such as syslog-tls://logs.example.com:6514"
            .to_owned(),
    })
}

/// The networks that no drain may lead to.
pub(super) fn blocked(networks: &[String]) -> Result<Vec<Network>, ConfigError> {
    let parsed = networks.iter().map(|text| {
        text.parse().map_err(|error| ConfigError::Value {
            option: "log-drain-blocked",
            reason: format!("{text:?} is {error}"),
        })
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_urls_are_refused_without_being_shown() {
        let check = |url: &str| check(vec![url.to_owned()]);
        assert!(check("syslog-tls://logs.example.com:6514?drain-data=all").is_ok());
        assert!(check("https-batch://u:p@h/path").is_ok());
        for bad in ["ftp://hunter2@h", "syslog:hunter2", "hunter2", "syslog://"] {
            let refused = check(bad).expect_err(bad).to_string();
            assert!(refused.starts_with("log-drain: "), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn networks_can_be_blocked() {
        let networks = ["169.254.0.0/16", "10.0.0.1"].map(str::to_owned);
        assert_eq!(blocked(&networks).expect("networks").len(), 2);
        let refused = blocked(&["10.0.0.0/99".to_owned()]).expect_err("no network");
        assert_eq!(
            refused.to_string(),
            "log-drain-blocked: \"10.0.0.0/99\" is neither an address nor a network such as 10.0.0.0/8"
        );
    }
}
