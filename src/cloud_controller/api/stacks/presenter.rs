//! JSON of a stack.

use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model::stacks::Stack;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// `/v3/stacks/:guid`.
pub(super) fn present(tx: &ReadTx<'_>, stack: &Stack, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Stack, stack.guid.as_str())?;
    Ok(present_with(stack, &metadata, urls))
}

/// The same for metadata that is at hand.
pub(super) fn present_with(stack: &Stack, metadata: &Metadata, urls: &Urls) -> Value {
    json!({
        "guid": stack.guid,
        "created_at": stack.created_at,
        "updated_at": stack.updated_at,
        "name": stack.name,
        "description": stack.description,
        "state": stack.state,
        "state_reason": stack.state_reason,
        "run_rootfs_image": stack.name,
        "build_rootfs_image": stack.name,
        "default": stack.is_default,
        "metadata": metadata.present(),
        "links": { "self": urls.link(&format!("/v3/stacks/{}", stack.guid)) },
    })
}
