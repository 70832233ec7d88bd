//! Letting other spaces use a service instance, and ending that.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::{ServiceInstanceGuid, SpaceGuid};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::jobs::JobState;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::service_fields::Fields;
use crate::cloud_controller::payload::service_instances::SHARED_FIELDS;
use crate::cloud_controller::permits::MayWrite;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, related, with_included};
use crate::cloud_controller::{actions, api, flows, model};
use crate::db::ReadTx;

/// How long ending a share waits for brokers to unbind.
const PATIENCE: Duration = Duration::from_secs(90);

fn path(guid: &ServiceInstanceGuid) -> String {
    format!("/v3/service_instances/{guid}/relationships/shared_spaces")
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let names = ["fields[space]", "fields[space.organization]"];
    let parsed = ListQuery::parse_single(query.as_deref(), &[], &names);
    ctx.read(move |tx, ctx| {
        model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
        let fields = Fields::read(&parsed?, SHARED_FIELDS)?;
        let spaces = model::service_instances::shared_with(tx, &guid)?;
        let included = presenter::included_spaces(tx, &fields, &spaces, &ctx.urls)?;
        let guids: Vec<&SpaceGuid> = spaces.iter().map(|space| &space.guid).collect();
        let shown = related(&guids, &ctx.urls, &path(&guid));
        Ok(Json(with_included(shown, included)))
    })
    .await
}

pub(super) async fn usage_summary(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
        let mut summary = Vec::new();
        for space in model::service_instances::shared_spaces(tx, &guid)? {
            let count = model::service_instances::bound_apps(tx, &guid, &space)?;
            summary.push(json!({ "space": { "guid": space }, "bound_app_count": count }));
        }
        let path = path(&guid);
        Ok(Json(json!({
            "usage_summary": summary,
            "links": {
                "self": ctx.urls.link(&format!("{path}/usage_summary")),
                "shared_spaces": ctx.urls.link(&path),
                "service_instance": ctx.urls.link(&format!("/v3/service_instances/{guid}")),
            },
        })))
    })
    .await
}

pub(super) async fn share(
    ctx: Context,
    Path(guid): Path<ServiceInstanceGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        actions::feature_flags::require(tx, &ctx.caller, "service_instance_sharing")?;
        let instance = model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &instance.space_guid)?;
        let guests = guests(tx, ctx, &instance, body)?;
        actions::service_shares::share(tx, &may, &instance, &guests)?;
        let shared = model::service_instances::shared_spaces(tx, &guid)?;
        Ok(Json(related(&shared, &ctx.urls, &path(&guid))))
    })
    .await
}

/// The spaces an instance is to be shared with, all of which the caller may write in.
fn guests(
    tx: &ReadTx<'_>,
    ctx: &Context,
    instance: &ServiceInstance,
    body: Body,
) -> Result<Vec<(Space, MayWrite)>> {
    let (mut guests, mut unreadable, mut unwritable) = (Vec::new(), Vec::new(), Vec::new());
    for guid in body.finish_to_many()? {
        let guid = SpaceGuid::from(guid);
        let Some(space) = model::spaces::find_visible(tx, &ctx.caller, &guid)? else {
            unreadable.push(format!("'{guid}'"));
            continue;
        };
        match ctx.may_write(tx, &guid) {
            Ok(may) => guests.push((space, may)),
            Err(error) if error.kind() == Kind::ServerError => return Err(error),
            Err(_) => unwritable.push(format!("'{guid}'")),
        }
    }
    let refusal = |guids: &[String], why: &str| {
        (!guids.is_empty()).then(|| {
            format!(
                "Unable to share service instance {} with spaces [{}]. {why}",
                instance.name,
                guids.join(", ")
            )
        })
    };
    let faults = [
        refusal(
            &unreadable,
            "Ensure the spaces exist and that you have access to them.",
        ),
        refusal(
            &unwritable,
            "Write permission is required in order to share a service instance with a space.",
        ),
    ];
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    if faults.is_empty() {
        Ok(guests)
    } else {
        Err(Error::unprocessable(faults.join("\n")))
    }
}

/// Bindings in the space are deleted first, which may take its time; the request waits for it.
pub(super) async fn unshare(
    ctx: Context,
    Path((guid, space)): Path<(ServiceInstanceGuid, SpaceGuid)>,
) -> ApiResult<StatusCode> {
    let started = ctx
        .write(move |tx, ctx| {
            let instance = model::service_instances::get_visible(tx, &ctx.caller, &guid)?;
            let may = ctx.may_write(tx, &instance.space_guid)?;
            if model::spaces::find(tx, &space)?.is_none() {
                return Err(Error::unprocessable(format!(
                    "Unable to unshare service instance from space {space}. Ensure the space exists."
                )));
            }
            flows::cascades::start_unshare(tx, &may, &instance, &space)
        })
        .await?;
    let Some(job) = started else {
        return Ok(StatusCode::NO_CONTENT);
    };
    api::jobs::wait_for_end(&ctx.cc, &job, PATIENCE).await?;
    let job = ctx.read(move |tx, _| model::jobs::find(tx, &job)).await?;
    match job.map(|job| job.state) {
        Some(JobState::Complete) => Ok(StatusCode::NO_CONTENT),
        Some(JobState::Failed(errors)) => {
            let told = errors.pointer("/0/detail").and_then(Value::as_str);
            let text = told.unwrap_or_default().to_owned();
            Err(Error::new(Kind::ServiceInstanceUnshareFailed, text).into())
        }
        Some(JobState::Processing | JobState::Polling) | None => Err(Error::new(
            Kind::ServiceInstanceUnshareFailed,
            "Unshare of service instance failed: \n\nUnshare of service instance failed because one or more bindings \
             could not be deleted.\n\n \tThe bindings are being deleted asynchronously.",
        )
        .into()),
    }
}
