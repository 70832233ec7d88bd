//! Requests on processes, by guid and by app and type.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use super::presenter::{ListContext, Secrets};
use super::stats;
use super::stats::{Metrics, Row};
use crate::base::guid::{AppGuid, ProcessGuid};
use crate::base::{Megabytes, Timestamp};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::processes::{Limits, Process};
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, Urls, Warnings};
use crate::cloud_controller::{actions, model, payload};
use crate::db::ReadTx;

/// How long a request for stats waits for the daemon; the instances are listed without it, too.
const STATS_WITHIN: Duration = Duration::from_secs(2);
/// CC's warning when its metrics server does not answer.
const STATS_UNAVAILABLE: &str = "Stats server temporarily unavailable.";

/// A process as paths name it.
#[derive(Debug, Clone)]
pub(super) enum Name {
    ByGuid(ProcessGuid),
    ByType(AppGuid, String),
}

impl Name {
    /// The process and its app, or 404 as for what is missing or not visible.
    fn get(&self, tx: &ReadTx<'_>, caller: &Caller) -> Result<(App, Process)> {
        match self {
            Self::ByGuid(guid) => {
                let process = model::processes::get_visible(tx, caller, guid)?;
                let app = model::apps::find(tx, &process.app_guid)?;
                Ok((app.ok_or_else(|| Error::not_found("Process"))?, process))
            }
            Self::ByType(app, kind) => {
                let app = model::apps::get_visible(tx, caller, app)?;
                let process = model::processes::find_of_type(tx, &app.guid, kind)?;
                Ok((app, process.ok_or_else(|| Error::not_found("Process"))?))
            }
        }
    }

    /// The same for those who may change it.
    fn get_writable(&self, tx: &ReadTx<'_>, ctx: &Context) -> Result<(MaySupport, App, Process)> {
        let (app, process) = self.get(tx, &ctx.caller)?;
        Ok((ctx.may_support(tx, &app.space_guid)?, app, process))
    }
}

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::processes::LIST)?;
    list_below(ctx, query, None).await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::processes::LIST_OF_APP)?;
    list_below(ctx, query, Some(app)).await
}

async fn list_below(
    ctx: Context,
    query: ListQuery,
    app: Option<AppGuid>,
) -> ApiResult<Json<ListBody>> {
    let embed = payload::processes::embeds_instances(&query)?;
    ctx.read(move |tx, ctx| {
        let path = match &app {
            Some(app) => {
                model::apps::get_visible(tx, &ctx.caller, app)?;
                format!("/v3/apps/{app}/processes")
            }
            None => "/v3/processes".to_owned(),
        };
        let found = model::processes::list_visible(tx, &ctx.caller, &query, app.as_ref())?;
        let context = ListContext::load(tx, &found.rows)?;
        let instances = if embed {
            stats::rows_of_all(tx, &found.rows)?
        } else {
            HashMap::new()
        };
        Ok(Json(found.present(
            &query,
            &ctx.urls,
            &path,
            |process| {
                let shown = context.present(process, &ctx.urls);
                match instances.get(&process.guid) {
                    Some(rows) => with_instances(shown, rows, ctx.now),
                    None => shown,
                }
            },
        )?))
    })
    .await
}

fn with_instances(shown: Value, rows: &[Row], now: Timestamp) -> Value {
    presenter::with_instances(
        shown,
        rows.iter().map(|row| row.present_short(now)).collect(),
    )
}

pub(super) async fn show(
    ctx: Context,
    name: Name,
    query: Option<String>,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), &[], payload::processes::SINGLE)?;
    let embed = payload::processes::embeds_instances(&query)?;
    ctx.read(move |tx, ctx| {
        let (app, process) = name.get(tx, &ctx.caller)?;
        let secrets = ctx.caller.sees_secrets(tx, &app.space_guid)?.into();
        let shown = presenter::present_from(tx, &process, secrets, &ctx.urls)?;
        let shown = if embed {
            with_instances(shown, &stats::rows(tx, &process)?, ctx.now)
        } else {
            shown
        };
        Ok(Json(shown))
    })
    .await
}

pub(super) async fn update(ctx: Context, name: Name, body: Body) -> ApiResult<Json<Value>> {
    ctx.write(move |tx, ctx| {
        let (may, app, process) = name.get_writable(tx, ctx)?;
        let change = payload::processes::update(body)?;
        let process = actions::processes::update(tx, &may, &app, process, change, Cause::Request)?;
        presenter::present_from(tx, &process, Secrets::Shown, &ctx.urls).map(Json)
    })
    .await
}

