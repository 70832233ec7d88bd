//! What may be done with an organization, its spaces and the roles in both.

use super::{MayAdminister, MaySupport, MayWrite, SpaceSuspension, same};
use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::roles::Role;
use crate::cloud_controller::model::spaces::Space;
use crate::db::ReadTx;

/// May change an organization and create and delete its spaces.
pub(crate) struct MayManage {
    pub(super) recorder: Recorder,
    pub(super) organization: OrganizationGuid,
}

/// May create an organization.
pub(crate) struct MayCreateOrganization {
    pub(super) recorder: Recorder,
    pub(super) suspended: bool,
}

/// Whether an organization is to be suspended, of somebody who may decide that.
pub(crate) struct OrganizationSuspension {
    pub(super) organization: OrganizationGuid,
    pub(super) suspended: bool,
}

/// May give and take roles in a space, or those of an organization itself.
pub(crate) struct MayGiveRoles {
    pub(super) recorder: Recorder,
    pub(super) organization: OrganizationGuid,
    pub(super) space: Option<SpaceGuid>,
}

impl MayManage {
    /// [`Caller::may_manage_organization`].
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        recorder: Recorder,
        organization: &OrganizationGuid,
    ) -> Result<Self> {
        caller.may_manage_organization(tx, organization)?;
        Ok(Self {
            recorder,
            organization: organization.clone(),
        })
    }

    /// What the platform does by itself, as its workers do.
    pub(crate) fn of_platform(recorder: Recorder, organization: &OrganizationGuid) -> Self {
        Self {
            recorder,
            organization: organization.clone(),
        }
    }

    /// Whoever deletes a space of the organization deletes what is in it.
    pub(crate) fn all_of(&self, space: &Space) -> Result<MayWrite> {
        self.covers(&space.organization_guid)?;
        let recorder = self.recorder.clone();
        Ok(MayWrite(MaySupport::of_platform(recorder, &space.guid)))
    }

    /// Whoever manages an organization decides whether a space of it is suspended.
    pub(crate) fn suspension(&self, space: &Space, suspended: bool) -> Result<SpaceSuspension> {
        self.covers(&space.organization_guid)?;
        Ok(SpaceSuspension {
            space: space.guid.clone(),
            suspended,
        })
    }

    /// The organization the proof is for.
    pub(crate) fn organization(&self) -> &OrganizationGuid {
        &self.organization
    }

    /// Fails unless this is the organization the proof is for: a fault of the program.
    pub(crate) fn covers(&self, organization: &OrganizationGuid) -> Result<()> {
        same("organization", &self.organization, organization)
    }
}

impl MayCreateOrganization {
    /// Everybody while the feature flag `user_org_creation` is on, which is off by default.
    pub(crate) fn by_flag(tx: &ReadTx<'_>, recorder: Recorder) -> Result<Self> {
        let flag = model::feature_flags::find(tx, "user_org_creation")?;
        if flag.is_some_and(|flag| flag.enabled) {
            Ok(Self {
                recorder,
                suspended: false,
            })
        } else {
            Err(Error::forbidden())
        }
    }

    /// Administrators, also one that is suspended from the start.
    pub(crate) fn by_administrator(may: MayAdminister, suspended: bool) -> Self {
        Self {
            recorder: may.0,
            suspended,
        }
    }

    /// Whether the new organization is suspended.
    pub(crate) fn suspended(&self) -> bool {
        self.suspended
    }
}

impl OrganizationSuspension {
    /// Administrators suspend. Whoever manages the organization may say that it is not suspended;
    /// while it is, that are administrators alone.
    pub(crate) fn check(caller: &Caller, may: &MayManage, suspended: bool) -> Result<Self> {
        if suspended {
            caller.must_be_admin()?;
        }
        Ok(Self {
            organization: may.organization.clone(),
            suspended,
        })
    }

    /// The decision; fails unless it is about this organization: a fault of the program.
    pub(crate) fn of(&self, organization: &OrganizationGuid) -> Result<bool> {
        same("organization", &self.organization, organization)?;
        Ok(self.suspended)
    }
}

impl MayGiveRoles {
    /// Whoever manages the space, or the organization when it is about none of its spaces.
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        recorder: Recorder,
        organization: &OrganizationGuid,
        space: Option<&SpaceGuid>,
    ) -> Result<Self> {
        match space {
            Some(space) => caller.may_manage_space(tx, space)?,
            None => caller.may_manage_organization(tx, organization)?,
        }
        Ok(Self {
            recorder,
            organization: organization.clone(),
            space: space.cloned(),
        })
    }

    /// Fails unless the proof is for the place of this role: a fault of the program.
    pub(crate) fn covers(&self, role: &Role) -> Result<()> {
        same("organization", &self.organization, &role.organization_guid)?;
        match (&self.space, &role.space_guid) {
            (None, None) => Ok(()),
            (Some(proven), Some(space)) => same("space", proven, space),
            (Some(_), None) | (None, Some(_)) => Err(Error::internal(
                "access to roles of an organization is none to those of its spaces, nor the other way round",
            )),
        }
    }
}
