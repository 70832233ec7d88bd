//! What the firewall enforces: security groups and network policies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::base::guid::SpaceGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::network_policies::Filter;
use crate::cloud_controller::model::security_groups::Lifecycle;
use crate::db::{DbError, ReadTx};
use crate::network::{Rule, Source, SpaceGroups, Wanted};

/// Reads it.
pub(crate) struct AllowedTraffic;

impl Source for AllowedTraffic {
    fn load(
        &self,
        tx: &ReadTx<'_>,
        apps: &BTreeSet<String>,
    ) -> std::result::Result<Wanted, DbError> {
        load(tx, apps).map_err(|error| DbError::Interrupted(format!("what is allowed: {error}")))
    }
}

fn load(tx: &ReadTx<'_>, apps: &BTreeSet<String>) -> Result<Wanted> {
    let mut wanted = Wanted {
        apps: texts(model::network_policies::spaces_of_apps(tx, apps)?),
        builds: texts(model::network_policies::spaces_of_builds(tx)?),
        policies: model::network_policies::list(tx, &Filter::default())?,
        ..Wanted::default()
    };
    wanted
        .policies
        .retain(|policy| apps.contains(&policy.source));
    for group in model::security_groups::all(tx)? {
        let guid = group.guid.to_string();
        if group.globally_running {
            wanted.everywhere.running.push(guid.clone());
        }
        if group.globally_staging {
            wanted.everywhere.staging.push(guid.clone());
        }
        // Unreadable rules allow nothing.
        let rules: Value = serde_json::from_str(&group.rules).unwrap_or_default();
        wanted.groups.insert(guid, Rule::parse_all(&rules));
    }
    let mut spaces: BTreeMap<String, SpaceGroups> = BTreeMap::new();
    for (group, space, lifecycle) in model::security_groups::all_bound(tx)? {
        let groups = spaces.entry(space.to_string()).or_default();
        match lifecycle {
            Lifecycle::Running => groups.running.push(group.to_string()),
            Lifecycle::Staging => groups.staging.push(group.to_string()),
        }
    }
    wanted.spaces = spaces;
    Ok(wanted)
}

fn texts(guids: BTreeMap<String, SpaceGuid>) -> BTreeMap<String, String> {
    { guids.into_iter() }
        .map(|(guid, space)| (guid, space.to_string()))
        .collect()
}
