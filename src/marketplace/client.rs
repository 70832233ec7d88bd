//! Sends requests to brokers: no redirects, one deadline, bodies of limited size.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Limited};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, redirect};
use tokio::net::lookup_host;
use tower::ServiceExt as _;

use super::request::{Broker, Message, Request};
use super::schedule::retry_after;
use crate::base::{Clock, GuidSource};
use crate::net::http_client;

/// For one request, from the connection to the last byte of the answer.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// For its connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// Largest catalog.
pub const LARGEST_CATALOG: usize = 8 << 20;
/// Largest other answer.
pub const LARGEST_ANSWER: usize = 1 << 20;
/// Versions of the API, newest first: what a broker refuses is not announced again.
pub const VERSIONS: [&str; 3] = ["2.17", "2.15", "2.13"];

/// What a broker answered, or why it did not.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An answer.
    Answered {
        /// Status.
        status: u16,
        /// The body; `None` = larger than allowed.
        body: Option<Vec<u8>>,
        /// When to ask again.
        retry_after: Option<Duration>,
    },
    /// The deadline passed.
    TimedOut,
    /// Nobody took the request.
    Unreachable,
    /// Nobody was asked: this host is not on this machine.
    Offline(String),
    /// The connection broke, or what came was no HTTP.
    BrokeOff,
}

/// Reply, and the version the broker agreed to when it refused the newest.
#[derive(Debug)]
pub struct Sent {
    /// The reply.
    pub reply: Reply,
    /// The version.
    pub version: Option<String>,
}

/// A client of brokers; cheap to clone.
#[derive(Clone)]
pub struct Client {
    direct: reqwest::Client,
    proxied: reqwest::Client,
    clock: Arc<dyn Clock>,
    guids: GuidSource,
    /// `host/v2/info`, without scheme.
    info_location: String,
    embedded: Option<Embedded>,
    /// Only brokers of this machine are asked.
    offline: bool,
    deadline: Duration,
}

/// What the platform is to a broker.
pub struct Platform {
    /// `http://api.cf.localhost:8080`.
    pub api_url: String,
    /// Certificates of the platform's own authority, so that brokers can be apps.
    pub roots: Vec<Certificate>,
    /// A broker in this process, if there is one.
    pub embedded: Option<Embedded>,
    /// No other machine is asked for anything.
    pub offline: bool,
}

/// A broker in this process: it is asked without a connection.
#[derive(Clone)]
pub struct Embedded {
    /// Its URL; who asks from outside finds it there.
    pub url: String,
    /// Its API.
    pub router: axum::Router,
}

