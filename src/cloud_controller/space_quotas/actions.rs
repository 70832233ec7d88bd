//! What can be done to space quotas, each inside the caller's transaction.

use serde_json::{Value, json};

use super::payload::{CreateQuota, QuotaChange};
use super::store::{self, SpaceQuota};
use crate::base::guid::{SpaceGuid, SpaceQuotaGuid};
use crate::cloud_controller::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::quotas::{self, Owner, QuotaLimits};
use crate::cloud_controller::spaces::{self, Space};
use crate::cloud_controller::v3::{ApiError, ApiResult, Caller};
use crate::db::{ReadTx, WriteTx};

/// Makes a quota; what the request does not limit is unlimited.
pub(super) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    wanted: CreateQuota,
) -> ApiResult<SpaceQuota> {
    let change = wanted.change;
    let mut limits = QuotaLimits::default();
    change.limits.apply(&mut limits);
    let quota = SpaceQuota {
        guid: SpaceQuotaGuid::generate(&recorder.guids),
        name: change.name.unwrap_or_default(),
        organization_guid: wanted.organization,
        created_at: recorder.now,
        updated_at: recorder.now,
        limits,
    };
    check_ports(tx, &quota)?;
    store::insert(tx, &quota)?;
    let mut spaces = spaces::store::by_guids(tx, &wanted.spaces)?;
    spaces.retain(|space| space.organization_guid == quota.organization_guid);
    refuse_missing(&wanted.spaces, &spaces, |missing| {
        format!(
            "Spaces with guids {missing} do not exist within the organization specified, or you do not have access \
             to them."
        )
    })?;
    for space in &spaces {
        store::set_quota(tx, &space.guid, Some(&quota.guid))?;
    }
    let data = json!({ "request": change.request });
    record(tx, recorder, "create", (&quota, None), &data)?;
    Ok(quota)
}

/// Changes name or limits.
pub(super) fn update(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut quota: SpaceQuota,
    change: QuotaChange,
) -> ApiResult<SpaceQuota> {
    if change.limits.limits_logs() {
        let members = store::all_members(tx, &quota.guid)?;
        let guids: Vec<&str> = members.iter().map(SpaceGuid::as_str).collect();
        let names = quotas::names_with_unlimited_logs(tx, Owner::Space, &guids)?;
        quotas::refuse_unlimited_logs(Owner::Space, &names)?;
    }
    quota.name = change.name.unwrap_or(quota.name);
    change.limits.apply(&mut quota.limits);
    quota.updated_at = recorder.now;
    check_ports(tx, &quota)?;
    store::update(tx, &quota)?;
    let data = json!({ "request": change.request });
    record(tx, recorder, "update", (&quota, None), &data)?;
    Ok(quota)
}

/// Gives spaces of the quota's organization this quota.
pub(super) fn apply(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    caller: &Caller,
    quota: &SpaceQuota,
    guids: &[String],
) -> ApiResult<()> {
    let mut spaces = spaces::store::by_guids(tx, guids)?;
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
        return Err(ApiError::unprocessable(
            "Space quotas cannot be applied outside of their owning organization.",
        ));
    }
    if quota.limits.log_rate_limit_in_bytes_per_second.is_some() {
        let guids: Vec<&str> = guids.iter().map(String::as_str).collect();
        if !quotas::names_with_unlimited_logs(tx, Owner::Space, &guids)?.is_empty() {
            return Err(ApiError::unprocessable(
                "Current usage exceeds new quota values. The space(s) being assigned this quota contain apps running \
                 with an unlimited log rate limit.",
            ));
        }
    }
    for space in &seen {
        store::set_quota(tx, &space.guid, Some(&quota.guid))?;
        record(tx, recorder, "apply", (quota, Some(space)), &data_of(space))?;
    }
    Ok(())
}

/// Takes the quota from a space.
pub(super) fn remove(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    quota: &SpaceQuota,
    guid: &SpaceGuid,
) -> ApiResult<()> {
    let space = spaces::store::find(tx, guid)?
        .filter(|space| space.quota_guid.as_ref() == Some(&quota.guid))
        .ok_or_else(|| {
            ApiError::unprocessable(format!(
                "Unable to remove quota from space with guid '{guid}'. Ensure the space quota is applied to this space."
            ))
        })?;
    store::set_quota(tx, guid, None)?;
    record(
        tx,
        recorder,
        "remove",
        (quota, Some(&space)),
        &data_of(&space),
    )
}

/// Deletes a quota that no space has.
pub(super) fn delete(tx: &WriteTx<'_>, recorder: &Recorder, quota: &SpaceQuota) -> ApiResult<()> {
    if !store::all_members(tx, &quota.guid)?.is_empty() {
        return Err(ApiError::unprocessable(
            "This quota is applied to one or more spaces. Remove this quota from all spaces before deleting.",
        ));
    }
    record(tx, recorder, "delete", (quota, None), &json!({}))?;
    store::delete(tx, &quota.guid)
}

fn data_of(space: &Space) -> Value {
    json!({ "space_guid": space.guid, "space_name": space.name })
}

fn refuse_missing(
    guids: &[String],
    found: &[Space],
    text: impl Fn(String) -> String,
) -> ApiResult<()> {
    let missing: Vec<&String> = guids
        .iter()
        .filter(|guid| found.iter().all(|s| s.guid.as_str() != guid.as_str()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ApiError::unprocessable(text(format!("{missing:?}"))))
}

fn check_ports(tx: &ReadTx<'_>, quota: &SpaceQuota) -> ApiResult<()> {
    let Some(ports) = quota.limits.total_reserved_ports else {
        return Ok(());
    };
    let of_organization = store::reserved_ports_of(tx, &quota.organization_guid)?;
    let limits = [quota.limits.total_routes, of_organization];
    if limits.iter().flatten().any(|limit| ports > *limit) {
        return Err(ApiError::unprocessable(
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
    (quota, space): (&SpaceQuota, Option<&Space>),
    data: &Value,
) -> ApiResult<()> {
    let target = Target {
        guid: quota.guid.as_str(),
        kind: "space_quota",
        name: &quota.name,
    };
    let place = Place {
        space: space.map(|space| &space.guid),
        organization: Some(&quota.organization_guid),
    };
    let kind = format!("audit.space_quota.{what}");
    recorder.record(tx, &kind, &target, place, data)
}
