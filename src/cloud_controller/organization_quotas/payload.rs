//! Bodies and queries of organization quotas.

use serde_json::{Value, json};

use crate::cloud_controller::quotas::{self, LimitsChange};
use crate::cloud_controller::v3::{ApiResult, Body, ListRules};

pub(super) const LIST: ListRules = ListRules::new(&["names", "organization_guids"])
    .without_labels()
    .order_by(&["name"]);

/// A checked create or update.
#[derive(Debug)]
pub(super) struct QuotaChange {
    pub name: Option<String>,
    pub limits: LimitsChange,
    /// `Some(None)` = unlimited.
    pub total_domains: Option<Option<i64>>,
    /// Those that get the quota at once.
    pub organizations: Vec<String>,
    /// The request, for the audit event.
    pub request: Value,
}

/// `POST /v3/organization_quotas`.
pub(super) fn create(mut body: Body) -> ApiResult<QuotaChange> {
    let request = body.as_given();
    if request.get("relationships") == Some(&json!({})) {
        body.invalid
            .add("Relationships 'relationships' must include one or more valid relationships");
    }
    let organizations = body.to_many("organizations").unwrap_or_default();
    let [] = body.relationships([]);
    if request.get("name").is_none_or(Value::is_null) {
        body.invalid.field("name", "can't be blank");
    }
    rest(body, request, organizations)
}

/// `PATCH /v3/organization_quotas/:guid`.
pub(super) fn update(body: Body) -> ApiResult<QuotaChange> {
    let request = body.as_given();
    rest(body, request, Vec::new())
}

fn rest(mut body: Body, request: Value, organizations: Vec<String>) -> ApiResult<QuotaChange> {
    let name = quotas::name(&mut body);
    let limits = quotas::limits(&mut body);
    let total_domains = quotas::total_domains(&mut body);
    body.finish()?;
    Ok(QuotaChange {
        name,
        limits,
        total_domains,
        organizations,
        request,
    })
}
