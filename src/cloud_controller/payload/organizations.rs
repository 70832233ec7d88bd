//! Bodies and queries of organizations.

use serde_json::Value;

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&["names"])
    .order_by(&["name"])
    .extras(&["isolation_segment_guid"]);

/// A validated create or update.
#[derive(Debug)]
pub(crate) struct OrganizationRequest {
    /// Not part of the change: it takes a right of its own.
    pub suspended: Option<bool>,
    pub change: OrganizationChange,
}

/// What managers of an organization may change.
#[derive(Debug)]
pub(crate) struct OrganizationChange {
    pub name: Option<String>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// `POST /v3/organizations`.
pub(crate) fn create(mut body: Body) -> Result<OrganizationRequest> {
    let request = body.as_given();
    let name = body.required_string("name");
    rest(body, name, request)
}

/// `PATCH /v3/organizations/:guid`.
pub(crate) fn update(mut body: Body) -> Result<OrganizationRequest> {
    let request = body.as_given();
    let name = body.string("name");
    if name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        body.invalid
            .field("name", "is too short (minimum is 1 character)");
    }
    rest(body, name, request)
}

fn rest(mut body: Body, name: Option<String>, request: Value) -> Result<OrganizationRequest> {
    if let Some(name) = &name {
        body.check_name("name", name);
    }
    let suspended = body.boolean("suspended");
    let metadata = body.metadata();
    body.finish()?;
    let change = OrganizationChange {
        name,
        metadata,
        request,
    };
    Ok(OrganizationRequest { suspended, change })
}
