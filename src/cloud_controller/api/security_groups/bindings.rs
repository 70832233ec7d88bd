//! Requests that bind security groups to spaces and unbind them, for running and staging apps.

use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde_json::Value;

use crate::base::guid::{SecurityGroupGuid, SpaceGuid};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::security_groups::Lifecycle;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, related};
use crate::cloud_controller::{actions, model};

pub(super) async fn bind_running(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    bind(ctx, guid, body, Lifecycle::Running).await
}

pub(super) async fn bind_staging(
    ctx: Context,
    Path(guid): Path<SecurityGroupGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    bind(ctx, guid, body, Lifecycle::Staging).await
}

async fn bind(
    ctx: Context,
    guid: SecurityGroupGuid,
    body: Body,
    lifecycle: Lifecycle,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let group = model::security_groups::get_visible(tx, &ctx.caller, &guid)?;
        let (guids, recorder) = (body.finish_to_many()?, ctx.recorder());
        let spaces = actions::security_groups::managed(tx, &ctx.caller, &recorder, &guids)?;
        actions::security_groups::bind(tx, &spaces, &group, lifecycle)?;
        let groups = [group];
        let bound = model::security_groups::bound(tx, &ctx.caller, &groups)?;
        let of_lifecycle: Vec<&SpaceGuid> = bound
            .get(&guid)
            .into_iter()
            .flatten()
            .filter(|(_, of)| *of == lifecycle)
            .map(|(space, _)| space)
            .collect();
        let path = format!(
            "/v3/security_groups/{guid}/relationships/{}_spaces",
            lifecycle.as_str()
        );
        Ok(Json(related(&of_lifecycle, &ctx.urls, &path)))
    })
    .await
}

pub(super) async fn unbind_running(
    ctx: Context,
    Path((guid, space)): Path<(SecurityGroupGuid, SpaceGuid)>,
) -> ApiResult<StatusCode> {
    unbind(ctx, guid, space, Lifecycle::Running).await
}

pub(super) async fn unbind_staging(
    ctx: Context,
    Path((guid, space)): Path<(SecurityGroupGuid, SpaceGuid)>,
) -> ApiResult<StatusCode> {
    unbind(ctx, guid, space, Lifecycle::Staging).await
}

async fn unbind(
    ctx: Context,
    guid: SecurityGroupGuid,
    space: SpaceGuid,
    lifecycle: Lifecycle,
) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
            let not_bound = || {
                Error::unprocessable(format!(
                    "Unable to unbind security group from space with guid '{space}'. Ensure the space is bound to \
                     this security group."
                ))
            };
            model::security_groups::get_visible(tx, &ctx.caller, &guid)?;
            model::spaces::find(tx, &space)?.ok_or_else(not_bound)?;
            let may = ctx.may_manage_space(tx, &space)?;
            if actions::security_groups::unbind(tx, &may, &guid, &space, lifecycle)? {
                Ok(StatusCode::NO_CONTENT)
            } else {
                Err(not_bound())
            }
        })
        .await
}
