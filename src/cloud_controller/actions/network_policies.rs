//! Network policies: which apps may connect to which.
//!
//! Rules: policy-server `handlers/policy_guard.go`, `quota_guard.go`, `policy_filter.go`, with
//! `enable_space_developer_self_service`: the developers of both apps' spaces need no scope of their own.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::guid::{AppGuid, SpaceGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Kind, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::network_policies::Filter;
use crate::db::{ReadTx, WriteTx};
use crate::network::Policy;

/// The most policies that developers may make an app the source of.
const MOST: usize = 150;

/// Why policies are not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An app does not exist, or its space is not the caller's.
    NoAccess,
    /// An app would have too many.
    OverQuota,
}

/// Who asks.
#[derive(Debug)]
pub(crate) enum Asking {
    /// Somebody with the scope `network.admin`.
    Admin,
    /// Anybody else.
    Developer(Caller),
}

/// Adds policies: all or none.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    asking: &Asking,
    policies: &[Policy],
) -> Result<std::result::Result<(), Refusal>> {
    let apps = apps(policies);
    let spaces = model::network_policies::spaces_of_apps(tx, &apps)?;
    if spaces.len() < apps.len() || !may_change(tx, asking, &spaces)? {
        return Ok(Err(Refusal::NoAccess));
    }
    if matches!(asking, Asking::Developer(_)) && is_over_quota(tx, policies)? {
        return Ok(Err(Refusal::OverQuota));
    }
    for policy in policies {
        model::network_policies::insert(tx, policy)?;
    }
    Ok(Ok(()))
}

/// Removes policies; those that are not there are no fault.
pub(crate) fn delete(
    tx: &WriteTx<'_>,
    asking: &Asking,
    policies: &[Policy],
) -> Result<std::result::Result<(), Refusal>> {
    let spaces = model::network_policies::spaces_of_apps(tx, &apps(policies))?;
    if !may_change(tx, asking, &spaces)? {
        return Ok(Err(Refusal::NoAccess));
    }
    for policy in policies {
        model::network_policies::delete(tx, policy)?;
    }
    Ok(Ok(()))
}

/// The policies that the caller may change.
pub(crate) fn list(tx: &ReadTx<'_>, asking: &Asking, filter: &Filter) -> Result<Vec<Policy>> {
    let mut policies = model::network_policies::list(tx, filter)?;
    let Asking::Developer(caller) = asking else {
        return Ok(policies);
    };
    let spaces = model::network_policies::spaces_of_apps(tx, &apps(&policies))?;
    let own = written_by(tx, caller, &spaces)?;
    let is_own = |app: &String| spaces.get(app).is_some_and(|space| own.contains(space));
    policies.retain(|policy| is_own(&policy.source) && is_own(&policy.destination));
    Ok(policies)
}

fn may_change(
    tx: &ReadTx<'_>,
    asking: &Asking,
    spaces: &BTreeMap<String, SpaceGuid>,
) -> Result<bool> {
    let Asking::Developer(caller) = asking else {
        return Ok(true);
    };
    let own = written_by(tx, caller, spaces)?;
    Ok(spaces.values().all(|space| own.contains(space)))
}

/// Those of the spaces in which the caller may change apps.
fn written_by<'a>(
    tx: &ReadTx<'_>,
    caller: &Caller,
    spaces: &'a BTreeMap<String, SpaceGuid>,
) -> Result<BTreeSet<&'a SpaceGuid>> {
    let mut own = BTreeSet::new();
    for space in spaces.values().collect::<BTreeSet<_>>() {
        match caller.may_write_space(tx, space) {
            Ok(()) => {
                own.insert(space);
            }
            Err(error) if matches!(error.kind(), Kind::NotAuthorized | Kind::OrgSuspended) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(own)
}

fn is_over_quota(tx: &ReadTx<'_>, policies: &[Policy]) -> Result<bool> {
    let mut added: BTreeMap<&String, usize> = BTreeMap::new();
    for policy in policies {
        *added.entry(&policy.source).or_default() += 1;
    }
    for (source, added) in added {
        let source = AppGuid::from(source.as_str());
        if model::network_policies::count_of_source(tx, &source)? + added > MOST {
            return Ok(true);
        }
    }
    Ok(false)
}

fn apps(policies: &[Policy]) -> BTreeSet<String> {
    { policies.iter() }
        .flat_map(|policy| [policy.source.clone(), policy.destination.clone()])
        .collect()
}
