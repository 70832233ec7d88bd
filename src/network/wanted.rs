//! What is allowed, as the Cloud Controller has it on record.

use std::collections::{BTreeMap, BTreeSet};

use super::security::{PortRange, Rule};
use crate::db::{DbError, ReadTx};

/// What is allowed. Groups, spaces and apps go by their guids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The rules of all security groups.
    pub groups: BTreeMap<String, Vec<Rule>>,
    /// Groups that apply to all spaces.
    pub everywhere: SpaceGroups,
    /// Groups of single spaces.
    pub spaces: BTreeMap<String, SpaceGroups>,
    /// The space of each app that was asked for and exists.
    pub apps: BTreeMap<String, String>,
    /// The space of each build that is under way.
    pub builds: BTreeMap<String, String>,
    /// Which apps may connect to which.
    pub policies: Vec<Policy>,
}

/// The security groups of a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceGroups {
    /// For instances and tasks.
    pub running: Vec<String>,
    /// For builds.
    pub staging: Vec<String>,
}

/// A protocol of network policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl PolicyProtocol {
    /// `tcp`, `udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The protocol of a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp]
            .into_iter()
            .find(|protocol| protocol.as_str() == name)
    }
}

/// Instances and tasks of one app may connect to those of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Policy {
    /// Guid of the app that connects.
    pub source: String,
    /// Guid of the app that accepts.
    pub destination: String,
    /// How.
    pub protocol: PolicyProtocol,
    /// Where.
    pub ports: PortRange,
}

/// Says what is allowed.
pub trait Source: Send + Sync + 'static {
    /// Reads it; of apps only these are needed.
    fn load(&self, tx: &ReadTx<'_>, apps: &BTreeSet<String>) -> Result<Wanted, DbError>;
}
