//! Bodies and queries of spaces.

use serde_json::Value;

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::v3::{ApiResult, Body, ListRules, MetadataChange};

pub(super) const LIST: ListRules = ListRules::new(&["names", "organization_guids"])
    .order_by(&["name"])
    .includes(INCLUDES);

pub(super) const INCLUDES: &[&str] = &["org", "organization"];

/// `POST /v3/spaces`.
#[derive(Debug)]
pub(super) struct CreateSpace {
    pub name: String,
    pub organization: OrganizationGuid,
    pub suspended: bool,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

pub(super) fn create(mut body: Body) -> ApiResult<CreateSpace> {
    let request = body.as_given();
    let name = body.required_string("name").unwrap_or_default();
    body.check_name("name", &name);
    let [organization] = body.relationships([("organization", true)]);
    let suspended = body.boolean("suspended").unwrap_or(false);
    let metadata = body.metadata();
    body.finish()?;
    let organization = organization.flatten().unwrap_or_default();
    Ok(CreateSpace {
        name,
        organization: organization.into(),
        suspended,
        metadata,
        request,
    })
}

/// `PATCH /v3/spaces/:guid`.
#[derive(Debug)]
pub(super) struct UpdateSpace {
    pub name: Option<String>,
    pub suspended: Option<bool>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

pub(super) fn update(mut body: Body) -> ApiResult<UpdateSpace> {
    let request = body.as_given();
    let name = body.string("name");
    if let Some(name) = &name {
        if name.trim().is_empty() {
            body.invalid
                .field("name", "is too short (minimum is 1 character)");
        }
        body.check_name("name", name);
    }
    let suspended = body.boolean("suspended");
    let metadata = body.metadata();
    body.finish()?;
    Ok(UpdateSpace {
        name,
        suspended,
        metadata,
        request,
    })
}

/// `PATCH /v3/spaces/:guid/features/ssh`.
pub(super) fn feature(mut body: Body) -> ApiResult<bool> {
    let enabled = body.boolean("enabled");
    if enabled.is_none() && body.invalid.is_empty() {
        body.invalid.field("enabled", "must be a boolean");
    }
    body.finish()?;
    Ok(enabled.unwrap_or_default())
}
