//! Proofs of access. An action demands one, so that forgetting the check of a role does not
//! compile; and it writes the audit events of its work through it, in the name of who was checked.
//!
//! Each comes from one check of [`Caller`] or of a feature flag, except where the platform acts by
//! itself. An action checks that its proof is for what it changes. What is
//! given to fewer people includes what is given to more: a [`MayWrite`] is a [`MaySupport`].

use std::fmt::Display;
use std::ops::Deref;

use super::access::Caller;
use super::error::{Error, Result};
use super::model;
use super::model::apps::App;
use super::model::audit_events::Recorder;
use super::model::domains::Domain;
use super::model::roles::Role;
use super::model::routes::Route;
use super::model::spaces::Space;
use crate::base::guid::{AppGuid, DomainGuid, OrganizationGuid, SpaceGuid};
use crate::db::ReadTx;

/// May start, stop and scale what is in a space, and map its routes.
pub(crate) struct MaySupport {
    recorder: Recorder,
    space: SpaceGuid,
}

/// May create, change and delete what is in a space.
pub(crate) struct MayWrite(MaySupport);

/// May change a space.
pub(crate) struct MayManageSpace {
    recorder: Recorder,
    space: SpaceGuid,
}

/// May give and take roles in a space, or those of an organization itself.
pub(crate) struct MayGiveRoles {
    recorder: Recorder,
    organization: OrganizationGuid,
    space: Option<SpaceGuid>,
}

/// May read the environment of the apps in a space.
pub(crate) struct MayReadEnvironment {
    recorder: Recorder,
    space: SpaceGuid,
}

/// May read the secrets of a space: environment variables of revisions, packages.
pub(crate) struct MayReadSecrets {
    recorder: Recorder,
    space: SpaceGuid,
}

/// May download the droplets of a space.
pub(crate) struct MayDownloadDroplets {
    recorder: Recorder,
    space: SpaceGuid,
}

/// May change an organization and create and delete its spaces.
pub(crate) struct MayManage {
    recorder: Recorder,
    organization: OrganizationGuid,
}

/// May change a domain, and delete it with its routes.
pub(crate) struct MayChangeDomain {
    recorder: Recorder,
    domain: DomainGuid,
}

/// May create a domain of an organization, or one that is shared with all.
pub(crate) struct MayCreateDomain {
    recorder: Recorder,
    owner: Option<OrganizationGuid>,
}

/// May end an organization's share of a domain.
pub(crate) struct MayUnshareDomain {
    domain: DomainGuid,
    guest: OrganizationGuid,
}

/// May create an organization.
pub(crate) struct MayCreateOrganization {
    recorder: Recorder,
    suspended: bool,
}

/// Whether an organization is to be suspended, of somebody who may decide that.
pub(crate) struct OrganizationSuspension {
    organization: OrganizationGuid,
    suspended: bool,
}

/// Whether a space is to be suspended, of somebody who may decide that.
pub(crate) struct SpaceSuspension {
    space: SpaceGuid,
    suspended: bool,
}

/// May change the platform.
pub(crate) struct MayAdminister(Recorder);

impl MaySupport {
    /// [`Caller::may_support_space`], also for space supporters.
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        recorder: Recorder,
        space: &SpaceGuid,
    ) -> Result<Self> {
        caller.may_support_space(tx, space)?;
        Ok(Self::of_platform(recorder, space))
    }

    /// What the platform does by itself, as its workers do.
    pub(crate) fn of_platform(recorder: Recorder, space: &SpaceGuid) -> Self {
        Self {
            recorder,
            space: space.clone(),
        }
    }

    /// The space the proof is for.
    pub(crate) fn space(&self) -> &SpaceGuid {
        &self.space
    }

    /// Fails unless this is the space the proof is for: a fault of the program.
    pub(crate) fn covers(&self, space: &SpaceGuid) -> Result<()> {
        same("space", &self.space, space)
    }

    /// The same of a part of an app, as processes and revisions are; `owner` is the app it names.
    pub(crate) fn covers_part(&self, app: &App, owner: &AppGuid) -> Result<()> {
        self.covers(&app.space_guid)?;
        same("app", &app.guid, owner)
    }
}

