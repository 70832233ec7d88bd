//! What can be done to stacks, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::StackGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::stacks::Stack;
use crate::cloud_controller::payload::stacks::{CreateStack, StackChange};
use crate::cloud_controller::permits::MayAdminister;
use crate::db::WriteTx;

/// Makes a stack. Apps can name it; staging on it needs its images.
pub(crate) fn create(tx: &WriteTx<'_>, may: &MayAdminister, wanted: CreateStack) -> Result<Stack> {
    let stack = Stack {
        guid: StackGuid::generate(&may.guids),
        name: wanted.name,
        description: wanted.description,
        state: wanted.state,
        state_reason: wanted.state_reason,
        is_default: false,
        created_at: may.now,
        updated_at: may.now,
    };
    model::stacks::insert(tx, &stack)?;
    wanted
        .metadata
        .store(tx, ResourceType::Stack, stack.guid.as_str())?;
    let data = json!({ "request": wanted.request });
    record(tx, may, "audit.stack.create", &stack, &data)?;
    Ok(stack)
}

/// Changes state, its reason, or metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    mut stack: Stack,
    change: StackChange,
) -> Result<Stack> {
    stack.state = change.state.unwrap_or(stack.state);
    stack.state_reason = change.state_reason.unwrap_or(stack.state_reason);
    stack.updated_at = may.now;
    model::stacks::update(tx, &stack)?;
    change
        .metadata
        .store(tx, ResourceType::Stack, stack.guid.as_str())?;
    let data = json!({ "request": change.request });
    record(tx, may, "audit.stack.update", &stack, &data)?;
    Ok(stack)
}

/// Deletes a stack that no app is on.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayAdminister, stack: &Stack) -> Result<()> {
    if model::stacks::has_apps(tx, &stack.name)? {
        return Err(Error::unprocessable(format!(
            "Cannot delete stack '{}' because apps are currently using the stack.",
            stack.name
        )));
    }
    record(tx, may, "audit.stack.delete", stack, &json!({}))?;
    model::stacks::delete(tx, &stack.guid)
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    stack: &Stack,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: stack.guid.as_str(),
        kind: "stack",
        name: &stack.name,
    };
    recorder.record(tx, kind, &target, Place::default(), data)
}
