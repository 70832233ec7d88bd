//! What `cflite` asks: services, their events and backups.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::failure::{Cause, Failure};
use super::store::{self, BackupRow};
use super::{DataServices, Inner, Service};
use crate::blobs::Digest;
use crate::db::ReadTx;

impl DataServices {
    /// The routes for operators; who serves them checks that the caller is one.
    pub fn operator_routes(&self) -> axum::Router {
        axum::Router::new()
            .route("/cflite/data_services", get(list))
            .route("/cflite/data_services/{guid}", get(show))
            .route("/cflite/data_services/backups", get(backups))
            .route(
                "/cflite/data_services/backups/{guid}",
                get(backup).delete(delete_backup),
            )
            .route(
                "/cflite/data_services/backups/{guid}/download",
                get(download),
            )
            .with_state(self.clone())
    }
}

/// Why a request got nothing.
struct Refusal(Failure);

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let status = match failure.cause() {
            Cause::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Cause::Missing => StatusCode::NOT_FOUND,
            Cause::Docker => StatusCode::SERVICE_UNAVAILABLE,
            Cause::Storage => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%failure, "cannot tell an operator about data services");
        }
        let message = failure.to_string();
        let body = json!({ "errors": [{ "code": "DATA_SERVICES", "message": message }] });
        (status, Json(body)).into_response()
    }
}

async fn list(State(services): State<DataServices>) -> Result<Json<Value>, Refusal> {
    let inner = &*services.0;
    let store = inner.store.clone();
    let all = inner.db.read(move |tx: &ReadTx<'_>| store.all(tx)).await?;
    let mut shown = Vec::new();
    for instance in &all {
        if let Ok(service) = inner.service(instance) {
            shown.push(inner.shown(&service).await?);
        }
    }
    Ok(Json(json!({ "data_services": shown })))
}

async fn show(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let inner = &*services.0;
    let found = inner.find(&guid).await?;
    let instance =
        found.ok_or_else(|| Failure::missing(format!("there is no data service {guid}")))?;
    let service = inner.service(&instance)?;
    let mut shown = inner.shown(&service).await?;
    let wanted = guid.clone();
    let events = inner
        .db
        .read(move |tx: &ReadTx<'_>| store::events(tx, &wanted))
        .await;
    let events: Vec<Value> = { events?.into_iter() }
        .map(|(at, text)| json!({ "at": at.to_string(), "text": text }))
        .collect();
    shown["events"] = events.into();
    Ok(Json(shown))
}

async fn backups(State(services): State<DataServices>) -> Result<Json<Value>, Refusal> {
    let all = services
        .0
        .db
        .read(|tx: &ReadTx<'_>| store::backups(tx))
        .await?;
    let all: Vec<Value> = all.iter().map(shown_backup).collect();
    Ok(Json(json!({ "backups": all })))
}

async fn backup(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let row = services.0.find_backup(&guid).await?;
    Ok(Json(shown_backup(&row)))
}

async fn delete_backup(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
) -> Result<StatusCode, Refusal> {
    services.0.find_backup(&guid).await?;
    services.0.remove_backup(&guid).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn download(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
) -> Result<Response, Refusal> {
    let row = services.0.find_backup(&guid).await?;
    let digest =
        Digest::parse(&row.digest).map_err(|error| Failure::of_storage(error.to_string()))?;
    let file = services.0.blobs.read(&digest).await?;
    let file = file.ok_or_else(|| Failure::missing("the file of the backup is missing"))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, row.size.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}.{}\"", row.guid, row.extension),
        ),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}

fn shown_backup(row: &BackupRow) -> Value {
    json!({
        "guid": row.guid,
        "service_instance_guid": row.instance_guid,
        "service_instance_name": row.instance_name,
        "offering": row.offering_name,
        "version": row.version,
        "extension": row.extension,
        "digest": row.digest,
        "size": row.size,
        "tag": row.tag,
        "reason": row.reason,
        "created_at": row.created_at.to_string(),
        "expires_at": row.expires_at.map(|at| at.to_string()),
    })
}

impl Inner {
    async fn shown(&self, service: &Service<'_>) -> Result<Value, Failure> {
        let instance = service.instance;
        let running = self.running(&instance.guid).await?;
        // As of the last measurement: the console asks again and again.
        let stored = running.as_deref();
        let stored = stored.and_then(|id| self.disks.stored(&instance.guid, id));
        Ok(json!({
            "guid": instance.guid,
            "name": instance.name,
            "space_guid": instance.space_guid,
            "offering": service.offering.name,
            "plan": service.plan.name,
            "version": instance.version,
            "running": running.is_some(),
            "operation": {
                "type": instance.operation.kind.as_str(),
                "state": instance.operation.state.as_str(),
                "description": instance.operation.description,
            },
            "ports": instance.ports,
            "memory_mb": service.memory().0,
            "storage_mb": service.storage_size().map(super::catalog::Size::megabytes),
            "storage_used_mb": stored.map(megabytes),
            "created_at": instance.created_at.to_string(),
        }))
    }

    /// How much a running service stores, measured now.
    pub(super) async fn used_megabytes(
        &self,
        service: &Service<'_>,
    ) -> Result<Option<i64>, Failure> {
        let Some(id) = self.running(&service.instance.guid).await? else {
            return Ok(None);
        };
        Ok(self.stored(service, &id).await?.map(megabytes))
    }
}

fn megabytes(bytes: u64) -> i64 {
    i64::try_from(bytes.div_ceil(1 << 20)).unwrap_or(i64::MAX)
}
