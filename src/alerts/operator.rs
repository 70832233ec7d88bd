//! What `cflite` asks: alerts that hold, and a test of who is told.

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::Alerts;

impl Alerts {
    /// The routes for operators; who serves them checks that the caller is one.
    pub fn operator_routes(&self) -> axum::Router {
        axum::Router::new()
            .route("/cflite/alerts", get(list))
            .route("/cflite/alerts/test", post(test))
            .with_state(self.clone())
    }
}

async fn list(State(alerts): State<Alerts>) -> Json<Value> {
    Json(json!({ "alerts": alerts.list() }))
}

async fn test(State(alerts): State<Alerts>) -> Json<Value> {
    let results = alerts.test().await.into_iter();
    let results: Vec<Value> = results
        .map(|(sink, result)| json!({ "sink": sink, "error": result.err().map(|error| error.to_string()) }))
        .collect();
    Json(json!({ "sinks": results }))
}
