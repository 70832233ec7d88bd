//! Bodies and queries of space quotas.

use serde_json::Value;

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::quotas::{self, LimitsChange};
use crate::cloud_controller::v3::{ApiResult, Body, ListRules};

pub(super) const LIST: ListRules = ListRules::new(&["names", "organization_guids", "space_guids"])
    .without_labels()
    .order_by(&["name"]);

/// What a body says about name and limits.
#[derive(Debug)]
pub(super) struct QuotaChange {
    pub name: Option<String>,
    pub limits: LimitsChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// `POST /v3/space_quotas`.
#[derive(Debug)]
pub(super) struct CreateQuota {
    pub organization: OrganizationGuid,
    /// Those that get the quota at once.
    pub spaces: Vec<String>,
    pub change: QuotaChange,
}

pub(super) fn create(mut body: Body) -> ApiResult<CreateQuota> {
    let request = body.as_given();
    let spaces = if request.get("relationships").is_some_and(Value::is_object) {
        body.to_many("spaces").unwrap_or_default()
    } else {
        Vec::new()
    };
    let [organization] = body.relationships([("organization", true)]);
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
pub(super) fn update(body: Body) -> ApiResult<QuotaChange> {
    let request = body.as_given();
    rest(body, request)
}

fn rest(mut body: Body, request: Value) -> ApiResult<QuotaChange> {
    let name = quotas::name(&mut body);
    let limits = quotas::limits(&mut body);
    body.finish()?;
    Ok(QuotaChange {
        name,
        limits,
        request,
    })
}
