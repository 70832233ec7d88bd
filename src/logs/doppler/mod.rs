//! The API of the older log servers ("doppler"): websockets with envelopes of dropsonde v1, which
//! existing plugins and nozzles read, and the last lines of an app as multipart.
//!
//! | path | what |
//! |---|---|
//! | `/apps/:guid/stream` | everything of an app |
//! | `/firehose/:subscription` | everything of all; clients of one subscription share it |
//! | `/apps/:guid/recentlogs`, `/apps/:guid/containermetrics` | the last lines, the last usage |
//! | `/set-cookie` | makes a browser send its token |

mod access;
mod convert;
mod recent;
mod socket;
mod v1;

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};

use super::Logs;
use super::access::LogAccess;
use super::envelope::Kinds;
use super::grant::Grant;
use super::live::{Selection, Shard, Wanted};
use access::unauthorized;
use socket::Stream;

/// The source of warnings in streams of all sources.
const FIREHOSE_SOURCE: &str = "doppler";
/// Clients send nothing but control frames.
const MAX_FRAME: usize = 64 * 1024;

#[derive(Clone)]
struct Doppler {
    logs: Logs,
    access: Arc<dyn LogAccess>,
}

/// What the WebSocket handshake came to.
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// The routes of this API.
pub(super) fn routes(logs: &Logs, access: Arc<dyn LogAccess>) -> Router {
    Router::new()
        .route("/apps/{guid}/stream", get(stream))
        .route("/apps/{guid}/recentlogs", get(recent_logs))
        .route("/apps/{guid}/containermetrics", get(container_metrics))
        .route("/firehose/{subscription}", get(firehose))
        .route("/set-cookie", post(access::set_cookie))
        .with_state(Doppler {
            logs: logs.clone(),
            access,
        })
}

impl Doppler {
    /// The right to read an app.
    async fn grant_for(&self, app: &str, headers: &HeaderMap) -> Result<Grant, Response> {
        if uuid::Uuid::try_parse(app).is_err() {
            return Err(unauthorized("Error: Invalid app guid"));
        }
        let Some(authorization) = access::authorization(headers) else {
            return Err(unauthorized("Error: Authorization not provided"));
        };
        let grant = Grant {
            access: self.access.clone(),
            authorization: Some(authorization),
            sources: Some([app.into()].into()),
        };
        if grant.holds().await {
            Ok(grant)
        } else {
            Err(StatusCode::NOT_FOUND.into_response())
        }
    }

    fn open(&self, upgrade: Upgrade, grant: Grant, wanted: Wanted) -> Response {
        let upgrade = match upgrade {
            Ok(upgrade) => upgrade,
            Err(rejection) => return rejection.into_response(),
        };
        let subscription = match self.logs.subscribe(wanted) {
            Ok(subscription) => subscription,
            Err(error) => {
                tracing::warn!(%error, "log websocket refused");
                return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response();
            }
        };
        let sources = grant.sources.as_ref();
        let loss_source = sources.and_then(|sources| sources.first().cloned());
        let stream = Stream {
            logs: self.logs.clone(),
            subscription,
            grant,
            loss_source: loss_source.unwrap_or_else(|| FIREHOSE_SOURCE.into()),
        };
        upgrade
            .max_message_size(MAX_FRAME)
            .max_frame_size(MAX_FRAME)
            .on_upgrade(|socket| stream.run(socket))
    }
}

async fn stream(
    State(doppler): State<Doppler>,
    Path(app): Path<String>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    match doppler.grant_for(&app, &headers).await {
        Ok(grant) => doppler.open(upgrade, grant, wanted(Selection::of_source(&app), None)),
        Err(refusal) => refusal,
    }
}

async fn firehose(
    State(doppler): State<Doppler>,
    Path(subscription): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    let Some(authorization) = access::authorization(&headers) else {
        return unauthorized("Error: Authorization not provided");
    };
    let grant = Grant {
        access: doppler.access.clone(),
        authorization: Some(authorization),
        sources: None,
    };
    if !grant.holds().await {
        return unauthorized("Error: Invalid authorization");
    }
    let shard = Shard {
        id: subscription,
        deterministic_name: None,
    };
    let kinds = filter(query.as_deref().unwrap_or_default());
    let selection = Selection::everything().only(kinds);
    doppler.open(upgrade, grant, wanted(selection, Some(shard)))
}

fn wanted(selection: Selection, shard: Option<Shard>) -> Wanted {
    Wanted {
        name: FIREHOSE_SOURCE,
        selection,
        shard,
        is_client: true,
    }
}

/// The kinds that `filter-type` selects.
fn filter(query: &str) -> Kinds {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let kind = pairs.find_map(|(key, value)| (key == "filter-type").then_some(value));
    match kind.as_deref() {
        Some("logs") => Kinds::LOG,
        Some("metrics") => Kinds::COUNTER.with(Kinds::GAUGE),
        _ => Kinds::ANY,
    }
}

async fn recent_logs(
    State(doppler): State<Doppler>,
    Path(app): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match doppler.grant_for(&app, &headers).await {
        Ok(_) => recent::logs(&doppler.logs, &app, query.as_deref().unwrap_or_default()).await,
        Err(refusal) => refusal,
    }
}

async fn container_metrics(
    State(doppler): State<Doppler>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Response {
    match doppler.grant_for(&app, &headers).await {
        Ok(_) => recent::container_metrics(&doppler.logs, &app).await,
        Err(refusal) => refusal,
    }
}

#[cfg(test)]
mod slow_tests;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firehose_can_be_filtered() {
        assert_eq!(filter("filter-type=logs"), Kinds::LOG);
        assert_eq!(
            filter("a=b&filter-type=metrics"),
            Kinds::COUNTER.with(Kinds::GAUGE)
        );
        assert_eq!(filter(""), Kinds::ANY);
        assert_eq!(filter("filter-type=other"), Kinds::ANY);
    }
}
