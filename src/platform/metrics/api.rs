//! `GET /metrics` in the format of Prometheus. Who serves it checks that the caller is an operator.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;

use super::PlatformMetrics;
use crate::telemetry::exposition;
use crate::telemetry::otlp::MetricSource;

/// The route.
pub(in crate::platform) fn routes(metrics: &PlatformMetrics) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .with_state(metrics.clone())
}

async fn show(State(metrics): State<PlatformMetrics>) -> Response {
    let text = exposition::render(&metrics.families().await);
    ([(header::CONTENT_TYPE, exposition::MEDIA_TYPE)], text).into_response()
}
