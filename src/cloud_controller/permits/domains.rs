//! What may be done with a domain.

use super::{MayManage, MaySupport, same};
use crate::base::guid::{DomainGuid, OrganizationGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::model::routes::Route;
use crate::db::ReadTx;

/// May change a domain, and delete it with its routes.
pub(crate) struct MayChangeDomain {
    pub(super) recorder: Recorder,
    pub(super) domain: DomainGuid,
}

/// May create a domain of an organization, or one that is shared with all.
pub(crate) struct MayCreateDomain {
    pub(super) recorder: Recorder,
    pub(super) owner: Option<OrganizationGuid>,
}

/// May end an organization's share of a domain.
pub(crate) struct MayUnshareDomain {
    pub(super) domain: DomainGuid,
    pub(super) guest: OrganizationGuid,
}

impl MayChangeDomain {
    /// Managers of the organization that owns it; shared domains are for administrators.
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        recorder: Recorder,
        domain: &Domain,
    ) -> Result<Self> {
        may_manage_owner(tx, caller, domain.organization_guid.as_ref())?;
        Ok(Self {
            recorder,
            domain: domain.guid.clone(),
        })
    }

    /// Whoever deletes an organization deletes its private domains.
    pub(crate) fn of_organization(may: &MayManage, domain: &Domain) -> Result<Self> {
        let shared = || Error::internal(format!("domain {} has no organization", domain.guid));
        may.covers(domain.organization_guid.as_ref().ok_or_else(shared)?)?;
        Ok(Self {
            recorder: may.recorder.clone(),
            domain: domain.guid.clone(),
        })
    }

    /// Fails unless this is the domain the proof is for: a fault of the program.
    pub(crate) fn covers(&self, domain: &DomainGuid) -> Result<()> {
        same("domain", &self.domain, domain)
    }

    /// Whoever deletes a domain deletes its routes, whatever space they are in.
    pub(crate) fn all_of(&self, route: &Route) -> Result<MaySupport> {
        self.covers(&route.domain_guid)?;
        let recorder = self.recorder.clone();
        Ok(MaySupport::of_platform(recorder, &route.space_guid))
    }
}

impl MayCreateDomain {
    /// Managers of the organization that is to own it; shared domains are for administrators.
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        recorder: Recorder,
        owner: Option<&OrganizationGuid>,
    ) -> Result<Self> {
        may_manage_owner(tx, caller, owner)?;
        Ok(Self {
            recorder,
            owner: owner.cloned(),
        })
    }

    /// Fails unless the domain's owner is the one the proof is for: a fault of the program.
    pub(crate) fn covers(&self, domain: &Domain) -> Result<()> {
        match (&self.owner, &domain.organization_guid) {
            (None, None) => Ok(()),
            (Some(proven), Some(owner)) => same("organization", proven, owner),
            (Some(_), None) | (None, Some(_)) => Err(Error::internal(
                "access to shared domains is none to private domains, nor the other way round",
            )),
        }
    }
}

impl MayUnshareDomain {
    /// Whoever may change the domain, and managers of the organization it is shared with.
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        domain: &Domain,
        guest: &OrganizationGuid,
    ) -> Result<Self> {
        if let Err(refusal) = may_manage_owner(tx, caller, domain.organization_guid.as_ref())
            && caller.may_manage_organization(tx, guest).is_err()
        {
            return Err(refusal);
        }
        Ok(Self {
            domain: domain.guid.clone(),
            guest: guest.clone(),
        })
    }

    /// Fails unless the proof is for this share: a fault of the program.
    pub(crate) fn covers(&self, domain: &DomainGuid, guest: &OrganizationGuid) -> Result<()> {
        same("domain", &self.domain, domain)?;
        same("organization", &self.guest, guest)
    }
}

/// Of a domain; what has no owner is for administrators.
fn may_manage_owner(
    tx: &ReadTx<'_>,
    caller: &Caller,
    owner: Option<&OrganizationGuid>,
) -> Result<()> {
    match owner {
        Some(organization) => caller.may_manage_organization(tx, organization),
        None => caller.must_be_admin(),
    }
}
