//! The context of every handler: the controller, the caller, the time and the caller's URLs; and
//! the extractors for bodies.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::Method;
use http::request::Parts;
use serde_json::Value;

use super::{ApiError, ApiResult, Urls};
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::access::{Authority, Caller};
use crate::cloud_controller::body::{Body, refuse_nul};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::audit_events::{Actor, Recorder};
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::permits::{
    MayAdminister, MayChangeBroker, MayChangeDomain, MayDownloadDroplets, MayGiveRoles, MayManage,
    MayManageSpace, MayReadEnvironment, MayReadSecrets, MaySupport, MayUnshareDomain, MayWrite,
};
use crate::cloud_controller::state::CloudController;
use crate::db::{ReadTx, WriteTx};
use crate::net::RequestBase;
use crate::uaa::Claims;

/// Largest JSON or YAML body; uploads have limits of their own.
const LARGEST_BODY: usize = 1024 * 1024;

/// One authenticated request.
#[derive(Clone)]
pub(crate) struct Context {
    /// The controller and its parts.
    pub cc: CloudController,
    /// The caller.
    pub caller: Caller,
    /// The time of the request, the same throughout.
    pub now: Timestamp,
    /// Builds links as the caller sees this server.
    pub urls: Urls,
}

impl Context {
    /// Reads in one snapshot.
    pub(crate) async fn read<T, F>(&self, work: F) -> ApiResult<T>
    where
        F: FnOnce(&ReadTx<'_>, &Self) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let ctx = self.clone();
        Ok(self.cc.db().read(move |tx| work(tx, &ctx)).await?)
    }

    /// Writes in one transaction, which is rolled back when `work` fails.
    pub(crate) async fn write<T, F>(&self, work: F) -> ApiResult<T>
    where
        F: FnOnce(&WriteTx<'_>, &Self) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let ctx = self.clone();
        Ok(self.cc.db().write(move |tx| work(tx, &ctx)).await?)
    }

