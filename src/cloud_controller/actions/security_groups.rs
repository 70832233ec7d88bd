//! What can be done to security groups, each inside the caller's transaction.

use crate::base::guid::{SecurityGroupGuid, SpaceGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::security_groups::{Lifecycle, SecurityGroup};
use crate::cloud_controller::payload::security_groups::{CreateGroup, GroupChange};
use crate::cloud_controller::permits::{MayAdminister, MayManageSpace};
use crate::db::{ReadTx, WriteTx};
use serde_json::json;

/// Creates a group and binds it.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    wanted: CreateGroup,
) -> Result<SecurityGroup> {
    let change = wanted.change;
    let group = SecurityGroup {
        guid: SecurityGroupGuid::generate(&may.guids),
        name: change.name.unwrap_or_default(),
        rules: change
            .rules
            .map_or_else(|| "[]".to_owned(), |rules| rules.to_string()),
        globally_running: change.globally_running.unwrap_or(false),
        globally_staging: change.globally_staging.unwrap_or(false),
        created_at: may.now,
        updated_at: may.now,
    };
    model::security_groups::insert(tx, &group)?;
    for (lifecycle, spaces) in [
        (Lifecycle::Staging, &wanted.staging_spaces),
        (Lifecycle::Running, &wanted.running_spaces),
    ] {
        let found = model::spaces::by_guids(tx, spaces)?;
        refuse_missing(spaces, |guid| found.iter().any(|s| s.guid.as_str() == guid)).map_err(
            |missing| Error::unprocessable(format!("Spaces with guids {missing} do not exist.")),
        )?;
        for space in &found {
            model::security_groups::bind(tx, &group.guid, &space.guid, lifecycle)?;
        }
    }
    Ok(group)
}

/// Changes name, rules or what it is enabled for.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    mut group: SecurityGroup,
    change: GroupChange,
) -> Result<SecurityGroup> {
    group.name = change.name.unwrap_or(group.name);
    group.rules = change.rules.map_or(group.rules, |rules| rules.to_string());
    group.globally_running = change.globally_running.unwrap_or(group.globally_running);
    group.globally_staging = change.globally_staging.unwrap_or(group.globally_staging);
    group.updated_at = may.now;
    model::security_groups::update(tx, &group)?;
    Ok(group)
}

/// Deletes a group and its bindings.
pub(crate) fn delete(
    tx: &WriteTx<'_>,
    _may: &MayAdminister,
    guid: &SecurityGroupGuid,
) -> Result<()> {
    model::security_groups::delete(tx, guid)
}

/// The spaces of these guids; 422 unless all are there, 403 unless the caller manages those that are.
pub(crate) fn managed(
    tx: &ReadTx<'_>,
    caller: &Caller,
    recorder: &Recorder,
    guids: &[String],
) -> Result<Vec<MayManageSpace>> {
    let found = model::spaces::by_guids(tx, guids)?;
    let managed = found
        .iter()
        .map(|space| MayManageSpace::check(tx, caller, recorder.clone(), &space.guid))
        .collect::<Result<_>>()?;
    refuse_missing(guids, |guid| found.iter().any(|s| s.guid.as_str() == guid)).map_err(
        |missing| {
            Error::unprocessable(format!(
                "Spaces with guids {missing} do not exist, or you do not have access to them."
            ))
        },
    )?;
    Ok(managed)
}

/// Binds a group to spaces.
pub(crate) fn bind(
    tx: &WriteTx<'_>,
    spaces: &[MayManageSpace],
    group: &SecurityGroup,
    lifecycle: Lifecycle,
) -> Result<()> {
    for space in spaces {
        model::security_groups::bind(tx, &group.guid, space.space(), lifecycle)?;
    }
    Ok(())
}

/// Unbinds a group from a space; false when it was not bound.
pub(crate) fn unbind(
    tx: &WriteTx<'_>,
    may: &MayManageSpace,
    group: &SecurityGroupGuid,
    space: &SpaceGuid,
    lifecycle: Lifecycle,
) -> Result<bool> {
    may.covers(space)?;
    model::security_groups::unbind(tx, group, space, lifecycle)
}

fn refuse_missing(guids: &[String], known: impl Fn(&str) -> bool) -> Result<(), String> {
    let missing: Vec<&String> = guids.iter().filter(|guid| !known(guid)).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("{missing:?}"))
    }
}

/// Stores `public_networks` and `dns`, enabled everywhere, if they are not there.
pub(crate) fn ensure_defaults(tx: &WriteTx<'_>, now: Timestamp, guids: &GuidSource) -> Result<()> {
    let to = |destination: &str| json!({ "protocol": "all", "destination": destination });
    // Everything but private and link-local networks.
    let public = json!([
        to("0.0.0.0-9.255.255.255"),
        to("11.0.0.0-169.253.255.255"),
        to("169.255.0.0-172.15.255.255"),
        to("172.32.0.0-192.167.255.255"),
        to("192.169.0.0-255.255.255.255"),
    ]);
    let port =
        |protocol: &str| json!({ "protocol": protocol, "destination": "0.0.0.0/0", "ports": "53" });
    let dns = json!([port("tcp"), port("udp")]);
    model::security_groups::ensure(tx, "public_networks", &public, now, guids)?;
    model::security_groups::ensure(tx, "dns", &dns, now, guids)
}
