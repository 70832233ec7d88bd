//! Who sees plans, and deleting plans and offerings, inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::service_offerings::ServiceOffering;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::payload::service_offerings::Visibility;
use crate::cloud_controller::permits::MayChangeBroker;
use crate::cloud_controller::{actions, model};
use crate::db::WriteTx;

/// Whether the organizations of a request are the only ones, or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Replace,
    Append,
}

/// Sets who sees a plan.
pub(crate) fn set_visibility(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    mut plan: ServicePlan,
    wanted: &Visibility,
    mode: Mode,
) -> Result<ServicePlan> {
    may.covers(plan.offering.broker_space.as_ref())?;
    if plan.visibility_type() == "space" {
        return Err(Error::unprocessable(
            "cannot update plans with visibility type 'space'",
        ));
    }
    for guid in wanted.organizations.iter().flatten() {
        if model::organizations::find(tx, guid)?.is_none() {
            return Err(Error::bad_request(format!(
                "Organizations Could not find Organization with guid: {guid}"
            )));
        }
    }
    plan.public = wanted.public;
    plan.updated_at = may.now;
    model::service_plans::save(tx, &plan)?;
    if wanted.organizations.is_none() || mode == Mode::Replace {
        model::service_plans::hide_in_all(tx, &plan.guid)?;
    }
    for guid in wanted.organizations.iter().flatten() {
        model::service_plans::show_in(tx, &plan.guid, guid)?;
    }
    record_visibility(tx, may, "update", &plan, (None, &wanted.request))?;
    let found = model::service_plans::find(tx, &plan.guid)?;
    found.ok_or_else(|| Error::internal("a plan that was just there"))
}

/// Hides a plan from an organization.
pub(crate) fn hide_in(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    plan: &ServicePlan,
    organization: &OrganizationGuid,
) -> Result<()> {
    may.covers(plan.offering.broker_space.as_ref())?;
    if plan.visibility_type() != "organization" {
        return Err(Error::unprocessable(
            "Cannot delete visibilities from non-org-restricted plans",
        ));
    }
    if model::organizations::find(tx, organization)?.is_none() {
        return Err(Error::not_found("Organization"));
    }
    if !model::service_plans::hide_in(tx, &plan.guid, organization)? {
        return Err(Error::not_found("Service plan visibility"));
    }
    let data = (Some(organization), &json!({}));
    record_visibility(tx, may, "delete", plan, data)
}

fn record_visibility(
    tx: &WriteTx<'_>,
    by: &Recorder,
    what: &str,
    plan: &ServicePlan,
    (organization, request): (Option<&OrganizationGuid>, &Value),
) -> Result<()> {
    let target = Target {
        guid: plan.guid.as_str(),
        kind: "service_plan_visibility",
        name: "",
    };
    let place = organization.map_or_else(Place::default, Place::organization);
    let event = format!("audit.service_plan_visibility.{what}");
    by.record(tx, &event, &target, place, &json!({ "request": request }))
}

/// Changes the metadata of a plan.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    plan: &ServicePlan,
    metadata: &MetadataChange,
) -> Result<()> {
    may.covers(plan.offering.broker_space.as_ref())?;
    metadata.store(tx, ResourceType::ServicePlan, plan.guid.as_str())
}

/// Deletes a plan without instances.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayChangeBroker, plan: &ServicePlan) -> Result<()> {
    may.covers(plan.offering.broker_space.as_ref())?;
    if model::service_plans::has_instances(tx, &plan.guid)? {
        return Err(Error::unprocessable(
            "Please delete the service_instances associations for your service_plans.",
        ));
    }
    let data = json!({ "request": {} });
    actions::service_events::of_plan(tx, may, "delete", plan, &data)?;
    model::service_plans::delete(tx, &plan.guid)
}

/// Changes the metadata of an offering.
pub(crate) fn update_offering(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    offering: &ServiceOffering,
    metadata: &MetadataChange,
) -> Result<()> {
    may.covers(offering.broker_space.as_ref())?;
    metadata.store(tx, ResourceType::ServiceOffering, offering.guid.as_str())
}

/// Deletes an offering without plans.
pub(crate) fn delete_offering(
    tx: &WriteTx<'_>,
    may: &MayChangeBroker,
    offering: &ServiceOffering,
) -> Result<()> {
    may.covers(offering.broker_space.as_ref())?;
    if !model::service_plans::of_offering(tx, offering.guid.as_str())?.is_empty() {
        return Err(Error::unprocessable(
            "Please delete the service_plans associations for your services.",
        ));
    }
    let data = json!({ "request": {} });
    actions::service_events::of_offering(tx, may, "delete", offering, &data)?;
    model::service_offerings::delete(tx, &offering.guid)
}
