//! What `cflite` asks of a running platform: to make a snapshot.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{Error, Name, Snapshots};

#[derive(Deserialize)]
struct Wanted {
    name: String,
}

impl Snapshots {
    /// The routes for operators; who serves them checks that the caller is one.
    pub fn operator_routes(&self) -> axum::Router {
        axum::Router::new()
            .route("/cflite/snapshots", post(create))
            .with_state(self.clone())
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
    State(snapshots): State<Snapshots>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let name = Name::parse(&wanted.name)?;
    // A caller that goes away does not leave half of one.
    let making = tokio::spawn(async move {
        let log = |text: &str| tracing::info!("snapshot: {text}");
        snapshots.create(&name, &log).await
    });
    let ended = making.await;
    let manifest = ended.map_err(|error| Error::Services(error.to_string()))??;
    Ok((StatusCode::CREATED, Json(manifest)).into_response())
}
