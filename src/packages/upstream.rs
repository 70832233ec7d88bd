//! Asks the registries.

use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use reqwest::{Client, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use super::failure::Failure;
use super::source::{Server, Source, with_slash};
use super::store::{Head, Held};
use super::target::Target;
use crate::net::outside::{self, Patience, Reach, retry_after, root_cause};

/// The most requests to one registry at once, and how long another one waits for its turn.
const AT_ONCE: usize = 16;
const TURN: Duration = Duration::from_secs(60);
/// Tries of a broken download without a new byte.
const TRIES: u32 = 3;
/// The longest content type that is kept.
const LONGEST_TYPE: usize = 200;

/// How the registries are asked.
pub(super) struct Upstreams {
    patience: Patience,
    /// For the servers of the fixed table.
    public: OnceLock<Client>,
    registries: BTreeMap<Source, Registry>,
}

struct Registry {
    /// The server that the configuration names.
    other: Option<Url>,
    client: OnceLock<Client>,
    turns: Semaphore,
}

/// A registry's answer.
pub(super) enum Answer {
    /// The copy is what it has.
    Same,
    /// Something new.
    Body(Box<Body>),
}

impl Upstreams {
    pub(super) fn new(other: &BTreeMap<Source, Url>, patience: Patience) -> Self {
        let registry = |source| Registry {
            other: other.get(&source).cloned(),
            client: OnceLock::new(),
            turns: Semaphore::new(AT_ONCE),
        };
        Self {
            patience,
            public: OnceLock::new(),
            registries: Source::ALL.map(|source| (source, registry(source))).into(),
        }
    }

    /// The server that the configuration names for a registry.
    pub(super) fn other(&self, source: Source) -> Option<&Url> {
        self.registries.get(&source)?.other.as_ref()
    }

    /// What the URLs of a server begin with.
    pub(super) fn base(&self, source: Source, server: Server) -> String {
        match self.other(source) {
            Some(url) if server == Server::Main => with_slash(url.as_str()),
            _ => server.default_base(source).to_owned(),
        }
    }

    /// The right to ask a registry; it goes when it is dropped.
    pub(super) async fn turn(
        &self,
        source: Source,
    ) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        let Some(registry) = self.registries.get(&source) else {
            return Ok(None);
        };
        let turn = tokio::time::timeout(TURN, registry.turns.acquire()).await;
        match turn {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => Err(Failure::Busy),
        }
    }

    /// Asks for a file or document, or whether the copy is still right.
    pub(super) async fn ask(
        &self,
        target: &Target,
        held: Option<&Held>,
    ) -> Result<Answer, Failure> {
        let request = self.request(target)?;
        let mut headers = HeaderMap::new();
        if let Some((_, form)) = target.forms {
            headers.insert(header::ACCEPT, HeaderValue::from_static(form.types[0]));
        }
        if let Some(held) = held {
            let validators = [
                (header::IF_NONE_MATCH, &held.head.etag),
                (header::IF_MODIFIED_SINCE, &held.head.last_modified),
            ];
            for (name, value) in validators {
                if let Some(value) = value.as_deref().and_then(|text| text.parse().ok()) {
                    headers.insert(name, value);
                }
            }
        }
        let response = request.send(&headers).await?;
        if response.status() == StatusCode::NOT_MODIFIED && held.is_some() {
            return Ok(Answer::Same);
        }
        let body = Body::new(request, response)?;
        Ok(Answer::Body(Box::new(body)))
    }

    fn request(&self, target: &Target) -> Result<Request, Failure> {
        let base = self.base(target.source, target.server);
        let url = Url::parse(&format!("{base}{}", target.upstream_path));
        let url = url.ok().filter(|url| url.as_str().starts_with(&base));
        let url = url.ok_or_else(|| {
            Failure::NoSuchPath(format!("{}: not a path below {base}", target.upstream_path))
        })?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let registry = self.registries.get(&target.source);
        let patience = self.patience;
        let named = registry.and_then(|one| Some((one, one.other.as_ref()?)));
        let client = match named.filter(|_| target.server == Server::Main) {
            Some((registry, server)) => outside::first_use(&registry.client, || {
                outside::named(patience, Reach::PUBLIC, server)
            }),
            None => outside::first_use(&self.public, || outside::guarded(patience, Reach::PUBLIC)),
        };
        Ok(Request {
            client: client.map_err(Failure::Storage)?,
            url,
            host,
            package: target.package.clone(),
            patience,
        })
    }
}

/// A request that may be sent again.
struct Request {
    client: Client,
    url: Url,
    host: String,
    package: String,
    patience: Patience,
}

