//! What can be done to domains, each inside the caller's transaction.
//!
//! Cloud Controller writes no audit events about domains; those about the routes that go with one
//! are written.

use crate::base::guid::{DomainGuid, OrganizationGuid, RouterGroupGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::domains::{Domain, with_parents};
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::payload::domains::CreateDomain;
use crate::cloud_controller::permits::{
    MayChangeDomain, MayCreateDomain, MayManage, MayUnshareDomain,
};
use crate::cloud_controller::{actions, model};
use crate::db::{ReadTx, WriteTx};

/// Whether the caller may make a domain of this owner; of none, if it is to be shared with all. The
/// feature flag stops everybody but administrators.
pub(crate) fn may_create(
    tx: &ReadTx<'_>,
    caller: &Caller,
    recorder: Recorder,
    owner: Option<&OrganizationGuid>,
) -> Result<MayCreateDomain> {
    if let Some(guid) = owner {
        find_organization(tx, guid)?;
    }
    let may = MayCreateDomain::check(tx, caller, recorder, owner)?;
    if !caller.is_admin() {
        actions::feature_flags::require(tx, caller, "private_domain_creation")?;
    }
    Ok(may)
}

/// Makes a domain; a private one with all organizations it is to be shared with at once.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayCreateDomain,
    guests: &[MayManage],
    wanted: CreateDomain,
    system_domain: &str,
) -> Result<Domain> {
    if let Some(guid) = &wanted.router_group
        && model::router_groups::find(tx, guid)?.is_none()
    {
        return Err(Error::unprocessable(format!(
            "Router group with guid '{guid}' not found."
        )));
    }
    let domain = Domain {
        guid: DomainGuid::generate(&may.guids),
        name: wanted.name,
        internal: wanted.internal,
        router_group_guid: wanted.router_group,
        organization_guid: wanted.organization,
        created_at: may.now,
        updated_at: may.now,
    };
    may.covers(&domain)?;
    check_free(tx, &domain, system_domain)?;
    model::domains::insert(tx, &domain)?;
    wanted
        .metadata
        .store(tx, ResourceType::Domain, domain.guid.as_str())?;
    for guest in guests {
        model::domains::share(tx, &domain.guid, guest.organization())?;
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

/// Those a domain is to be shared with: 422 unless the caller manages all of them.
pub(crate) fn guests(
    tx: &ReadTx<'_>,
    caller: &Caller,
    recorder: &Recorder,
    guests: &[OrganizationGuid],
    owner: Option<&OrganizationGuid>,
) -> Result<Vec<MayManage>> {
    let guids: Vec<String> = guests.iter().map(ToString::to_string).collect();
    let found = model::organizations::by_guids(tx, &guids)?;
    if let Some(missing) = guests
        .iter()
        .find(|guid| found.iter().all(|o| o.guid != **guid))
    {
        return Err(Error::unprocessable(format!(
            "Organization with guid '{missing}' does not exist, or you do not have access to it."
        )));
    }
    let managed = found
        .iter()
        .map(|guest| manage_guest(tx, caller, recorder, guest))
        .collect::<Result<_>>()?;
    if owner.is_some_and(|owner| guests.contains(owner)) {
        return Err(Error::unprocessable(
            "Domain cannot be shared with owning organization.",
        ));
    }
    Ok(managed)
}

fn manage_guest(
    tx: &ReadTx<'_>,
    caller: &Caller,
    recorder: &Recorder,
    guest: &Organization,
) -> Result<MayManage> {
    let (guid, name) = (&guest.guid, &guest.name);
    if !caller.sees_organization(tx, guid)? {
        return Err(Error::unprocessable(format!(
            "Organization with guid '{guid}' either does not exist, or you do not have access to it."
        )));
    }
    MayManage::check(tx, caller, recorder.clone(), guid).map_err(|error| match error.kind() {
        Kind::NotAuthorized => Error::unprocessable(format!(
            "You do not have sufficient permissions for organization '{name}' to share domain."
        )),
        Kind::OrgSuspended => Error::unprocessable(format!("Organization '{name}' is suspended.")),
        _ => error,
    })
}

/// Shares a private domain with organizations.
pub(crate) fn share(
    tx: &WriteTx<'_>,
    may: &MayChangeDomain,
    domain: &Domain,
    guests: &[MayManage],
) -> Result<()> {
    may.covers(&domain.guid)?;
    if domain.is_shared() {
        return Err(Error::unprocessable(
            "Domains cannot be shared with other organizations unless they are scoped to an organization.",
        ));
    }
    for guest in guests {
        model::domains::share(tx, &domain.guid, guest.organization())?;
    }
    Ok(())
}

/// Ends an organization's share of a domain, unless it has routes there.
pub(crate) fn unshare(
    tx: &WriteTx<'_>,
    may: &MayUnshareDomain,
    domain: &Domain,
    guest: &Organization,
) -> Result<()> {
    may.covers(&domain.guid, &guest.guid)?;
    if !model::domains::is_shared_with(tx, &domain.guid, &guest.guid)? {
        return Err(Error::unprocessable(format!(
            "Unable to unshare domain from organization with name '{}'. Ensure the domain is shared to this \
             organization.",
            guest.name
        )));
    }
    if model::routes::has_routes_in(tx, &domain.guid, &guest.guid)? {
        return Err(Error::unprocessable(
            "This domain has associated routes in this organization. Delete the routes before unsharing.",
        ));
    }
    model::domains::unshare(tx, &domain.guid, &guest.guid)
}

/// 422 while a domain that is to be deleted is shared with organizations.
pub(crate) fn refuse_shares(tx: &ReadTx<'_>, domain: &Domain) -> Result<()> {
    if model::domains::is_shared_with_any(tx, &domain.guid)? {
        return Err(Error::unprocessable(
            "This domain is shared with other organizations. Unshare before deleting.",
        ));
    }
    Ok(())
}

/// The organization a request names; 422 when there is none.
pub(crate) fn find_organization(tx: &ReadTx<'_>, guid: &OrganizationGuid) -> Result<Organization> {
    model::organizations::find(tx, guid)?.ok_or_else(|| no_such_organization(guid))
}

/// 422: unknown or hidden.
pub(crate) fn no_such_organization(guid: &OrganizationGuid) -> Error {
    Error::unprocessable(format!(
        "Organization with guid '{guid}' does not exist or you do not have access to it."
    ))
}

/// From where a domain's routes can be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach<'a> {
    /// Through the router.
    Public,
    /// Through the router, each at a port of this group.
    Tcp(&'a RouterGroupGuid),
    /// From other apps.
    Internal,
}

/// Sees to it that a shared domain exists; one of the same name is left as it is.
pub(crate) fn ensure_shared(
    tx: &WriteTx<'_>,
    name: &str,
    reach: Reach<'_>,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<()> {
    let domain = Domain {
        guid: DomainGuid::generate(guids),
        name: name.to_owned(),
        internal: reach == Reach::Internal,
        router_group_guid: match reach {
            Reach::Tcp(group) => Some(group.clone()),
            Reach::Public | Reach::Internal => None,
        },
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
