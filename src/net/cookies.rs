//! Cookies on names that apps' names are siblings of.
//!
//! An app can plant a cookie for all names of its domain, in front of an ordinary one. A name with
//! the prefix `__Host-` cannot be planted; browsers take it only with `Secure`, which they accept
//! over HTTPS and for loopback names. Elsewhere the name has no prefix, and two cookies of one name
//! count as none.

use std::net::IpAddr;

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, header};

use crate::base::Secret;

/// When a browser sends a cookie along with a request that another site began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// With links that a person follows.
    Lax,
}

impl SameSite {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
        }
    }
}

/// The cookies of the platform at one origin.
#[derive(Clone, Copy, Debug)]
pub struct CookieJar {
    /// Whether browsers accept `Secure` cookies from there.
    secure: bool,
}

impl CookieJar {
    /// Those of `http://console.cf.localhost:8080`; an origin that is no address has none that is
    /// secure.
    pub fn of(origin: &str) -> Self {
        let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
        let authority: Option<Authority> = rest.parse().ok();
        let host = authority.map(|authority| authority.host().to_ascii_lowercase());
        let host = host.unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = host == "localhost"
            || host.ends_with(".localhost")
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        Self {
            secure: scheme == "https" || scheme == "http" && is_loopback,
        }
    }

    fn name(self, plain: &str) -> String {
        let prefix = if self.secure { "__Host-" } else { "" };
        format!("{prefix}{plain}")
    }

    /// The value that the browser sent; `None` when there is none or more than one.
    pub fn read(self, plain: &str, headers: &HeaderMap) -> Option<Secret<String>> {
        let name = self.name(plain);
        let lines = headers.get_all(header::COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        // Cookies of others may hold any bytes.
        let pairs = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
        let mut found = pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(value), None) if !value.is_empty() => Some(Secret::new(value.to_owned())),
            _ => None,
        }
    }

    /// The header that stores a cookie that no script can read for this many seconds; 0 removes
    /// it. `None` when the value has characters that no header may have.
    pub fn store(
        self,
        plain: &str,
        value: &str,
        (seconds, same_site): (u64, SameSite),
    ) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let (name, same_site) = (self.name(plain), same_site.as_str());
        let text = format!(
            "{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}"
        );
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(origin: &str) -> String {
        let header = CookieJar::of(origin).store("session", "x", (60, SameSite::Strict));
        let header = header.expect("a header");
        header.to_str().expect("text").to_owned()
    }

    #[test]
    fn apps_cannot_plant_it_wherever_browsers_allow_the_prefix() {
        for origin in [
            "https://console.example.com",
            "http://console.cf.localhost:8080",
            "http://localhost:8080",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
        ] {
            let text = stored(origin);
            assert!(text.starts_with("__Host-session=x; Path=/; "), "{text}");
            assert!(
                text.ends_with("; HttpOnly; SameSite=Strict; Secure"),
                "{text}"
            );
        }
        let text = stored("http://10.0.0.7.example.com:8080");
        assert!(text.starts_with("session=x; "), "{text}");
        assert!(!text.contains("Secure"), "{text}");
    }

    #[test]
    fn cookies_are_found_among_others_and_two_of_one_name_count_as_none() {
        let jar = CookieJar::of("http://10.0.0.7.example.com");
        let read = |line: &[u8]| {
            let mut headers = HeaderMap::new();
            let line = HeaderValue::from_bytes(line).expect("a header");
            headers.append(header::COOKIE, HeaderValue::from_static("b=2;c="));
            headers.append(header::COOKIE, line);
            let found = jar.read("session", &headers);
            found.map(|secret| secret.expose().clone())
        };
        assert_eq!(read(b"a=b; session=x=y").as_deref(), Some("x=y"));
        assert_eq!(read(b"odd=\xff; session=4").as_deref(), Some("4"));
        assert_eq!(read(b"session=x; session=y"), None);
        assert_eq!(read(b"session="), None);
        assert_eq!(read(b"a=b; mysession=1"), None);
    }
}