    /// Proof that the caller may support this space, or the refusal.
    pub(crate) fn may_support(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<MaySupport> {
        MaySupport::check(tx, &self.caller, self.recorder(), space)
    }

    /// Proof that the caller may write in this space, or the refusal.
    pub(crate) fn may_write(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<MayWrite> {
        MayWrite::check(tx, &self.caller, self.recorder(), space)
    }

    /// Proof that the caller may change this space, or the refusal.
    pub(crate) fn may_manage_space(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<MayManageSpace> {
        MayManageSpace::check(tx, &self.caller, self.recorder(), space)
    }

    /// Proof that the caller may give and take roles in this space, or in this organization, or the
    /// refusal.
    pub(crate) fn may_give_roles(
        &self,
        tx: &ReadTx<'_>,
        organization: &OrganizationGuid,
        space: Option<&SpaceGuid>,
    ) -> Result<MayGiveRoles> {
        MayGiveRoles::check(tx, &self.caller, self.recorder(), organization, space)
    }

    /// Proof that the caller may read the environment of apps in this space, or the refusal.
    pub(crate) fn may_read_environment(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<MayReadEnvironment> {
        MayReadEnvironment::check(tx, &self.caller, self.recorder(), space)
    }

    /// Proof that the caller may read secrets of this space, or the refusal.
    pub(crate) fn may_read_secrets(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<MayReadSecrets> {
        MayReadSecrets::check(tx, &self.caller, self.recorder(), space)
    }

    /// Proof that the caller may download droplets of this space, or the refusal.
    pub(crate) fn may_download_droplets(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<MayDownloadDroplets> {
        MayDownloadDroplets::check(tx, &self.caller, self.recorder(), space)
    }

    /// Proof that the caller may change this organization, or the refusal.
    pub(crate) fn may_manage(
        &self,
        tx: &ReadTx<'_>,
        organization: &OrganizationGuid,
    ) -> Result<MayManage> {
        MayManage::check(tx, &self.caller, self.recorder(), organization)
    }

    /// Proof that the caller may change this domain, or the refusal.
    pub(crate) fn may_change_domain(
        &self,
        tx: &ReadTx<'_>,
        domain: &Domain,
    ) -> Result<MayChangeDomain> {
        MayChangeDomain::check(tx, &self.caller, self.recorder(), domain)
    }

    /// Proof that the caller may end this share of a domain, or the refusal.
    pub(crate) fn may_unshare_domain(
        &self,
        tx: &ReadTx<'_>,
        domain: &Domain,
        guest: &OrganizationGuid,
    ) -> Result<MayUnshareDomain> {
        MayUnshareDomain::check(tx, &self.caller, domain, guest)
    }

    /// Proof that the caller may change the brokers of this space, or those for all, or the refusal.
    pub(crate) fn may_change_broker(
        &self,
        tx: &ReadTx<'_>,
        space: Option<&SpaceGuid>,
    ) -> Result<MayChangeBroker> {
        MayChangeBroker::check(tx, &self.caller, self.recorder(), space)
    }

    /// Proof that the caller is an administrator, or the refusal.
    pub(crate) fn may_administer(&self) -> Result<MayAdminister> {
        MayAdminister::check(&self.caller, self.recorder())
    }

    /// Writes the audit events of this request: its caller acts.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder {
            actor: Actor::from(&self.caller),
            now: self.now,
            guids: self.cc.guids().clone(),
        }
    }
}

impl FromRequestParts<CloudController> for Context {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, cc: &CloudController) -> ApiResult<Self> {
        let header = parts.headers.get(http::header::AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            None if header.is_empty() => return Err(Error::not_authenticated().into()),
            _ => return Err(Error::invalid_token().into()),
        };
        let claims = cc.uaa().verify(token).map_err(|_| Error::invalid_token())?;
        let caller = caller_of(&claims)?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        check_scope(reads, &claims, &caller)?;
        Ok(Self {
            caller,
            now: cc.now(),
            urls: urls(parts, cc),
            cc: cc.clone(),
        })
    }
}

/// A request that needs no token: with one it is checked as any other.
pub(crate) struct Visit {
    /// The controller and its parts.
    pub cc: CloudController,
    /// `None` = nobody is signed in.
    pub ctx: Option<Context>,
    /// Builds links as the caller sees this server.
    pub urls: Urls,
}

impl FromRequestParts<CloudController> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, cc: &CloudController) -> ApiResult<Self> {
        let signed_in = parts.headers.contains_key(http::header::AUTHORIZATION);
        let ctx = if signed_in {
            Some(Context::from_request_parts(parts, cc).await?)
        } else {
            None
        };
        Ok(Self {
            ctx,
            urls: urls(parts, cc),
            cc: cc.clone(),
        })
    }
}

/// Writing needs the write scope, whatever the caller's roles (CC `application_controller.rb`).
pub(crate) fn check_scope(reads: bool, claims: &Claims, caller: &Caller) -> ApiResult<()> {
    let allowed = if reads {
        caller.sees_all() || claims.has_scope("cloud_controller.read")
    } else {
        caller.is_admin() || claims.has_scope("cloud_controller.write")
    };
    if allowed {
        Ok(())
    } else {
        Err(Error::forbidden().into())
    }
}

/// The caller's URLs, also for requests without a token.
pub(crate) fn urls(parts: &Parts, cc: &CloudController) -> Urls {
    match parts.extensions.get::<RequestBase>() {
        Some(base) => Urls::new(base.origin()),
        None => Urls::new(cc.default_base()),
    }
}

pub(crate) fn caller_of(claims: &Claims) -> ApiResult<Caller> {
    let has = |scope: &str| claims.has_scope(scope);
    let authority = if has("cloud_controller.admin") {
        Authority::Admin
    } else if has("cloud_controller.admin_read_only") {
        Authority::AdminReadOnly
    } else if has("cloud_controller.global_auditor") {
        Authority::GlobalAuditor
    } else if has("cloud_controller.read") || has("cloud_controller.write") {
        Authority::Roles
    } else {
        return Err(Error::new(
            Kind::NotAuthorized,
            "You are not authorized to perform the requested action",
        )
        .into());
    };
    let is_client = claims.user.is_none();
    let guid = claims
        .user
        .clone()
        .unwrap_or_else(|| UserGuid::from(claims.client_id.as_str()));
    let name = claims
        .user_name
        .clone()
        .unwrap_or_else(|| claims.client_id.clone());
    Ok(Caller {
        guid,
        name,
        email: claims.email.clone().unwrap_or_default(),
        is_client,
        authority,
    })
}

/// A JSON object as body; an empty body is an empty object.
pub(crate) struct JsonBody(pub Body);

impl FromRequest<CloudController> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &CloudController) -> ApiResult<Self> {
        let bytes = read(request).await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Body::default()));
        }
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|_| Error::parse("invalid request body"))?;
        refuse_nul(&bytes, &document)?;
        match document {
            Value::Object(map) => Ok(Self(Body::new(map))),
            _ => Err(Error::parse("invalid request body").into()),
        }
    }
}

/// A manifest: YAML text.
pub(crate) struct YamlBody(pub String);

impl FromRequest<CloudController> for YamlBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &CloudController) -> ApiResult<Self> {
        let kind = request.headers().get(http::header::CONTENT_TYPE);
        let kind = kind
            .and_then(|v| v.to_str().ok())
            .unwrap_or("")
            .to_ascii_lowercase();
        let yaml = [
            "application/x-yaml",
            "application/yaml",
            "text/yaml",
            "text/x-yaml",
        ];
        if !yaml.iter().any(|name| kind.starts_with(name)) {
            return Err(Error::bad_request("Content-Type must be yaml").into());
        }
        let bytes = read(request).await.map_err(|error| {
            if error.is_too_large() {
                Error::bad_request("Manifest size is too large. The maximum supported size is 1MB.")
                    .into()
            } else {
                error
            }
        })?;
        String::from_utf8(bytes.to_vec())
            .map(Self)
            .map_err(|_| Error::parse("invalid request body").into())
    }
}

async fn read(request: Request) -> ApiResult<Bytes> {
    axum::body::to_bytes(request.into_body(), LARGEST_BODY)
        .await
        .map_err(|error| {
            use std::error::Error as _;
            let too_large = error
                .source()
                .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            if too_large {
                ApiError::too_large(LARGEST_BODY)
            } else {
                Error::parse("the request body ended early").into()
            }
        })
}
