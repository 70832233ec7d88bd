//! Requests on router groups.

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::RoutingError;
use crate::base::guid::RouterGroupGuid;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model;
use crate::cloud_controller::model::router_groups::RouterGroup;
use crate::cloud_controller::state::CloudController;
use crate::net::PortRanges;

const READ: &str = "routing.router_groups.read";
const WRITE: &str = "routing.router_groups.write";
/// More is no router group.
const LARGEST_BODY: usize = 64 << 10;
/// Percent-encoded, as clients expect it in this header.
const WARNING: &str =
    "Routes%20with%20a%20port%20that%20is%20not%20reservable%20any%20more%20keep%20it.";

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    name: String,
}

pub(super) async fn list(
    State(cc): State<CloudController>,
    headers: HeaderMap,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, RoutingError> {
    check_scope(&cc, &headers, READ)?;
    let Query(ListQuery { name }) =
        query.map_err(|fault| RoutingError::process(fault.body_text()))?;
    let groups = if name.is_empty() {
        cc.db().read(model::router_groups::list).await?
    } else {
        let wanted = name.clone();
        let found = cc
            .db()
            .read(move |tx| model::router_groups::find_by_name(tx, &wanted));
        let found: Option<RouterGroup> = found.await?;
        let missing = || RoutingError::not_found(format!("router group '{name}' not found"));
        vec![found.ok_or_else(missing)?]
    };
    Ok(Json(groups.iter().map(present).collect()))
}

/// What the links of domains lead to.
pub(super) async fn show(
    State(cc): State<CloudController>,
    Path(guid): Path<RouterGroupGuid>,
    headers: HeaderMap,
) -> Result<Json<Value>, RoutingError> {
    check_scope(&cc, &headers, READ)?;
    let wanted = guid.clone();
    let found = cc
        .db()
        .read(move |tx| model::router_groups::find(tx, &wanted));
    let found: Option<RouterGroup> = found.await?;
    let group = found.ok_or_else(|| does_not_exist(&guid))?;
    Ok(Json(present(&group)))
}

pub(super) async fn update(
    State(cc): State<CloudController>,
    Path(guid): Path<RouterGroupGuid>,
    request: Request,
) -> Result<Response, RoutingError> {
    check_scope(&cc, request.headers(), WRITE)?;
    let asked = ports(request).await?;
    let now = cc.now();
    let updated: Result<_, Error> = cc
        .db()
        .write(move |tx| {
            let Some(mut group) = model::router_groups::find(tx, &guid)? else {
                return Ok(Err(does_not_exist(&guid)));
            };
            if group.reservable_ports.as_str() == asked {
                return Ok(Ok(group));
            }
            match reservable(&group, &asked) {
                Err(fault) => Ok(Err(RoutingError::process(fault))),
                Ok(ports) => {
                    model::router_groups::set_ports(tx, &group.guid, &ports, now)?;
                    group.reservable_ports = ports;
                    Ok(Ok(group))
                }
            }
        })
        .await;
    let group = updated??;
    let warning = [("X-Cf-Warnings", WARNING)];
    Ok((warning, Json(present(&group))).into_response())
}

/// The field `reservable_ports`, empty without one; others are ignored.
async fn ports(request: Request) -> Result<String, RoutingError> {
    let bytes = axum::body::to_bytes(request.into_body(), LARGEST_BODY).await;
    let bytes =
        bytes.map_err(|_| RoutingError::process("the body is too large, or ended early"))?;
    let body: Value = serde_json::from_slice(&bytes).map_err(RoutingError::process)?;
    let Value::Object(mut fields) = body else {
        return Err(RoutingError::process("the body is not a JSON object"));
    };
    match fields.remove("reservable_ports") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(ports)) => Ok(ports),
        Some(_) => Err(RoutingError::process("reservable_ports is not a string")),
    }
}

fn reservable(group: &RouterGroup, asked: &str) -> Result<PortRanges, String> {
    if asked.is_empty() {
        let name = &group.name;
        return Err(format!("missing reservable_ports in router group: {name}"));
    }
    PortRanges::parse(asked).map_err(|fault| fault.to_string())
}

fn does_not_exist(guid: &RouterGroupGuid) -> RoutingError {
    RoutingError::not_found(format!("router group '{guid}' does not exist"))
}

fn check_scope(cc: &CloudController, headers: &HeaderMap, scope: &str) -> Result<(), RoutingError> {
    let header = headers.get(header::AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    let token = match header.split(' ').collect::<Vec<_>>()[..] {
        [scheme, token] if scheme.eq_ignore_ascii_case("bearer") => token,
        [scheme, _] => {
            let text = format!("Invalid token type: {scheme}");
            return Err(RoutingError::unauthorized(text));
        }
        _ => return Err(RoutingError::unauthorized("invalid token format")),
    };
    let claims = cc.uaa().verify(token).map_err(RoutingError::token)?;
    if claims.has_scope(scope) {
        return Ok(());
    }
    let text = "You are not authorized to perform the requested action";
    Err(RoutingError::unauthorized(text))
}

fn present(group: &RouterGroup) -> Value {
    json!({
        "guid": group.guid,
        "name": group.name,
        "type": group.kind,
        "reservable_ports": group.reservable_ports.as_str(),
    })
}
