//! JSON of a process.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::base::guid::{AppGuid, SpaceGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, MetadataOfAll, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::model::desired::AppImage;
use crate::cloud_controller::model::processes::{Check, CheckType, Process};
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// Whether the command is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    Shown,
    Hidden,
    /// Lists hide commands from everybody.
    HiddenInLists,
}

impl From<bool> for Secrets {
    fn from(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Hidden }
    }
}

/// With metadata, space and the app's droplet read from the database.
pub(crate) fn present_from(
    tx: &ReadTx<'_>,
    process: &Process,
    secrets: Secrets,
    urls: &Urls,
) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Process, process.guid.as_str())?;
    let contexts = model::desired::contexts_of(tx, std::iter::once(&process.app_guid))?;
    Ok(present(
        process,
        contexts.get(&process.app_guid),
        &metadata,
        secrets,
        urls,
    ))
}

/// What presenting the processes of a list needs, read at once.
pub(super) struct ListContext {
    metadata: MetadataOfAll,
    apps: HashMap<AppGuid, (SpaceGuid, AppImage)>,
}

impl ListContext {
    /// For these processes.
    pub(super) fn load(tx: &ReadTx<'_>, processes: &[Process]) -> Result<Self> {
        let guids = processes.iter().map(|process| process.guid.as_str());
        let apps = processes.iter().map(|process| &process.app_guid);
        Ok(Self {
            metadata: Metadata::of_all(tx, ResourceType::Process, guids)?,
            apps: model::desired::contexts_of(tx, apps)?,
        })
    }

    /// One of them: lists hide commands from everybody.
    pub(super) fn present(&self, process: &Process, urls: &Urls) -> Value {
        let metadata = self.metadata.of(process.guid.as_str());
        present(
            process,
            self.apps.get(&process.app_guid),
            metadata,
            Secrets::HiddenInLists,
            urls,
        )
    }
}

fn present(
    process: &Process,
    context: Option<&(SpaceGuid, AppImage)>,
    metadata: &Metadata,
    secrets: Secrets,
    urls: &Urls,
) -> Value {
    let path = format!("/v3/processes/{}", process.guid);
    let droplet = context.and_then(|(_, image)| image.droplet.as_ref());
    let command = match secrets {
        Secrets::Shown => model::desired::command(process, droplet),
        Secrets::Hidden => "[PRIVATE DATA HIDDEN]".to_owned(),
        Secrets::HiddenInLists => "[PRIVATE DATA HIDDEN IN LISTS]".to_owned(),
    };
    let default_user = || context.map_or_else(|| "vcap".to_owned(), |(_, image)| image.user());
    let user = process.user.clone().unwrap_or_else(default_user);
    json!({
        "guid": process.guid,
        "created_at": process.created_at,
        "updated_at": process.updated_at,
        "version": process.version,
        "type": process.kind,
        "command": command,
        "user": user,
        "instances": process.instances,
        "memory_in_mb": process.memory,
        "disk_in_mb": process.disk,
        "log_rate_limit_in_bytes_per_second": process.log_rate_limit,
        "health_check": health_check(&process.health_check),
        "readiness_health_check": readiness_check(&process.readiness_check),
        "relationships": {
            "app": { "data": { "guid": process.app_guid } },
            "revision": process.revision_guid.as_ref().map(|guid| json!({ "data": { "guid": guid } })),
        },
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&path),
            "scale": urls.action(&format!("{path}/actions/scale"), "POST"),
            "app": urls.link(&format!("/v3/apps/{}", process.app_guid)),
            "space": urls.link(&format!("/v3/spaces/{}", context.map_or("", |(space, _)| space.as_str()))),
            "stats": urls.link(&format!("{path}/stats")),
            "process_instances": urls.link(&format!("{path}/process_instances")),
        },
    })
}

fn health_check(check: &Check) -> Value {
    let mut data = Map::new();
    data.insert("timeout".to_owned(), json!(check.timeout));
    check_with(check, data)
}

fn readiness_check(check: &Check) -> Value {
    check_with(check, Map::new())
}

fn check_with(check: &Check, mut data: Map<String, Value>) -> Value {
    data.insert(
        "invocation_timeout".to_owned(),
        json!(check.invocation_timeout),
    );
    data.insert("interval".to_owned(), json!(check.interval));
    if check.kind == CheckType::Http {
        data.insert("endpoint".to_owned(), json!(check.endpoint));
    }
    json!({ "type": check.kind.as_str(), "data": data })
}

/// A process's JSON with its instances in front of the relationships.
pub(super) fn with_instances(process: Value, instances: Vec<Value>) -> Value {
    let Value::Object(fields) = process else {
        return process;
    };
    let mut all = Map::new();
    let mut instances = Some(Value::Array(instances));
    for (name, value) in fields {
        if name == "relationships"
            && let Some(instances) = instances.take()
        {
            all.insert("process_instances".to_owned(), instances);
        }
        all.insert(name, value);
    }
    Value::Object(all)
}
