//! UAA's error bodies: `{"error","error_description"}`, with a challenge where UAA sends one and
//! with `message` on the SCIM paths. Internal errors are logged here, once, and hidden from
//! clients.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use crate::db::{DbError, VaultError};

/// Which credentials `WWW-Authenticate` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Challenge {
    None,
    Bearer,
    Client,
}

/// An error as UAA's clients see it.
#[derive(Debug)]
pub struct UaaError {
    status: StatusCode,
    error: &'static str,
    description: String,
    challenge: Challenge,
    extra: Map<String, Value>,
}

/// The result of a handler.
pub(crate) type UaaResult<T> = Result<T, UaaError>;

impl UaaError {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            challenge: Challenge::None,
            extra: Map::new(),
        }
    }

    fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = challenge;
        self
    }

    fn scim(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        let error = Self::new(status, error, description);
        let message = error.description.clone();
        error.with("message", message)
    }

    /// Adds a field to the body.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// A parameter is missing or invalid.
    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// The client sent its request body too slowly.
    pub fn request_timeout() -> Self {
        let description = crate::net::slow_body::TooSlow.to_string();
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", description)
    }

    /// A wrong user name, password or client secret; the response does not say which.
    pub(crate) fn bad_credentials() -> Self {
        Self::unauthorized("Bad credentials").challenge(Challenge::Client)
    }

    /// Authentication failed for a reason that clients may see.
    pub(crate) fn unauthorized(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", description)
    }

    /// A token is required and missing.
    pub(crate) fn unauthenticated() -> Self {
        Self::unauthorized("Full authentication is required to access this resource")
            .challenge(Challenge::Bearer)
    }

    /// The client exists but may not do this.
    pub(crate) fn unauthorized_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
            .challenge(Challenge::Client)
    }

    /// A client that breaks a rule.
    pub(crate) fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_client", description)
    }

    /// A client whose id is taken.
    pub(crate) fn client_exists(client_id: &str) -> Self {
        let description = format!("Client already exists: {client_id}");
        Self::new(StatusCode::CONFLICT, "invalid_client", description)
    }

    /// An invalid token: unreadable, expired or revoked.
    pub(crate) fn invalid_token(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", description)
            .challenge(Challenge::Bearer)
    }

    /// The same for a token that is the subject of the request instead of the caller's.
    pub(crate) fn not_a_token(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_token", description)
    }

    /// An invalid code.
    pub(crate) fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    /// An unsupported grant type.
    pub(crate) fn unsupported_grant_type(name: &str) -> Self {
        let description = format!("Unsupported grant type: {name}");
        Self::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            description,
        )
    }

    /// An unsupported response type.
    pub(crate) fn unsupported_response_type() -> Self {
        let description = "Unsupported response type: only code is supported";
        Self::new(
            StatusCode::BAD_REQUEST,
            "unsupported_response_type",
            description,
        )
    }

    /// Scopes that the client or user may not have.
    pub(crate) fn invalid_scope(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", description)
    }

    /// The token has none of `scopes`.
    pub(crate) fn insufficient_scope(scopes: &[&str]) -> Self {
        let description = "Insufficient scope for this resource";
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", description)
            .challenge(Challenge::Bearer)
            .with("scope", scopes.join(" "))
    }

    /// Authenticated, but not allowed.
    pub(crate) fn access_denied(description: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "access_denied", description)
    }

    /// The user has to sign in, but the client asked for no prompt.
    pub(crate) fn login_required() -> Self {
        let description = "The user is not signed in";
        Self::new(StatusCode::BAD_REQUEST, "login_required", description)
    }

    /// The user has to give consent, which needs a browser.
    pub(crate) fn interaction_required() -> Self {
        let description = "The user has to agree in a browser first";
        Self::new(StatusCode::BAD_REQUEST, "interaction_required", description)
    }

    /// No such resource, outside of SCIM.
    pub(crate) fn not_found(description: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", description)
    }

    /// The body has an unsupported type.
    pub(crate) fn unsupported_media_type(wanted: &str) -> Self {
        let description = format!("Content-Type must be {wanted}");
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            description,
        )
    }

    /// The body is larger than the limit.
    pub(crate) fn too_large(limit: usize) -> Self {
        let description = format!("The request body is larger than {limit} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            description,
        )
    }

    /// The path exists, the method does not.
    pub(crate) fn method_not_allowed() -> Self {
        let description = "Request method not supported";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            description,
        )
    }

    /// A path that Spring's firewall rejects.
    pub(crate) fn rejected() -> Self {
        let description =
            "The request was rejected because it contained a potentially malicious character.";
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// Too many attempts are queued already, or this one waited too long.
    pub(crate) fn too_many_attempts() -> Self {
        let description = "Too many attempts to log in are waiting. Try again in a few seconds.";
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            description,
        )
    }

    /// A user that does not exist.
    pub(crate) fn no_such_user(guid: &str) -> Self {
        let description = format!("User {guid} does not exist");
        Self::scim(
            StatusCode::NOT_FOUND,
            "scim_resource_not_found",
            description,
        )
    }

    /// Another SCIM resource that does not exist.
    pub(crate) fn no_such_scim(description: impl Into<String>) -> Self {
        Self::scim(
            StatusCode::NOT_FOUND,
            "scim_resource_not_found",
            description,
        )
    }

    /// A group whose name is taken.
    pub(crate) fn group_exists(name: &str) -> Self {
        let description = format!("A group with displayName: {name} already exists.");
        Self::scim(
            StatusCode::CONFLICT,
            "scim_resource_already_exists",
            description,
        )
    }

    /// A user that is in the group already.
    pub(crate) fn member_exists(user: &str, group: &str) -> Self {
        let description = format!("User {user} is in the group {group} already");
        Self::scim(StatusCode::CONFLICT, "member_already_exists", description)
    }

    /// A SCIM resource that breaks a rule.
    pub(crate) fn invalid_scim(description: impl Into<String>) -> Self {
        Self::scim(
            StatusCode::BAD_REQUEST,
            "invalid_scim_resource",
            description,
        )
    }

    /// A user whose name is taken.
    pub(crate) fn name_taken(user_name: &str) -> Self {
        let description = format!("Username already in use: {user_name}");
        Self::scim(
            StatusCode::CONFLICT,
            "scim_resource_already_exists",
            description,
        )
    }

    /// A change that is not based on the newest version.
    pub(crate) fn version_conflict(found: i64, asked: i64) -> Self {
        let description = format!("The resource has version {found}, If-Match asks for {asked}");
        Self::scim(
            StatusCode::PRECONDITION_FAILED,
            "scim_resource_conflict",
            description,
        )
    }

    /// A bad filter, paging key or header on the SCIM paths.
    pub(crate) fn bad_scim(description: impl Into<String>) -> Self {
        Self::scim(StatusCode::BAD_REQUEST, "scim", description)
    }

    /// A new password that breaks a rule.
    pub(crate) fn invalid_password(description: impl Into<String>) -> Self {
        Self::scim(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_password",
            description,
        )
    }

    /// An internal error: logged here, hidden from the client.
    pub(crate) fn internal(attempted: &str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(attempted, error = %cause, "uaa request failed");
        let description = "An internal error occurred; the log of cflite has the cause";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            description,
        )
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The OAuth error code.
    pub(crate) fn code(&self) -> &'static str {
        self.error
    }

    /// Whether it is an internal error.
    pub fn is_ours(&self) -> bool {
        self.status.is_server_error()
    }

    /// The description.
    pub fn description(&self) -> &str {
        &self.description
    }

    fn challenge_header(&self) -> Option<HeaderValue> {
        let realm = match self.challenge {
            Challenge::None => return None,
            Challenge::Bearer => "Bearer realm=\"oauth\"",
            Challenge::Client => "Basic realm=\"UAA/client\"",
        };
        let plain = |c: &char| c.is_ascii_graphic() && !['"', '\\'].contains(c) || *c == ' ';
        let description: String = self.description.chars().filter(plain).collect();
        let text = format!(
            "{realm}, error=\"{}\", error_description=\"{description}\"",
            self.error
        );
        HeaderValue::from_str(&text).ok()
    }
}

impl From<DbError> for UaaError {
    fn from(error: DbError) -> Self {
        Self::internal("use the database", &error)
    }
}

impl From<VaultError> for UaaError {
    fn from(error: VaultError) -> Self {
        Self::internal("use a stored secret", &error)
    }
}

impl IntoResponse for UaaError {
    fn into_response(self) -> Response {
        let challenge = self.challenge_header();
        let mut body = Map::new();
        body.insert("error".to_owned(), self.error.into());
        body.insert("error_description".to_owned(), self.description.into());
        body.extend(self.extra);
        let mut response = (self.status, axum::Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_cannot_break_out_of_the_challenge() {
        let error = UaaError::invalid_token("a \"quoted\" back\\slash\r\nX-Evil: 1 é");
        let response = error.into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()[header::WWW_AUTHENTICATE],
            "Bearer realm=\"oauth\", error=\"invalid_token\", \
             error_description=\"a quoted backslashX-Evil: 1 \""
        );
    }

    #[test]
    fn our_own_faults_stay_inside() {
        let error = UaaError::from(DbError::Interrupted("secret path".to_owned()));
        assert_eq!(error.status, 500);
        assert!(!error.description.contains("secret path"));
    }
}
