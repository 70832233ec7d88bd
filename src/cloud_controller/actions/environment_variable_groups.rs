//! What can be done to environment variable groups, each inside the caller's transaction.

use serde_json::{Map, Value};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::payload::environment_variable_groups::merge;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::{Vault, WriteTx};

/// Changes a group's variables and returns all of them.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    vault: &Vault,
    name: &str,
    change: Map<String, Value>,
) -> Result<Map<String, Value>> {
    let (mut vars, _) = model::environment_variable_groups::load(tx, vault, name)?;
    merge(&mut vars, change);
    model::environment_variable_groups::save(tx, vault, name, &vars, may.now)?;
    Ok(vars)
}
