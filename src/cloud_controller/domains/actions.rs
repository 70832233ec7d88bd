//! What can be done to domains, each inside the caller's transaction.
//!
//! Cloud Controller writes no audit events about domains; those about the routes that go with one
//! are written.

use super::domain::{Domain, with_parents};
use super::payload::CreateDomain;
use super::store;
use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::audit_events::Recorder;
use crate::cloud_controller::routes;
use crate::cloud_controller::v3::{ApiError, ApiResult, MetadataChange, ResourceType};
use crate::db::{ReadTx, WriteTx};

/// Makes a domain; a private one with all organizations it is to be shared with at once.
pub(super) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    wanted: CreateDomain,
    system_domain: &str,
) -> ApiResult<Domain> {
    let domain = Domain {
        guid: DomainGuid::generate(&recorder.guids),
        name: wanted.name,
        internal: wanted.internal,
        router_group_guid: None,
        organization_guid: wanted.organization,
        created_at: recorder.now,
        updated_at: recorder.now,
    };
    check_free(tx, &domain, system_domain)?;
    store::insert(tx, &domain)?;
    wanted
        .metadata
        .store(tx, ResourceType::Domain, domain.guid.as_str())?;
    for organization in &wanted.shared_organizations {
        store::share(tx, &domain.guid, organization)?;
    }
    Ok(domain)
}

/// Changes a domain's metadata.
pub(super) fn update(
    tx: &WriteTx<'_>,
    mut domain: Domain,
    change: &MetadataChange,
    now: Timestamp,
) -> ApiResult<Domain> {
    domain.updated_at = now;
    store::touch(tx, &domain.guid, now)?;
    change.store(tx, ResourceType::Domain, domain.guid.as_str())?;
    Ok(domain)
}

/// Deletes a domain with its routes.
pub(super) fn delete(tx: &WriteTx<'_>, recorder: &Recorder, domain: &Domain) -> ApiResult<()> {
    routes::actions::delete_of_domain(tx, recorder, &domain.guid)?;
    store::delete(tx, &domain.guid)
}

/// Deletes the private domains of an organization that is being deleted, with their routes.
pub(crate) fn delete_private_of(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    organization: &OrganizationGuid,
) -> ApiResult<()> {
    for domain in store::owned_by(tx, organization)? {
        delete(tx, recorder, &domain)?;
    }
    Ok(())
}

/// Sees to it that a shared domain exists; one of the same name is left as it is.
pub(crate) fn ensure_shared(
    tx: &WriteTx<'_>,
    name: &str,
    internal: bool,
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<()> {
    let domain = Domain {
        guid: DomainGuid::generate(guids),
        name: name.to_owned(),
        internal,
        router_group_guid: None,
        organization_guid: None,
        created_at: now,
        updated_at: now,
    };
    store::ensure(tx, &domain)
}

/// 422 unless the name is free and takes nothing from others.
fn check_free(tx: &ReadTx<'_>, domain: &Domain, system_domain: &str) -> ApiResult<()> {
    if store::find_by_name(tx, &domain.name)?.is_some() {
        return Err(store::name_taken(&domain.name));
    }
    if let Some(organization) = &domain.organization_guid {
        check_quota(tx, organization)?;
    }
    let reserved = |by: &str, whom: &str| {
        ApiError::unprocessable(format!(
            "The domain name \"{}\" cannot be created because \"{by}\" is already reserved by {whom}",
            domain.name
        ))
    };
    for name in with_parents(&domain.name) {
        let parent = store::find_by_name(tx, name)?;
        if parent.is_some_and(|p| !p.is_shared() && p.organization_guid != domain.organization_guid)
        {
            return Err(reserved(name, "another domain"));
        }
    }
    for name in with_parents(&domain.name) {
        if routes::store::is_host_of_a_route(tx, name)? {
            return Err(reserved(name, "a route"));
        }
    }
    if let Some(organization) = &domain.organization_guid
        && let Some(name) = store::foreign_subdomain(tx, &domain.name, organization)?
    {
        return Err(reserved(&name, "another domain"));
    }
    if let Some((host, parent)) = domain.name.split_once('.')
        && super::is_platform_name(host, parent, system_domain)
    {
        return Err(reserved(&domain.name, "the system"));
    }
    Ok(())
}

fn check_quota(tx: &ReadTx<'_>, organization: &OrganizationGuid) -> ApiResult<()> {
    let (owned, limit, name) = store::quota(tx, organization)?;
    if limit.is_some_and(|limit| owned >= limit) {
        return Err(ApiError::unprocessable(format!(
            "The number of private domains exceeds the quota for organization \"{name}\""
        )));
    }
    Ok(())
}
