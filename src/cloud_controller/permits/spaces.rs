//! What may be done in a space and with it.

use super::same;
use crate::base::guid::{AppGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::audit_events::Recorder;
use crate::db::ReadTx;

/// May start, stop and scale what is in a space, and map its routes.
pub(crate) struct MaySupport {
    pub(super) recorder: Recorder,
    pub(super) space: SpaceGuid,
}

/// May create, change and delete what is in a space.
pub(crate) struct MayWrite(pub(super) MaySupport);

/// May change a space.
pub(crate) struct MayManageSpace {
    pub(super) recorder: Recorder,
    pub(super) space: SpaceGuid,
}

/// May read the environment of the apps in a space.
pub(crate) struct MayReadEnvironment {
    pub(super) recorder: Recorder,
    pub(super) space: SpaceGuid,
}

/// May read the secrets of a space: environment variables of revisions, packages.
pub(crate) struct MayReadSecrets {
    pub(super) recorder: Recorder,
    pub(super) space: SpaceGuid,
}

/// May download the droplets of a space.
pub(crate) struct MayDownloadDroplets {
    pub(super) recorder: Recorder,
    pub(super) space: SpaceGuid,
}

/// Whether a space is to be suspended, of somebody who may decide that.
pub(crate) struct SpaceSuspension {
    pub(super) space: SpaceGuid,
    pub(super) suspended: bool,
}

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

    /// What the platform does by itself, as its workers do.
    pub(crate) fn of_platform(recorder: Recorder, space: &SpaceGuid) -> Self {
        Self(MaySupport::of_platform(recorder, space))
    }
}

impl From<MayWrite> for MaySupport {
    fn from(may: MayWrite) -> Self {
        may.0
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

impl SpaceSuspension {
    /// The decision; fails unless it is about this space: a fault of the program.
    pub(crate) fn of(&self, space: &SpaceGuid) -> Result<bool> {
        same("space", &self.space, space)?;
        Ok(self.suspended)
    }
}
