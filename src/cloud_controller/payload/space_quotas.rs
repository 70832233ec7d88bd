//! Bodies and queries of space quotas.

use serde_json::Value;

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::payload;
use crate::cloud_controller::payload::quotas::LimitsChange;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&["names", "organization_guids", "space_guids"])
    .without_labels()
    .order_by(&["name"]);

/// Name and limits of a body.
#[derive(Debug)]
pub(crate) struct QuotaChange {
    pub name: Option<String>,
    pub limits: LimitsChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// `POST /v3/space_quotas`.
#[derive(Debug)]
pub(crate) struct CreateQuota {
    pub organization: OrganizationGuid,
    /// The spaces that get the quota at once.
    pub spaces: Vec<String>,
    pub change: QuotaChange,
}

pub(crate) fn create(mut body: Body) -> Result<CreateQuota> {
    let request = body.as_given();
    let spaces = if request.get("relationships").is_some_and(Value::is_object) {
        body.to_many("spaces").unwrap_or_default()
    } else {
        Vec::new()
    };
    let [organization] = body.relationships(["organization"]);
    if request.get("name").is_none_or(Value::is_null) {
        body.invalid.field("name", "can't be blank");
    }
    Ok(CreateQuota {
        change: rest(body, request)?,
        organization: organization.flatten().unwrap_or_default().into(),
        spaces,
    })
}

/// `PATCH /v3/space_quotas/:guid`.
pub(crate) fn update(body: Body) -> Result<QuotaChange> {
    let request = body.as_given();
    rest(body, request)
}

fn rest(mut body: Body, request: Value) -> Result<QuotaChange> {
    let name = payload::quotas::name(&mut body);
    let limits = payload::quotas::limits(&mut body);
    body.finish()?;
    Ok(QuotaChange {
        name,
        limits,
        request,
    })
}
