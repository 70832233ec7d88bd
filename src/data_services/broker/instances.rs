//! Provisioning, deprovisioning and what is known of an instance.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::problem::Problem;
use super::request::{Async, Body, Ids};
use crate::base::Secret;
use crate::data_services::catalog::{Plan, ROTATE_ADMIN, Spec};
use crate::data_services::random::random_text;
use crate::data_services::store::{
    Act, Instance, Kind, Operation, Parameters, State as Phase, Wanted,
};
use crate::data_services::{DataServices, Failure, Inner, ports, store};
use crate::db::{DbError, WriteTx};

/// How long an answer waits for the end of an operation.
const MOMENT: Duration = Duration::from_secs(3);
/// The same for what has to be over when it is answered: platforms wait for 60 s.
const LONG_MOMENT: Duration = Duration::from_secs(50);

pub(super) async fn provision(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
    Query(query): Query<Async>,
    request: Request,
) -> Result<Response, Problem> {
    let inner = &*services.0;
    let body = Body::read(request).await?;
    let (offering, plan) = body.plan(&inner.settings.catalog)?;
    let parameters = body.parameters()?.unwrap_or_default();
    let act = act_of_new(&plan.spec, &parameters)?;
    let chosen = plan.chosen(&parameters).map_err(Problem::invalid)?;
    let plan = &*chosen;
    if let Some(fault) = plan.spec.parameter_fault(&parameters) {
        return Err(Problem::invalid(fault));
    }
    body.check_version(plan)?;
    if !query.accepts_incomplete {
        return Err(Problem::needs_async());
    }
    let now = inner.now();
    let wanted = Wanted {
        plan_id: plan.id.clone(),
        version: plan.spec.version.clone(),
        parameters: lasting(&plan.spec, &parameters),
        name: None,
        act,
    };
    let instance = Instance {
        guid: guid.clone(),
        offering_id: offering.id.clone(),
        plan_id: plan.id.clone(),
        organization_guid: body.text("organization_guid")?.to_owned(),
        space_guid: body.text("space_guid")?.to_owned(),
        name: body.instance_name().unwrap_or(&guid).to_owned(),
        parameters: wanted.parameters.clone(),
        secrets: Secret::new(secrets(plan)),
        ports: BTreeMap::new(),
        version: plan.spec.version.clone(),
        ready: false,
        operation: Operation {
            id: inner.guids.next(),
            kind: Kind::Create,
            request: wanted,
            state: Phase::InProgress,
            description: "waiting for other services".to_owned(),
        },
        created_at: now,
        updated_at: now,
    };
    check(inner, &instance).await?;
    let existed = begin(inner, instance.clone(), plan).await?;
    if let Some(known) = existed {
        return again(inner, &known, &instance).await;
    }
    let created = finished(inner, &guid, &instance.operation.id, MOMENT).await?;
    Ok(match created {
        Some(Phase::Succeeded) => {
            let body = with_dashboard(json!({}), dashboard(inner, &guid).await?);
            (StatusCode::CREATED, Json(body)).into_response()
        }
        // A failure is told by the platform's question after it, too.
        _ => accepted(&instance.operation.id),
    })
}

/// Where a browser on this machine finds a page about an instance, if there is one.
async fn dashboard(inner: &Inner, guid: &str) -> Result<Option<String>, Problem> {
    let Some(instance) = inner.find(guid).await? else {
        return Ok(None);
    };
    Ok(inner.service(&instance)?.dashboard_url()?)
}

/// With the address of a page, if there is one: whoever asks for an instance takes no null.
fn with_dashboard(mut body: Value, url: Option<String>) -> Value {
    if let Some(url) = url {
        body["dashboard_url"] = Value::String(url);
    }
    body
}

