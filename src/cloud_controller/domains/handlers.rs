//! Requests on domains.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::domain::Domain;
use super::payload::{self, CreateDomain};
use super::{actions, presenter, sharing, store};
use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListBody, ListQuery,
};
use crate::cloud_controller::{feature_flags, jobs, organizations, routes};
use crate::db::ReadTx;

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let shown = presenter::present_all(tx, &caller, &found.rows, &urls)?;
            let body = found.present_values(&query, &urls, "/v3/domains", shown)?;
            Ok::<_, ApiError>(Json(body))
        })
        .await
}

pub(super) async fn list_of_organization(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST);
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            organizations::store::get_visible(tx, &caller, &guid)?;
            let query = query?;
            let found = store::list_of_organization(tx, &caller, &guid, &query)?;
            let path = format!("/v3/organizations/{guid}/domains");
            let shown = presenter::present_all(tx, &caller, &found.rows, &urls)?;
            Ok::<_, ApiError>(Json(found.present_values(&query, &urls, &path, shown)?))
        })
        .await
}

pub(super) async fn show_default(
    ctx: Context,
    Path(guid): Path<OrganizationGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            organizations::store::get_visible(tx, &caller, &guid)?;
            let domain = store::default_of(tx, &guid)?;
            let sees_private = store::sees_private(tx, &caller, &guid)?;
            let domain = domain
                .filter(|domain| domain.is_shared() || sees_private)
                .ok_or_else(|| ApiError::not_found("Domain"))?;
            presenter::present_from(tx, &caller, &domain, &urls).map(Json)
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<DomainGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let domain = store::get_visible(tx, &caller, &guid)?;
            presenter::present_from(tx, &caller, &domain, &urls).map(Json)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let wanted = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let system_domain = cc.settings().system_domain.clone();
    cc.db()
        .write(move |tx| {
            may_create(tx, &caller, &wanted)?;
            let domain = actions::create(tx, &recorder, wanted, &system_domain)?;
            let body = presenter::present_from(tx, &caller, &domain, &urls)?;
            Ok((StatusCode::CREATED, Json(body)))
        })
        .await
}

fn may_create(tx: &ReadTx<'_>, caller: &Caller, wanted: &CreateDomain) -> ApiResult<()> {
    match &wanted.organization {
        Some(guid) => {
            if organizations::store::by_guids(tx, &[guid.to_string()])?.is_empty() {
                return Err(sharing::no_such_organization(guid));
            }
            caller.may_manage_organization(tx, guid)?;
            if !caller.is_admin() {
                feature_flags::require(tx, caller, "private_domain_creation")?;
            }
            sharing::check_guests(tx, caller, &wanted.shared_organizations, Some(guid))?;
        }
        None => caller.must_be_admin()?,
    }
    match &wanted.router_group {
        Some(guid) => Err(ApiError::unprocessable(format!(
            "Router group with guid '{guid}' not found."
        ))),
        None => Ok(()),
    }
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<DomainGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::update(body)?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .write(move |tx| {
            let domain = store::get_visible(tx, &caller, &guid)?;
            may_write(tx, &caller, &domain)?;
            let domain = actions::update(tx, domain, &change, now)?;
            presenter::present_from(tx, &caller, &domain, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<DomainGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let domain = store::get_visible(tx, &caller, &guid)?;
            may_write(tx, &caller, &domain)?;
            if store::is_shared_with_any(tx, &guid)? {
                return Err(ApiError::unprocessable(
                    "This domain is shared with other organizations. Unshare before deleting.",
                ));
            }
            actions::delete(tx, &recorder, &domain)?;
            let job = jobs::record_complete(tx, "domain.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

pub(super) async fn route_reservations(
    ctx: Context,
    Path(guid): Path<DomainGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), &[], &["host", "path", "port"])?;
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            store::get_visible(tx, &caller, &guid)?;
            let [host, path] = ["host", "path"].map(|name| query.raw(name).unwrap_or_default());
            // What is no port is nobody's port.
            let port = query.raw("port").filter(|port| !port.is_empty());
            let port = port.map_or(Some(0), |port| port.parse().ok());
            let found = match port {
                Some(port) => routes::store::is_reserved(tx, &guid, (host, path, port))?,
                None => false,
            };
            Ok::<_, ApiError>(Json(json!({ "matching_route": found })))
        })
        .await
}

/// 403 unless the caller manages the organization that owns the domain; shared ones are for admins.
pub(super) fn may_write(tx: &ReadTx<'_>, caller: &Caller, domain: &Domain) -> ApiResult<()> {
    match &domain.organization_guid {
        Some(organization) => caller.may_manage_organization(tx, organization),
        None => caller.must_be_admin(),
    }
}
