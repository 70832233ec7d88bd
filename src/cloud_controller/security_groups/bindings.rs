//! Requests that bind security groups to spaces and unbind them, for running and staging apps.

use axum::Json;
use axum::extract::Path;
use http::StatusCode;
use serde_json::Value;

use super::store::Lifecycle;
use super::{actions, store};
use crate::base::guid::{SecurityGroupGuid, SpaceGuid};
use crate::cloud_controller::spaces;
use crate::cloud_controller::v3::{ApiError, ApiResult, Body, Context, JsonBody, related};

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
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let group = store::get_visible(tx, &caller, &guid)?;
            let spaces = body.finish_to_many()?;
            actions::bind(tx, &caller, &group, lifecycle, &spaces)?;
            let groups = [group];
            let bound = store::bound(tx, &caller, &groups)?;
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
            Ok(Json(related(&of_lifecycle, &urls, &path)))
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
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let not_bound = || {
                ApiError::unprocessable(format!(
                    "Unable to unbind security group from space with guid '{space}'. Ensure the space is bound to \
                     this security group."
                ))
            };
            store::get_visible(tx, &caller, &guid)?;
            spaces::store::find(tx, &space)?.ok_or_else(not_bound)?;
            caller.may_manage_space(tx, &space)?;
            if store::unbind(tx, &guid, &space, lifecycle)? {
                Ok(StatusCode::NO_CONTENT)
            } else {
                Err(not_bound())
            }
        })
        .await
}
