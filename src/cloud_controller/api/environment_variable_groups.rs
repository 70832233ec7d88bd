//! Environment variable groups: what every running app, or every staging, finds in its environment.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::payload::environment_variable_groups::environment_change;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, Urls};
use crate::cloud_controller::{actions, model};

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
    let vault = ctx.cc.vault().clone();
    ctx.read(move |tx, ctx| {
        let (vars, updated_at) = model::environment_variable_groups::load(tx, &vault, name)?;
        Ok(Json(present(name, &vars, updated_at, &ctx.urls)))
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
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let may = ctx.may_administer()?;
        let name = known(&name)?;
        let vars = actions::environment_variable_groups::update(tx, &may, &vault, name, change)?;
        Ok(Json(present(name, &vars, Some(ctx.now), &ctx.urls)))
    })
    .await
}

fn known(name: &str) -> Result<&'static str> {
    match name {
        "running" => Ok("running"),
        "staging" => Ok("staging"),
        _ => Err(Error::not_found("Environment variable group")),
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
