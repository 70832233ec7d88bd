//! Proofs of access. An action demands one, so that forgetting the check of a role does not
//! compile; and it writes the audit events of its work through it, in the name of who was checked.
//!
//! Each comes from one check of [`Caller`] or of a feature flag, except where the platform acts by
//! itself. An action checks that its proof is for what it changes. What is
//! given to fewer people includes what is given to more: a [`MayWrite`] is a [`MaySupport`].

mod domains;
mod organizations;
mod services;
mod spaces;

use std::fmt::Display;
use std::ops::Deref;

use super::access::Caller;
use super::error::{Error, Result};
use super::model::audit_events::Recorder;
use crate::base::guid::OrganizationGuid;

pub(crate) use domains::*;
pub(crate) use organizations::*;
pub(crate) use services::*;
pub(crate) use spaces::*;

/// May change the platform.
pub(crate) struct MayAdminister(Recorder);

impl MayAdminister {
    /// [`Caller::must_be_admin`].
    pub(crate) fn check(caller: &Caller, recorder: Recorder) -> Result<Self> {
        caller.must_be_admin()?;
        Ok(Self(recorder))
    }

    /// What the platform does by itself, as its workers do.
    pub(crate) fn of_platform(recorder: Recorder) -> Self {
        Self(recorder)
    }

    /// Administrators manage every organization.
    pub(crate) fn all_of(&self, organization: &OrganizationGuid) -> MayManage {
        MayManage {
            recorder: self.0.clone(),
            organization: organization.clone(),
        }
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
    MayChangeBroker.recorder => Recorder;
    MayAdminister.0 => Recorder;
}

#[cfg(test)]
mod tests;
