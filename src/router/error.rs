//! Errors of the router itself, with the texts of Cloud Foundry's router.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use super::failure::{Failure, FailureKind, TlsFault};
use super::headers::ROUTER_ERROR;

/// Why a request does not reach an app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouterError {
    #[error("Request had empty Host header")]
    EmptyHost,
    #[error("missing required Host header")]
    MissingHost,
    #[error("Requested route ('{host}') does not exist.")]
    UnknownRoute { host: String },
    #[error("Invalid X-CF-App-Instance Header")]
    InvalidAppInstance,
    #[error("Invalid X-CF-Process-Instance Header")]
    InvalidProcessInstance,
    #[error(
        "Requested instance ('{index}') with guid ('{guid}') does not exist for route ('{host}')"
    )]
    UnknownAppInstance {
        guid: String,
        index: u32,
        host: String,
    },
    #[error("Requested instance {}with process guid ('{guid}') does not exist for route ('{host}')",
        index.map(|index| format!("('{index}') ")).unwrap_or_default())]
    UnknownProcessInstance {
        guid: String,
        index: Option<u32>,
        host: String,
    },
    #[error("Requested route ('{host}') has no available endpoints.")]
    NoEndpoints { host: String },
    #[error("Requested route ('{host}') has reached the connection limit.")]
    ConnectionLimit { host: String },
    #[error("the request's head is too large")]
    HeadTooLarge,
    #[error("Registered endpoint failed to handle the request.")]
    EndpointFailure { cause: String },
    #[error("{}", tls_text(*.fault))]
    Tls { fault: TlsFault, cause: String },
    #[error("Websocket requests are not supported for routes bound to Route Services.")]
    TunnelToRouteService,
    #[error("Failed to validate Route Service Signature: {0}")]
    RouteServiceSignature(String),
    #[error("Failed to validate Route Service Signature: route service request expired")]
    RouteServiceExpired,
    #[error("Route service request failed.")]
    RouteServiceUnsigned,
    #[error("the response switches to a protocol that was not requested")]
    WrongUpgrade,
    #[error("Request Cancelled")]
    ClientGone,
    #[error("internal failure")]
    Panic,
}

impl RouterError {
    /// The response status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::EmptyHost
            | Self::MissingHost
            | Self::InvalidAppInstance
            | Self::InvalidProcessInstance
            | Self::UnknownAppInstance { .. }
            | Self::UnknownProcessInstance { .. } => StatusCode::BAD_REQUEST,
            Self::UnknownRoute { .. } => StatusCode::NOT_FOUND,
            Self::NoEndpoints { .. }
            | Self::ConnectionLimit { .. }
            | Self::TunnelToRouteService => StatusCode::SERVICE_UNAVAILABLE,
            Self::RouteServiceExpired => StatusCode::GATEWAY_TIMEOUT,
            Self::RouteServiceUnsigned => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Tls { fault, .. } => other_status(tls_status(*fault)),
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::EndpointFailure { .. }
            | Self::RouteServiceSignature(_)
            | Self::WrongUpgrade
            | Self::Panic => StatusCode::BAD_GATEWAY,
            Self::ClientGone => other_status(499),
        }
    }

    /// Value of `X-Cf-RouterError`, in the response and in the access line.
    pub(crate) fn code(&self) -> Option<String> {
        let code = match self {
            Self::EmptyHost => "empty_host",
            Self::UnknownRoute { .. }
            | Self::UnknownAppInstance { .. }
            | Self::UnknownProcessInstance { .. } => "unknown_route",
            Self::InvalidAppInstance => "invalid_cf_app_instance_header",
            Self::InvalidProcessInstance => "invalid_cf_process_instance_header",
            Self::NoEndpoints { .. } => "no_endpoints",
            Self::ConnectionLimit { .. } => "Connection Limit Reached",
            Self::HeadTooLarge => "max-request-size-exceeded",
            Self::EndpointFailure { cause } | Self::Tls { cause, .. } => {
                return Some(format!("endpoint_failure ({cause})"));
            }
            Self::ClientGone => "endpoint_failure (context canceled)",
            Self::Panic => "unknown_failure",
            Self::TunnelToRouteService => "route_service_unsupported",
            Self::MissingHost
            | Self::WrongUpgrade
            | Self::RouteServiceSignature(_)
            | Self::RouteServiceExpired
            | Self::RouteServiceUnsigned => return None,
        };
        Some(code.to_owned())
    }

    fn cache_control(&self) -> Option<&'static str> {
        match self {
            Self::EmptyHost | Self::NoEndpoints { .. } => Some("public,max-age=2"),
            Self::UnknownRoute { .. }
            | Self::InvalidAppInstance
            | Self::InvalidProcessInstance
            | Self::UnknownAppInstance { .. }
            | Self::UnknownProcessInstance { .. } => Some("no-cache, no-store"),
            Self::EndpointFailure { .. }
            | Self::HeadTooLarge
            | Self::MissingHost
            | Self::WrongUpgrade
            | Self::ClientGone
            | Self::ConnectionLimit { .. }
            | Self::Tls { .. }
            | Self::TunnelToRouteService
            | Self::RouteServiceSignature(_)
            | Self::RouteServiceExpired
            | Self::RouteServiceUnsigned
            | Self::Panic => None,
        }
    }

    /// The body's text.
    pub(crate) fn text(&self) -> String {
        let status = self.status();
        match self {
            Self::HeadTooLarge | Self::WrongUpgrade | Self::Panic => String::new(),
            Self::ClientGone => format!("499 {self}\n"),
            Self::Tls { fault, .. } => format!("{} {self}\n", tls_status(*fault)),
            Self::MissingHost => format!("{status}: {self}"),
            _ => format!("{status}: {self}\n"),
        }
    }

    /// The response without its body.
    pub(crate) fn head(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        if let Some(code) = self.code()
            && let Ok(value) = HeaderValue::from_str(&code)
        {
            headers.insert(ROUTER_ERROR, value);
        }
        if let Some(value) = self.cache_control() {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
        }
        if !matches!(self, Self::HeadTooLarge | Self::WrongUpgrade | Self::Panic) {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, plain);
            let nosniff = HeaderValue::from_static("nosniff");
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        }
        if matches!(self, Self::MissingHost) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A status that HTTP does not define.
