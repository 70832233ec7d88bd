//! Tokens for pulls: `GET realm?service=…&scope=repository:NAME:pull`.

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use url::Url;

use super::REACH;
use super::challenge::Challenge;
use super::credentials::Credentials;
use super::token_service::belongs_to;
use crate::base::Secret;

/// The largest answer of a token service.
const LONGEST: usize = 1 << 20;

/// What requests carry.
pub(super) enum Authorization {
    Basic(Credentials),
    Bearer(Secret<String>),
}

impl Authorization {
    pub(super) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic(given) => with_credentials(request, given),
            Self::Bearer(token) => request.bearer_auth(token.expose()),
        }
    }
}

fn with_credentials(request: RequestBuilder, given: &Credentials) -> RequestBuilder {
    match given {
        Credentials::User { username, password } => {
            request.basic_auth(username, Some(password.expose()))
        }
        Credentials::Token(token) => request.bearer_auth(token.expose()),
    }
}

/// Why there is no authorization.
pub(super) enum Failure {
    /// The credentials are wrong, or there are none.
    Denied,
    /// The token service must not be asked: its host, and why.
    Refused(String, String),
    /// It does not answer as it should.
    Failed(String),
}

/// Who asks for what.
pub(super) struct Service<'a> {
    pub(super) client: &'a Client,
    pub(super) registry: &'a Url,
    pub(super) repository: &'a str,
    pub(super) credentials: Option<&'a Credentials>,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Service<'_> {
    pub(super) async fn authorize(&self, challenge: &Challenge) -> Result<Authorization, Failure> {
        if let Some(Credentials::Token(token)) = self.credentials {
            return Ok(Authorization::Bearer(token.clone()));
        }
        match challenge {
            Challenge::Basic => match self.credentials {
                Some(given) => Ok(Authorization::Basic(given.clone())),
                None => Err(Failure::Denied),
            },
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let url = self.url(realm, service.as_deref(), scope.as_deref())?;
                self.token(url).await
            }
        }
    }

    fn url(&self, realm: &str, service: Option<&str>, scope: Option<&str>) -> Result<Url, Failure> {
        let mut url = self
            .registry
            .join(realm)
            .map_err(|error| Failure::Failed(format!("its token service {realm:?}: {error}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let own = url.origin() == self.registry.origin();
        if !own {
            if let Some(why) = REACH.forbids_url(&url) {
                return Err(Failure::Refused(host, why.to_owned()));
            }
            let registry = self.registry.host_str().unwrap_or_default();
            if self.credentials.is_some() && !belongs_to(&host, registry) {
                let why = format!("it is not a token service of {registry}");
                return Err(Failure::Refused(host, why));
            }
        }
        let pull = format!("repository:{}:pull", self.repository);
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        query.append_pair("scope", scope.unwrap_or(&pull));
        drop(query);
        Ok(url)
    }

    async fn token(&self, url: Url) -> Result<Authorization, Failure> {
        let mut request = self.client.get(url);
        if let Some(given) = self.credentials {
            request = with_credentials(request, given);
        }
        let failed = |text: String| Failure::Failed(format!("its token service: {text}"));
        let mut response = request
            .send()
            .await
            .map_err(|error| failed(error.without_url().to_string()))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Failure::Denied),
            other => return Err(failed(other.to_string())),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| failed(error.without_url().to_string()))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST {
                return Err(failed("its answer is too long".to_owned()));
            }
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| failed("its answer is not a token".to_owned()))?;
        let token = answer.token.or(answer.access_token);
        token
            .filter(|token| !token.is_empty())
            .map(|token| Authorization::Bearer(Secret::new(token)))
            .ok_or_else(|| failed("its answer has no token".to_owned()))
    }
}
