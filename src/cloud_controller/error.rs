//! What the Cloud Controller refuses and what fails in it, without HTTP: a kind and its texts.
//! [`super::v3`] knows titles, codes and statuses.

use crate::db::{DbError, VaultError};

/// What stores, rules and workers return.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Which error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The token is missing its signature, expired or for somebody else.
    InvalidAuthToken,
    /// The body cannot be parsed.
    MessageParseError,
    /// No such endpoint.
    NotFound,
    /// Our fault.
    ServerError,
    /// No token.
    NotAuthenticated,
    /// May see, may not do.
    NotAuthorized,
    /// Malformed request.
    BadRequest,
    /// Unknown or wrong query parameter.
    BadQueryParameter,
    /// Understood, but not possible.
    UnprocessableEntity,
    /// No such resource, or not visible.
    ResourceNotFound,
    /// A dependency is not available.
    ServiceUnavailable,
    /// The name is taken.
    UniquenessError,
    /// The organization is suspended.
    OrgSuspended,
    /// Nothing could stage the app.
    NoBuildpacksFound,
    /// The space is suspended.
    SpaceSuspended,
    /// Asked of a resource in the wrong state.
    StagingInProgress,
    /// The uploaded bits are unusable.
    AppBitsUploadInvalid,
    /// The upload is larger than allowed.
    AppPackageInvalid,
    /// The state of the stack forbids staging.
    StackValidationFailed,
    /// Another buildpack has name, stack and lifecycle already.
    BuildpackNameStackLifecycleTaken,
    /// The upload of a buildpack broke off or is too large.
    BuildpackBitsUploadInvalid,
    /// New organizations cannot get their quota.
    QuotaDefinitionNotFound,
    /// What is in an organization keeps it from being deleted.
    OrganizationDeletionFailed,
    /// A buildpack cannot be used.
    BuildpackInvalid,
    /// The manifest of an uploaded buildpack is for another stack.
    BuildpackStacksDontMatch,
    /// The manifest of an uploaded buildpack names an unknown stack.
    BuildpackStackDoesNotExist,
    /// The archive of a buildpack is not usable.
    BuildpackZipError,
    /// A package takes bits once.
    PackageBitsAlreadyUploaded,
    /// The feature flag is off.
    FeatureDisabled,
    /// A resource would have too many labels.
    LabelLimitExceeded,
    /// A resource would have too many annotations.
    AnnotationLimitExceeded,
    /// Two resources do not belong together.
    InvalidRelation,
    /// A broker did not do what was asked.
    UnableToPerform,
    /// A service instance that could not be made.
    ServiceInstanceNotFound,
    /// Something else is being done with the service instance.
    AsyncServiceInstanceOperationInProgress,
    /// A binding cannot be as the broker says.
    ServiceBindingInvalid,
    /// The broker does not tell parameters of bindings.
    ServiceFetchBindingParametersNotSupported,
    /// Something else is being done with a binding.
    AsyncServiceBindingOperationInProgress,
    /// The broker does not tell parameters of instances.
    ServiceFetchInstanceParametersNotSupported,
    /// The route has this service instance already.
    ServiceInstanceAlreadyBoundToSameRoute,
    /// A broker that has service instances.
    ServiceBrokerNotRemovable,
    /// A broker that was deleted meanwhile.
    ServiceBrokerGone,
    /// A catalog breaks rules.
    ServiceBrokerCatalogInvalid,
    /// A broker refused to tell its catalog.
    ServiceBrokerRequestRejected,
    /// A catalog is no JSON object.
    ServiceBrokerRequestMalformed,
    /// A broker did not end its work in time.
    JobTimeout,
    /// What is in a space keeps it from being deleted.
    SpaceDeletionFailed,
    /// Bindings keep a service instance shared.
    ServiceInstanceUnshareFailed,
}

/// An error as clients see it. Several texts may go out at once (validation of manifests).
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    details: Vec<String>,
    /// For the log only.
    cause: Option<String>,
}

