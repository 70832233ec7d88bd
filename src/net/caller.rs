//! What a handler knows about its caller: request extensions set by the front door.
//!
//! Platform services build every link from [`RequestBase`], so that the response to
//! `http://localhost:8080` links there and not to a name the caller cannot resolve.

use std::fmt;
use std::net::SocketAddr;

use http::HeaderValue;
use http::header::HeaderName;
use http::uri::Authority;

/// The request id's header, on requests to apps and platform and on responses.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-vcap-request-id");

/// Scheme of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that URLs need not name.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Scheme and authority of the request, and the caller's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBase {
    /// Scheme of the listener that accepted the request.
    pub scheme: Scheme,
    /// Host and, unless it is the scheme's default, port, as the caller sent them.
    pub authority: Authority,
    /// The caller's address.
    pub client: SocketAddr,
}

impl RequestBase {
    /// `https://api.cf.localhost:8443`, never with a slash at the end.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The host without port, in lower case.
    pub fn host(&self) -> String {
        self.authority.host().to_ascii_lowercase()
    }

    /// The origin of another name of the platform, on the same scheme and port. A caller that
    /// used `localhost` or an IP address may not resolve names and keeps its own origin.
    pub fn origin_of(&self, name: &str, system_domain: &str) -> String {
        let host = self.host();
        let named = host == system_domain
            || host
                .strip_suffix(system_domain)
                .is_some_and(|rest| rest.ends_with('.'));
        if !named {
            return self.origin();
        }
        match self.authority.port_u16() {
            Some(port) => format!("{}://{name}.{system_domain}:{port}", self.scheme),
            None => format!("{}://{name}.{system_domain}", self.scheme),
        }
    }
}

/// The id of one request, a UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// A new random id.
    pub fn random() -> Self {
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = id.hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-")))
    }

    /// As a header's value.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(authority: &'static str) -> RequestBase {
        RequestBase {
            scheme: Scheme::Https,
            authority: Authority::from_static(authority),
            client: ([127, 0, 0, 1], 5).into(),
        }
    }

    #[test]
    fn links_use_an_origin_the_caller_can_reach() {
        let cases = [
            ("api.cf.localhost:8443", "https://uaa.cf.localhost:8443"),
            ("api.cf.localhost", "https://uaa.cf.localhost"),
            ("CF.localhost", "https://uaa.cf.localhost"),
            ("localhost:8443", "https://localhost:8443"),
            ("127.0.0.1:8443", "https://127.0.0.1:8443"),
            ("[::1]:8443", "https://[::1]:8443"),
            ("notcf.localhost", "https://notcf.localhost"),
        ];
        for (authority, expected) in cases {
            let base = base(authority);
            assert_eq!(
                base.origin_of("uaa", "cf.localhost"),
                expected,
                "{authority}"
            );
        }
    }

    #[test]
    fn request_ids_are_version_4_uuids() {
        let id = RequestId::random();
        let parsed = uuid::Uuid::parse_str(id.as_str()).unwrap();
        assert_eq!(parsed.get_version_num(), 4);
        assert_ne!(id, RequestId::random());
    }
}
