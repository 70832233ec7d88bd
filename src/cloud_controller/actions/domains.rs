//! What can be done to domains, each inside the caller's transaction.
//!
//! Cloud Controller writes no audit events about domains; those about the routes that go with one
//! are written.

use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::domains::{Domain, with_parents};
use crate::cloud_controller::payload::domains::CreateDomain;
use crate::cloud_controller::permits::MayChangeDomain;
use crate::db::{ReadTx, WriteTx};

/// Makes a domain; a private one with all organizations it is to be shared with at once.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    wanted: CreateDomain,
    system_domain: &str,
) -> Result<Domain> {
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
    model::domains::insert(tx, &domain)?;
    wanted
        .metadata
        .store(tx, ResourceType::Domain, domain.guid.as_str())?;
    for organization in &wanted.shared_organizations {
        model::domains::share(tx, &domain.guid, organization)?;
    }
    Ok(domain)
}

/// Changes a domain's metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayChangeDomain,
    mut domain: Domain,
    change: &MetadataChange,
) -> Result<Domain> {
    may.covers(&domain.guid)?;
    domain.updated_at = may.now;
    model::domains::touch(tx, &domain.guid, may.now)?;
    change.store(tx, ResourceType::Domain, domain.guid.as_str())?;
    Ok(domain)
}

/// Shares a private domain with organizations; the caller checked that it may be shared with them.
pub(crate) fn share(
    tx: &WriteTx<'_>,
    may: &MayChangeDomain,
    domain: &Domain,
    guests: &[OrganizationGuid],
) -> Result<()> {
    may.covers(&domain.guid)?;
    if domain.is_shared() {
        return Err(Error::unprocessable(
            "Domains cannot be shared with other organizations unless they are scoped to an organization.",
        ));
    }
    for organization in guests {
        model::domains::share(tx, &domain.guid, organization)?;
    }
    Ok(())
}

/// From where a domain's routes can be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Through the router.
    Public,
    /// From other apps.
    Internal,
}

/// Sees to it that a shared domain exists; one of the same name is left as it is.
pub(crate) fn ensure_shared(
    tx: &WriteTx<'_>,
    name: &str,
    reach: Reach,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<()> {
    let domain = Domain {
        guid: DomainGuid::generate(guids),
        name: name.to_owned(),
        internal: reach == Reach::Internal,
        router_group_guid: None,
        organization_guid: None,
        created_at: now,
        updated_at: now,
    };
    model::domains::ensure(tx, &domain)
}

/// 422 unless the name is free and takes nothing from others.
fn check_free(tx: &ReadTx<'_>, domain: &Domain, system_domain: &str) -> Result<()> {
    if model::domains::find_by_name(tx, &domain.name)?.is_some() {
        return Err(model::domains::name_taken(&domain.name));
    }
    if let Some(organization) = &domain.organization_guid {
        check_quota(tx, organization)?;
    }
    let reserved = |by: &str, whom: &str| {
        Error::unprocessable(format!(
            "The domain name \"{}\" cannot be created because \"{by}\" is already reserved by {whom}",
            domain.name
        ))
    };
    for name in with_parents(&domain.name) {
        let parent = model::domains::find_by_name(tx, name)?;
        if parent.is_some_and(|p| !p.is_shared() && p.organization_guid != domain.organization_guid)
        {
            return Err(reserved(name, "another domain"));
        }
    }
    for name in with_parents(&domain.name) {
        if model::routes::is_host_of_a_route(tx, name)? {
            return Err(reserved(name, "a route"));
        }
    }
    if let Some(organization) = &domain.organization_guid
        && let Some(name) = model::domains::foreign_subdomain(tx, &domain.name, organization)?
    {
        return Err(reserved(&name, "another domain"));
    }
    if let Some((host, parent)) = domain.name.split_once('.')
        && model::domains::is_platform_name(host, parent, system_domain)
    {
        return Err(reserved(&domain.name, "the system"));
    }
    Ok(())
}

fn check_quota(tx: &ReadTx<'_>, organization: &OrganizationGuid) -> Result<()> {
    let (owned, limit, name) = model::domains::quota(tx, organization)?;
    if limit.is_some_and(|limit| owned >= limit) {
        return Err(Error::unprocessable(format!(
            "The number of private domains exceeds the quota for organization \"{name}\""
        )));
    }
    Ok(())
}