impl Error {
    /// An error with one detail text.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            details: vec![detail.into()],
            cause: None,
        }
    }

    /// Understood, but not possible.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(Kind::UnprocessableEntity, detail)
    }

    /// The same with one entry for each text.
    pub(crate) fn unprocessable_all(details: Vec<String>) -> Self {
        Self {
            kind: Kind::UnprocessableEntity,
            details,
            cause: None,
        }
    }

    /// `App not found` for `not_found("App")`: unknown or not visible.
    pub(crate) fn not_found(resource: &str) -> Self {
        Self::new(Kind::ResourceNotFound, format!("{resource} not found"))
    }

    /// The same with a text of its own.
    pub(crate) fn resource_not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::ResourceNotFound, detail)
    }

    /// An endpoint that does not exist.
    pub(crate) fn unknown_request() -> Self {
        Self::new(Kind::NotFound, "Unknown request")
    }

    /// May see, may not do.
    pub(crate) fn forbidden() -> Self {
        Self::new(
            Kind::NotAuthorized,
            "You are not authorized to perform the requested action",
        )
    }

    /// A body that is no JSON, YAML or multipart.
    pub(crate) fn parse(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(
            Kind::MessageParseError,
            format!("Request invalid due to parse error: {detail}"),
        )
    }

    /// A wrong query.
    pub(crate) fn bad_query(detail: impl std::fmt::Display) -> Self {
        Self::new(
            Kind::BadQueryParameter,
            format!("The query parameter is invalid: {detail}"),
        )
    }

    /// The same fault of a query, as understood but not possible: some lists tell it so.
    #[must_use]
    pub(crate) fn as_unprocessable(mut self) -> Self {
        self.kind = Kind::UnprocessableEntity;
        for detail in &mut self.details {
            if let Some(rest) = detail.strip_prefix("The query parameter is invalid: ") {
                *detail = rest.to_owned();
            }
        }
        self
    }

    /// `Bad request: …`.
    pub(crate) fn bad_request(detail: impl std::fmt::Display) -> Self {
        Self::new(Kind::BadRequest, format!("Bad request: {detail}"))
    }

    /// A request without a token.
    pub(crate) fn not_authenticated() -> Self {
        Self::new(Kind::NotAuthenticated, "Authentication error")
    }

    /// A token that is not good (any more).
    pub(crate) fn invalid_token() -> Self {
        Self::new(Kind::InvalidAuthToken, "Invalid Auth Token")
    }

    /// Our fault; the cause is logged, not shown.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        Self {
            kind: Kind::ServerError,
            details: vec!["An unknown error occurred.".to_owned()],
            cause: Some(cause.to_string()),
        }
    }

    /// The same with `prefix` in front of its texts; what is internal stays as it is.
    #[must_use]
    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        if self.kind != Kind::ServerError {
            for detail in &mut self.details {
                detail.insert_str(0, prefix);
            }
        }
        self
    }

    /// A refusal as another one, which tells less; what is internal stays as it is.
    #[must_use]
    pub(crate) fn told_as(self, other: impl FnOnce() -> Self) -> Self {
        if self.kind == Kind::ServerError {
            self
        } else {
            other()
        }
    }

    /// Which error this is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The text clients see first.
    pub(crate) fn detail(&self) -> &str {
        self.details.first().map_or("", String::as_str)
    }

    /// The texts clients see.
    pub(crate) fn details(&self) -> &[String] {
        &self.details
    }

    /// What only the log shows.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.cause {
            Some(cause) => f.write_str(cause),
            None => f.write_str(self.detail()),
        }
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Overloaded(_) => Self {
                kind: Kind::ServiceUnavailable,
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

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(DbError::from(error))
    }
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        Self::internal(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_as_no_refusal() {
        let other = || Error::not_found("App");
        let refusal = Error::forbidden().told_as(other);
        assert_eq!(refusal.kind(), Kind::ResourceNotFound);
        let failure = Error::internal("the disk is full").told_as(other);
        assert_eq!(failure.kind(), Kind::ServerError);
    }
}
