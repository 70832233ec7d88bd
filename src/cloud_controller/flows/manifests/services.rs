//! Binding apps to service instances as a manifest says: what brokers have to do is put on record, and
//! the manifest's job waits for it.

use serde_json::json;

use super::apply::Applying;
use crate::base::guid::{AppGuid, JobGuid};
use crate::cloud_controller::actions::service_bindings::{Bound, NewBinding};
use crate::cloud_controller::actions::service_operations::Asked;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::service_operations::{Input, Work};
use crate::cloud_controller::payload::manifests::AppManifest;
use crate::cloud_controller::payload::manifests::additions::RequestedService;
use crate::cloud_controller::payload::service_bindings::Strategy;
use crate::cloud_controller::{actions, model};
use crate::db::WriteTx;

/// Binds all apps of a manifest; with a job if brokers are asked.
pub(crate) fn bind(
    tx: &WriteTx<'_>,
    applying: &Applying<'_>,
    apps: &[(AppGuid, AppManifest)],
) -> Result<Option<JobGuid>> {
    let mut work: Option<(JobGuid, i64)> = None;
    for (guid, manifest) in apps {
        for service in &manifest.services {
            let app = model::apps::find(tx, guid)?.ok_or_else(|| Error::not_found("App"))?;
            let of_app = format!("For application '{}': ", manifest.name);
            let bound = one(tx, applying, &app, service, &of_app, &mut work);
            bound.map_err(|error| error.prefixed(&of_app))?;
        }
    }
    Ok(work.map(|(job, _)| job))
}

/// Binds one app to one instance, unless it is bound already.
fn one(
    tx: &WriteTx<'_>,
    applying: &Applying<'_>,
    app: &App,
    service: &RequestedService,
    of_app: &str,
    work: &mut Option<(JobGuid, i64)>,
) -> Result<()> {
    let name = &service.name;
    let instance = model::service_instances::find_named(tx, &app.space_guid, name)?;
    let instance = instance
        .ok_or_else(|| Error::resource_not_found(format!("Service instance '{name}' not found")))?;
    let of_service = format!("For service '{name}': ");
    let bindings = model::service_credential_bindings::of_app(tx, &app.guid)?;
    let binding = bindings
        .iter()
        .find(|binding| binding.instance_guid == instance.guid);
    if let Some(binding) = binding {
        if binding.create_succeeded() {
            return Ok(());
        }
        if let Some(last) = binding
            .last_operation
            .as_ref()
            .filter(|last| last.is_open())
        {
            return Err(Error::unprocessable(format!(
                "{of_service}A binding is being {}d. Retry this operation later.",
                last.kind.as_str()
            )));
        }
        if binding.app_name.is_some() && !binding.is_managed {
            return Ok(());
        }
    }
    let parent = if instance.is_managed() {
        Some((parent(tx, applying, work)?, format!("{of_app}{of_service}")))
    } else {
        None
    };
    let request = json!({
        "type": "app",
        "name": service.binding_name,
        "parameters": service.parameters,
        "relationships": {
            "service_instance": { "data": { "guid": instance.guid } },
            "app": { "data": { "guid": app.guid } },
        },
    });
    let new = NewBinding {
        instance: &instance,
        name: service.binding_name.clone(),
        strategy: Strategy::Single,
        parameters: service.parameters.clone(),
        metadata: MetadataChange::default(),
        request,
        cause: Cause::Manifest,
        parent,
    };
    let bound = actions::service_bindings::bind_app(tx, applying.may, applying.vault, app, new);
    match bound.map_err(|error| error.prefixed(&of_service))? {
        Bound::Done(_) | Bound::Started(_) => Ok(()),
    }
}

/// The manifest's own work, which waits for that of its bindings; made with the first of them.
fn parent(
    tx: &WriteTx<'_>,
    applying: &Applying<'_>,
    work: &mut Option<(JobGuid, i64)>,
) -> Result<i64> {
    if let Some((_, id)) = work {
        return Ok(*id);
    }
    let (may, space) = (applying.may, applying.space.guid.as_str());
    let job = actions::service_instances::job(tx, may, "space.apply_manifest", space)?;
    let asked = Asked {
        work: Work::ApplyManifest,
        resource: space,
        broker: "",
        parent: None,
        job: Some(&job),
        input: Input::default(),
    };
    let id = actions::service_operations::enqueue_waiting(tx, may, &asked)?;
    *work = Some((job, id));
    Ok(id)
}
