//! Bodies and queries of organization quotas.

use serde_json::{Value, json};

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::payload;
use crate::cloud_controller::payload::quotas::LimitsChange;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&["names", "organization_guids"])
    .without_labels()
    .order_by(&["name"]);

/// A validated create or update.
#[derive(Debug)]
pub(crate) struct QuotaChange {
    pub name: Option<String>,
    pub limits: LimitsChange,
    /// `Some(None)` = unlimited.
    pub total_domains: Option<Option<i64>>,
    /// The organizations that get the quota at once.
    pub organizations: Vec<String>,
    /// The request, for the audit event.
    pub request: Value,
}

/// `POST /v3/organization_quotas`.
pub(crate) fn create(mut body: Body) -> Result<QuotaChange> {
    let request = body.as_given();
    if request.get("relationships") == Some(&json!({})) {
        body.invalid
            .add("Relationships 'relationships' must include one or more valid relationships");
    }
    let organizations = body.to_many("organizations").unwrap_or_default();
    let [] = body.optional_relationships([]);
    if request.get("name").is_none_or(Value::is_null) {
        body.invalid.field("name", "can't be blank");
    }
    rest(body, request, organizations)
}

/// `PATCH /v3/organization_quotas/:guid`.
pub(crate) fn update(body: Body) -> Result<QuotaChange> {
    let request = body.as_given();
    rest(body, request, Vec::new())
}

fn rest(mut body: Body, request: Value, organizations: Vec<String>) -> Result<QuotaChange> {
    let name = payload::quotas::name(&mut body);
    let limits = payload::quotas::limits(&mut body);
    let total_domains = payload::quotas::total_domains(&mut body);
    body.finish()?;
    Ok(QuotaChange {
        name,
        limits,
        total_domains,
        organizations,
        request,
    })
}
