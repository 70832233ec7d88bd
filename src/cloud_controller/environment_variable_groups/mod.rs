//! Environment variable groups: what every running app, or every staging, finds in its environment.

mod payload;
pub(crate) mod store;

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

pub(crate) use payload::{environment_change, merge, name_fault};

use super::CloudController;
use super::v3::{ApiError, ApiResult, Context, JsonBody, Urls};
use crate::base::Timestamp;

/// `/v3/environment_variable_groups`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route(
        "/v3/environment_variable_groups/{name}",
        get(show).patch(update),
    )
}

async fn show(ctx: Context, Path(name): Path<String>) -> ApiResult<Json<Value>> {
    let name = known(&name)?;
    let Context { cc, urls, .. } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .read(move |tx| {
            let (vars, updated_at) = store::load(tx, &vault, name)?;
            Ok(Json(present(name, &vars, updated_at, &urls)))
        })
        .await
}

async fn update(
    ctx: Context,
    Path(name): Path<String>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let nothing = body.as_given().as_object().is_some_and(Map::is_empty);
    let change = if nothing {
        Map::new()
    } else {
        environment_change(body)?
    };
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let vault = cc.vault().clone();
    cc.db()
        .write(move |tx| {
            caller.must_be_admin()?;
            let name = known(&name)?;
            let (mut vars, _) = store::load(tx, &vault, name)?;
            merge(&mut vars, change);
            store::save(tx, &vault, name, &vars, now)?;
            Ok(Json(present(name, &vars, Some(now), &urls)))
        })
        .await
}

fn known(name: &str) -> ApiResult<&'static str> {
    match name {
        "running" => Ok("running"),
        "staging" => Ok("staging"),
        _ => Err(ApiError::not_found("Environment variable group")),
    }
}

fn present(
    name: &str,
    vars: &Map<String, Value>,
    updated_at: Option<Timestamp>,
    urls: &Urls,
) -> Value {
    json!({
        "updated_at": updated_at,
        "name": name,
        "var": vars,
        "links": { "self": urls.link(&format!("/v3/environment_variable_groups/{name}")) },
    })
}
