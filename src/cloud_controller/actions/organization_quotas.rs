//! What can be done to organization quotas, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::{OrganizationGuid, OrganizationQuotaGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::organization_quotas::Quota;
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::model::quotas::{Owner, QuotaLimits};
use crate::cloud_controller::payload::organization_quotas::QuotaChange;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::{ReadTx, WriteTx};

/// Makes a quota; what the request does not limit is unlimited.
pub(crate) fn create(tx: &WriteTx<'_>, may: &MayAdminister, change: QuotaChange) -> Result<Quota> {
    let mut limits = QuotaLimits::default();
    change.limits.apply(&mut limits);
    let quota = Quota {
        guid: OrganizationQuotaGuid::generate(&may.guids),
        name: change.name.unwrap_or_default(),
        created_at: may.now,
        updated_at: may.now,
        total_domains: change.total_domains.flatten(),
        limits,
    };
    check_ports(&quota.limits)?;
    model::organization_quotas::insert(tx, &quota)?;
    let organizations = find_all(tx, &change.organizations)?.map_err(|missing| {
        Error::unprocessable(format!(
            "Organizations with guids {missing} do not exist, or you do not have access to them."
        ))
    })?;
    for organization in &organizations {
        model::organization_quotas::apply(tx, &quota.guid, &organization.guid)?;
    }
    let data = json!({ "request": change.request });
    record(tx, may, "create", &quota, Place::default(), &data)?;
    Ok(quota)
}

/// Changes name or limits.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    mut quota: Quota,
    change: QuotaChange,
) -> Result<Quota> {
    if change.limits.limits_logs() {
        let members = model::organization_quotas::all_members(tx, &quota.guid)?;
        let guids: Vec<&str> = members.iter().map(OrganizationGuid::as_str).collect();
        let names = model::quotas::names_with_unlimited_logs(tx, Owner::Organization, &guids)?;
        model::quotas::refuse_unlimited_logs(Owner::Organization, &names)?;
    }
    quota.name = change.name.unwrap_or(quota.name);
    quota.total_domains = change.total_domains.unwrap_or(quota.total_domains);
    change.limits.apply(&mut quota.limits);
    quota.updated_at = may.now;
    check_ports(&quota.limits)?;
    model::organization_quotas::update(tx, &quota)?;
    let data = json!({ "request": change.request });
    record(tx, may, "update", &quota, Place::default(), &data)?;
    Ok(quota)
}

/// Gives organizations this quota instead of the one they have.
pub(crate) fn apply(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    quota: &Quota,
    guids: &[String],
) -> Result<()> {
    let organizations = find_all(tx, guids)?.map_err(|missing| {
        Error::unprocessable(format!("Organizations with guids {missing} do not exist"))
    })?;
    if quota.limits.log_rate_limit_in_bytes_per_second.is_some() {
        let guids: Vec<&str> = guids.iter().map(String::as_str).collect();
        if !model::quotas::names_with_unlimited_logs(tx, Owner::Organization, &guids)?.is_empty() {
            return Err(Error::unprocessable(
                "Current usage exceeds new quota values. The org(s) being assigned this quota contain apps running \
                 with an unlimited log rate limit.",
            ));
        }
    }
    for organization in &organizations {
        model::organization_quotas::apply(tx, &quota.guid, &organization.guid)?;
        let data = json!({
            "organization_guid": organization.guid,
            "organization_name": organization.name,
        });
        let place = Place::organization(&organization.guid);
        record(tx, may, "apply", quota, place, &data)?;
    }
    Ok(())
}

/// Deletes a quota that no organization has.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayAdminister, quota: &Quota) -> Result<()> {
    if !model::organization_quotas::all_members(tx, &quota.guid)?.is_empty() {
        return Err(Error::unprocessable(
            "This quota is applied to one or more organizations. Apply different quotas to those organizations \
             before deleting.",
        ));
    }
    record(tx, may, "delete", quota, Place::default(), &json!({}))?;
    model::organization_quotas::delete(tx, &quota.guid)
}

/// All organizations of these guids, or the list of those that are not there.
fn find_all(tx: &ReadTx<'_>, guids: &[String]) -> Result<Result<Vec<Organization>, String>> {
    let found = model::organizations::by_guids(tx, guids)?;
    let missing: Vec<&String> = guids
        .iter()
        .filter(|guid| found.iter().all(|o| o.guid.as_str() != guid.as_str()))
        .collect();
    Ok(if missing.is_empty() {
        Ok(found)
    } else {
        Err(format!("{missing:?}"))
    })
}

fn check_ports(limits: &QuotaLimits) -> Result<()> {
    match (limits.total_reserved_ports, limits.total_routes) {
        (Some(ports), Some(routes)) if ports > routes => Err(Error::unprocessable(
            "Total reserved ports must be -1, 0, or a positive integer, and must be less than or equal to total \
             routes.",
        )),
        _ => Ok(()),
    }
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    what: &str,
    quota: &Quota,
    place: Place<'_>,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: quota.guid.as_str(),
        kind: "organization_quota",
        name: &quota.name,
    };
    let kind = format!("audit.organization_quota.{what}");
    recorder.record(tx, &kind, &target, place, data)
}
