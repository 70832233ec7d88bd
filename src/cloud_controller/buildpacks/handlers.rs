//! Requests on buildpacks, except uploads. Everybody who is signed in reads them; admins write.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::{actions, payload, presenter, store};
use crate::base::guid::BuildpackGuid;
use crate::cloud_controller::jobs;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Metadata, ResourceType};

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = payload::list(query.as_deref())?;
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_all(tx, &query)?;
            let guids = found.rows.iter().map(|row| row.guid.as_str());
            let metadata = Metadata::of_all(tx, ResourceType::Buildpack, guids)?;
            Ok(Json(found.present(
                &query,
                &urls,
                "/v3/buildpacks",
                |b| presenter::present_with(b, metadata.of(b.guid.as_str()), &urls),
            )?))
        })
        .await
}

pub(super) async fn show(ctx: Context, Path(guid): Path<BuildpackGuid>) -> ApiResult<Json<Value>> {
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .read(move |tx| {
            let buildpack = store::get(tx, &guid)?;
            presenter::present(tx, &buildpack, &urls).map(Json)
        })
        .await
}

pub(super) async fn create(
    ctx: Context,
    JsonBody(body): JsonBody,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.caller.must_be_admin()?;
    let change = payload::create(body)?;
    let recorder = ctx.recorder();
    let Context { cc, urls, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let buildpack = actions::create(tx, &recorder, change)?;
            let shown = presenter::present(tx, &buildpack, &urls)?;
            Ok((StatusCode::CREATED, Json(shown)))
        })
        .await
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<BuildpackGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let buildpack = store::get(tx, &guid)?;
            caller.must_be_admin()?;
            let change = payload::update(body)?;
            let buildpack = actions::update(tx, &recorder, buildpack, change)?;
            presenter::present(tx, &buildpack, &urls).map(Json)
        })
        .await
}

pub(super) async fn delete(ctx: Context, Path(guid): Path<BuildpackGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let buildpack = store::get(tx, &guid)?;
            caller.must_be_admin()?;
            actions::delete(tx, &recorder, &buildpack)?;
            let job = jobs::record_complete(tx, "buildpack.delete", recorder.now, &recorder.guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}
