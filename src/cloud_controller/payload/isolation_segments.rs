//! Bodies and queries of isolation segments.

use serde_json::Value;

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules =
    ListRules::new(&["names", "organization_guids"]).order_by(&["name"]);
pub(crate) const LIST_ORGANIZATIONS: ListRules = ListRules::new(&["names"]).order_by(&["name"]);

/// A validated create or update.
#[derive(Debug)]
pub(crate) struct SegmentChange {
    pub name: Option<String>,
    pub metadata: MetadataChange,
}

/// `POST /v3/isolation_segments`.
pub(crate) fn create(mut body: Body) -> Result<SegmentChange> {
    if body.as_given().get("name").is_none_or(Value::is_null) {
        body.invalid.field("name", "can't be blank");
    }
    update(body)
}

/// `PATCH /v3/isolation_segments/:guid`.
pub(crate) fn update(mut body: Body) -> Result<SegmentChange> {
    let name = body.limited_string("name", 255);
    let unprintable = |name: &str| name.trim().is_empty() || name.contains(char::is_control);
    if name.as_deref().is_some_and(unprintable) {
        body.invalid
            .add("Isolation Segment names can only contain non-blank unicode characters");
    }
    let metadata = body.metadata();
    body.finish()?;
    Ok(SegmentChange { name, metadata })
}