impl Client {
    /// A client.
    pub fn new(
        platform: Platform,
        clock: Arc<dyn Clock>,
        guids: GuidSource,
    ) -> Result<Self, reqwest::Error> {
        let build = || {
            let builder = http_client::builder()
                .redirect(redirect::Policy::none())
                .dns_resolver(Arc::new(Names))
                .user_agent(concat!("cflite/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECTING)
                .pool_idle_timeout(Duration::from_secs(30));
            let roots = platform.roots.iter().cloned();
            roots.fold(builder, reqwest::ClientBuilder::add_root_certificate)
        };
        let api = platform.api_url.as_str();
        let host = api.split_once("://").map_or(api, |(_, host)| host);
        Ok(Self {
            direct: build().no_proxy().build()?,
            proxied: build().build()?,
            clock,
            guids,
            info_location: format!("{host}/v2/info"),
            embedded: platform.embedded.clone(),
            offline: platform.offline,
            deadline: DEADLINE,
        })
    }

    /// The same with another deadline, for tests.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks a broker, on behalf of a user if there is one.
    pub async fn send(&self, broker: &Broker, request: &Request, user: Option<&str>) -> Sent {
        let host = broker.host();
        if self.offline && !is_here(broker, &host) {
            return Sent {
                reply: Reply::Offline(host),
                version: None,
            };
        }
        let first = VERSIONS
            .iter()
            .position(|version| Some(*version) == broker.version.as_deref());
        let mut version = None;
        let sending = async {
            let mut reply = Reply::Unreachable;
            for announced in &VERSIONS[first.unwrap_or(0)..] {
                reply = self.once(broker, request, user, announced).await;
                version = Some((*announced).to_owned());
                let refused = matches!(reply, Reply::Answered { status: 412, .. });
                if !refused {
                    break;
                }
            }
            reply
        };
        let reply = tokio::time::timeout(self.deadline, sending).await;
        Sent {
            reply: reply.unwrap_or(Reply::TimedOut),
            version: version.filter(|version| version != VERSIONS[0]),
        }
    }

    async fn once(
        &self,
        broker: &Broker,
        request: &Request,
        user: Option<&str>,
        version: &str,
    ) -> Reply {
        let Ok(message) = request.message() else {
            return Reply::BrokeOff;
        };
        let identity = self.guids.next();
        tracing::debug!(
            method = %message.method, path = %message.path, request.identity = %identity,
            "asking a service broker"
        );
        let limit = match request {
            Request::Catalog => LARGEST_CATALOG,
            _ => LARGEST_ANSWER,
        };
        let mut request = self
            .prepared(broker, message)
            .basic_auth(&broker.username, Some(broker.password.expose()))
            .header("accept", "application/json")
            .header("x-broker-api-version", version)
            .header("x-broker-api-request-identity", &identity)
            .header("x-vcap-request-id", &identity)
            .header("x-api-info-location", &self.info_location);
        if let Some(user) = user {
            request = request.header("x-broker-api-originating-identity", originator(user));
        }
        let embedded = self.embedded.as_ref();
        if let Some(embedded) = embedded.filter(|embedded| embedded.url == broker.url) {
            return match request.build() {
                Ok(request) => embedded.answer(request, limit).await,
                Err(_) => Reply::BrokeOff,
            };
        }
        match request.send().await {
            Ok(response) => self.read(response, limit).await,
            // Without a connection nothing was sent, however long that took.
            Err(error) if error.is_connect() || error.is_builder() => Reply::Unreachable,
            Err(error) if error.is_timeout() => Reply::TimedOut,
            Err(_) => Reply::BrokeOff,
        }
    }

    fn prepared(&self, broker: &Broker, message: Message) -> reqwest::RequestBuilder {
        let url = format!("{}{}", broker.url.trim_end_matches('/'), message.path);
        let client = if is_here(broker, &broker.host()) {
            &self.direct
        } else {
            &self.proxied
        };
        let request = client.request(message.method, url);
        match message.body {
            None => request,
            Some(body) => request
                .header("content-type", "application/json")
                .body(body),
        }
    }

    async fn read(&self, mut response: reqwest::Response, limit: usize) -> Reply {
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after");
        let header = header.and_then(|value| value.to_str().ok());
        let now = self.clock.now().as_seconds();
        let retry_after = header.and_then(|text| retry_after(text, now));
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                    return Reply::Answered {
                        status,
                        body: None,
                        retry_after,
                    };
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) if error.is_timeout() => return Reply::TimedOut,
                Err(_) => return Reply::BrokeOff,
            }
        }
        Reply::Answered {
            status,
            body: Some(body),
            retry_after,
        }
    }
}

impl Embedded {
    async fn answer(&self, request: reqwest::Request, limit: usize) -> Reply {
        let path = request
            .url()
            .as_str()
            .strip_prefix(&self.url)
            .unwrap_or("/");
        let mut asked = http::Request::new(axum::body::Body::from(
            request
                .body()
                .and_then(reqwest::Body::as_bytes)
                .map(<[u8]>::to_vec)
                .unwrap_or_default(),
        ));
        let Ok(uri) = path.parse() else {
            return Reply::BrokeOff;
        };
        *asked.uri_mut() = uri;
        *asked.method_mut() = request.method().clone();
        *asked.headers_mut() = request.headers().clone();
        let Ok(response) = self.router.clone().oneshot(asked).await;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), limit).collect().await;
        Reply::Answered {
            status,
            body: body.ok().map(|body| body.to_bytes().to_vec()),
            retry_after: None,
        }
    }
}

/// `cloudfoundry eyJ1c2VyX2lkIjoi…`.
fn originator(user: &str) -> String {
    let json = serde_json::json!({ "user_id": user }).to_string();
    format!("cloudfoundry {}", STANDARD.encode(json))
}

/// Whether a broker is on this machine, to which no proxy leads.
fn is_here(broker: &Broker, host: &str) -> bool {
    broker.has_own_domain || is_local(host)
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    is_localhost(host)
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// RFC 6761: these names are this machine, whatever its resolver says.
fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = if is_localhost(&host) {
                vec![SocketAddr::from(([127, 0, 0, 1], 0))]
            } else {
                lookup_host((host, 0)).await?.collect()
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_told_as_base64() {
        assert_eq!(
            originator("683ea748"),
            "cloudfoundry eyJ1c2VyX2lkIjoiNjgzZWE3NDgifQ=="
        );
    }

    #[test]
    fn names_of_this_machine_are_known() {
        for local in ["localhost", "broker.cf.localhost", "127.0.0.1", "[::1]"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["example.com", "localhost.example.com", "10.0.0.1"] {
            assert!(!is_local(other), "{other}");
        }
    }
}
