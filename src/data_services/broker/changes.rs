//! Updates.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::instances::{accepted, finished, lasting};
use super::problem::Problem;
use super::request::{self, Async, Body};
use crate::data_services::catalog::{ROTATE_ADMIN, Spec};
use crate::data_services::dependents::DEPENDS_ON;
use crate::data_services::store::{
    Act, Instance, Kind, Operation, Parameters, State as Phase, Wanted,
};
use crate::data_services::{DataServices, Inner};
use crate::db::WriteTx;

/// How long an answer waits for the end of an operation.
const MOMENT: Duration = Duration::from_secs(3);

pub(super) async fn update(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
    Query(query): Query<Async>,
    request: Request,
) -> Result<Response, Problem> {
    let inner = &*services.0;
    let body = Body::read(request).await?;
    let service_id = body.text("service_id")?.to_owned();
    let Some(instance) = inner.find(&guid).await? else {
        return Err(Problem::missing("there is no such service instance"));
    };
    let plan_id = body.optional_text("plan_id")?.unwrap_or(&instance.plan_id);
    let catalog = &inner.settings.catalog;
    let (_, plan) = request::plan(catalog, &service_id, plan_id)?;
    if service_id != instance.offering_id {
        return Err(Problem::invalid(
            "the service instance is of another service",
        ));
    }
    let given = body.parameters()?.unwrap_or_default();
    let parameters = merged(&plan.spec, &instance.parameters, &given);
    let chosen = plan.chosen(&parameters).map_err(Problem::invalid)?;
    let plan = &*chosen;
    if let Some(fault) = plan.spec.parameter_fault(&without_nulls(&given)) {
        return Err(Problem::invalid(fault));
    }
    body.check_version(plan)?;
    if instance.operation.state == Phase::InProgress {
        return Err(Problem::busy());
    }
    if !instance.ready {
        return Err(Problem::invalid("the service instance was never ready"));
    }
    if !query.accepts_incomplete {
        return Err(Problem::needs_async());
    }
    let act = act(&plan.spec, &given)?;
    let is_new_plan = plan.id != instance.plan_id;
    let version = if body.names_version() || is_new_plan {
        plan.spec.version.clone()
    } else {
        instance.version.clone()
    };
    let wanted = Wanted {
        plan_id: plan.id.clone(),
        version,
        parameters,
        name: body.instance_name().map(str::to_owned),
        act,
    };
    check(inner, &instance, &wanted).await?;
    begin(inner, instance, wanted).await
}

async fn begin(inner: &Inner, instance: Instance, wanted: Wanted) -> Result<Response, Problem> {
    let (guid, previous) = (instance.guid.clone(), instance.operation.id.clone());
    let id = inner.guids.next();
    let updating = Instance {
        operation: Operation {
            id: id.clone(),
            kind: Kind::Update,
            request: wanted,
            state: Phase::InProgress,
            description: "updating".to_owned(),
        },
        updated_at: inner.now(),
        ..instance
    };
    let store = inner.store.clone();
    let begun = move |tx: &WriteTx<'_>| store.begin(tx, &updating, &previous);
    if !inner.db.write(begun).await? {
        return Err(Problem::busy());
    }
    Ok(match finished(inner, &guid, &id, MOMENT).await? {
        Some(Phase::Succeeded) => Json(json!({})).into_response(),
        _ => accepted(&id),
    })
}

/// What would fail is refused before anything is touched.
async fn check(inner: &Inner, instance: &Instance, wanted: &Wanted) -> Result<(), Problem> {
    let refuse = |error: crate::data_services::Failure| Problem::invalid(error.to_string());
    let mut after = instance.clone();
    after.plan_id.clone_from(&wanted.plan_id);
    after.parameters.clone_from(&wanted.parameters);
    let (was, is) = (inner.service(instance)?, inner.service(&after)?);
    // What it depended on before may be gone, which hinders no other change.
    if wanted.parameters.get(DEPENDS_ON) != instance.parameters.get(DEPENDS_ON) {
        let name = wanted.name.as_deref().unwrap_or(&instance.name);
        let place = (instance.space_guid.as_str(), name);
        let fault = inner.dependency_fault(place, &wanted.parameters).await;
        if let Some(fault) = fault.map_err(refuse)? {
            return Err(Problem::invalid(fault));
        }
    }
    if let Some(backup) = &wanted.act.restore {
        let row = inner.find_backup(backup).await.map_err(refuse)?;
        Inner::check_backup(&was, &row).map_err(refuse)?;
    }
    if !is.plan.spec.ports.keys().eq(instance.ports.keys()) {
        return Err(Problem::invalid(
            "the names of the ports of a service stay as they are; make another service for other ports",
        ));
    }
    let (Some(before), Some(size)) = (was.storage_size(), is.storage_size()) else {
        return Ok(());
    };
    if size >= before {
        return Ok(());
    }
    match inner.used_megabytes(&was).await? {
        Some(used) if used <= size.megabytes() => Ok(()),
        Some(used) => Err(Problem::invalid(format!(
            "the service stores {used} MB, more than the new size of {} MB",
            size.megabytes()
        ))),
        None => Err(Problem::invalid(
            "a service that does not run cannot be made smaller",
        )),
    }
}

fn without_nulls(parameters: &Parameters) -> Parameters {
    let all = parameters.iter().filter(|(_, value)| !value.is_null());
    all.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What was chosen, with what is chosen now; null chooses the default again.
fn merged(spec: &Spec, old: &Parameters, given: &Parameters) -> Parameters {
    let mut all = old.clone();
    for (name, value) in given {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    lasting(spec, &all)
}

fn act(spec: &Spec, given: &Parameters) -> Result<Act, Problem> {
    if given.contains_key("restore_from") {
        return Err(Problem::invalid(
            "parameter restore_from is for new services; use restore",
        ));
    }
    let is_true = |name: &str| given.get(name) == Some(&Value::Bool(true));
    let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Act {
        restart: is_true("restart"),
        recreate: is_true("recreate"),
        backup: text("backup").map(|_| text(spec.backup_tag()).unwrap_or_default()),
        restore: text("restore"),
        rotate_admin: is_true(ROTATE_ADMIN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_services::catalog::{BUILT_IN, Catalog};

    fn sample_spec() -> Spec {
        let catalog = Catalog::read(BUILT_IN).expect("the built-in catalog");
        catalog.offerings[0].plans[0].spec.clone()
    }

    fn map(value: Value) -> Parameters {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn parameters_are_kept_unless_they_are_changed() {
        let spec = sample_spec();
        let old = map(json!({ "sync": "off", "memory": "1g" }));
        let given = map(json!({ "memory": null, "backup": "now", "tag": "v1", "storage": "2g" }));
        assert_eq!(
            merged(&spec, &old, &given),
            map(json!({ "sync": "off", "storage": "2g" }))
        );
        let act = act(&spec, &given).expect("valid");
        assert_eq!(act.backup.as_deref(), Some("v1"));
        assert!(!act.restart && act.restore.is_none());
    }
}