pub(super) async fn scale(
    ctx: Context,
    name: Name,
    body: Body,
) -> ApiResult<(StatusCode, Json<Value>)> {
    ctx.write(move |tx, ctx| {
        let (may, app, process) = name.get_writable(tx, ctx)?;
        actions::feature_flags::require(tx, &ctx.caller, "app_scaling")?;
        let wanted = payload::processes::scale(body)?;
        let process = actions::processes::scale(tx, &may, &app, process, wanted, Cause::Request)?;
        let shown = presenter::present_from(tx, &process, Secrets::Shown, &ctx.urls)?;
        Ok((StatusCode::ACCEPTED, Json(shown)))
    })
    .await
}

pub(super) async fn terminate(ctx: Context, name: Name, index: String) -> ApiResult<StatusCode> {
    ctx.write(move |tx, ctx| {
        let (may, app, process) = name.get_writable(tx, ctx)?;
        actions::processes::terminate(tx, &may, &app, &process, index.parse().ok())?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

pub(super) async fn instances(
    ctx: Context,
    Path(guid): Path<ProcessGuid>,
) -> ApiResult<Json<Value>> {
    ctx.read(move |tx, ctx| {
        let process = model::processes::get_visible(tx, &ctx.caller, &guid)?;
        let rows = stats::rows(tx, &process)?;
        Ok(Json(present_instances(&guid, &rows, &ctx.urls, ctx.now)))
    })
    .await
}

fn present_instances(guid: &ProcessGuid, rows: &[Row], urls: &Urls, now: Timestamp) -> Value {
    let path = format!("/v3/processes/{guid}");
    json!({
        "resources": rows.iter().map(|row| row.present_short(now)).collect::<Vec<_>>(),
        "links": {
            "self": urls.link(&format!("{path}/process_instances")),
            "process": urls.link(&path),
        },
    })
}

pub(super) async fn stats(ctx: Context, name: Name) -> ApiResult<(Warnings, Json<Value>)> {
    let (kind, limits, rows) = ctx
        .read(move |tx, ctx| {
            let (_, process) = name.get(tx, &ctx.caller)?;
            let limits = model::desired::limits(tx, &process.guid)?.unwrap_or(Limits {
                memory: Megabytes(process.memory),
                disk: Megabytes(process.disk),
                log_rate: process.log_rate_limit,
            });
            let rows = stats::rows(tx, &process)?;
            Ok((process.kind, limits, rows))
        })
        .await?;
    let scheduler = ctx.cc.scheduler();
    let guids: Vec<_> = rows
        .iter()
        .filter_map(|row| Some(row.instance.as_ref()?.guid.clone()))
        .collect();
    let answered = scheduler.refresh_usage(&guids, STATS_WITHIN).await;
    let present = |row: &Row| {
        let guid = row.instance.as_ref().map(|instance| &instance.guid);
        let metrics = if answered {
            Metrics::Known(limits, guid.and_then(|guid| scheduler.usage(guid)))
        } else {
            Metrics::Unavailable
        };
        let address = guid.and_then(|guid| scheduler.address(guid));
        row.present(&kind, metrics, address.as_ref(), ctx.now)
    };
    let warning = (!answered).then(|| STATS_UNAVAILABLE.to_owned());
    let body = json!({ "resources": rows.iter().map(present).collect::<Vec<_>>() });
    Ok((warning.into_iter().collect(), Json(body)))
}

/// The same requests for both ways to name a process.
macro_rules! both_ways {
    ($module:ident, $path:ty, |$given:pat_param| $name:expr) => {
        pub(super) mod $module {
            use super::*;

            pub(crate) async fn show(
                ctx: Context,
                Path($given): Path<$path>,
                RawQuery(query): RawQuery,
            ) -> ApiResult<Json<Value>> {
                super::show(ctx, $name, query).await
            }

            pub(crate) async fn update(
                ctx: Context,
                Path($given): Path<$path>,
                JsonBody(body): JsonBody,
            ) -> ApiResult<Json<Value>> {
                super::update(ctx, $name, body).await
            }

            pub(crate) async fn scale(
                ctx: Context,
                Path($given): Path<$path>,
                JsonBody(body): JsonBody,
            ) -> ApiResult<(StatusCode, Json<Value>)> {
                super::scale(ctx, $name, body).await
            }

            pub(crate) async fn stats(
                ctx: Context,
                Path($given): Path<$path>,
            ) -> ApiResult<(Warnings, Json<Value>)> {
                super::stats(ctx, $name).await
            }
        }
    };
}

both_ways!(by_guid, ProcessGuid, |guid| Name::ByGuid(guid));
both_ways!(by_type, (AppGuid, String), |(app, kind)| Name::ByType(
    app, kind
));

pub(super) async fn terminate_by_guid(
    ctx: Context,
    Path((guid, index)): Path<(ProcessGuid, String)>,
) -> ApiResult<StatusCode> {
    terminate(ctx, Name::ByGuid(guid), index).await
}

pub(super) async fn terminate_by_type(
    ctx: Context,
    Path((app, kind, index)): Path<(AppGuid, String, String)>,
) -> ApiResult<StatusCode> {
    terminate(ctx, Name::ByType(app, kind), index).await
}
