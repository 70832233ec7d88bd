//! Service instances: the list, with all the filters and fields clients send. Nothing makes one
//! yet, so every list is empty; what is wrong in a query is refused all the same.

use axum::extract::RawQuery;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::{ListQuery, ListRules, Listed};
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context, ListBody, Urls};

const LIST: ListRules = ListRules::new(&[
    "names",
    "space_guids",
    "organization_guids",
    "service_plan_guids",
    "service_plan_names",
])
.order_by(&["name"])
.extras(&[
    "type",
    "fields[space]",
    "fields[space.organization]",
    "fields[service_plan]",
    "fields[service_plan.service_offering]",
    "fields[service_plan.service_offering.service_broker]",
]);

/// What may be asked of a related resource, and where it goes in `included`.
const FIELDS: &[(&str, &str, &[&str])] = &[
    (
        "space",
        "spaces",
        &["guid", "name", "relationships.organization"],
    ),
    ("space.organization", "organizations", &["name", "guid"]),
    (
        "service_plan",
        "service_plans",
        &["guid", "name", "relationships.service_offering"],
    ),
    (
        "service_plan.service_offering",
        "service_offerings",
        &[
            "name",
            "guid",
            "description",
            "documentation_url",
            "tags",
            "relationships.service_broker",
        ],
    ),
    (
        "service_plan.service_offering.service_broker",
        "service_brokers",
        &["name", "guid"],
    ),
];

/// `/v3/service_instances`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route("/v3/service_instances", get(list))
}

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    check_one_of(&query, "type", "Type", &["managed", "user-provided"])?;
    let included = fields(&query)?;
    Ok(Json(empty_list(
        &query,
        &ctx.urls,
        "/v3/service_instances",
        &included,
    )?))
}

/// A page without resources, with empty lists of what `include` or `fields` ask for.
pub(super) fn empty_list(
    query: &ListQuery,
    urls: &Urls,
    path: &str,
    included: &[&'static str],
) -> Result<ListBody> {
    let page = Listed::<Value>::slice(Vec::new(), query);
    let body = page.present(query, urls, path, Clone::clone)?;
    let included = included.iter().map(|key| (*key, Vec::new()));
    Ok(body.including(included.collect()))
}

/// 400 unless a parameter has one of these values.
pub(super) fn check_one_of(
    query: &ListQuery,
    name: &str,
    shown: &str,
    values: &[&str],
) -> Result<()> {
    match query.raw(name) {
        Some(value) if !values.contains(&value) => Err(Error::bad_query(format!(
            "{shown} must be one of '{}'",
            values.join("', '")
        ))),
        _ => Ok(()),
    }
}

/// The keys of `included` that `fields[…]` ask for; 400 for fields that cannot be asked.
fn fields(query: &ListQuery) -> Result<Vec<&'static str>> {
    let mut included = Vec::new();
    for (resource, key, allowed) in FIELDS {
        let Some(asked) = query.values(&format!("fields[{resource}]")) else {
            continue;
        };
        if asked.iter().any(|field| !allowed.contains(&field.as_str())) {
            return Err(Error::bad_query(format!(
                "Fields valid keys for '{resource}' are: '{}'",
                allowed.join("', '")
            )));
        }
        included.push(*key);
    }
    Ok(included)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(query: &str) -> ListQuery {
        ListQuery::parse(Some(query), &LIST).expect(query)
    }

    #[test]
    fn fields_name_what_is_included() {
        let query = parse(
            "space_guids=s&fields%5Bservice_plan%5D=guid,name,relationships.service_offering\
             &fields%5Bservice_plan.service_offering.service_broker%5D=name,guid",
        );
        let included = fields(&query).expect("valid");
        assert_eq!(included, ["service_plans", "service_brokers"]);
        let urls = Urls::new("http://localhost");
        let body = empty_list(&query, &urls, "/v3/service_instances", &included);
        let body = json!(body.expect("no resource fails"));
        assert_eq!(body["resources"], json!([]));
        assert_eq!(
            body["included"],
            json!({ "service_plans": [], "service_brokers": [] })
        );
    }

    #[test]
    fn fields_that_do_not_exist_are_refused() {
        let refusal = fields(&parse("fields[space]=guid,colour")).expect_err("colour");
        assert_eq!(
            refusal.detail(),
            "The query parameter is invalid: Fields valid keys for 'space' are: 'guid', 'name', \
             'relationships.organization'"
        );
        let refusal = check_one_of(
            &parse("type=x"),
            "type",
            "Type",
            &["managed", "user-provided"],
        );
        assert_eq!(
            refusal.expect_err("type").detail(),
            "The query parameter is invalid: Type must be one of 'managed', 'user-provided'"
        );
    }
}
