//! `/healthz` (status of the parts) and `/readyz` (ready for requests): no token, no secrets.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::metrics::{Measured, PlatformMetrics};
use super::names::CurrentNames;
use super::parts::CoreServices;
use crate::base::Supervisor;
use crate::cloud_controller::model;
use crate::db::{Db, DbError};
use crate::logs::Logs;
use crate::network::Firewall;
use crate::router::TcpRouter;
use crate::scheduler::Scheduler;

/// What the health report covers.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) db: Db,
    pub(super) supervisor: Supervisor,
    pub(super) scheduler: Scheduler,
    pub(super) firewall: Firewall,
    pub(super) tcp: TcpRouter,
    pub(super) docker: String,
}

impl Health {
    pub(super) fn of(
        core: &CoreServices,
        supervisor: &Supervisor,
        (scheduler, tcp): (&Scheduler, &TcpRouter),
        docker: String,
    ) -> Self {
        Self {
            db: core.db.clone(),
            supervisor: supervisor.clone(),
            scheduler: scheduler.clone(),
            firewall: core.firewall.clone(),
            tcp: tcp.clone(),
            docker,
        }
    }

    /// The metrics of the same parts.
    pub(super) fn metrics(
        &self,
        measured: Measured,
        names: CurrentNames,
        logs: &Logs,
    ) -> PlatformMetrics {
        PlatformMetrics {
            started_at: measured.now(),
            measured,
            names,
            db: self.db.clone(),
            logs: logs.clone(),
            supervisor: self.supervisor.clone(),
            scheduler: self.scheduler.clone(),
            tcp: self.tcp.clone(),
        }
    }
}

/// `/healthz` and `/readyz`.
pub(super) fn routes(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health)
}

async fn healthz(State(health): State<Health>) -> (StatusCode, Json<Value>) {
    let counts = health.db.read(model::seed::counts).await;
    let routable = health.scheduler.routable().borrow().len();
    let workers = health.supervisor.status();
    let healthy = counts.is_ok() && workers.values().all(|worker| worker.running);
    let mut counts: Value =
        counts.unwrap_or_else(|error: DbError| json!({ "error": error.to_string() }));
    counts["routable instances"] = json!(routable);
    counts["unreadable rows"] = json!(health.db.unreadable_rows());
    let tcp = health.tcp.figures();
    counts["TCP ports"] = json!(tcp.ports.len());
    let status = if healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({
            "docker": health.docker,
            "network": health.firewall.status().to_string(),
            "counts": counts,
            // The log says who has them.
            "unavailable_tcp_ports": tcp.unavailable,
            "workers": workers,
        })),
    )
}

async fn readyz(State(health): State<Health>) -> StatusCode {
    let counts: Result<Value, DbError> = health.db.read(model::seed::counts).await;
    if counts.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
