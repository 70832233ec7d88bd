//! Requests on droplets, except downloads.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use serde_json::Value;

use super::actions;
use super::presenter::{self, Secrets};
use super::store::{self, Of};
use crate::base::guid::{AppGuid, DropletGuid, PackageGuid, SpaceGuid};
use crate::cloud_controller::audit_events::Recorder;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, Context, JsonBody, ListQuery, ListRules, ResourceType,
};
use crate::cloud_controller::{apps, jobs, packages};
use crate::db::ReadTx;

const LIST: ListRules =
    ListRules::new(&["states", "app_guids", "space_guids", "organization_guids"]);
const LIST_OF_APP: ListRules = ListRules::new(&["states"]).extras(&["current"]);
const LIST_OF_PACKAGE: ListRules = ListRules::new(&["states"]);

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query, &Of::All)?;
            let present = |d: &store::Droplet| presenter::present(tx, d, Secrets::Hidden, &urls);
            found
                .try_present(&query, &urls, "/v3/droplets", present)
                .map(Json)
        })
        .await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST_OF_APP)?;
    if query
        .raw("current")
        .is_some_and(|value| value != "true" && value != "false")
    {
        return Err(ApiError::bad_query("Current must be 'true' or 'false'"));
    }
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            apps::store::get_visible(tx, &caller, &app)?;
            let found = store::list_visible(tx, &caller, &query, &Of::App(&app))?;
            let path = format!("/v3/apps/{app}/droplets");
            let present = |d: &store::Droplet| presenter::present(tx, d, Secrets::Hidden, &urls);
            found.try_present(&query, &urls, &path, present).map(Json)
        })
        .await
}

pub(super) async fn list_of_package(
    ctx: Context,
    Path(package): Path<PackageGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST_OF_PACKAGE)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            packages::store::get_visible(tx, &caller, &package)?;
            let found = store::list_visible(tx, &caller, &query, &Of::Package(&package))?;
            let path = format!("/v3/packages/{package}/droplets");
            let present = |d: &store::Droplet| presenter::present(tx, d, Secrets::Hidden, &urls);
            found.try_present(&query, &urls, &path, present).map(Json)
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let droplet = store::get_visible(tx, &caller, &guid)?;
            let secrets = secrets_for(tx, &caller, &droplet.space_guid);
            presenter::present(tx, &droplet, secrets, &urls).map(Json)
        })
        .await
}

pub(super) async fn current(ctx: Context, Path(app): Path<AppGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let app = apps::store::get_visible(tx, &caller, &app)?;
            let droplet =
                store::current(tx, &app.guid)?.ok_or_else(|| ApiError::not_found("Droplet"))?;
            let secrets = secrets_for(tx, &caller, &app.space_guid);
            presenter::present(tx, &droplet, secrets, &urls).map(Json)
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<DropletGuid>,
    JsonBody(mut body): JsonBody,
) -> ApiResult<Json<Value>> {
    let metadata = body.metadata();
    body.finish()?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let droplet = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &droplet.space_guid)?;
            metadata.store(tx, ResourceType::Droplet, guid.as_str())?;
            presenter::present(tx, &droplet, Secrets::Shown, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Response> {
    let recorder = Recorder::of(&ctx);
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let droplet = store::get_visible(tx, &caller, &guid)?;
            caller.may_write_space(tx, &droplet.space_guid)?;
            actions::delete(tx, &recorder, &droplet)?;
            let job = jobs::record_complete(tx, "droplet.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}

fn secrets_for(tx: &ReadTx<'_>, caller: &Caller, space: &SpaceGuid) -> Secrets {
    if caller.may_read_secrets(tx, space).is_ok() {
        Secrets::Shown
    } else {
        Secrets::Hidden
    }
}
