//! What is only known of data services, the containers of this machine: whether they run, their
//! ports, what happened to them, and their backups.
//!
//! The v3 API has none of this. So a page reads the instance through the API first, and shows ports
//! and backups only to those who may develop in its space.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, Method, header};
use serde::Deserialize;
use serde_json::json;

use super::head::Head;
use crate::web::Console;
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    let below = |name: &str| format!("/console/services/{{guid}}/{name}");
    Router::new()
        .route(&below("backup"), post(backup))
        .route(&below("restart"), post(restart))
        .route(&below("backups/{backup}/restore"), post(restore))
        .route(&below("backups/{backup}/delete"), post(delete))
        .route(&below("backups/{backup}/file"), get(download))
}

#[derive(Deserialize)]
pub(super) struct Service {
    pub(super) version: String,
    pub(super) running: bool,
    pub(super) ports: std::collections::BTreeMap<String, u16>,
    pub(super) memory_mb: u64,
    #[serde(default)]
    pub(super) storage_mb: Option<u64>,
    #[serde(default)]
    pub(super) storage_used_mb: Option<u64>,
    #[serde(default)]
    pub(super) events: Vec<Happened>,
}

#[derive(Deserialize)]
pub(super) struct Happened {
    pub(super) at: String,
    pub(super) text: String,
}

#[derive(Deserialize)]
struct Backups {
    backups: Vec<Backup>,
}

#[derive(Deserialize)]
pub(super) struct Backup {
    pub(super) guid: String,
    service_instance_guid: String,
    pub(super) version: String,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) tag: Option<String>,
    pub(super) reason: String,
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) expires_at: Option<String>,
}

/// A data service and its backups.
pub(super) struct Data {
    pub(super) service: Service,
    pub(super) backups: Vec<Backup>,
    pub(super) can_back_up: bool,
}

impl Data {
    /// What is known of an instance that the visitor sees; `None` when its broker is elsewhere.
    pub(super) async fn load(visitor: &Visitor, head: &Head) -> Result<Option<Self>, Refused> {
        let guid = &head.instance.guid;
        if head.instance.kind != "managed" || !visitor.console.parts().data_services {
            return Ok(None);
        }
        let path = format!("/cflite/data_services/{}", fmt::segment(guid));
        let Some(mut service) = visitor.entitled_to_find::<Service>(&path).await? else {
            return Ok(None);
        };
        let mut backups = Vec::new();
        if head.may.develop {
            let all: Backups = visitor.entitled("/cflite/data_services/backups").await?;
            backups = all.backups;
            backups.retain(|one| one.service_instance_guid == *guid);
        } else {
            service.ports.clear();
        }
        let schema = head.offer.as_ref();
        let schema = schema.map(|(_, plan)| &plan.schemas.service_instance.update.parameters);
        Ok(Some(Self {
            service,
            backups,
            can_back_up: schema.is_some_and(|schema| schema["properties"].get("backup").is_some()),
        }))
    }
}

async fn parameters(
    (guid, change): (String, Change),
    parameters: serde_json::Value,
    text: &str,
) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let path = format!("/v3/service_instances/{}", fmt::segment(&guid));
    let shown = fmt::word(&parameters.to_string());
    let body = json!({ "parameters": parameters });
    change.visitor.api.patch(&path, body).await?;
    Ok(change
        .done(text, head.page())
        .command(format!("cf update-service {} -c {shown}", head.word())))
}

async fn backup(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let mut wanted = json!({ "backup": "now" });
    if let Some(tag) = change.fields.text("tag") {
        let schema = head.offer.as_ref();
        let schema = schema.map(|(_, plan)| &plan.schemas.service_instance.update.parameters);
        // Where users choose an image, `tag` is the image's.
        let own = schema.is_some_and(|schema| schema["properties"].get("backup_tag").is_some());
        wanted[if own { "backup_tag" } else { "tag" }] = tag.into();
    }
    parameters((guid, change), wanted, "The backup is being made").await
}

async fn restart(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let wanted = json!({ "restart": true });
    parameters((guid, change), wanted, "The service restarts").await
}

async fn restore(
    Path((guid, backup)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let wanted = json!({ "restore": backup });
    let text = "The backup replaces the data of the service";
    parameters((guid, change), wanted, text).await
}

/// A backup of this instance, for those who may develop in its space.
async fn own(visitor: &Visitor, guid: &str, backup: &str) -> Result<(Head, String), Refused> {
    let head = Head::load(visitor, guid).await?;
    if !head.may.develop || !visitor.console.parts().data_services {
        return Err(Refused::not_found());
    }
    let all: Backups = visitor.entitled("/cflite/data_services/backups").await?;
    let mut own = all.backups.iter();
    let found =
        own.any(|one| one.guid == backup && one.service_instance_guid == head.instance.guid);
    if !found {
        return Err(Refused::not_found());
    }
    let path = format!("/cflite/data_services/backups/{}", fmt::segment(backup));
    Ok((head, path))
}

async fn delete(
    Path((guid, backup)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let (head, path) = own(&change.visitor, &guid, &backup).await?;
    change.visitor.entitled_to(Method::DELETE, &path).await?;
    Ok(change
        .done("The backup is deleted", head.page())
        .command(format!(
            "cflite services delete-backup {}",
            fmt::word(&backup)
        )))
}

async fn download(
    visitor: Visitor,
    Path((guid, backup)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let (_, path) = own(&visitor, &guid, &backup).await?;
    let mut answer = visitor.entitled_file(&format!("{path}/download")).await?;
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    Ok(answer)
}
