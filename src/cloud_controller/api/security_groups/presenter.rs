//! JSON of a security group.

use serde_json::{Value, json};

use crate::base::guid::SpaceGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::security_groups::{Bound, Lifecycle, SecurityGroup};
use crate::cloud_controller::v3::{Urls, guid_data};

/// Many, each with the spaces it is bound to as far as `bound` names them.
pub(super) fn present_all(
    groups: &[SecurityGroup],
    bound: &Bound,
    urls: &Urls,
) -> Result<Vec<Value>> {
    groups
        .iter()
        .map(|group| present(group, bound, urls))
        .collect()
}

/// `/v3/security_groups/:guid`.
pub(super) fn present(group: &SecurityGroup, bound: &Bound, urls: &Urls) -> Result<Value> {
    let of_group = bound.get(&group.guid).map_or(&[][..], Vec::as_slice);
    let spaces = |wanted: Lifecycle| -> Value {
        let of_lifecycle = of_group.iter().filter(|(_, of)| *of == wanted);
        let guids: Vec<&SpaceGuid> = of_lifecycle.map(|(guid, _)| guid).collect();
        guid_data(&guids)
    };
    let rules: Value = serde_json::from_str(&group.rules)?;
    Ok(json!({
        "guid": group.guid,
        "created_at": group.created_at,
        "updated_at": group.updated_at,
        "name": group.name,
        "rules": rules,
        "globally_enabled": { "running": group.globally_running, "staging": group.globally_staging },
        "relationships": {
            "running_spaces": { "data": spaces(Lifecycle::Running) },
            "staging_spaces": { "data": spaces(Lifecycle::Staging) },
        },
        "links": { "self": urls.link(&format!("/v3/security_groups/{}", group.guid)) },
    }))
}
