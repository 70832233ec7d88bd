//! Service credential bindings: the list, with all the filters clients send. Nothing makes one
//! yet, so every list is empty; what is wrong in a query is refused all the same.

use axum::extract::RawQuery;
use axum::routing::get;
use axum::{Json, Router};

use crate::cloud_controller::api::service_instances::{check_one_of, empty_list};
use crate::cloud_controller::query::{ListQuery, ListRules};
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context, ListBody};

const LIST: ListRules = ListRules::new(&[
    "names",
    "service_instance_guids",
    "service_instance_names",
    "service_plan_names",
    "service_plan_guids",
    "service_offering_names",
    "service_offering_guids",
    "app_guids",
    "app_names",
])
.order_by(&["name"])
.includes(&["app", "service_instance"])
.extras(&["type"]);

/// `/v3/service_credential_bindings`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route("/v3/service_credential_bindings", get(list))
}

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    check_one_of(&query, "type", "Type", &["app", "key"])?;
    let mut included = Vec::new();
    for (name, key) in [("app", "apps"), ("service_instance", "service_instances")] {
        if query.includes(name) {
            included.push(key);
        }
    }
    let path = "/v3/service_credential_bindings";
    Ok(Json(empty_list(&query, &ctx.urls, path, &included)?))
}
