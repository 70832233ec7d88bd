//! Cloud Controller's errors: title, code, status and text, in one table.
//!
//! Shape: `{"errors":[{"code":10008,"title":"CF-UnprocessableEntity","detail":"…"}]}`. Titles, codes
//! and statuses are those of CC's `errors/v3.yml`, else `errors/v2.yml`; an unexpected failure is
//! `UnknownError` (`v3_error_hasher.rb`). It shows nothing of its cause; that goes to the log with the
//! request's id.
//!
//! Decisions: CC has no error for a body that is too large or too slow, since nginx in front of it
//! answers 413 and 408. Here such a body is one that cannot be read (`MessageParseError`), with
//! nginx's status.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::db::{DbError, VaultError};

/// What a handler returns.
pub type ApiResult<T = Response> = Result<T, ApiError>;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal, $status:ident;)+) => {
        /// Which of CC's errors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($(#[$doc])* $name),+ }

        impl Kind {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),+];

            fn parts(self) -> (u32, &'static str, StatusCode) {
                match self { $(Self::$name => ($code, concat!("CF-", $title), StatusCode::$status)),+ }
            }
        }
    };
}

errors! {
    /// The token is missing its signature, expired or for somebody else.
    InvalidAuthToken = 1000, "InvalidAuthToken", UNAUTHORIZED;
    /// The body cannot be parsed.
    MessageParseError = 1001, "MessageParseError", BAD_REQUEST;
    /// No such endpoint.
    NotFound = 10000, "NotFound", NOT_FOUND;
    /// Our fault.
    ServerError = 10001, "UnknownError", INTERNAL_SERVER_ERROR;
    /// No token.
    NotAuthenticated = 10002, "NotAuthenticated", UNAUTHORIZED;
    /// May see, may not do.
    NotAuthorized = 10003, "NotAuthorized", FORBIDDEN;
    /// Malformed request.
    BadRequest = 1004, "BadRequest", BAD_REQUEST;
    /// Unknown or wrong query parameter.
    BadQueryParameter = 10005, "BadQueryParameter", BAD_REQUEST;
    /// Understood, but not possible.
    UnprocessableEntity = 10008, "UnprocessableEntity", UNPROCESSABLE_ENTITY;
    /// No such resource, or not visible.
    ResourceNotFound = 10010, "ResourceNotFound", NOT_FOUND;
    /// A dependency is not available.
    ServiceUnavailable = 10015, "ServiceUnavailable", SERVICE_UNAVAILABLE;
    /// The name is taken.
    UniquenessError = 10016, "UniquenessError", UNPROCESSABLE_ENTITY;
    /// The organization is suspended.
    OrgSuspended = 10017, "OrgSuspended", FORBIDDEN;
    /// Nothing could stage the app.
    NoBuildpacksFound = 170_006, "NoBuildpacksFound", BAD_REQUEST;
    /// The space is suspended.
    SpaceSuspended = 10019, "SpaceSuspended", FORBIDDEN;
    /// Asked of a resource in the wrong state.
    StagingInProgress = 170_017, "StagingInProgress", UNPROCESSABLE_ENTITY;
    /// The uploaded bits are unusable.
    AppBitsUploadInvalid = 160_001, "AppBitsUploadInvalid", BAD_REQUEST;
    /// The upload is larger than allowed.
    AppPackageInvalid = 150_001, "AppPackageInvalid", BAD_REQUEST;
    /// The state of the stack forbids staging.
    StackValidationFailed = 250_004, "StackValidationFailed", UNPROCESSABLE_ENTITY;
    /// Another buildpack has name, stack and lifecycle already.
    BuildpackNameStackLifecycleTaken = 290_000, "BuildpackNameStackLifecycleTaken", UNPROCESSABLE_ENTITY;
    /// The upload of a buildpack broke off or is too large.
    BuildpackBitsUploadInvalid = 290_002, "BuildpackBitsUploadInvalid", BAD_REQUEST;
    /// New organizations cannot get their quota.
    QuotaDefinitionNotFound = 240_001, "QuotaDefinitionNotFound", NOT_FOUND;
    /// What is in an organization keeps it from being deleted.
    OrganizationDeletionFailed = 290_010, "OrganizationDeletionFailed", BAD_GATEWAY;
    /// A buildpack cannot be used.
    BuildpackInvalid = 290_003, "BuildpackInvalid", BAD_REQUEST;
    /// The manifest of an uploaded buildpack is for another stack.
    BuildpackStacksDontMatch = 390_011, "BuildpackStacksDontMatch", UNPROCESSABLE_ENTITY;
    /// The manifest of an uploaded buildpack names an unknown stack.
    BuildpackStackDoesNotExist = 390_012, "BuildpackStackDoesNotExist", UNPROCESSABLE_ENTITY;
    /// The archive of a buildpack is not usable.
    BuildpackZipError = 390_013, "BuildpackZipError", UNPROCESSABLE_ENTITY;
    /// A package takes bits once.
    PackageBitsAlreadyUploaded = 150_004, "PackageBitsAlreadyUploaded", BAD_REQUEST;
    /// The feature flag is off.
    FeatureDisabled = 330_002, "FeatureDisabled", FORBIDDEN;
    /// A resource would have too many labels.
    LabelLimitExceeded = 390_020, "LabelLimitExceeded", UNPROCESSABLE_ENTITY;
    /// A resource would have too many annotations.
    AnnotationLimitExceeded = 390_023, "AnnotationLimitExceeded", UNPROCESSABLE_ENTITY;
}

