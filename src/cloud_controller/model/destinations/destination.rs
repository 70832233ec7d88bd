//! Destinations of routes.

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DestinationGuid, RouteGuid, SpaceGuid};
use crate::cloud_controller::model::routes::RouteProtocol;

/// The port of apps that name none.
pub(crate) const DEFAULT_PORT: u16 = 8080;

/// The protocol of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2.
    Http2,
    /// TCP; only for routes of TCP domains.
    Tcp,
}

impl Protocol {
    /// That of destinations that name none.
    pub(crate) fn usual(route: RouteProtocol) -> Self {
        match route {
            RouteProtocol::Http => Self::Http1,
            RouteProtocol::Tcp => Self::Tcp,
        }
    }

    /// `http1`, `http2`, `tcp`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Tcp => "tcp",
        }
    }

    /// The reverse of [`Protocol::as_str`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Http1, Self::Http2, Self::Tcp]
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
    }
}

/// The key that identifies a destination of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DestinationKey {
    pub app_guid: AppGuid,
    pub process_type: String,
    /// 0 = the default port of the app's image.
    pub port: u16,
}

/// A stored destination.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub guid: DestinationGuid,
    pub route_guid: RouteGuid,
    pub key: DestinationKey,
    pub protocol: Protocol,
    pub weight: Option<i64>,
    /// The port shown to clients: that of the image when none is set.
    pub shown_port: u16,
    pub app_name: String,
    pub app_space_guid: SpaceGuid,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A requested destination.
#[derive(Debug, Clone)]
pub(crate) struct NewDestination {
    pub app_guid: AppGuid,
    pub process_type: String,
    /// `None` = the default.
    pub port: Option<u16>,
    /// `None` = the protocol of the route.
    pub protocol: Option<Protocol>,
    pub weight: Option<i64>,
}

impl NewDestination {
    /// An app's web process on its default port.
    pub(crate) fn web(app_guid: AppGuid, protocol: Option<Protocol>) -> Self {
        Self {
            app_guid,
            process_type: "web".to_owned(),
            port: None,
            protocol,
            weight: None,
        }
    }
}

/// The first TCP port an image exposes, from a droplet's execution metadata.
pub(crate) fn exposed_port(execution_metadata: &str) -> Option<u16> {
    let metadata: serde_json::Value = serde_json::from_str(execution_metadata).ok()?;
    let ports = metadata.get("ports")?.as_array()?;
    let first = ports
        .iter()
        .find(|port| port.get("Protocol").is_none_or(|p| p == "tcp"))?;
    u16::try_from(first.get("Port")?.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tcp_port_of_an_image() {
        let cases = [
            ("", None),
            ("{}", None),
            (r#"{"ports":[]}"#, None),
            (
                r#"{"ports":[{"Port":53,"Protocol":"udp"},{"Port":80,"Protocol":"tcp"},{"Port":81}]}"#,
                Some(80),
            ),
            (r#"{"ports":[{"Port":70000}]}"#, None),
        ];
        for (metadata, port) in cases {
            assert_eq!(exposed_port(metadata), port, "{metadata}");
        }
    }
}
