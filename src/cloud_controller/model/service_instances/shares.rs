//! SQL of `service_instance_shares`.

use rusqlite::params;

use crate::base::Timestamp;
use crate::base::guid::{ServiceInstanceGuid, SpaceGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::spaces::{Space, by_guids};
use crate::db::{ReadTx, WriteTx};

/// The spaces an instance is shared with, in the order of sharing.
pub(crate) fn shared_spaces(tx: &ReadTx<'_>, guid: &ServiceInstanceGuid) -> Result<Vec<SpaceGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select space_guid from service_instance_shares where service_instance_guid = ?1 \
         order by created_at, space_guid",
    )?;
    let rows = statement.query_map([guid], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The same with their names.
pub(crate) fn shared_with(tx: &ReadTx<'_>, guid: &ServiceInstanceGuid) -> Result<Vec<Space>> {
    let guids: Vec<String> = shared_spaces(tx, guid)?
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut spaces = by_guids(tx, &guids)?;
    spaces.sort_by_key(|space| guids.iter().position(|guid| guid == space.guid.as_str()));
    Ok(spaces)
}

/// Whether an instance may be bound in a space: its own, or one it is shared with.
pub(crate) fn is_available_in(
    tx: &ReadTx<'_>,
    guid: &ServiceInstanceGuid,
    space: &SpaceGuid,
) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from service_instances where guid = ?1 and space_guid = ?2 union all \
         select 1 from service_instance_shares where service_instance_guid = ?1 and space_guid = ?2",
    )?;
    Ok(statement.exists(params![guid, space])?)
}

/// Shares an instance with a space.
pub(crate) fn share(
    tx: &WriteTx<'_>,
    guid: &ServiceInstanceGuid,
    space: &SpaceGuid,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into service_instance_shares (service_instance_guid, space_guid, created_at) \
             values (?1, ?2, ?3) on conflict do nothing",
        )?
        .execute(params![guid, space, now])?;
    Ok(())
}

/// Ends that.
pub(crate) fn unshare(
    tx: &WriteTx<'_>,
    guid: &ServiceInstanceGuid,
    space: &SpaceGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "delete from service_instance_shares where service_instance_guid = ?1 and space_guid = ?2",
        )?
        .execute(params![guid, space])?;
    Ok(())
}

/// How many bindings of an instance to apps there are in a space.
pub(crate) fn bound_apps(
    tx: &ReadTx<'_>,
    guid: &ServiceInstanceGuid,
    space: &SpaceGuid,
) -> Result<i64> {
    let mut statement = tx.sql().prepare_cached(
        "select count(*) from service_credential_bindings c join apps a on a.guid = c.app_guid \
         where c.service_instance_guid = ?1 and a.space_guid = ?2",
    )?;
    Ok(statement.query_row(params![guid, space], |row| row.get(0))?)
}