fn other_status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY)
}

fn tls_status(fault: TlsFault) -> u16 {
    match fault {
        TlsFault::Untrusted => 526,
        TlsFault::WrongName => 503,
        TlsFault::OurCertificate => 496,
        TlsFault::Handshake => 525,
    }
}

fn tls_text(fault: TlsFault) -> &'static str {
    match fault {
        TlsFault::Untrusted => "Invalid SSL Certificate",
        TlsFault::WrongName => "Service Unavailable",
        TlsFault::OurCertificate => "SSL Certificate Required",
        TlsFault::Handshake => "SSL Handshake Failed",
    }
}

impl From<Failure> for RouterError {
    fn from(failure: Failure) -> Self {
        let Failure { kind, cause, .. } = failure;
        match kind {
            FailureKind::Tls(fault) => Self::Tls { fault, cause },
            _ => Self::EndpointFailure { cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: &RouterError) -> String {
        let head = error.head();
        let get = |name: &str| {
            let value = head.headers().get(name);
            value.map_or("-", |value| value.to_str().unwrap())
        };
        format!(
            "{} | {} | {} | {:?}",
            head.status().as_u16(),
            get("x-cf-routererror"),
            get("cache-control"),
            error.text()
        )
    }

    #[test]
    fn errors_read_as_on_a_real_router() {
        let host = || "shop.example:8080".to_owned();
        let guid = || "G".to_owned();
        let errors = [
            RouterError::EmptyHost,
            RouterError::UnknownRoute { host: host() },
            RouterError::InvalidAppInstance,
            RouterError::InvalidProcessInstance,
            RouterError::UnknownAppInstance {
                guid: guid(),
                index: 7,
                host: host(),
            },
            RouterError::UnknownProcessInstance {
                guid: guid(),
                index: Some(7),
                host: host(),
            },
            RouterError::UnknownProcessInstance {
                guid: guid(),
                index: None,
                host: host(),
            },
            RouterError::NoEndpoints { host: host() },
            RouterError::HeadTooLarge,
            RouterError::EndpointFailure {
                cause: "connection refused".to_owned(),
            },
            RouterError::WrongUpgrade,
            RouterError::ClientGone,
            RouterError::Panic,
        ];
        let shown: Vec<String> = errors.iter().map(shown).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        400 | empty_host | public,max-age=2 | "400 Bad Request: Request had empty Host header\n"
        404 | unknown_route | no-cache, no-store | "404 Not Found: Requested route ('shop.example:8080') does not exist.\n"
        400 | invalid_cf_app_instance_header | no-cache, no-store | "400 Bad Request: Invalid X-CF-App-Instance Header\n"
        400 | invalid_cf_process_instance_header | no-cache, no-store | "400 Bad Request: Invalid X-CF-Process-Instance Header\n"
        400 | unknown_route | no-cache, no-store | "400 Bad Request: Requested instance ('7') with guid ('G') does not exist for route ('shop.example:8080')\n"
        400 | unknown_route | no-cache, no-store | "400 Bad Request: Requested instance ('7') with process guid ('G') does not exist for route ('shop.example:8080')\n"
        400 | unknown_route | no-cache, no-store | "400 Bad Request: Requested instance with process guid ('G') does not exist for route ('shop.example:8080')\n"
        503 | no_endpoints | public,max-age=2 | "503 Service Unavailable: Requested route ('shop.example:8080') has no available endpoints.\n"
        431 | max-request-size-exceeded | - | ""
        502 | endpoint_failure (connection refused) | - | "502 Bad Gateway: Registered endpoint failed to handle the request.\n"
        502 | - | - | ""
        499 | endpoint_failure (context canceled) | - | "499 Request Cancelled\n"
        502 | unknown_failure | - | ""
        "#);
    }
}