/// What would fail is refused before anything is made.
async fn check(inner: &Inner, instance: &Instance) -> Result<(), Problem> {
    let refuse = |error: Failure| Problem::invalid(error.to_string());
    let place = (instance.space_guid.as_str(), instance.name.as_str());
    let fault = inner.dependency_fault(place, &instance.parameters).await;
    if let Some(fault) = fault.map_err(refuse)? {
        return Err(Problem::invalid(fault));
    }
    if let Some(backup) = &instance.operation.request.act.restore {
        let row = inner.find_backup(backup).await.map_err(refuse)?;
        let service = inner.service(instance)?;
        Inner::check_backup(&service, &row).map_err(refuse)?;
    }
    Ok(())
}

/// Stores a new instance with its ports, unless there is one with its guid, which is returned.
async fn begin(
    inner: &Inner,
    mut instance: Instance,
    plan: &Plan,
) -> Result<Option<Instance>, Problem> {
    let (store, spec) = (inner.store.clone(), plan.spec.clone());
    let platform_id = inner.settings.platform_id.clone();
    let stored = inner.db.write(move |tx: &WriteTx<'_>| {
        if let Some(known) = store.find(tx, &instance.guid)? {
            return Ok::<_, DbError>(Ok(Some(known)));
        }
        if let Some(rules) = &spec.own_image
            && store::count(tx, &instance.plan_id, &instance.space_guid)? >= rules.most_per_space
        {
            let most = rules.most_per_space;
            let text = format!(
                "there are already {most} such services in this space, the most that is allowed"
            );
            return Ok(Err(Failure::new(text)));
        }
        let chosen = ports::choose(&spec, &store::ports(tx)?, &platform_id);
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(failure) => return Ok(Err(failure)),
        };
        instance.ports = chosen;
        store.insert(tx, &instance)?;
        Ok(Ok(None))
    });
    Ok(stored.await??)
}

/// The same request again is answered as the first one; another one with the same guid is refused.
async fn again(inner: &Inner, known: &Instance, new: &Instance) -> Result<Response, Problem> {
    let created = &known.operation;
    let same = known.offering_id == new.offering_id
        && known.space_guid == new.space_guid
        && known.organization_guid == new.organization_guid;
    let asked = match created.kind {
        Kind::Create => created.request == new.operation.request,
        _ => known.plan_id == new.plan_id && known.parameters == new.parameters,
    };
    if !same || !asked {
        return Err(Problem::conflict());
    }
    match (created.kind, created.state) {
        (Kind::Delete, _) => Err(Problem::busy()),
        (Kind::Create, Phase::InProgress) => Ok(accepted(&created.id)),
        (Kind::Create, Phase::Failed) => {
            let mut retried = known.clone();
            retried.operation.state = Phase::InProgress;
            retried.operation.id = new.operation.id.clone();
            let (store, previous) = (inner.store.clone(), known.operation.id.clone());
            let id = retried.operation.id.clone();
            let begin = move |tx: &WriteTx<'_>| store.begin(tx, &retried, &previous);
            if !inner.db.write(begin).await? {
                return Err(Problem::busy());
            }
            Ok(accepted(&id))
        }
        _ => Ok(Json(json!({})).into_response()),
    }
}

fn secrets(plan: &Plan) -> BTreeMap<String, String> {
    let all = plan.spec.secrets.iter();
    all.map(|(name, secret)| (name.clone(), random_text(secret.length)))
        .collect()
}

/// Parameters that only say what to do once are no properties; the tag of a backup is one, too.
const ONCE: [&str; 6] = [
    "restart",
    "recreate",
    "backup",
    "restore",
    "restore_from",
    ROTATE_ADMIN,
];

