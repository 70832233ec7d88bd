//! A route.

use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::base::guid::{DomainGuid, RouteGuid, SpaceGuid};

/// A stored route with the name of its domain.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub guid: RouteGuid,
    pub space_guid: SpaceGuid,
    pub domain_guid: DomainGuid,
    pub domain_name: String,
    pub protocol: RouteProtocol,
    /// Empty = the domain itself.
    pub host: String,
    /// Empty, or starts with `/`.
    pub path: String,
    /// 0 = none.
    pub port: u16,
    /// Never contains a null.
    pub options: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What the routes of a domain carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteProtocol {
    /// Requests, told apart by host and path.
    Http,
    /// Connections, told apart by port.
    Tcp,
}

impl RouteProtocol {
    /// `http`, `tcp`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// Where a route is below its domain, as [`Route`] has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoutePlace<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub port: u16,
}

impl Route {
    /// Host and domain.
    pub(crate) fn fqdn(&self) -> String {
        if self.host.is_empty() {
            self.domain_name.clone()
        } else {
            format!("{}.{}", self.host, self.domain_name)
        }
    }

    /// As clients see it: without scheme, with path or port.
    pub(crate) fn url(&self) -> String {
        if self.port > 0 {
            format!("{}:{}", self.domain_name, self.port)
        } else {
            format!("{}{}", self.fqdn(), self.path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_has_host_and_path_or_port() {
        let cases = [
            (("shop", "", 0), "shop.example.com"),
            (("shop", "/a/b", 0), "shop.example.com/a/b"),
            (("", "/a", 0), "example.com/a"),
            (("", "", 61001), "example.com:61001"),
        ];
        for ((host, path, port), url) in cases {
            let route = Route {
                guid: "r".into(),
                space_guid: "s".into(),
                domain_guid: "d".into(),
                domain_name: "example.com".to_owned(),
                protocol: RouteProtocol::Http,
                host: host.to_owned(),
                path: path.to_owned(),
                port,
                options: Map::new(),
                created_at: Timestamp::from_micros(0),
                updated_at: Timestamp::from_micros(0),
            };
            assert_eq!(route.url(), url);
        }
    }
}
