//! Where a route service is.

use http::request::Parts;
use http::{HeaderValue, Uri, header};
use url::Url;

/// Where requests to a route go first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteService {
    /// Host name or address, lower case.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as the URL has them.
    pub(super) authority: HeaderValue,
    /// Path and query.
    pub(super) target: Uri,
}

impl RouteService {
    /// `None` unless the text is an HTTPS URL with a host.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        (url.scheme() == "https").then_some(())?;
        Some(Self {
            host: host.to_owned(),
            port: url.port_or_known_default()?,
            authority: authority.parse().ok()?,
            target: url[url::Position::BeforePath..url::Position::AfterQuery]
                .parse()
                .ok()?,
        })
    }

    /// Whether its host is a domain or below it.
    pub(super) fn is_below(&self, domain: &str) -> bool {
        let before = self.host.strip_suffix(domain);
        let is_below = |before: &str| before.is_empty() || before.ends_with('.');
        !domain.is_empty() && before.is_some_and(is_below)
    }

    /// The request becomes one to the service.
    pub(super) fn address(&self, head: &mut Parts) {
        head.uri = self.target.clone();
        head.headers.insert(header::HOST, self.authority.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_urls_with_a_host_are_services() {
        for bad in ["", "http://a.example", "a.example", "https://", "ftp://a"] {
            assert_eq!(RouteService::parse(bad), None, "{bad}");
        }
        let service = RouteService::parse("https://Log.Example:8443/a%2Fb?c=d#e").unwrap();
        assert_eq!(service.host, "log.example");
        assert_eq!(service.port, 8443);
        assert_eq!(service.authority, "log.example:8443");
        assert_eq!(service.target, "/a%2Fb?c=d");
        let service = RouteService::parse("https://log.example").unwrap();
        assert_eq!((service.port, &*service.target.to_string()), (443, "/"));
    }
}