impl MayWrite {
    /// [`Caller::may_write_space`].
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        recorder: Recorder,
        space: &SpaceGuid,
    ) -> Result<Self> {
        caller.may_write_space(tx, space)?;
        Ok(Self(MaySupport::of_platform(recorder, space)))
    }

    /// For tests of what is behind the check.
    #[cfg(test)]
    pub(crate) fn of_platform(recorder: Recorder, space: &SpaceGuid) -> Self {
        Self(MaySupport::of_platform(recorder, space))
    }
}

/// Proofs of one check of [`Caller`] for one space.
macro_rules! of_space {
    ($($proof:ident by $check:ident;)+) => {$(
        impl $proof {
            #[doc = concat!("[`Caller::", stringify!($check), "`].")]
            pub(crate) fn check(
                tx: &ReadTx<'_>,
                caller: &Caller,
                recorder: Recorder,
                space: &SpaceGuid,
            ) -> Result<Self> {
                caller.$check(tx, space)?;
                Ok(Self {
                    recorder,
                    space: space.clone(),
                })
            }

            /// Fails unless this is the space the proof is for: a fault of the program.
            pub(crate) fn covers(&self, space: &SpaceGuid) -> Result<()> {
                same("space", &self.space, space)
            }
        }
    )+};
}

of_space! {
    MayManageSpace by may_manage_space;
    MayReadEnvironment by may_read_environment;
    MayReadSecrets by may_read_secrets;
    MayDownloadDroplets by may_download_droplets;
}