/// An error as the client sees it. Several may go out at once (validation of manifests).
#[derive(Debug)]
pub struct ApiError {
    kind: Kind,
    /// In place of the kind's own.
    status: Option<StatusCode>,
    details: Vec<String>,
    /// For the log only.
    cause: Option<String>,
}

impl ApiError {
    /// An error with one detail text.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            details: vec![detail.into()],
            cause: None,
        }
    }

    /// 422 with this text.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(Kind::UnprocessableEntity, detail)
    }

    /// 422 with one entry for each text.
    pub fn unprocessable_all(details: Vec<String>) -> Self {
        Self {
            kind: Kind::UnprocessableEntity,
            status: None,
            details,
            cause: None,
        }
    }

    /// 404 `App not found` for `resource("App")`: unknown or not visible.
    pub fn not_found(resource: &str) -> Self {
        Self::new(Kind::ResourceNotFound, format!("{resource} not found"))
    }

    /// 404 with a text of its own.
    pub fn resource_not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::ResourceNotFound, detail)
    }

    /// 404 for an endpoint that does not exist.
    pub fn unknown_request() -> Self {
        Self::new(Kind::NotFound, "Unknown request")
    }

    /// 408 for a body that came too slowly.
    pub fn request_timeout() -> Self {
        let mut error = Self::parse(crate::net::slow_body::TooSlow.to_string());
        error.status = Some(StatusCode::REQUEST_TIMEOUT);
        error
    }

    /// 403: may see, may not do.
    pub fn forbidden() -> Self {
        Self::new(
            Kind::NotAuthorized,
            "You are not authorized to perform the requested action",
        )
    }

    /// 400 for a body that is no JSON, YAML or multipart.
    pub fn parse(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(
            Kind::MessageParseError,
            format!("Request invalid due to parse error: {detail}"),
        )
    }

    /// 413 for a body that is larger than the server takes.
    pub fn too_large(largest: usize) -> Self {
        let mut error = Self::parse(format!("the request body is larger than {largest} bytes"));
        error.status = Some(StatusCode::PAYLOAD_TOO_LARGE);
        error
    }

    /// Whether it is [`ApiError::too_large`].
    pub fn is_too_large(&self) -> bool {
        self.status == Some(StatusCode::PAYLOAD_TOO_LARGE)
    }

    /// 400 for a wrong query.
    pub fn bad_query(detail: impl std::fmt::Display) -> Self {
        Self::new(
            Kind::BadQueryParameter,
            format!("The query parameter is invalid: {detail}"),
        )
    }

    /// The same fault of a query, as 422: some lists tell it so.
    #[must_use]
    pub fn as_unprocessable(mut self) -> Self {
        self.kind = Kind::UnprocessableEntity;
        for detail in &mut self.details {
            if let Some(rest) = detail.strip_prefix("The query parameter is invalid: ") {
                *detail = rest.to_owned();
            }
        }
        self
    }

    /// 400 `Bad request: …`.
    pub fn bad_request(detail: impl std::fmt::Display) -> Self {
        Self::new(Kind::BadRequest, format!("Bad request: {detail}"))
    }

    /// 401 for a request without a token.
    pub fn not_authenticated() -> Self {
        Self::new(Kind::NotAuthenticated, "Authentication error")
    }

    /// 401 for a token that is not good (any more).
    pub fn invalid_token() -> Self {
        Self::new(Kind::InvalidAuthToken, "Invalid Auth Token")
    }

    /// 500; the cause is logged, not shown.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self {
            kind: Kind::ServerError,
            status: None,
            details: vec!["An unknown error occurred.".to_owned()],
            cause: Some(cause.to_string()),
        }
    }

    /// The same with `prefix` in front of its texts; what is internal stays as it is.
    #[must_use]
    pub fn prefixed(mut self, prefix: &str) -> Self {
        if self.kind != Kind::ServerError {
            for detail in &mut self.details {
                detail.insert_str(0, prefix);
            }
        }
        self
    }

    /// Which error this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text clients see first.
    pub fn detail(&self) -> &str {
        self.details.first().map_or("", String::as_str)
    }

    /// The entries of `errors`, as in bodies and failed jobs.
    pub fn entries(&self) -> serde_json::Value {
        let (code, title, _) = self.kind.parts();
        self.details
            .iter()
            .map(|detail| json!({ "code": code, "title": title, "detail": detail }))
            .collect()
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cause {
            Some(cause) => f.write_str(cause),
            None => f.write_str(self.detail()),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Overloaded(_) => Self {
                kind: Kind::ServiceUnavailable,
                status: None,
                details: vec!["Database connection failure".to_owned()],
                cause: Some(error.to_string()),
            },
            DbError::Sqlite(_)
            | DbError::Inconsistent { .. }
            | DbError::TooNew { .. }
            | DbError::Interrupted(_) => Self::internal(error),
        }
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(DbError::from(error))
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        Self::internal(error)
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status.unwrap_or(self.kind.parts().2);
        if let Some(cause) = &self.cause {
            tracing::error!(error = %cause, "request failed");
        }
        (status, axum::Json(json!({ "errors": self.entries() }))).into_response()
    }
}

