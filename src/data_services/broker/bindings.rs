//! Bindings: users of a service.

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::instances::gone;
use super::problem::Problem;
use super::request::{Body, Ids};
use crate::base::Secret;
use crate::data_services::bind::{credentials, via};
use crate::data_services::catalog::binding_fault;
use crate::data_services::random::random_text;
use crate::data_services::store::{Binding, BindingState, Instance, Kind, State as Phase};
use crate::data_services::variables::{Via, host_name};
use crate::data_services::{DataServices, Inner};
use crate::db::{DbError, ReadTx, WriteTx};

/// Length of passwords.
const PASSWORD: usize = 32;

pub(super) async fn bind(
    State(services): State<DataServices>,
    Path((guid, binding)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let inner = &*services.0;
    let body = Body::read(request).await?;
    let (offering, plan) = body.plan(&inner.settings.catalog)?;
    let parameters = body.parameters()?.unwrap_or_default();
    if let Some(fault) = binding_fault(&parameters) {
        return Err(Problem::invalid(fault));
    }
    let wanted = json!({
        "service_id": offering.id, "plan_id": plan.id, "app": body.app().is_some(),
        "app_guid": body.app(), "parameters": parameters,
    });
    let _lock = inner.locks.lock(&guid).await;
    let Some(instance) = inner.find(&guid).await? else {
        return Err(Problem::missing("there is no such service instance"));
    };
    if let Some(known) = find(inner, &binding).await? {
        if known.instance_guid != guid || known.request != wanted {
            return Err(Problem::conflict());
        }
        if known.state == BindingState::Ready {
            return answer(inner, &instance, &known, StatusCode::OK);
        }
        check(&instance)?;
        inner.make_user(&instance, &known, true).await?;
        return answer(inner, &instance, &known, StatusCode::CREATED);
    }
    check(&instance)?;
    if instance.offering_id != offering.id || instance.plan_id != plan.id {
        return Err(Problem::invalid(
            "the service instance is of another service or plan",
        ));
    }
    let new = Binding {
        guid: binding,
        instance_guid: guid,
        request: wanted,
        username: format!("u{:016x}", rand::random::<u64>()),
        password: Secret::new(random_text(PASSWORD)),
        state: BindingState::Creating,
    };
    let (store, row, now) = (inner.store.clone(), new.clone(), inner.now());
    let insert = move |tx: &WriteTx<'_>| store.insert_binding(tx, &row, now);
    inner.db.write(insert).await?;
    inner.make_user(&instance, &new, false).await?;
    answer(inner, &instance, &new, StatusCode::CREATED)
}

/// Whether there is something to bind to.
fn check(instance: &Instance) -> Result<(), Problem> {
    if instance.operation.state == Phase::InProgress || instance.operation.kind == Kind::Delete {
        return Err(Problem::busy());
    }
    if !instance.ready {
        return Err(Problem::invalid("the service instance was never ready"));
    }
    Ok(())
}

fn answer(
    inner: &Inner,
    instance: &Instance,
    binding: &Binding,
    status: StatusCode,
) -> Result<Response, Problem> {
    let service = inner.service(instance)?;
    let (host, ports): (String, Vec<String>) = match via(&binding.request) {
        Via::Network => {
            let ports = service.plan.spec.ports.values();
            (
                host_name(&instance.guid),
                ports.map(|port| port.port.to_string()).collect(),
            )
        }
        Via::Host => {
            let ports = instance.ports.values();
            ("127.0.0.1".to_owned(), ports.map(u16::to_string).collect())
        }
    };
    let body = json!({
        "credentials": credentials(&service, binding)?,
        "endpoints": [{ "host": host, "ports": ports, "protocol": "tcp" }],
    });
    Ok((status, Json(body)).into_response())
}

async fn find(inner: &Inner, guid: &str) -> Result<Option<Binding>, DbError> {
    let (store, guid) = (inner.store.clone(), guid.to_owned());
    inner
        .db
        .read(move |tx: &ReadTx<'_>| store.binding(tx, &guid))
        .await
}

async fn of_instance(
    inner: &Inner,
    (guid, binding): (&str, &str),
) -> Result<Option<Binding>, DbError> {
    let found = find(inner, binding).await?;
    Ok(found.filter(|binding| binding.instance_guid == guid))
}

pub(super) async fn unbind(
    State(services): State<DataServices>,
    Path((guid, binding)): Path<(String, String)>,
    Query(query): Query<Ids>,
) -> Result<Response, Problem> {
    let inner = &*services.0;
    query.check()?;
    let _lock = inner.locks.lock(&guid).await;
    let Some(instance) = inner.find(&guid).await? else {
        return Ok(gone());
    };
    let Some(binding) = of_instance(inner, (&guid, &binding)).await? else {
        return Ok(gone());
    };
    if instance.operation.state == Phase::InProgress {
        return Err(Problem::busy());
    }
    inner.remove_user(&instance, &binding).await?;
    Ok(Json(json!({})).into_response())
}

pub(super) async fn show(
    State(services): State<DataServices>,
    Path((guid, binding)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let inner = &*services.0;
    let missing = || Problem::missing("there is no such service binding");
    let instance = inner.find(&guid).await?.ok_or_else(missing)?;
    let found = of_instance(inner, (&guid, &binding)).await?;
    let ready = found.filter(|binding| binding.state == BindingState::Ready);
    let binding = ready.ok_or_else(missing)?;
    let service = inner.service(&instance)?;
    let parameters = binding.request.get("parameters").cloned();
    Ok(Json(json!({
        "credentials": credentials(&service, &binding)?,
        "parameters": parameters.unwrap_or(Value::Null),
    }))
    .into_response())
}

pub(super) async fn last_operation(
    State(services): State<DataServices>,
    Path((guid, binding)): Path<(String, String)>,
) -> Result<Response, Problem> {
    Ok(match of_instance(&services.0, (&guid, &binding)).await? {
        None => gone(),
        Some(found) => {
            let state = match found.state {
                BindingState::Ready => "succeeded",
                BindingState::Creating | BindingState::Deleting => "in progress",
            };
            Json(json!({ "state": state })).into_response()
        }
    })
}
