//! What `cflite` asks of a running platform: to make a snapshot.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Error, Name, Snapshots};
use crate::base::Supervisor;

#[derive(Deserialize)]
struct Wanted {
    name: String,
}

impl Snapshots {
    /// The routes for operators; who serves them checks that the caller is one.
    pub fn operator_routes(&self, supervisor: &Supervisor) -> axum::Router {
        axum::Router::new()
            .route("/cflite/snapshots", post(create))
            .with_state((self.clone(), supervisor.clone()))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Name(_) | Self::TooNew { .. } | Self::Damaged { .. } | Self::NoImage => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Exists(_) | Self::Busy | Self::Services(_) => StatusCode::CONFLICT,
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Docker(_) | Self::Queue(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Storage { .. } | Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = self.to_string();
        let body = json!({ "errors": [{ "code": "SNAPSHOTS", "message": message }] });
        (status, Json(body)).into_response()
    }
}

async fn create(
    State((snapshots, supervisor)): State<(Snapshots, Supervisor)>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let name = Name::parse(&wanted.name)?;
    // A caller that goes away does not leave half of one.
    let (told, made) = oneshot::channel();
    supervisor.once(async move {
        let log = |text: &str| tracing::info!("snapshot: {text}");
        // Nobody may wait for it any more.
        drop(told.send(snapshots.create(&name, &log).await));
    });
    let ended = made.await;
    let manifest = ended.map_err(|error| Error::Services(error.to_string()))??;
    Ok((StatusCode::CREATED, Json(manifest)).into_response())
}
