//! Writing audit events: actor, target and place.

use serde_json::Value;

use super::insert;
use crate::base::guid::{OrganizationGuid, SpaceGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::db::WriteTx;

/// The actor of an event.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// User guid, client id, or the guid of the process that crashed.
    pub guid: String,
    /// `user`, `client`, `process`, `system`.
    pub kind: &'static str,
    /// A user's e-mail address, a client's or process's name.
    pub name: String,
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            guid: caller.guid.to_string(),
            kind: if caller.is_client { "client" } else { "user" },
            name: if caller.email.is_empty() {
                caller.name.clone()
            } else {
                caller.email.clone()
            },
        }
    }
}

/// The target of an event.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    /// Guid.
    pub guid: &'a str,
    /// `app`, `space`, …
    pub kind: &'a str,
    /// Name.
    pub name: &'a str,
}

/// Where the target is; decides who sees the event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    /// Space.
    pub space: Option<&'a SpaceGuid>,
    /// Organization; read from the space when absent.
    pub organization: Option<&'a OrganizationGuid>,
}

impl<'a> Place<'a> {
    /// In a space.
    pub(crate) fn space(guid: &'a SpaceGuid) -> Self {
        Self {
            space: Some(guid),
            organization: None,
        }
    }

    /// In an organization.
    pub(crate) fn organization(guid: &'a OrganizationGuid) -> Self {
        Self {
            space: None,
            organization: Some(guid),
        }
    }
}

/// The trigger of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Cause {
    /// A request for this action.
    Request,
    /// A manifest that was applied.
    Manifest,
}

impl Cause {
    /// Marks the events of a manifest.
    pub(crate) fn mark(self, mut data: Value) -> Value {
        if self == Self::Manifest {
            data["manifest_triggered"] = Value::Bool(true);
        }
        data
    }
}

/// One writer of events for a request or a worker's pass: actor, time and guids.
#[derive(Clone)]
pub(crate) struct Recorder {
    /// The actor.
    pub actor: Actor,
    /// The time.
    pub now: Timestamp,
    /// For the events' guids.
    pub guids: GuidSource,
}

impl Recorder {
    /// Writes `audit.app.create` and the like.
    pub(crate) fn record(
        &self,
        tx: &WriteTx<'_>,
        kind: &str,
        target: &Target<'_>,
        place: Place<'_>,
        data: &Value,
    ) -> Result<()> {
        insert(tx, self, kind, target, place, data)
    }
}
