//! Asks a registry, with the authorization it wants.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use http::header::ACCEPT;
use http::{HeaderMap, Method, StatusCode};
use reqwest::redirect;
use reqwest::{Client, ClientBuilder, Response};
use tokio::sync::Mutex;
use url::Url;

use super::address;
use super::challenge::challenge;
use super::credentials::Credentials;
use super::error::UpstreamError;
use super::patience::{Patience, pause, rate_limit, retry_after};
use super::reference::ImageReference;
use super::token::{self, Authorization};
use crate::blobs::Digest;
use crate::registry::MAX_DOCUMENT;
use crate::registry::digest::AnyDigest;
use crate::registry::name::Reference;

const REDIRECTS: usize = 5;
/// The most of an error's text that is shown.
const SHOWN: usize = 300;

/// The manifests that can be used, as daemons ask for them.
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The registries that may be asked; cheap to clone.
#[derive(Clone)]
pub struct Upstreams(Arc<Inner>);

struct Inner {
    /// For hosts that users name.
    guarded: OnceLock<Client>,
    /// For addresses that the configuration names.
    trusted: OnceLock<Client>,
    /// Host -> where its API answers.
    configured: BTreeMap<String, Url>,
    patience: Patience,
}

impl Upstreams {
    /// Asks the given hosts at the given URLs, all others at `https://HOST`.
    pub fn new(configured: BTreeMap<String, Url>, patience: Patience) -> Self {
        Self(Arc::new(Inner {
            guarded: OnceLock::new(),
            trusted: OnceLock::new(),
            configured,
            patience,
        }))
    }

    /// Prepares requests about one image.
    pub(crate) fn session(
        &self,
        image: &ImageReference,
        credentials: Option<Credentials>,
    ) -> Result<Session, UpstreamError> {
        let refused = |reason: String| UpstreamError::Refused {
            host: image.host().to_owned(),
            reason,
        };
        let patience = self.0.patience;
        let configured = self.0.configured.get(image.host()).cloned();
        let (client, base) = match configured {
            Some(url) => (
                client(&self.0.trusted, || trusted(patience)).map_err(refused)?,
                url,
            ),
            None => {
                let url = Url::parse(&format!("https://{}", image.api_host()))
                    .map_err(|error| refused(error.to_string()))?;
                if let Some(why) = address::forbidden_url(&url) {
                    return Err(refused(why.to_owned()));
                }
                (
                    client(&self.0.guarded, || guarded(patience)).map_err(refused)?,
                    url,
                )
            }
        };
        Ok(Session {
            client,
            base,
            image: image.clone(),
            credentials,
            authorization: Arc::default(),
            patience,
        })
    }
}

/// Clients are made when they are first needed: reading the certificates of this machine's store
/// takes time and memory.
fn client(
    held: &OnceLock<Client>,
    build: impl FnOnce() -> reqwest::Result<Client>,
) -> Result<Client, String> {
    if let Some(client) = held.get() {
        return Ok(client.clone());
    }
    let client = build().map_err(|error| root_cause(&error))?;
    Ok(held.get_or_init(|| client).clone())
}

fn builder(patience: Patience) -> ClientBuilder {
    // Fails if there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .connect_timeout(patience.connect)
        .read_timeout(patience.idle)
        .user_agent(concat!("cflite/", env!("CARGO_PKG_VERSION")))
}

fn guarded(patience: Patience) -> reqwest::Result<Client> {
    let redirects = redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > REDIRECTS {
            return attempt.error("too many redirects");
        }
        match address::forbidden_url(attempt.url()) {
            Some(why) => attempt.error(format!("a redirect is refused: {why}")),
            None => attempt.follow(),
        }
    });
    builder(patience)
        .dns_resolver(address::resolver())
        .redirect(redirects)
        .build()
}

fn trusted(patience: Patience) -> reqwest::Result<Client> {
    builder(patience)
        .redirect(redirect::Policy::limited(REDIRECTS))
        .build()
}

/// A manifest as a registry sent it.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: bytes::Bytes,
}

/// Requests about one image; cheap to clone.
#[derive(Clone)]
pub(crate) struct Session {
    client: Client,
    base: Url,
    image: ImageReference,
    credentials: Option<Credentials>,
    authorization: Arc<Mutex<Option<Authorization>>>,
    pub(super) patience: Patience,
}

impl Session {
    /// The digest of a tag, without its manifest: registries do not count such requests. `None` when
    /// the registry does not say it.
    pub(crate) async fn head(&self, target: &Reference) -> Result<Option<Digest>, UpstreamError> {
        let response = self.manifest_request(Method::HEAD, target).await?;
        let digest = response.headers().get("docker-content-digest");
        Ok(digest
            .and_then(|value| value.to_str().ok())
            .and_then(|text| Digest::parse(text).ok()))
    }

