//! Why an attempt failed; decides the next step.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use http::Request;
use hyper::client::conn::TrySendError;

use super::instance_stream::MAX_RESPONSE_HEAD;
use super::request_body::RequestBody;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The connection was not established.
    Dial,
    /// TLS was not agreed on.
    Tls(TlsFault),
    /// The request was not written.
    Unsent,
    /// The connection ended before the response began.
    Interrupted,
    /// The connection was reset before the response began.
    Reset,
    /// The client's request body was cut off.
    Upload,
    /// The timeout elapsed.
    Timeout,
    /// The response head exceeds the limits.
    TooLarge,
    /// Anything else, such as a response that is not HTTP.
    Other,
}

/// Why TLS to a server is not agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsFault {
    /// Its certificate is of an unknown authority, or not valid now.
    Untrusted,
    /// Its certificate is for other names.
    WrongName,
    /// It demands a certificate that we do not have.
    OurCertificate,
    /// Anything else, such as a server without TLS.
    Handshake,
}

/// A failed attempt.
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// As a real router reports it in `X-Cf-RouterError`.
    pub(crate) cause: String,
    /// The unsent request, if it was returned.
    pub(crate) request: Option<Box<Request<RequestBody>>>,
}

/// Whether an HTTP/2 server says that it does not answer a request, but may answer it elsewhere: on
/// another connection.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

impl Failure {
    fn new(kind: FailureKind, cause: impl Into<String>) -> Self {
        Self {
            kind,
            cause: cause.into(),
            request: None,
        }
    }

    pub(crate) fn dial(address: SocketAddr, error: &io::Error) -> Self {
        let what = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
            io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
            _ => error.to_string(),
        };
        Self::new(FailureKind::Dial, format!("dial tcp {address}: {what}"))
    }

    /// A host name without address.
    pub(crate) fn lookup(host: &str, why: &str) -> Self {
        Self::new(FailureKind::Dial, format!("dial tcp: lookup {host}: {why}"))
    }

    pub(crate) fn tls(fault: TlsFault, cause: impl Into<String>) -> Self {
        Self::new(FailureKind::Tls(fault), cause)
    }

    /// There is nobody to ask, or everybody was.
    pub(crate) fn no_endpoints() -> Self {
        Self::new(FailureKind::Dial, "No endpoints available")
    }

    pub(crate) fn timeout() -> Self {
        Self::new(FailureKind::Timeout, "context deadline exceeded")
    }

    fn too_large() -> Self {
        let cause = format!(
            "net/http: HTTP/1.x transport connection broken: net/http: server response headers \
             exceeded {MAX_RESPONSE_HEAD} bytes; aborted"
        );
        Self::new(FailureKind::TooLarge, cause)
    }

    /// The response head is within the size limit, but has too many fields.
    pub(crate) fn too_many_fields() -> Self {
        Self::new(FailureKind::TooLarge, "Too many response headers")
    }

    pub(crate) fn from_unsent(mut error: TrySendError<Request<RequestBody>>) -> Self {
        let request = error.take_message().map(Box::new);
        let mut failure = Self::from_error(error.into_error());
        if request.is_some() {
            failure.kind = FailureKind::Unsent;
            failure.request = request;
        }
        failure
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "used as a function of map_err"
    )]
    pub(crate) fn from_error(error: hyper::Error) -> Self {
        if error.is_parse_too_large() {
            return Self::too_large();
        }
        if error.is_user() {
            return Self::new(FailureKind::Upload, "context canceled");
        }
        if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            return Self::new(FailureKind::Interrupted, "EOF");
        }
        let mut source = error.source();
        while let Some(inner) = source {
            if inner.downcast_ref().is_some_and(is_unprocessed) {
                return Self::new(FailureKind::Interrupted, "EOF");
            }
            if let Some(inner) = inner.downcast_ref::<io::Error>() {
                return Self::from_io(inner);
            }
            source = inner.source();
        }
        Self::new(FailureKind::Other, error.to_string())
    }

    fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset => {
                Self::new(FailureKind::Reset, "read: connection reset by peer")
            }
            io::ErrorKind::BrokenPipe => Self::new(FailureKind::Reset, "write: broken pipe"),
            io::ErrorKind::UnexpectedEof => Self::new(FailureKind::Interrupted, "EOF"),
            _ => Self::new(FailureKind::Other, error.to_string()),
        }
    }

    /// Whether nothing of the request was sent: it can be sent elsewhere.
    pub(crate) fn is_before_request(&self) -> bool {
        matches!(self.kind, FailureKind::Dial | FailureKind::Tls(_))
    }

    /// Whether the endpoint becomes ineligible for a while.
    pub(crate) fn is_endpoint_failure(&self) -> bool {
        matches!(self.kind, FailureKind::Dial | FailureKind::Reset)
    }
}
