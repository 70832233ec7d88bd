//! What may be done with service brokers and what they offer.

use super::same;
use crate::base::guid::SpaceGuid;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::db::ReadTx;

/// May change a broker, its offerings and its plans.
pub(crate) struct MayChangeBroker {
    pub(super) recorder: Recorder,
    /// `None` = those for all.
    pub(super) space: Option<SpaceGuid>,
}

impl MayChangeBroker {
    /// Administrators, and developers of the broker's space.
    pub(crate) fn check(
        tx: &ReadTx<'_>,
        caller: &Caller,
        recorder: Recorder,
        space: Option<&SpaceGuid>,
    ) -> Result<Self> {
        match space {
            None => caller.must_be_admin()?,
            Some(space) => caller.may_write_space(tx, space)?,
        }
        Ok(Self {
            recorder,
            space: space.cloned(),
        })
    }

    /// Fails unless the proof is for a broker of this space, or for those for all: a fault of the
    /// program.
    pub(crate) fn covers(&self, space: Option<&SpaceGuid>) -> Result<()> {
        match (&self.space, space) {
            (None, None) => Ok(()),
            (Some(proven), Some(space)) => same("space", proven, space),
            (None, Some(_)) | (Some(_), None) => Err(Error::internal(
                "access to brokers of a space is none to those for all, nor the other way round",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{GuidSource, Timestamp};
    use crate::cloud_controller::model::audit_events::Actor;

    #[test]
    fn a_proof_for_brokers_of_one_space_is_none_for_others() {
        let spaces = [
            None,
            Some(SpaceGuid::from("one")),
            Some(SpaceGuid::from("other")),
        ];
        for proven in &spaces {
            let may = MayChangeBroker {
                recorder: Recorder {
                    actor: Actor {
                        guid: "u".to_owned(),
                        kind: "user",
                        name: "u".to_owned(),
                    },
                    now: Timestamp::from_micros(0),
                    guids: GuidSource::counted(),
                },
                space: proven.clone(),
            };
            for space in &spaces {
                assert_eq!(may.covers(space.as_ref()).is_ok(), proven == space);
            }
        }
    }
}
