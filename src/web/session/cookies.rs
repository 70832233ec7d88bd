//! Names, reading and writing of the console's cookies.
//!
//! Apps are on sibling names of the console and can plant cookies for all of them. A name with the
//! prefix `__Host-` cannot be planted; browsers take it only with `Secure`, which they accept over
//! HTTPS and for loopback names. Elsewhere the name has no prefix, and two cookies of one name count
//! as none. Ports do not separate cookies, so that the name has the platform's id.

use http::{HeaderMap, HeaderValue, header};

use crate::base::Secret;
use crate::net::{RequestBase, Scheme};

/// What a cookie is for.
#[derive(Clone, Copy)]
pub(crate) enum Cookie {
    /// The secret of a session.
    Session,
    /// A sign-in in progress.
    SignIn,
}

/// The cookies of one platform at one origin.
pub(crate) struct Jar<'a> {
    pub(crate) base: &'a RequestBase,
    pub(crate) platform_id: &'a str,
}

impl Jar<'_> {
    fn is_secure(&self) -> bool {
        if self.base.scheme == Scheme::Https {
            return true;
        }
        let host = self.base.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || address
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    fn name(&self, cookie: Cookie) -> String {
        let prefix = if self.is_secure() { "__Host-" } else { "" };
        let kind = match cookie {
            Cookie::Session => "cflite-console",
            Cookie::SignIn => "cflite-console-sign-in",
        };
        let id: String = self.platform_id.chars().take(8).collect();
        format!("{prefix}{kind}-{id}")
    }

    /// The value that the browser sent; `None` when there is none or more than one.
    pub(crate) fn read(&self, cookie: Cookie, headers: &HeaderMap) -> Option<Secret<String>> {
        let name = self.name(cookie);
        let lines = headers.get_all(header::COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
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

    /// The header that stores it for this long.
    pub(crate) fn store(&self, cookie: Cookie, value: &str, seconds: u64) -> Option<HeaderValue> {
        let secure = if self.is_secure() { "; Secure" } else { "" };
        // A strict cookie would not come with the redirect that ends a sign-in elsewhere.
        let same_site = match cookie {
            Cookie::Session => "Strict",
            Cookie::SignIn => "Lax",
        };
        let name = self.name(cookie);
        let text = format!(
            "{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}"
        );
        HeaderValue::from_str(&text).ok()
    }

    /// The header that removes it.
    pub(crate) fn remove(&self, cookie: Cookie) -> Option<HeaderValue> {
        self.store(cookie, "", 0)
    }
}

#[cfg(test)]
mod tests {
    use http::uri::Authority;

    use super::*;

    fn base(scheme: Scheme, authority: &'static str) -> RequestBase {
        RequestBase {
            scheme,
            authority: Authority::from_static(authority),
            client: ([127, 0, 0, 1], 5).into(),
        }
    }

    fn stored(base: &RequestBase) -> String {
        let jar = Jar {
            base,
            platform_id: "0123456789",
        };
        let header = jar.store(Cookie::Session, "x", 60).expect("a header");
        header.to_str().expect("text").to_owned()
    }

    #[test]
    fn apps_cannot_plant_it_wherever_browsers_allow_the_prefix() {
        for (scheme, authority) in [
            (Scheme::Https, "console.example.com"),
            (Scheme::Http, "console.cf.localhost:8080"),
            (Scheme::Http, "localhost:8080"),
            (Scheme::Http, "127.0.0.1:8080"),
            (Scheme::Http, "[::1]:8080"),
        ] {
            let text = stored(&base(scheme, authority));
            assert!(
                text.starts_with("__Host-cflite-console-01234567=x; Path=/; "),
                "{text}"
            );
            assert!(
                text.ends_with("; HttpOnly; SameSite=Strict; Secure"),
                "{text}"
            );
        }
        let text = stored(&base(Scheme::Http, "10.0.0.7.example.com"));
        assert!(text.starts_with("cflite-console-01234567=x; "), "{text}");
        assert!(!text.contains("Secure"), "{text}");
    }

    #[test]
    fn two_cookies_of_one_name_count_as_none() {
        let base = base(Scheme::Http, "10.0.0.7.example.com");
        let jar = Jar {
            base: &base,
            platform_id: "p",
        };
        let read = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_static(line));
            let found = jar.read(Cookie::Session, &headers);
            found.map(|secret| secret.expose().clone())
        };
        assert_eq!(read("a=b; cflite-console-p=x=y").as_deref(), Some("x=y"));
        assert_eq!(read("cflite-console-p=x; cflite-console-p=y"), None);
        assert_eq!(read("cflite-console-p="), None);
        assert_eq!(read("a=b"), None);
    }
}
