//! Environment variable groups: what every running app, or every staging, finds in its environment.

pub(crate) mod store;

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::CloudController;
use super::v3::{ApiError, ApiResult, Body, Context, JsonBody, Urls};
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

/// `{"var": {"NAME": "value" or null}}`, checked with CC's rules for names.
pub(crate) fn environment_change(mut body: Body) -> ApiResult<Map<String, Value>> {
    let mut change = Map::new();
    match body.fields.take("var") {
        Some(Value::Object(map)) => change = map,
        _ => body.invalid.field("var", "must be an object"),
    }
    for (name, value) in &change {
        if let Some(fault) = name_fault(name) {
            body.invalid.field("var", fault);
        } else if !value.is_string() && !value.is_null() {
            body.invalid.add(format!(
                "Non-string value in environment variable for key '{name}', value '{value}'"
            ));
        }
    }
    body.finish()?;
    Ok(change)
}

/// What is wrong with an environment variable's name (CC `EnvironmentVariablesValidator`). CC takes
/// the last two, but no process can have such a variable.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    if name.is_empty() {
        Some("key must be a minimum length of 1")
    } else if upper.starts_with("VCAP_") {
        Some("cannot start with VCAP_")
    } else if upper.starts_with("VMC") {
        Some("cannot start with VMC_")
    } else if upper == "PORT" {
        Some("cannot set PORT")
    } else if name.contains('=') {
        Some("key cannot contain '='")
    } else if name.contains(char::is_control) {
        Some("key cannot contain control characters")
    } else {
        None
    }
}

/// Merges a change: null removes.
pub(crate) fn merge(vars: &mut Map<String, Value>, change: Map<String, Value>) {
    for (name, value) in change {
        if value.is_null() {
            vars.shift_remove(&name);
        } else {
            vars.insert(name, value);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        let cases = [
            (
                json!({ "var": { "vcap_x": "1" } }),
                "Var cannot start with VCAP_",
            ),
            (json!({ "var": { "PORT": "1" } }), "Var cannot set PORT"),
            (
                json!({ "var": { "": "1" } }),
                "Var key must be a minimum length of 1",
            ),
            (
                json!({ "var": { "A=B": "1" } }),
                "Var key cannot contain '='",
            ),
            (
                json!({ "var": { "A\nB": null } }),
                "Var key cannot contain control characters",
            ),
            (
                json!({ "var": { "A": 1 } }),
                "Non-string value in environment variable for key 'A', value '1'",
            ),
            (json!({ "var": 1 }), "Var must be an object"),
            (json!({ "var": null }), "Var must be an object"),
        ];
        for (value, fault) in cases {
            let Value::Object(map) = value else {
                panic!("no object")
            };
            let refusal = environment_change(Body::new(map)).expect_err(fault);
            assert_eq!(refusal.detail(), fault);
        }
    }
}