/// True when a write lost against a unique index: the loser of a race, not a fault.
pub(crate) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::SqliteFailure(cause, _)
            if cause.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                || cause.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Errors as CC has them: code, title, status.
    const CC: &[(u32, &str, u16)] = &[
        (1000, "InvalidAuthToken", 401),
        (1001, "MessageParseError", 400),
        (1004, "BadRequest", 400),
        (10000, "NotFound", 404),
        (10001, "UnknownError", 500),
        (10002, "NotAuthenticated", 401),
        (10003, "NotAuthorized", 403),
        (10005, "BadQueryParameter", 400),
        (10008, "UnprocessableEntity", 422),
        (10010, "ResourceNotFound", 404),
        (10015, "ServiceUnavailable", 503),
        (10016, "UniquenessError", 422),
        (10017, "OrgSuspended", 403),
        (10019, "SpaceSuspended", 403),
        (150_001, "AppPackageInvalid", 400),
        (150_004, "PackageBitsAlreadyUploaded", 400),
        (160_001, "AppBitsUploadInvalid", 400),
        (170_006, "NoBuildpacksFound", 400),
        (170_017, "StagingInProgress", 422),
        (240_001, "QuotaDefinitionNotFound", 404),
        (250_004, "StackValidationFailed", 422),
        (290_000, "BuildpackNameStackLifecycleTaken", 422),
        (290_002, "BuildpackBitsUploadInvalid", 400),
        (290_003, "BuildpackInvalid", 400),
        (290_010, "OrganizationDeletionFailed", 502),
        (330_002, "FeatureDisabled", 403),
        (390_011, "BuildpackStacksDontMatch", 422),
        (390_012, "BuildpackStackDoesNotExist", 422),
        (390_013, "BuildpackZipError", 422),
        (390_020, "LabelLimitExceeded", 422),
        (390_023, "AnnotationLimitExceeded", 422),
    ];

    #[test]
    fn every_error_is_one_of_ccs_and_none_is_there_twice() {
        let ours: BTreeSet<(u32, String, u16)> = Kind::ALL
            .iter()
            .map(|kind| {
                let (code, title, status) = kind.parts();
                (code, title.to_owned(), status.as_u16())
            })
            .collect();
        let theirs = CC
            .iter()
            .map(|(code, title, status)| (*code, format!("CF-{title}"), *status));
        assert_eq!(ours, theirs.collect());
        let codes: BTreeSet<u32> = ours.iter().map(|(code, _, _)| *code).collect();
        let titles: BTreeSet<&String> = ours.iter().map(|(_, title, _)| title).collect();
        assert_eq!(
            (codes.len(), titles.len()),
            (Kind::ALL.len(), Kind::ALL.len())
        );
    }
}