impl MayManageSpace {
    /// The space the proof is for.
    pub(crate) fn space(&self) -> &SpaceGuid {
        &self.space
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
    /// Administrators suspend. That it is not suspended may say whoever manages the organization,
    /// which managers may not while it is suspended.
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

impl SpaceSuspension {
    /// The decision; fails unless it is about this space: a fault of the program.
    pub(crate) fn of(&self, space: &SpaceGuid) -> Result<bool> {
        same("space", &self.space, space)?;
        Ok(self.suspended)
    }
}

impl From<MayWrite> for MaySupport {
    fn from(may: MayWrite) -> Self {
        may.0
    }
}

impl MayAdminister {
    /// [`Caller::must_be_admin`].
    pub(crate) fn check(caller: &Caller, recorder: Recorder) -> Result<Self> {
        caller.must_be_admin()?;
        Ok(Self(recorder))
    }

    /// Administrators manage every organization.
    pub(crate) fn all_of(&self, organization: &OrganizationGuid) -> MayManage {
        MayManage {
            recorder: self.0.clone(),
            organization: organization.clone(),
        }
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

fn same<G: PartialEq + Display>(kind: &str, proven: &G, changed: &G) -> Result<()> {
    if proven == changed {
        return Ok(());
    }
    Err(Error::internal(format!(
        "access to {kind} {proven} was proven, but {kind} {changed} is to be changed"
    )))
}

/// What a proof includes, and at last the recorder that writes in its holder's name.
macro_rules! includes {
    ($($proof:ident . $field:tt => $included:ident;)+) => {$(
        impl Deref for $proof {
            type Target = $included;

            fn deref(&self) -> &$included {
                &self.$field
            }
        }
    )+};
}

includes! {
    MayWrite.0 => MaySupport;
    MaySupport.recorder => Recorder;
    MayManageSpace.recorder => Recorder;
    MayGiveRoles.recorder => Recorder;
    MayReadEnvironment.recorder => Recorder;
    MayReadSecrets.recorder => Recorder;
    MayDownloadDroplets.recorder => Recorder;
    MayManage.recorder => Recorder;
    MayChangeDomain.recorder => Recorder;
    MayCreateDomain.recorder => Recorder;
    MayCreateOrganization.recorder => Recorder;
    MayAdminister.0 => Recorder;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{GuidSource, Timestamp};
    use crate::cloud_controller::error::Kind;
    use crate::cloud_controller::model::apps::{AppState, Features, Lifecycle, LifecycleType};
    use crate::cloud_controller::model::audit_events::Actor;

    fn recorder() -> Recorder {
        Recorder {
            actor: Actor {
                guid: "u".to_owned(),
                kind: "user",
                name: "u".to_owned(),
            },
            now: Timestamp::from_micros(0),
            guids: GuidSource::counted(),
        }
    }

    #[test]
    fn a_proof_for_one_space_is_none_for_another() {
        let (one, other) = (SpaceGuid::from("one"), SpaceGuid::from("other"));
        let may = MayWrite::of_platform(recorder(), &one);
        assert!(may.covers(&one).is_ok());
        let refused = may.covers(&other).expect_err("another space");
        assert_eq!(refused.kind(), Kind::ServerError);
        let support: MaySupport = may.into();
        assert!(support.covers(&other).is_err());
        let mut app = App {
            guid: AppGuid::from("a"),
            name: "a".to_owned(),
            space_guid: one,
            state: AppState::Stopped,
            lifecycle: Lifecycle {
                kind: LifecycleType::Docker,
                buildpacks: Vec::new(),
                stack: None,
            },
            current_droplet_guid: None,
            features: Features::default(),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        };
        assert!(support.covers_part(&app, &AppGuid::from("a")).is_ok());
        assert!(support.covers_part(&app, &AppGuid::from("b")).is_err());
        app.space_guid = other;
        assert!(support.covers_part(&app, &AppGuid::from("a")).is_err());
    }

    #[test]
    fn a_proof_to_manage_one_space_or_domain_is_none_for_another() {
        let space = MayManageSpace {
            recorder: recorder(),
            space: SpaceGuid::from("one"),
        };
        assert!(space.covers(&SpaceGuid::from("one")).is_ok());
        assert!(space.covers(&SpaceGuid::from("other")).is_err());
        let domain = MayChangeDomain {
            recorder: recorder(),
            domain: DomainGuid::from("one"),
        };
        assert!(domain.covers(&DomainGuid::from("one")).is_ok());
        assert!(domain.covers(&DomainGuid::from("other")).is_err());
    }

    #[test]
    fn a_proof_for_domains_of_one_organization_is_none_for_others_or_shared_ones() {
        let may = |owner: Option<&str>| MayCreateDomain {
            recorder: recorder(),
            owner: owner.map(OrganizationGuid::from),
        };
        let domain = |owner: Option<&str>| Domain {
            guid: DomainGuid::from("d"),
            name: "example.com".to_owned(),
            internal: false,
            router_group_guid: None,
            organization_guid: owner.map(OrganizationGuid::from),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        };
        let owners = [None, Some("one"), Some("other")];
        for proven in owners {
            for owner in owners {
                let covered = may(proven).covers(&domain(owner)).is_ok();
                assert_eq!(covered, proven == owner, "{proven:?} for {owner:?}");
            }
        }
        let may = MayUnshareDomain {
            domain: DomainGuid::from("d"),
            guest: OrganizationGuid::from("one"),
        };
        let (d, one) = (DomainGuid::from("d"), OrganizationGuid::from("one"));
        assert!(may.covers(&d, &one).is_ok());
        assert!(may.covers(&d, &OrganizationGuid::from("other")).is_err());
        assert!(may.covers(&DomainGuid::from("e"), &one).is_err());
    }

    #[test]
    fn a_right_to_suspend_is_for_one_organization_or_space() {
        let admin = || MayAdminister(recorder());
        let one = OrganizationGuid::from("one");
        let suspension = OrganizationSuspension {
            organization: one.clone(),
            suspended: true,
        };
        assert!(suspension.of(&one).expect("the same"));
        assert!(suspension.of(&OrganizationGuid::from("other")).is_err());
        let mut space = Space {
            guid: SpaceGuid::from("s"),
            name: "s".to_owned(),
            organization_guid: one.clone(),
            quota_guid: None,
            isolation_segment_guid: None,
            ssh_allowed: true,
            suspended: false,
            organization_name: "one".to_owned(),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        };
        let may = admin().all_of(&one);
        let suspension = may.suspension(&space, true).expect("its own space");
        assert!(suspension.of(&space.guid).expect("the same"));
        assert!(suspension.of(&SpaceGuid::from("t")).is_err());
        space.organization_guid = OrganizationGuid::from("other");
        assert!(may.suspension(&space, true).is_err());
    }

    #[test]
    fn a_proof_for_one_organization_is_none_for_another() {
        let may = MayAdminister(recorder()).all_of(&OrganizationGuid::from("one"));
        assert!(may.covers(&OrganizationGuid::from("one")).is_ok());
        assert!(may.covers(&OrganizationGuid::from("other")).is_err());
    }
}