pub(super) fn lasting(spec: &Spec, parameters: &Parameters) -> Parameters {
    let all = parameters.iter();
    let is_once = |name: &str| ONCE.contains(&name) || name == spec.backup_tag();
    let lasting = all.filter(|(name, value)| !is_once(name) && !value.is_null());
    lasting
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn act_of_new(spec: &Spec, parameters: &Parameters) -> Result<Act, Problem> {
    for name in [
        "restart",
        "recreate",
        "backup",
        spec.backup_tag(),
        "restore",
        ROTATE_ADMIN,
    ] {
        if parameters.contains_key(name) {
            return Err(Problem::invalid(format!(
                "parameter {name} is for services that exist"
            )));
        }
    }
    let restore = parameters.get("restore_from").and_then(Value::as_str);
    Ok(Act {
        restore: restore.map(str::to_owned),
        ..Act::default()
    })
}

pub(super) async fn deprovision(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
    Query(query): Query<Ids>,
) -> Result<Response, Problem> {
    let inner = &*services.0;
    query.check()?;
    let Some(mut instance) = inner.find(&guid).await? else {
        return Ok(gone());
    };
    let busy = instance.operation.state == Phase::InProgress;
    let id = match instance.operation.kind {
        Kind::Delete if busy => instance.operation.id.clone(),
        Kind::Update if busy => return Err(Problem::busy()),
        _ => {
            let previous = instance.operation.id.clone();
            let id = inner.guids.next();
            instance.operation.id.clone_from(&id);
            instance.operation.kind = Kind::Delete;
            instance.operation.state = Phase::InProgress;
            "deleting".clone_into(&mut instance.operation.description);
            instance.updated_at = inner.now();
            let store = inner.store.clone();
            let begin = move |tx: &WriteTx<'_>| store.begin(tx, &instance, &previous);
            if !inner.db.write(begin).await? {
                return Err(Problem::busy());
            }
            id
        }
    };
    match finished(inner, &guid, &id, LONG_MOMENT).await? {
        None => Ok(Json(json!({})).into_response()),
        Some(Phase::InProgress) if query.accepts_incomplete => Ok(accepted(&id)),
        Some(Phase::InProgress) => Err(Problem::needs_async()),
        Some(_) => {
            let found = inner.find(&guid).await?;
            let text = found.map_or_else(String::new, |found| found.operation.description);
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, text))
        }
    }
}

pub(super) async fn show(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
) -> Result<Response, Problem> {
    let found = services.0.find(&guid).await?;
    let Some(instance) = found.filter(|instance| instance.ready) else {
        return Err(Problem::missing("there is no such service instance"));
    };
    // What the catalog does not have any more has no page.
    let service = services.0.service(&instance).ok();
    let dashboard = service.and_then(|service| service.dashboard_url().ok().flatten());
    let body = json!({
        "service_id": instance.offering_id,
        "plan_id": instance.plan_id,
        "parameters": instance.parameters,
        "maintenance_info": { "version": instance.version },
    });
    Ok(Json(with_dashboard(body, dashboard)).into_response())
}

pub(super) async fn last_operation(
    State(services): State<DataServices>,
    Path(guid): Path<String>,
) -> Result<Response, Problem> {
    let Some(instance) = services.0.find(&guid).await? else {
        return Ok(gone());
    };
    let operation = instance.operation;
    Ok(Json(json!({
        "state": operation.state.as_str(), "description": operation.description,
    }))
    .into_response())
}

pub(super) fn gone() -> Response {
    (StatusCode::GONE, Json(json!({}))).into_response()
}

pub(super) fn accepted(operation: &str) -> Response {
    (
        StatusCode::ACCEPTED,
        Json(json!({ "operation": operation })),
    )
        .into_response()
}

/// The state of an operation when it ended or the time is over; `None` = the instance is gone.
pub(super) async fn finished(
    inner: &Inner,
    guid: &str,
    operation: &str,
    patience: Duration,
) -> Result<Option<Phase>, DbError> {
    let mut changes = inner.db.changes();
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        changes.mark_unchanged();
        let Some(instance) = inner.find(guid).await? else {
            return Ok(None);
        };
        let state = instance.operation.state;
        if instance.operation.id != operation || state != Phase::InProgress {
            return Ok(Some(state));
        }
        let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
        if !matches!(changed, Ok(Ok(()))) {
            return Ok(Some(Phase::InProgress));
        }
    }
}
