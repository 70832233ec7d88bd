//! Asks a registry, with the authorization it wants.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use http::header::ACCEPT;
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Client, Response};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::authorizations::{Authorizations, Shared};
use super::challenge::challenge;
use super::credentials::Credentials;
use super::error::UpstreamError;
use super::rate_limit::rate_limit;
use super::reference::ImageReference;
use super::{REACH, token};
use crate::blobs::Digest;
use crate::net::outside::{self, Patience, retry_after, root_cause};
use crate::registry::MAX_DOCUMENT;
use crate::registry::digest::AnyDigest;
use crate::registry::name::Reference;

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
    authorizations: Authorizations,
    settings: Settings,
}

/// How other registries are asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// How long they are waited for.
    pub patience: Patience,
    /// Nobody is asked.
    pub offline: bool,
}

impl Upstreams {
    /// Asks the given hosts at the given URLs, all others at `https://HOST`.
    pub fn new(configured: BTreeMap<String, Url>, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            guarded: OnceLock::new(),
            trusted: OnceLock::new(),
            configured,
            authorizations: Authorizations::default(),
            settings,
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
        let Settings { patience, offline } = self.0.settings;
        if offline {
            return Err(UpstreamError::Offline {
                image: image.to_string(),
            });
        }
        let configured = self.0.configured.get(image.host()).cloned();
        let (client, base) = match configured {
            Some(url) => (
                outside::first_use(&self.0.trusted, || outside::trusted(patience, REACH))
                    .map_err(refused)?,
                url,
            ),
            None => {
                let url = Url::parse(&format!("https://{}", image.api_host()))
                    .map_err(|error| refused(error.to_string()))?;
                if let Some(why) = REACH.forbids_url(&url) {
                    return Err(refused(why.to_owned()));
                }
                (
                    outside::first_use(&self.0.guarded, || outside::guarded(patience, REACH))
                        .map_err(refused)?,
                    url,
                )
            }
        };
        let authorization = match credentials {
            Some(_) => Shared::default(),
            None => {
                let repository = format!("{base}{}", image.repository());
                self.0.authorizations.of(&repository)
            }
        };
        Ok(Session {
            client,
            base,
            image: image.clone(),
            credentials,
            authorization,
            patience,
        })
    }
}

/// A manifest as a registry sent it.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: bytes::Bytes,
}

/// A repository of another registry, and who asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity([u8; 32]);

/// Requests about one image; cheap to clone.
#[derive(Clone)]
pub(crate) struct Session {
    client: Client,
    base: Url,
    image: ImageReference,
    credentials: Option<Credentials>,
    authorization: Shared,
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

    /// The size of a blob; `None` if the registry does not have it.
    pub(crate) async fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, UpstreamError> {
        let path = format!("blobs/{digest}");
        let response = match self.ask(Method::HEAD, &path, HeaderMap::new()).await {
            Ok(response) => response,
            Err(UpstreamError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = response.headers().get(http::header::CONTENT_LENGTH);
        let size = length.and_then(|value| value.to_str().ok()?.parse().ok());
        size.map(Some)
            .ok_or_else(|| self.no_answer("it does not say the size of a blob"))
    }

    /// A hash of the repository that it asks, and as whom.
    pub(crate) fn identity(&self) -> Identity {
        let mut hash = Sha256::new();
        let (user, secret) = match &self.credentials {
            None => ("", ""),
            Some(Credentials::User { username, password }) => {
                (username.as_str(), password.expose().as_str())
            }
            Some(Credentials::Token(token)) => ("", token.expose().as_str()),
        };
        let texts = [self.base.as_str(), self.image.repository(), user, secret];
        for text in texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        Identity(hash.finalize().into())
    }

    pub(crate) fn host(&self) -> String {
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
        self.no_answer(&root_cause(error))
    }

    /// The image's manifest names a blob that its registry does not have.
    pub(crate) fn lacks(&self, digest: &Digest) -> UpstreamError {
        UpstreamError::Unsupported {
            image: self.image.to_string(),
            reason: format!("its registry does not have {digest}, which its manifest names"),
        }
    }

    /// The registry does not answer as it should.
    pub(crate) fn no_answer(&self, reason: &str) -> UpstreamError {
        UpstreamError::Unreachable {
            host: self.host(),
            reason: reason.to_owned(),
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
            let (number, response) = self.send(&method, &url, &headers).await;
            let error = match response {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !authorized => {
                    authorized = true;
                    self.authorize(response.headers(), number).await?;
                    continue;
                }
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => self.failure(response).await,
                Err(error) => error,
            };
            failures += 1;
            let trouble = error.trouble();
            let pause = trouble.and_then(|trouble| self.patience.pause(trouble, failures));
            let Some(pause) = pause else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends a request, with the number of the authorization that it carried.
    async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> (u64, Result<Response, UpstreamError>) {
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .headers(headers.clone());
        let current = self.authorization.lock().await;
        let number = current.number;
        if let Some(authorization) = &current.authorization {
            request = authorization.add_to(request);
        }
        drop(current);
        let response = match tokio::time::timeout(self.patience.head, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(_) => {
                let seconds = self.patience.head.as_secs();
                Err(self.no_answer(&format!("no response within {seconds} s")))
            }
        };
        (number, response)
    }

    /// Fetches what the registry asks for, unless another request did since `refused`.
    async fn authorize(&self, headers: &HeaderMap, refused: u64) -> Result<(), UpstreamError> {
        let Some(challenge) = challenge(headers) else {
            return Err(self.unauthorized());
        };
        let mut current = self.authorization.lock().await;
        if current.number != refused {
            return Ok(());
        }
        let service = token::Service {
            client: &self.client,
            registry: &self.base,
            repository: self.image.repository(),
            credentials: self.credentials.as_ref(),
        };
        let asked = service.authorize(&challenge);
        let asked = tokio::time::timeout(self.patience.head, asked).await;
        let asked = asked.map_err(|_| {
            let seconds = self.patience.head.as_secs();
            self.no_answer(&format!(
                "its token service did not answer within {seconds} s"
            ))
        })?;
        current.authorization = Some(asked.map_err(|failure| match failure {
            token::Failure::Denied => self.unauthorized(),
            token::Failure::Refused(host, reason) => UpstreamError::Refused { host, reason },
            token::Failure::Failed(reason) => self.no_answer(&reason),
        })?);
        current.number += 1;
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
