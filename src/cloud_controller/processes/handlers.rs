//! Requests on processes, by guid and by app and type.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery};
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter::{ListContext, Secrets};
use super::process::Limits;
use super::process::Process;
use super::stats::{self, Metrics, Row};
use super::{actions, payload, presenter, store};
use crate::base::guid::{AppGuid, ProcessGuid};
use crate::base::{Megabytes, Timestamp};
use crate::cloud_controller::apps::{self, App};
use crate::cloud_controller::audit_events::Cause;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Body, Caller, Context, JsonBody, ListBody, ListQuery, Urls, Warnings,
};
use crate::cloud_controller::{desired, feature_flags};
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
    fn get(&self, tx: &ReadTx<'_>, caller: &Caller) -> ApiResult<(App, Process)> {
        match self {
            Self::ByGuid(guid) => {
                let process = store::get_visible(tx, caller, guid)?;
                let app = apps::store::find(tx, &process.app_guid)?;
                Ok((app.ok_or_else(|| ApiError::not_found("Process"))?, process))
            }
            Self::ByType(app, kind) => {
                let app = apps::store::get_visible(tx, caller, app)?;
                let process = store::find_of_type(tx, &app.guid, kind)?;
                Ok((app, process.ok_or_else(|| ApiError::not_found("Process"))?))
            }
        }
    }

    /// The same for those who may change it.
    fn get_writable(&self, tx: &ReadTx<'_>, caller: &Caller) -> ApiResult<(App, Process)> {
        let found = self.get(tx, caller)?;
        caller.may_support_space(tx, &found.0.space_guid)?;
        Ok(found)
    }
}

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST)?;
    list_below(ctx, query, None).await
}

pub(super) async fn list_of_app(
    ctx: Context,
    Path(app): Path<AppGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &payload::LIST_OF_APP)?;
    list_below(ctx, query, Some(app)).await
}

async fn list_below(
    ctx: Context,
    query: ListQuery,
    app: Option<AppGuid>,
) -> ApiResult<Json<ListBody>> {
    let embed = payload::embeds_instances(&query)?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .read(move |tx| {
            let path = match &app {
                Some(app) => {
                    apps::store::get_visible(tx, &caller, app)?;
                    format!("/v3/apps/{app}/processes")
                }
                None => "/v3/processes".to_owned(),
            };
            let found = store::list_visible(tx, &caller, &query, app.as_ref())?;
            let context = ListContext::load(tx, &found.rows)?;
            let instances = if embed {
                stats::rows_of_all(tx, &found.rows)?
            } else {
                HashMap::new()
            };
            Ok::<_, ApiError>(Json(found.present(&query, &urls, &path, |process| {
                let shown = context.present(process, &urls);
                match instances.get(&process.guid) {
                    Some(rows) => with_instances(shown, rows, now),
                    None => shown,
                }
            })?))
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
    let query = ListQuery::parse_single(query.as_deref(), &[], payload::SINGLE)?;
    let embed = payload::embeds_instances(&query)?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .read(move |tx| {
            let (app, process) = name.get(tx, &caller)?;
            let secrets = caller.sees_secrets(tx, &app.space_guid)?.into();
            let shown = presenter::present_from(tx, &process, secrets, &urls)?;
            let shown = if embed {
                with_instances(shown, &stats::rows(tx, &process)?, now)
            } else {
                shown
            };
            Ok::<_, ApiError>(Json(shown))
        })
        .await
}

pub(super) async fn update(ctx: Context, name: Name, body: Body) -> ApiResult<Json<Value>> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, process) = name.get_writable(tx, &caller)?;
            let change = payload::update(body)?;
            let process = actions::update(tx, &recorder, &app, process, change, Cause::Request)?;
            presenter::present_from(tx, &process, Secrets::Shown, &urls).map(Json)
        })
        .await
}

pub(super) async fn scale(
    ctx: Context,
    name: Name,
    body: Body,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, process) = name.get_writable(tx, &caller)?;
            feature_flags::require(tx, &caller, "app_scaling")?;
            let wanted = payload::scale(body)?;
            let process = actions::scale(tx, &recorder, &app, process, wanted, Cause::Request)?;
            let shown = presenter::present_from(tx, &process, Secrets::Shown, &urls)?;
            Ok::<_, ApiError>((StatusCode::ACCEPTED, Json(shown)))
        })
        .await
}

pub(super) async fn terminate(ctx: Context, name: Name, index: String) -> ApiResult<StatusCode> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .write(move |tx| {
            let (app, process) = name.get_writable(tx, &caller)?;
            actions::terminate(tx, &recorder, &app, &process, index.parse().ok())?;
            Ok::<_, ApiError>(StatusCode::NO_CONTENT)
        })
        .await
}

pub(super) async fn instances(
    ctx: Context,
    Path(guid): Path<ProcessGuid>,
) -> ApiResult<Json<Value>> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .read(move |tx| {
            let process = store::get_visible(tx, &caller, &guid)?;
            let rows = stats::rows(tx, &process)?;
            Ok::<_, ApiError>(Json(present_instances(&guid, &rows, &urls, now)))
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
    let Context {
        cc, caller, now, ..
    } = ctx;
    let (kind, limits, rows) = cc
        .db()
        .read(move |tx| {
            let (_, process) = name.get(tx, &caller)?;
            let limits = desired::store::limits(tx, &process.guid)?.unwrap_or(Limits {
                memory: Megabytes(process.memory),
                disk: Megabytes(process.disk),
                log_rate: process.log_rate_limit,
            });
            let rows = stats::rows(tx, &process)?;
            Ok::<_, ApiError>((process.kind, limits, rows))
        })
        .await?;
    let scheduler = cc.scheduler();
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
        row.present(&kind, metrics, address.as_ref(), now)
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

            pub(in super::super) async fn show(
                ctx: Context,
                Path($given): Path<$path>,
                RawQuery(query): RawQuery,
            ) -> ApiResult<Json<Value>> {
                super::show(ctx, $name, query).await
            }

            pub(in super::super) async fn update(
                ctx: Context,
                Path($given): Path<$path>,
                JsonBody(body): JsonBody,
            ) -> ApiResult<Json<Value>> {
                super::update(ctx, $name, body).await
            }

            pub(in super::super) async fn scale(
                ctx: Context,
                Path($given): Path<$path>,
                JsonBody(body): JsonBody,
            ) -> ApiResult<(StatusCode, Json<Value>)> {
                super::scale(ctx, $name, body).await
            }

            pub(in super::super) async fn stats(
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
