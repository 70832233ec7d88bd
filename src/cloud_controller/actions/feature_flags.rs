//! Which flags there are, and what they forbid.

use crate::base::Timestamp;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::feature_flags::FeatureFlag;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::{ReadTx, WriteTx};

pub(crate) const DEFAULTS: &[(&str, bool)] = &[
    ("app_bits_upload", true),
    ("app_scaling", true),
    ("diego_cnb", false),
    ("diego_docker", false),
    ("env_var_visibility", true),
    ("hash_based_routing", false),
    ("hide_marketplace_from_unauthenticated_users", false),
    ("private_domain_creation", true),
    ("resource_matching", true),
    ("route_creation", true),
    ("route_sharing", false),
    ("service_instance_creation", true),
    ("service_instance_sharing", false),
    ("set_roles_by_username", true),
    ("space_developer_env_var_visibility", true),
    ("space_scoped_private_broker_creation", true),
    ("task_creation", true),
    ("unset_roles_by_username", true),
    ("user_org_creation", false),
];

/// Flags that never stop an admin.
const NOT_FOR_ADMINS: &[&str] = &[
    "app_bits_upload",
    "app_scaling",
    "set_roles_by_username",
    "space_developer_env_var_visibility",
    "task_creation",
    "unset_roles_by_username",
];

/// What a request changes; `Some(None)` removes the message.
pub(crate) struct FlagChange {
    pub enabled: Option<bool>,
    pub custom_error_message: Option<Option<String>>,
}

/// Overrides a flag.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    mut flag: FeatureFlag,
    change: FlagChange,
) -> Result<FeatureFlag> {
    flag.enabled = change.enabled.unwrap_or(flag.enabled);
    flag.custom_error_message = change
        .custom_error_message
        .unwrap_or(flag.custom_error_message);
    flag.updated_at = Some(may.now);
    model::feature_flags::save(tx, &flag)?;
    Ok(flag)
}

/// Turns a flag on that Cloud Foundry leaves off, unless somebody decided about it.
pub(crate) fn enable_initially(tx: &WriteTx<'_>, name: &str, now: Timestamp) -> Result<()> {
    if model::feature_flags::find(tx, name)?.is_some() {
        return Ok(());
    }
    let flag = FeatureFlag {
        updated_at: Some(now),
        ..unchanged(name, true)
    };
    model::feature_flags::save(tx, &flag)
}

/// Whether a flag is on.
pub(crate) fn enabled(tx: &ReadTx<'_>, name: &str) -> Result<bool> {
    Ok(find(tx, name)?.is_some_and(|flag| flag.enabled))
}

/// 403 `Feature Disabled: …` unless the flag is on or does not bind this caller.
pub(crate) fn require(tx: &ReadTx<'_>, caller: &Caller, name: &str) -> Result<()> {
    if caller.is_admin() && NOT_FOR_ADMINS.contains(&name) {
        return Ok(());
    }
    if caller.sees_all_secrets() && name == "space_developer_env_var_visibility" {
        return Ok(());
    }
    match find(tx, name)? {
        Some(flag) if !flag.enabled => {
            let text = flag.custom_error_message.unwrap_or(flag.name);
            Err(Error::new(
                Kind::FeatureDisabled,
                format!("Feature Disabled: {text}"),
            ))
        }
        _ => Ok(()),
    }
}

pub(crate) fn find(tx: &ReadTx<'_>, name: &str) -> Result<Option<FeatureFlag>> {
    let Some((name, default)) = DEFAULTS.iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    Ok(Some(
        model::feature_flags::find(tx, name)?.unwrap_or(unchanged(name, *default)),
    ))
}

pub(crate) fn unchanged(name: &str, enabled: bool) -> FeatureFlag {
    FeatureFlag {
        name: name.to_owned(),
        enabled,
        custom_error_message: None,
        updated_at: None,
    }
}
