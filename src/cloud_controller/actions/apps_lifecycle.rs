//! Whether an app's stack and buildpacks can be used: rules over what the platform has.

use crate::base::guid::AppGuid;
use crate::cloud_controller::body::Invalid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{
    Lifecycle, LifecycleChange, LifecycleType, is_buildpack_url, is_cnb_url,
};
use crate::cloud_controller::model::stacks::StackUse;
use crate::db::ReadTx;

/// The lifecycle of a new app.
pub(crate) fn of_new_app(
    tx: &ReadTx<'_>,
    change: &LifecycleChange,
    default_stack: &str,
) -> Result<Lifecycle> {
    let kind = change.kind.unwrap_or(LifecycleType::Buildpack);
    if kind == LifecycleType::Docker {
        return Ok(Lifecycle {
            kind,
            buildpacks: Vec::new(),
            stack: None,
            has_credentials: false,
        });
    }
    let stack = change
        .stack
        .clone()
        .flatten()
        .unwrap_or_else(|| default_stack.to_owned());
    let buildpacks = change.buildpacks.clone().unwrap_or_default();
    check(tx, kind, &buildpacks, &stack)?;
    check_ready(tx, kind, &buildpacks)?;
    stack_usable(tx, &stack, StackUse::NewApp)?;
    Ok(Lifecycle {
        kind,
        buildpacks,
        stack: Some(stack),
        has_credentials: false,
    })
}

/// The lifecycle of an app after a change.
pub(crate) fn changed(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    current: &Lifecycle,
    change: &LifecycleChange,
    default_stack: &str,
) -> Result<Lifecycle> {
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
        return Err(Error::unprocessable(format!(
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
        return Err(Error::unprocessable(format!(
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
        has_credentials: current.has_credentials,
    })
}

fn check(tx: &ReadTx<'_>, kind: LifecycleType, buildpacks: &[String], stack: &str) -> Result<()> {
    let mut invalid = Invalid::default();
    let stack_exists = model::stacks::exists(tx, stack)?;
    for name in buildpacks.iter().filter(|name| !is_url(kind, name)) {
        let of_stack = stack_exists.then_some(stack);
        if model::apps::buildpack_states(tx, kind, name, of_stack)?.is_empty() {
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

/// Whether a buildpack is named by URL. For Cloud Native Buildpacks other URLs are unknown names.
fn is_url(kind: LifecycleType, text: &str) -> bool {
    match kind {
        LifecycleType::Cnb => is_cnb_url(text),
        LifecycleType::Buildpack | LifecycleType::Docker => is_buildpack_url(text),
    }
}

fn check_ready(tx: &ReadTx<'_>, kind: LifecycleType, buildpacks: &[String]) -> Result<()> {
    for name in buildpacks.iter().filter(|name| !is_url(kind, name)) {
        let states = model::apps::buildpack_states(tx, kind, name, None)?;
        if !states.is_empty() && !states.iter().any(|state| state == "READY") {
            return Err(Error::unprocessable(format!(
                "\"{name}\" must be in ready state"
            )));
        }
    }
    Ok(())
}

/// 422 when the stack's state forbids it.
fn stack_usable(tx: &ReadTx<'_>, stack: &str, usage: StackUse) -> Result<()> {
    stack_warning(tx, stack, usage).map(drop)
}

/// What is to be said about using a stack; 422 when its state forbids it.
pub(crate) fn stack_warning(
    tx: &ReadTx<'_>,
    stack: &str,
    usage: StackUse,
) -> Result<Option<String>> {
    match model::stacks::find_named(tx, stack)? {
        None => Ok(None),
        Some(stack) => model::stacks::verdict(&stack, usage).map_err(Error::unprocessable),
    }
}

/// What kind of use a staging of this app would be.
pub(crate) fn usage_of(tx: &ReadTx<'_>, app: &AppGuid) -> Result<StackUse> {
    Ok(if model::apps::has_builds(tx, app)? {
        StackUse::Restaging
    } else {
        StackUse::NewApp
    })
}
