//! What handlers read from a request: the caller's token, the requested address, bodies and forms.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::Uaa;
use super::claims::{Claims, bearer_token};
use super::error::{UaaError, UaaResult};
use crate::base::Secret;
use crate::base::guid::UserGuid;
use crate::net::RequestBase;

/// Largest form or JSON body; a user or a token request is far smaller.
const LARGEST_BODY: usize = 256 * 1024;

/// The caller, authenticated by a valid access token.
pub(crate) struct Caller {
    /// The claims of the token.
    pub(crate) claims: Claims,
}

impl Caller {
    /// Refuses callers who hold none of `scopes`.
    pub(crate) fn require_any(&self, scopes: &[&str]) -> UaaResult<()> {
        if self.claims.has_any_scope(scopes) {
            return Ok(());
        }
        Err(UaaError::insufficient_scope(scopes))
    }

    /// Whether the caller is this user.
    pub(crate) fn is(&self, user: &UserGuid) -> bool {
        self.claims.user.as_ref() == Some(user)
    }
}

impl FromRequestParts<Uaa> for Caller {
    type Rejection = UaaError;

    async fn from_request_parts(parts: &mut Parts, uaa: &Uaa) -> UaaResult<Self> {
        let token = bearer(&parts.headers).ok_or_else(UaaError::unauthenticated)?;
        match uaa.verify(token) {
            Ok(claims) => Ok(Self { claims }),
            Err(error) => Err(UaaError::invalid_token(error.to_string())),
        }
    }
}

/// The bearer token of a request. The CLI may send an empty header, which counts as none.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    bearer_token(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// `https://uaa.cf.localhost:8443`: how the caller sees this server. It comes from the listener;
/// forwarding headers are not trusted.
pub(crate) struct Base(pub(crate) String);

impl FromRequestParts<Uaa> for Base {
    type Rejection = UaaError;

    async fn from_request_parts(parts: &mut Parts, _: &Uaa) -> UaaResult<Self> {
        if let Some(base) = parts.extensions.get::<RequestBase>() {
            return Ok(Self(base.origin()));
        }
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let authority: Option<Authority> = match host {
            Some(host) => host.parse().ok(),
            None => parts.uri.authority().cloned(),
        };
        let authority =
            authority.ok_or_else(|| UaaError::invalid_request("invalid Host header"))?;
        Ok(Self(format!("http://{authority}")))
    }
}

/// The credentials a client sent, not checked yet.
#[derive(Debug)]
pub(crate) struct ClientCredentials {
    /// The client id.
    pub(crate) client_id: String,
    /// The secret.
    pub(crate) secret: Secret<String>,
}

/// Credentials from `Authorization: Basic`; `None` when there is no such header.
pub(crate) fn basic(headers: &HeaderMap) -> UaaResult<Option<ClientCredentials>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| UaaError::bad_credentials())?;
    let Some((scheme, encoded)) = value.trim().split_once(' ') else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let decoded = STANDARD.decode(encoded.trim()).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(UaaError::bad_credentials)?;
    let (client_id, secret) = decoded
        .split_once(':')
        .ok_or_else(UaaError::bad_credentials)?;
    // Clients that follow RFC 6749 strictly encode both and say so.
    let encoded = headers.get("x-cf-encoded-credentials");
    let encoded = encoded.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let plain = |text: &str| {
        if encoded {
            unescape(text)
        } else {
            Some(text.to_owned())
        }
    };
    match (plain(client_id), plain(secret)) {
        (Some(client_id), Some(secret)) => Ok(Some(ClientCredentials {
            client_id,
            secret: Secret::new(secret),
        })),
        _ => Err(UaaError::bad_credentials()),
    }
}

/// Parameters, each at most once.
#[derive(Clone, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// From `a=b&c=d`.
    pub(crate) fn parse(text: &[u8]) -> UaaResult<Self> {
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if parameters.contains_key(name.as_ref()) {
                let name: String = name.chars().take(40).collect();
                return Err(UaaError::invalid_request(format!(
                    "Parameter {name} is given twice"
                )));
            }
            parameters.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(parameters))
    }

    /// The parameter `name`, unless it is missing or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The parameter `name`, which may be empty.
    pub(crate) fn get_or_empty(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The parameter `name`, or an error that names it.
    pub(crate) fn require(&self, name: &str) -> UaaResult<&str> {
        self.get(name)
            .ok_or_else(|| UaaError::invalid_request(format!("Missing parameter: {name}")))
    }
}

