//! What can be done to space quotas, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::{SpaceGuid, SpaceQuotaGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::quotas::{Owner, QuotaLimits};
use crate::cloud_controller::model::space_quotas::SpaceQuota;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::space_quotas::{CreateQuota, QuotaChange};
use crate::cloud_controller::permits::MayManage;
use crate::db::{ReadTx, WriteTx};

/// Makes a quota; what the request does not limit is unlimited.
pub(crate) fn create(tx: &WriteTx<'_>, may: &MayManage, wanted: CreateQuota) -> Result<SpaceQuota> {
    may.covers(&wanted.organization)?;
    let change = wanted.change;
    let mut limits = QuotaLimits::default();
    change.limits.apply(&mut limits);
    let quota = SpaceQuota {
        guid: SpaceQuotaGuid::generate(&may.guids),
        name: change.name.unwrap_or_default(),
        organization_guid: wanted.organization,
        created_at: may.now,
        updated_at: may.now,
        limits,
    };
    check_ports(tx, &quota)?;
    model::space_quotas::insert(tx, &quota)?;
    let mut spaces = model::spaces::by_guids(tx, &wanted.spaces)?;
    spaces.retain(|space| space.organization_guid == quota.organization_guid);
    refuse_missing(&wanted.spaces, &spaces, |missing| {
        format!(
            "Spaces with guids {missing} do not exist within the organization specified, or you do not have access \
             to them."
        )
    })?;
    for space in &spaces {
        model::space_quotas::set_quota(tx, &space.guid, Some(&quota.guid))?;
    }
    let data = json!({ "request": change.request });
    record(tx, may, "create", &quota, place_of(&quota), &data)?;
    Ok(quota)
}

/// Changes name or limits.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayManage,
    mut quota: SpaceQuota,
    change: QuotaChange,
) -> Result<SpaceQuota> {
    may.covers(&quota.organization_guid)?;
    if change.limits.limits_logs() {
        let members = model::space_quotas::all_members(tx, &quota.guid)?;
        let guids: Vec<&str> = members.iter().map(SpaceGuid::as_str).collect();
        let names = model::quotas::names_with_unlimited_logs(tx, Owner::Space, &guids)?;
        model::quotas::refuse_unlimited_logs(Owner::Space, &names)?;
    }
    quota.name = change.name.unwrap_or(quota.name);
    change.limits.apply(&mut quota.limits);
    quota.updated_at = may.now;
    check_ports(tx, &quota)?;
    model::space_quotas::update(tx, &quota)?;
    let data = json!({ "request": change.request });
    record(tx, may, "update", &quota, place_of(&quota), &data)?;
    Ok(quota)
}

/// Gives spaces of the quota's organization this quota.
pub(crate) fn apply(
    tx: &WriteTx<'_>,
    may: &MayManage,
    caller: &Caller,
    quota: &SpaceQuota,
    guids: &[String],
) -> Result<()> {
    may.covers(&quota.organization_guid)?;
    let mut spaces = model::spaces::by_guids(tx, guids)?;
    let mut seen = Vec::new();
    for space in spaces.drain(..) {
        if caller.sees_space(tx, &space.guid)? {
            seen.push(space);
        }
    }
    refuse_missing(guids, &seen, |missing| {
        format!("Spaces with guids {missing} do not exist, or you do not have access to them.")
    })?;
    if seen
        .iter()
        .any(|space| space.organization_guid != quota.organization_guid)
    {
        return Err(Error::unprocessable(
            "Space quotas cannot be applied outside of their owning organization.",
        ));
    }
    if quota.limits.log_rate_limit_in_bytes_per_second.is_some() {
        let guids: Vec<&str> = guids.iter().map(String::as_str).collect();
        if !model::quotas::names_with_unlimited_logs(tx, Owner::Space, &guids)?.is_empty() {
            return Err(Error::unprocessable(
                "Current usage exceeds new quota values. The space(s) being assigned this quota contain apps running \
                 with an unlimited log rate limit.",
            ));
        }
    }
    for space in &seen {
        model::space_quotas::set_quota(tx, &space.guid, Some(&quota.guid))?;
        record(
            tx,
            may,
            "apply",
            quota,
            Place::space(&space.guid),
            &data_of(space),
        )?;
    }
    Ok(())
}

/// Takes the quota from a space.
pub(crate) fn remove(
    tx: &WriteTx<'_>,
    may: &MayManage,
    quota: &SpaceQuota,
    guid: &SpaceGuid,
) -> Result<()> {
    may.covers(&quota.organization_guid)?;
    let space = model::spaces::find(tx, guid)?
        .filter(|space| space.quota_guid.as_ref() == Some(&quota.guid))
        .ok_or_else(|| {
            Error::unprocessable(format!(
                "Unable to remove quota from space with guid '{guid}'. Ensure the space quota is applied to this space."
            ))
        })?;
    model::space_quotas::set_quota(tx, guid, None)?;
    let place = Place::space(&space.guid);
    record(tx, may, "remove", quota, place, &data_of(&space))
}

/// Deletes a quota that no space has.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayManage, quota: &SpaceQuota) -> Result<()> {
    may.covers(&quota.organization_guid)?;
    if !model::space_quotas::all_members(tx, &quota.guid)?.is_empty() {
        return Err(Error::unprocessable(
            "This quota is applied to one or more spaces. Remove this quota from all spaces before deleting.",
        ));
    }
    record(tx, may, "delete", quota, place_of(quota), &json!({}))?;
    model::space_quotas::delete(tx, &quota.guid)
}

/// Where a quota is.
fn place_of(quota: &SpaceQuota) -> Place<'_> {
    Place::organization(&quota.organization_guid)
}

fn data_of(space: &Space) -> Value {
    json!({ "space_guid": space.guid, "space_name": space.name })
}

fn refuse_missing(
    guids: &[String],
    found: &[Space],
    text: impl Fn(String) -> String,
) -> Result<()> {
    let missing: Vec<&String> = guids
        .iter()
        .filter(|guid| found.iter().all(|s| s.guid.as_str() != guid.as_str()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::unprocessable(text(format!("{missing:?}"))))
}

fn check_ports(tx: &ReadTx<'_>, quota: &SpaceQuota) -> Result<()> {
    let Some(ports) = quota.limits.total_reserved_ports else {
        return Ok(());
    };
    let of_organization = model::space_quotas::reserved_ports_of(tx, &quota.organization_guid)?;
    let limits = [quota.limits.total_routes, of_organization];
    if limits.iter().flatten().any(|limit| ports > *limit) {
        return Err(Error::unprocessable(
            "Total reserved ports must be -1, 0, or a positive integer, must be less than or equal to total routes, \
             and must be less than or equal to total reserved ports for the organization quota.",
        ));
    }
    Ok(())
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    what: &str,
    quota: &SpaceQuota,
    place: Place<'_>,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: quota.guid.as_str(),
        kind: "space_quota",
        name: &quota.name,
    };
    let kind = format!("audit.space_quota.{what}");
    recorder.record(tx, &kind, &target, place, data)
}
