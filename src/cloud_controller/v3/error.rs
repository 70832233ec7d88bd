//! Cloud Controller's errors: title, code, status and text, in one table.
//!
//! Shape: `{"errors":[{"code":10008,"title":"CF-UnprocessableEntity","detail":"…"}]}`. Titles,
//! codes and statuses are those of CC's `errors/v3.yml`, else `errors/v2.yml`; an unexpected
//! failure is `UnknownError` (`v3_error_hasher.rb`). Its cause is not shown; it is logged with the
//! request's id.
//!
//! Decisions: CC has no error for a body that is too large or too slow, since nginx in front of it
//! answers 413 and 408. Here the error is `MessageParseError` with nginx's status.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::cloud_controller::error::{Error, Kind};

/// What a handler returns.
pub(crate) type ApiResult<T = Response> = Result<T, ApiError>;

macro_rules! errors {
    ($($name:ident = $code:literal, $title:literal, $status:ident;)+) => {
        #[cfg(test)]
        const ALL: &[Kind] = &[$(Kind::$name),+];

        fn parts(kind: Kind) -> (u32, &'static str, StatusCode) {
            match kind { $(Kind::$name => ($code, concat!("CF-", $title), StatusCode::$status)),+ }
        }
    };
}

errors! {
    InvalidAuthToken = 1000, "InvalidAuthToken", UNAUTHORIZED;
    MessageParseError = 1001, "MessageParseError", BAD_REQUEST;
    NotFound = 10000, "NotFound", NOT_FOUND;
    ServerError = 10001, "UnknownError", INTERNAL_SERVER_ERROR;
    NotAuthenticated = 10002, "NotAuthenticated", UNAUTHORIZED;
    NotAuthorized = 10003, "NotAuthorized", FORBIDDEN;
    BadRequest = 1004, "BadRequest", BAD_REQUEST;
    BadQueryParameter = 10005, "BadQueryParameter", BAD_REQUEST;
    UnprocessableEntity = 10008, "UnprocessableEntity", UNPROCESSABLE_ENTITY;
    ResourceNotFound = 10010, "ResourceNotFound", NOT_FOUND;
    ServiceUnavailable = 10015, "ServiceUnavailable", SERVICE_UNAVAILABLE;
    UniquenessError = 10016, "UniquenessError", UNPROCESSABLE_ENTITY;
    OrgSuspended = 10017, "OrgSuspended", FORBIDDEN;
    NoBuildpacksFound = 170_006, "NoBuildpacksFound", BAD_REQUEST;
    SpaceSuspended = 10019, "SpaceSuspended", FORBIDDEN;
    StagingInProgress = 170_017, "StagingInProgress", UNPROCESSABLE_ENTITY;
    AppBitsUploadInvalid = 160_001, "AppBitsUploadInvalid", BAD_REQUEST;
    AppPackageInvalid = 150_001, "AppPackageInvalid", BAD_REQUEST;
    StackValidationFailed = 250_004, "StackValidationFailed", UNPROCESSABLE_ENTITY;
    BuildpackNameStackLifecycleTaken = 290_000, "BuildpackNameStackLifecycleTaken", UNPROCESSABLE_ENTITY;
    BuildpackBitsUploadInvalid = 290_002, "BuildpackBitsUploadInvalid", BAD_REQUEST;
    QuotaDefinitionNotFound = 240_001, "QuotaDefinitionNotFound", NOT_FOUND;
    OrganizationDeletionFailed = 290_010, "OrganizationDeletionFailed", BAD_GATEWAY;
    BuildpackInvalid = 290_003, "BuildpackInvalid", BAD_REQUEST;
    BuildpackStacksDontMatch = 390_011, "BuildpackStacksDontMatch", UNPROCESSABLE_ENTITY;
    BuildpackStackDoesNotExist = 390_012, "BuildpackStackDoesNotExist", UNPROCESSABLE_ENTITY;
    BuildpackZipError = 390_013, "BuildpackZipError", UNPROCESSABLE_ENTITY;
    PackageBitsAlreadyUploaded = 150_004, "PackageBitsAlreadyUploaded", BAD_REQUEST;
    FeatureDisabled = 330_002, "FeatureDisabled", FORBIDDEN;
    LabelLimitExceeded = 390_020, "LabelLimitExceeded", UNPROCESSABLE_ENTITY;
    AnnotationLimitExceeded = 390_023, "AnnotationLimitExceeded", UNPROCESSABLE_ENTITY;
    InvalidRelation = 1002, "InvalidRelation", BAD_REQUEST;
    UnableToPerform = 10009, "UnableToPerform", BAD_REQUEST;
    ServiceInstanceNotFound = 60004, "ServiceInstanceNotFound", NOT_FOUND;
    AsyncServiceInstanceOperationInProgress = 60016, "AsyncServiceInstanceOperationInProgress", CONFLICT;
    ServiceBindingInvalid = 90001, "ServiceBindingInvalid", BAD_REQUEST;
    ServiceFetchBindingParametersNotSupported = 90007, "ServiceFetchBindingParametersNotSupported", BAD_REQUEST;
    AsyncServiceBindingOperationInProgress = 90008, "AsyncServiceBindingOperationInProgress", CONFLICT;
    ServiceFetchInstanceParametersNotSupported = 120_004, "ServiceFetchInstanceParametersNotSupported", BAD_REQUEST;
    ServiceInstanceAlreadyBoundToSameRoute = 130_008, "ServiceInstanceAlreadyBoundToSameRoute", UNPROCESSABLE_ENTITY;
    ServiceBrokerNotRemovable = 270_010, "ServiceBrokerNotRemovable", UNPROCESSABLE_ENTITY;
    ServiceBrokerGone = 270_011, "ServiceBrokerGone", UNPROCESSABLE_ENTITY;
    ServiceBrokerCatalogInvalid = 270_012, "ServiceBrokerCatalogInvalid", BAD_GATEWAY;
    ServiceBrokerRequestRejected = 270_020, "ServiceBrokerRequestRejected", BAD_GATEWAY;
    ServiceBrokerRequestMalformed = 270_021, "ServiceBrokerRequestMalformed", BAD_GATEWAY;
    JobTimeout = 290_006, "JobTimeout", GATEWAY_TIMEOUT;
    SpaceDeletionFailed = 290_008, "SpaceDeletionFailed", BAD_GATEWAY;
    ServiceInstanceUnshareFailed = 390_001, "ServiceInstanceUnshareFailed", BAD_GATEWAY;
}