/// The last part of the path, when it names something.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: From<String>> FromRequestParts<Uaa> for Id<T> {
    type Rejection = UaaError;

    async fn from_request_parts(parts: &mut Parts, uaa: &Uaa) -> UaaResult<Self> {
        match Path::<String>::from_request_parts(parts, uaa).await {
            Ok(Path(id)) => Ok(Self(T::from(id))),
            Err(_) => Err(UaaError::invalid_request("The path is not valid UTF-8")),
        }
    }
}

/// The query of a request.
pub(crate) struct Query(pub(crate) Parameters);

impl FromRequestParts<Uaa> for Query {
    type Rejection = UaaError;

    async fn from_request_parts(parts: &mut Parts, _: &Uaa) -> UaaResult<Self> {
        let query = parts.uri.query().unwrap_or("");
        Ok(Self(Parameters::parse(query.as_bytes())?))
    }
}

/// A body of `application/x-www-form-urlencoded`.
pub(crate) struct Form(pub(crate) Parameters);

impl FromRequest<Uaa> for Form {
    type Rejection = UaaError;

    async fn from_request(request: Request, _: &Uaa) -> UaaResult<Self> {
        let bytes = body(request, "application/x-www-form-urlencoded").await?;
        Ok(Self(Parameters::parse(&bytes)?))
    }
}

/// A JSON body of a SCIM request.
pub(crate) struct ScimBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Uaa> for ScimBody<T> {
    type Rejection = UaaError;

    async fn from_request(request: Request, _: &Uaa) -> UaaResult<Self> {
        let bytes = body(request, "application/json").await?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(UaaError::invalid_scim(format!(
                "The body is not valid: {error}"
            ))),
        }
    }
}

/// A JSON body of a request on clients.
pub(crate) struct ClientJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Uaa> for ClientJson<T> {
    type Rejection = UaaError;

    async fn from_request(request: Request, _: &Uaa) -> UaaResult<Self> {
        let bytes = body(request, "application/json").await?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(UaaError::invalid_client(format!(
                "The body is not valid: {error}"
            ))),
        }
    }
}

async fn body(request: Request, wanted: &str) -> UaaResult<Bytes> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case(wanted) {
        return Err(UaaError::unsupported_media_type(wanted));
    }
    axum::body::to_bytes(request.into_body(), LARGEST_BODY)
        .await
        .map_err(|error| {
            use std::error::Error as _;
            let too_large = error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
            if too_large {
                UaaError::too_large(LARGEST_BODY)
            } else {
                UaaError::invalid_request("The request body ended early")
            }
        })
}

/// `a%20b+c` as `a b c`.
fn unescape(text: &str) -> Option<String> {
    let blanks = text.replace('+', " ");
    percent_decode_str(&blanks)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        headers
    }

    #[test]
    fn basic_credentials_are_read_or_refused_but_never_guessed() {
        let read = |text: &str| basic(&headers(text)).map(|found| found.map(|c| c.client_id));
        assert_eq!(read("Basic Y2Y6").unwrap(), Some("cf".to_owned()));
        assert_eq!(read("basic Y2Y6").unwrap(), Some("cf".to_owned()));
        assert_eq!(read("bearer Y2Y6").unwrap(), None);
        assert_eq!(read("").unwrap(), None);
        for broken in ["Basic !!", "Basic Y2Y", "Basic Y2Y=", "Basic gICA"] {
            assert!(read(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn encoded_credentials_are_decoded_when_the_client_says_so() {
        let mut headers = headers(&format!("Basic {}", STANDARD.encode("a%3Ab:c%20d")));
        let plain = basic(&headers).unwrap().unwrap();
        assert_eq!(
            (plain.client_id.as_str(), plain.secret.expose().as_str()),
            ("a%3Ab", "c%20d")
        );
        headers.insert("x-cf-encoded-credentials", "true".parse().unwrap());
        let decoded = basic(&headers).unwrap().unwrap();
        assert_eq!(
            (decoded.client_id.as_str(), decoded.secret.expose().as_str()),
            ("a:b", "c d")
        );
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let parameters = Parameters::parse(b"a=1&b=&c=x%20y+z").unwrap();
        assert_eq!(parameters.get("a"), Some("1"));
        assert_eq!(parameters.get("b"), None);
        assert_eq!(parameters.get("c"), Some("x y z"));
        assert!(parameters.require("b").is_err());
        assert!(Parameters::parse(b"a=1&a=1").is_err());
    }
}