impl Request {
    /// Sends it, again when it fails on the way.
    async fn send(&self, headers: &HeaderMap) -> Result<Response, Failure> {
        let mut failures = 0;
        loop {
            let failure = match self.send_once(headers).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            failures += 1;
            let trouble = failure.trouble();
            let pause = trouble.and_then(|trouble| self.patience.pause(trouble, failures));
            let Some(pause) = pause else {
                return Err(failure);
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn send_once(&self, headers: &HeaderMap) -> Result<Response, Failure> {
        let request = self.client.get(self.url.clone()).headers(headers.clone());
        let sent = tokio::time::timeout(self.patience.head, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_redirect() => {
                return Err(Failure::Refused {
                    host: self.host.clone(),
                    package: self.package.clone(),
                    reason: root_cause(&error),
                });
            }
            Ok(Err(error)) => return Err(self.unreachable(root_cause(&error))),
            Err(_) => {
                let seconds = self.patience.head.as_secs();
                return Err(self.unreachable(format!("no response within {seconds} s")));
            }
        };
        match response.status() {
            status if status.is_success() || status == StatusCode::NOT_MODIFIED => Ok(response),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Failure::Missing {
                host: self.host.clone(),
                path: self.url.path().to_owned(),
                package: self.package.clone(),
            }),
            status => Err(Failure::Status {
                host: self.host.clone(),
                package: self.package.clone(),
                status: status.as_u16(),
                retry_after: retry_after(response.headers()).map(|wait| wait.as_secs()),
            }),
        }
    }

    fn unreachable(&self, reason: String) -> Failure {
        Failure::Unreachable {
            host: self.host.clone(),
            package: self.package.clone(),
            reason,
        }
    }
}

/// A file or document that begins to arrive.
pub(super) struct Body {
    request: Request,
    response: Option<Response>,
    pub(super) head: Head,
    /// Its size, if the registry says it.
    pub(super) length: Option<u64>,
    received: u64,
    failures: u32,
}

impl Body {
    fn new(request: Request, response: Response) -> Result<Self, Failure> {
        let headers = response.headers();
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let chunked = headers.contains_key(header::TRANSFER_ENCODING);
        let length = response.content_length();
        if response.status() != StatusCode::OK {
            let status = response.status();
            return Err(request.unreachable(format!("it answers {status} to a whole request")));
        }
        // The end of such a body cannot be told from a broken connection.
        if response.version() <= Version::HTTP_11 && length.is_none() && !chunked {
            let reason = "its answer does not say where it ends".to_owned();
            return Err(request.unreachable(reason));
        }
        let content_type = text(header::CONTENT_TYPE).filter(|text| text.len() <= LONGEST_TYPE);
        let head = Head {
            content_type: content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            etag: text(header::ETAG),
            last_modified: text(header::LAST_MODIFIED),
        };
        Ok(Self {
            request,
            response: Some(response),
            head,
            length,
            received: 0,
            failures: 0,
        })
    }

    /// The server that sends it.
    pub(super) fn host(&self) -> &str {
        &self.request.host
    }

    /// All its bytes; a broken download continues where it ended. Errors are [`Failure`]s inside of
    /// `io::Error`s.
    pub(super) fn bytes(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::try_unfold(self, |mut body| async move {
            let chunk = body.next().await.map_err(io::Error::other)?;
            Ok(chunk.map(|chunk| (chunk, body)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let Some(response) = &mut self.response else {
                self.resume().await?;
                continue;
            };
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.is_empty() => {}
                Ok(Some(chunk)) => {
                    self.received += chunk.len() as u64;
                    self.failures = 0;
                    return Ok(Some(chunk));
                }
                Ok(None) if self.length.is_none_or(|length| length == self.received) => {
                    return Ok(None);
                }
                Ok(None) | Err(_) => self.response = None,
            }
        }
    }

    /// Asks for the rest, if the registry can say that it is the rest of the same.
    async fn resume(&mut self) -> Result<(), Failure> {
        self.failures += 1;
        let strong = self
            .head
            .etag
            .as_deref()
            .filter(|tag| !tag.starts_with("W/"));
        let validator = strong.or(self.head.last_modified.as_deref());
        let validator = validator.and_then(|text| text.parse::<HeaderValue>().ok());
        let range = format!("bytes={}-", self.received).parse::<HeaderValue>();
        let (Some(validator), Ok(range)) = (validator, range) else {
            return Err(self.truncated());
        };
        if self.failures >= TRIES || self.received == 0 {
            return Err(self.truncated());
        }
        let patience = self.request.patience;
        tokio::time::sleep(patience.resume * self.failures).await;
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_RANGE, validator);
        headers.insert(header::RANGE, range);
        let response = self.request.send(&headers).await?;
        let begins = format!("bytes {}-", self.received);
        let content_range = response.headers().get(header::CONTENT_RANGE);
        let is_rest = content_range
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.starts_with(&begins));
        if response.status() != StatusCode::PARTIAL_CONTENT || !is_rest {
            return Err(self.truncated());
        }
        self.response = Some(response);
        Ok(())
    }

    fn truncated(&self) -> Failure {
        Failure::Truncated {
            host: self.request.host.clone(),
            package: self.request.package.clone(),
            received: self.received,
        }
    }
}