/// An error as an HTTP response.
#[derive(Debug)]
pub(crate) struct ApiError {
    error: Error,
    /// Replaces the kind's own status.
    status: Option<StatusCode>,
}

impl ApiError {
    /// 408 for a body that arrived too slowly.
    pub(crate) fn request_timeout() -> Self {
        Self {
            error: Error::parse(crate::net::slow_body::TooSlow.to_string()),
            status: Some(StatusCode::REQUEST_TIMEOUT),
        }
    }

    /// 502 for a service broker that did not answer as it should.
    pub(crate) fn bad_gateway(detail: &str) -> Self {
        Self {
            error: Error::new(Kind::UnableToPerform, detail),
            status: Some(StatusCode::BAD_GATEWAY),
        }
    }

    /// 413 for a body that is larger than the limit.
    pub(crate) fn too_large(largest: usize) -> Self {
        Self {
            error: Error::parse(format!("the request body is larger than {largest} bytes")),
            status: Some(StatusCode::PAYLOAD_TOO_LARGE),
        }
    }

    /// Whether it is [`ApiError::too_large`].
    pub(crate) fn is_too_large(&self) -> bool {
        self.status == Some(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

/// The entries of `errors`, as in bodies and failed jobs.
pub(crate) fn entries(error: &Error) -> Value {
    let (code, title, _) = parts(error.kind());
    let details = error.details().iter();
    details
        .map(|detail| json!({ "code": code, "title": title, "detail": detail }))
        .collect()
}

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            status: None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status.unwrap_or(parts(self.error.kind()).2);
        if let Some(cause) = self.error.cause() {
            tracing::error!(error = %cause, "request failed");
        }
        let body = json!({ "errors": entries(&self.error) });
        (status, axum::Json(body)).into_response()
    }
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
        (1002, "InvalidRelation", 400),
        (10009, "UnableToPerform", 400),
        (60004, "ServiceInstanceNotFound", 404),
        (60016, "AsyncServiceInstanceOperationInProgress", 409),
        (90001, "ServiceBindingInvalid", 400),
        (90007, "ServiceFetchBindingParametersNotSupported", 400),
        (90008, "AsyncServiceBindingOperationInProgress", 409),
        (120_004, "ServiceFetchInstanceParametersNotSupported", 400),
        // Its v3 controller sends it as 422.
        (130_008, "ServiceInstanceAlreadyBoundToSameRoute", 422),
        (270_010, "ServiceBrokerNotRemovable", 422),
        (270_011, "ServiceBrokerGone", 422),
        (270_012, "ServiceBrokerCatalogInvalid", 502),
        (270_020, "ServiceBrokerRequestRejected", 502),
        (270_021, "ServiceBrokerRequestMalformed", 502),
        // 524 there, which is no status of HTTP; only jobs have it.
        (290_006, "JobTimeout", 504),
        (290_008, "SpaceDeletionFailed", 502),
        (390_001, "ServiceInstanceUnshareFailed", 502),
    ];

    #[test]
    fn every_error_is_one_of_ccs_and_unique() {
        let ours: BTreeSet<(u32, String, u16)> = ALL
            .iter()
            .map(|kind| {
                let (code, title, status) = parts(*kind);
                (code, title.to_owned(), status.as_u16())
            })
            .collect();
        let theirs = CC
            .iter()
            .map(|(code, title, status)| (*code, format!("CF-{title}"), *status));
        assert_eq!(ours, theirs.collect());
        let codes: BTreeSet<u32> = ours.iter().map(|(code, _, _)| *code).collect();
        let titles: BTreeSet<&String> = ours.iter().map(|(_, title, _)| title).collect();
        assert_eq!((codes.len(), titles.len()), (ALL.len(), ALL.len()));
    }
}
