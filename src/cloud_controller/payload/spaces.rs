//! Bodies and queries of spaces.

use serde_json::Value;

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&["names", "organization_guids"])
    .order_by(&["name"])
    .includes(INCLUDES);

pub(crate) const INCLUDES: &[&str] = &["org", "organization"];

/// `POST /v3/spaces`.
#[derive(Debug)]
pub(crate) struct CreateSpace {
    pub name: String,
    pub organization: OrganizationGuid,
    pub suspended: bool,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

pub(crate) fn create(mut body: Body) -> Result<CreateSpace> {
    let request = body.as_given();
    let name = body.required_string("name").unwrap_or_default();
    body.check_name("name", &name);
    let [organization] = body.relationships(["organization"]);
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
pub(crate) struct UpdateSpace {
    /// Not part of the change: it takes a right of its own.
    pub suspended: Option<bool>,
    pub change: SpaceChange,
}

/// What managers of a space may change.
#[derive(Debug)]
pub(crate) struct SpaceChange {
    pub name: Option<String>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

pub(crate) fn update(mut body: Body) -> Result<UpdateSpace> {
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
    let change = SpaceChange {
        name,
        metadata,
        request,
    };
    Ok(UpdateSpace { suspended, change })
}

/// `PATCH /v3/spaces/:guid/features/ssh`.
pub(crate) fn feature(mut body: Body) -> Result<bool> {
    let enabled = body.boolean("enabled");
    if enabled.is_none() && body.invalid.is_empty() {
        body.invalid.field("enabled", "must be a boolean");
    }
    body.finish()?;
    Ok(enabled.unwrap_or_default())
}
