//! Whether an app's stack and buildpacks can be used: rules over what the platform has.

use super::app::{Lifecycle, LifecycleChange, LifecycleType, is_buildpack_url};
use super::store;
use crate::base::guid::AppGuid;
use crate::cloud_controller::stacks::{self, StackUse};
use crate::cloud_controller::v3::{ApiError, ApiResult, Invalid};
use crate::db::ReadTx;

/// The lifecycle of a new app.
pub(super) fn of_new_app(
    tx: &ReadTx<'_>,
    change: &LifecycleChange,
    default_stack: &str,
) -> ApiResult<Lifecycle> {
    let kind = change.kind.unwrap_or(LifecycleType::Buildpack);
    if kind == LifecycleType::Docker {
        return Ok(Lifecycle {
            kind,
            buildpacks: Vec::new(),
            stack: None,
        });
    }
    let stack = change
        .stack
        .clone()
        .flatten()
        .unwrap_or_else(|| default_stack.to_owned());
    let buildpacks = change.buildpacks.clone().unwrap_or_default();
    check(tx, kind, &buildpacks, &stack)?;
    check_ready(tx, &buildpacks)?;
    stack_usable(tx, &stack, StackUse::NewApp)?;
    Ok(Lifecycle {
        kind,
        buildpacks,
        stack: Some(stack),
    })
}

/// The lifecycle of an app after a change.
pub(super) fn changed(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    current: &Lifecycle,
    change: &LifecycleChange,
    default_stack: &str,
) -> ApiResult<Lifecycle> {
    let kind = change.kind.unwrap_or(current.kind);
    if kind == LifecycleType::Docker && (change.buildpacks.is_some() || change.stack.is_some()) {
        let names = [
            (change.buildpacks.is_some(), "buildpacks"),
            (change.stack.is_some(), "stack"),
        ];
        let given: Vec<&str> = names
            .iter()
            .filter(|(given, _)| *given)
            .map(|(_, name)| *name)
            .collect();
        return Err(ApiError::unprocessable(format!(
            "Lifecycle Unknown field(s): '{}'",
            given.join("', '")
        )));
    }
    if kind != LifecycleType::Docker {
        let stack = change
            .stack
            .clone()
            .flatten()
            .unwrap_or_else(|| default_stack.to_owned());
        check(
            tx,
            kind,
            change.buildpacks.as_deref().unwrap_or_default(),
            &stack,
        )?;
    }
    if kind != current.kind {
        return Err(ApiError::unprocessable(format!(
            "Lifecycle type cannot be changed from {} to {}",
            current.kind.as_str(),
            kind.as_str()
        )));
    }
    if let Some(Some(stack)) = &change.stack {
        stack_usable(tx, stack, usage_of(tx, app)?)?;
    }
    Ok(Lifecycle {
        kind,
        buildpacks: change
            .buildpacks
            .clone()
            .unwrap_or_else(|| current.buildpacks.clone()),
        stack: change
            .stack
            .clone()
            .unwrap_or_else(|| current.stack.clone()),
    })
}

fn check(
    tx: &ReadTx<'_>,
    kind: LifecycleType,
    buildpacks: &[String],
    stack: &str,
) -> ApiResult<()> {
    let mut invalid = Invalid::default();
    let stack_exists = stacks::store::exists(tx, stack)?;
    let named = buildpacks.iter().filter(|name| !is_buildpack_url(name));
    for name in named.filter(|_| kind == LifecycleType::Buildpack) {
        let known = !store::buildpack_states(tx, name, stack_exists.then_some(stack))?.is_empty();
        if !known {
            let of_stack = if stack_exists {
                format!(" for stack \"{stack}\"")
            } else {
                String::new()
            };
            invalid.add(format!(
                "Buildpack \"{name}\"{of_stack} must be an existing admin buildpack or a valid git URI"
            ));
        }
    }
    if !stack_exists {
        invalid.add("Stack must be an existing stack");
    }
    invalid.refuse()
}

fn check_ready(tx: &ReadTx<'_>, buildpacks: &[String]) -> ApiResult<()> {
    for name in buildpacks.iter().filter(|name| !is_buildpack_url(name)) {
        let states = store::buildpack_states(tx, name, None)?;
        if !states.is_empty() && !states.iter().any(|state| state == "READY") {
            return Err(ApiError::unprocessable(format!(
                "\"{name}\" must be in ready state"
            )));
        }
    }
    Ok(())
}

/// 422 when the stack's state forbids it.
fn stack_usable(tx: &ReadTx<'_>, stack: &str, usage: StackUse) -> ApiResult<()> {
    stack_warning(tx, stack, usage).map(drop)
}

/// What is to be said about using a stack; 422 when its state forbids it.
pub(super) fn stack_warning(
    tx: &ReadTx<'_>,
    stack: &str,
    usage: StackUse,
) -> ApiResult<Option<String>> {
    match stacks::store::find_named(tx, stack)? {
        None => Ok(None),
        Some(stack) => stacks::verdict(&stack, usage).map_err(ApiError::unprocessable),
    }
}

/// What kind of use a staging of this app would be.
pub(super) fn usage_of(tx: &ReadTx<'_>, app: &AppGuid) -> ApiResult<StackUse> {
    Ok(if store::has_builds(tx, app)? {
        StackUse::Restaging
    } else {
        StackUse::NewApp
    })
}