    /// The manifest of a tag or digest, checked.
    pub(crate) async fn manifest(&self, target: &Reference) -> Result<Found, UpstreamError> {
        let response = self.manifest_request(Method::GET, target).await?;
        let media_type = response
            .headers()
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|text| text.split(';').next().unwrap_or(text).trim().to_owned());
        let bytes = self.document(response).await?;
        let digest = Digest::of(&bytes);
        if let Reference::Digest(AnyDigest::Sha256(expected)) = target
            && *expected != digest
        {
            return Err(self.wrong_content(expected, &digest));
        }
        Ok(Found {
            digest,
            media_type: media_type.unwrap_or_default(),
            bytes,
        })
    }

    /// A blob, or its bytes from `first` on.
    pub(super) async fn blob(
        &self,
        digest: &Digest,
        first: u64,
    ) -> Result<Response, UpstreamError> {
        let mut headers = HeaderMap::new();
        if first > 0 {
            let range = format!("bytes={first}-");
            if let Ok(range) = range.parse() {
                headers.insert(http::header::RANGE, range);
            }
        }
        let path = format!("blobs/{digest}");
        self.ask(Method::GET, &path, headers).await
    }

    /// Whether the other one asks the same repository as the same user.
    pub(crate) fn asks_like(&self, other: &Self) -> bool {
        self.base == other.base
            && self.image.repository() == other.image.repository()
            && self.credentials == other.credentials
    }

    pub(super) fn host(&self) -> String {
        self.image.host().to_owned()
    }

    pub(super) fn wrong_content(&self, expected: &Digest, received: &Digest) -> UpstreamError {
        UpstreamError::WrongContent {
            host: self.host(),
            expected: expected.clone(),
            received: received.to_string(),
        }
    }

    pub(super) fn unreachable(&self, error: &dyn std::error::Error) -> UpstreamError {
        UpstreamError::Unreachable {
            host: self.host(),
            reason: root_cause(error),
        }
    }

    async fn manifest_request(
        &self,
        method: Method,
        target: &Reference,
    ) -> Result<Response, UpstreamError> {
        let mut headers = HeaderMap::new();
        for kind in MANIFESTS {
            headers.append(ACCEPT, http::HeaderValue::from_static(kind));
        }
        self.ask(method, &format!("manifests/{target}"), headers)
            .await
    }

    /// A small body.
    async fn document(&self, mut response: Response) -> Result<bytes::Bytes, UpstreamError> {
        let mut all = bytes::BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if (all.len() + chunk.len()) as u64 > MAX_DOCUMENT {
                return Err(UpstreamError::Unsupported {
                    image: self.image.to_string(),
                    reason: format!("its manifest is larger than {MAX_DOCUMENT} bytes"),
                });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Sends a request; authorizes it if the registry asks for it; repeats it when it fails on the
    /// way.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Response, UpstreamError> {
        let url = format!("v2/{}/{path}", self.image.repository());
        let url = self.base.join(&url).map_err(|e| self.unreachable(&e))?;
        let mut failures = 0;
        let mut authorized = false;
        loop {
            let response = self.send(&method, &url, &headers).await;
            let error = match response {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !authorized => {
                    authorized = true;
                    self.authorize(response.headers()).await?;
                    continue;
                }
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => self.failure(response).await,
                Err(error) => error,
            };
            failures += 1;
            let Some(pause) = pause(&error, failures, self.patience.again) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<Response, UpstreamError> {
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .headers(headers.clone());
        if let Some(authorization) = &*self.authorization.lock().await {
            request = authorization.add_to(request);
        }
        match tokio::time::timeout(self.patience.head, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => Err(UpstreamError::Unreachable {
                host: self.host(),
                reason: format!("no response within {} s", self.patience.head.as_secs()),
            }),
        }
    }

    /// Fetches what the registry asks for, once for all requests of the session.
    async fn authorize(&self, headers: &HeaderMap) -> Result<(), UpstreamError> {
        let Some(challenge) = challenge(headers) else {
            return Err(self.unauthorized());
        };
        let mut held = self.authorization.lock().await;
        let service = token::Service {
            client: &self.client,
            registry: &self.base,
            repository: self.image.repository(),
            credentials: self.credentials.as_ref(),
        };
        let authorization = tokio::time::timeout(self.patience.head, service.authorize(&challenge))
            .await
            .map_err(|_| UpstreamError::Unreachable {
                host: self.host(),
                reason: format!(
                    "its token service did not answer within {} s",
                    self.patience.head.as_secs()
                ),
            })?;
        *held = Some(match authorization {
            Ok(authorization) => authorization,
            Err(token::Failure::Denied) => return Err(self.unauthorized()),
            Err(token::Failure::Refused(host, reason)) => {
                return Err(UpstreamError::Refused { host, reason });
            }
            Err(token::Failure::Failed(reason)) => {
                return Err(UpstreamError::Unreachable {
                    host: self.host(),
                    reason,
                });
            }
        });
        Ok(())
    }

    fn unauthorized(&self) -> UpstreamError {
        UpstreamError::Unauthorized {
            image: self.image.to_string(),
            with_credentials: self.credentials.is_some(),
        }
    }

    async fn failure(&self, response: Response) -> UpstreamError {
        let (status, headers) = (response.status(), response.headers().clone());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return self.unauthorized(),
            StatusCode::NOT_FOUND => {
                return UpstreamError::NotFound {
                    image: self.image.to_string(),
                };
            }
            _ => {}
        }
        let text = self.error_text(response).await;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return UpstreamError::RateLimited {
                host: self.host(),
                detail: rate_limit(&headers, text),
                retry_after: retry_after(&headers),
            };
        }
        UpstreamError::Failed {
            host: self.host(),
            status: status.as_u16(),
            text,
        }
    }

    /// The message of the registry's error format, else the start of the body, else (such as in an
    /// answer to HEAD) the name of the status.
    async fn error_text(&self, response: Response) -> String {
        let status = response.status().canonical_reason().unwrap_or("(no text)");
        let body = tokio::time::timeout(self.patience.head, self.document(response)).await;
        let Ok(Ok(body)) = body else {
            return status.to_owned();
        };
        let parsed: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let message = parsed
            .as_ref()
            .and_then(|body| body.pointer("/errors/0/message")?.as_str());
        let text = match message {
            Some(message) => message.to_owned(),
            None if body.trim_ascii().is_empty() => status.to_owned(),
            None => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        text.chars()
            .filter(|c| !c.is_control())
            .take(SHOWN)
            .collect()
    }
}

/// The innermost cause: those around it only say that a request failed, and repeat the URL.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
