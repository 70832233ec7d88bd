//! JSON of an audit event.

use serde_json::{Value, json};

use crate::cloud_controller::model::audit_events::AuditEvent;
use crate::cloud_controller::v3::Urls;

pub(super) fn present(event: &AuditEvent, urls: &Urls) -> Value {
    let party =
        |[guid, kind, name]: &[String; 3]| json!({ "guid": guid, "type": kind, "name": name });
    let reference = |guid: &Option<String>| guid.as_ref().map(|guid| json!({ "guid": guid }));
    json!({
        "guid": event.guid,
        "created_at": event.created_at,
        "updated_at": event.created_at,
        "type": event.kind,
        "actor": party(&event.actor),
        "target": party(&event.target),
        "data": event.data,
        "space": reference(&event.space_guid),
        "organization": reference(&event.organization_guid),
        "links": { "self": urls.link(&format!("/v3/audit_events/{}", event.guid)) },
    })
}
