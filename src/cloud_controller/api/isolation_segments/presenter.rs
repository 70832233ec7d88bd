//! JSON of an isolation segment.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::isolation_segments::IsolationSegment;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// With its metadata read from the database.
pub(super) fn present_from(
    tx: &ReadTx<'_>,
    segment: &IsolationSegment,
    urls: &Urls,
) -> Result<Value> {
    let guid = segment.guid.as_str();
    let metadata = Metadata::load(tx, ResourceType::IsolationSegment, guid)?;
    Ok(present(segment, &metadata, urls))
}

/// Many, with their metadata.
pub(super) fn present_all(
    tx: &ReadTx<'_>,
    segments: &[IsolationSegment],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = segments.iter().map(|segment| segment.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::IsolationSegment, guids)?;
    let shown = segments
        .iter()
        .map(|segment| present(segment, metadata.of(segment.guid.as_str()), urls));
    Ok(shown.collect())
}

fn present(segment: &IsolationSegment, metadata: &Metadata, urls: &Urls) -> Value {
    let path = format!("/v3/isolation_segments/{}", segment.guid);
    json!({
        "guid": segment.guid,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
        "name": segment.name,
        "metadata": metadata.present(),
        "links": {
            "self": urls.link(&path),
            "organizations": urls.link(&format!("{path}/organizations")),
        },
    })
}
