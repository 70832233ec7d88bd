//! SQL of `security_groups` and `security_group_spaces`.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use crate::base::guid::{SecurityGroupGuid, SpaceGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "g.guid, g.name, g.rules, g.globally_enabled_running, g.globally_enabled_staging, \
                       g.created_at, g.updated_at";

/// What a group applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Running,
    Staging,
}

impl Lifecycle {
    fn of(is_running: bool) -> Self {
        if is_running {
            Self::Running
        } else {
            Self::Staging
        }
    }

    /// `running`, `staging`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Staging => "staging",
        }
    }
}

/// A stored group.
#[derive(Debug)]
pub(crate) struct SecurityGroup {
    pub guid: SecurityGroupGuid,
    pub name: String,
    /// JSON array.
    pub rules: String,
    pub globally_running: bool,
    pub globally_staging: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The spaces each group is bound to, and for what.
pub(crate) type Bound = HashMap<SecurityGroupGuid, Vec<(SpaceGuid, Lifecycle)>>;

/// Everybody sees groups that apply to all, and groups bound to a space they see.
fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("security_groups g");
    if !caller.sees_all() {
        let mut bound = Select::from("security_group_spaces x");
        caller.limit_to_visible_spaces(&mut bound, "x.space_guid");
        let sql = format!(
            "g.globally_enabled_running or g.globally_enabled_staging or g.guid in ({})",
            bound.sql("x.security_group_guid", "")
        );
        select.and(&sql, bound.values().iter().cloned());
    }
    select
}

/// A group the caller sees, or 404.
pub(crate) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &SecurityGroupGuid,
) -> Result<SecurityGroup> {
    let mut select = visible(caller);
    select.and("g.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), group)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Security group"))
}

/// For what listed groups are globally enabled, or are not; `None` = either.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Switches {
    pub running: Option<bool>,
    pub staging: Option<bool>,
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    switches: Switches,
) -> Result<Listed<SecurityGroup>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "g", None)?;
    query.filter(&mut select, "names", "g.name");
    for (column, switch) in [
        ("g.globally_enabled_running", switches.running),
        ("g.globally_enabled_staging", switches.staging),
    ] {
        if let Some(on) = switch {
            select.and(&format!("{column} = ?"), [i64::from(on)]);
        }
    }
    for lifecycle in [Lifecycle::Running, Lifecycle::Staging] {
        let name = lifecycle.as_str();
        let bound = format!(
            "select security_group_guid from security_group_spaces \
             where lifecycle = '{name}' and space_guid"
        );
        query.filter_through(
            &mut select,
            &format!("{name}_space_guids"),
            "g.guid",
            &bound,
        );
    }
    list(
        tx,
        &select,
        Columns {
            alias: "g",
            names: COLUMNS,
        },
        query,
        group,
    )
}

/// A page of those that apply to a space.
pub(crate) fn list_of_space(
    tx: &ReadTx<'_>,
    space: &SpaceGuid,
    lifecycle: Lifecycle,
    query: &ListQuery,
) -> Result<Listed<SecurityGroup>> {
    let mut select = Select::from("security_groups g");
    let name = lifecycle.as_str();
    select.and(
        &format!(
            "g.globally_enabled_{name} or g.guid in (select security_group_guid from security_group_spaces \
             where lifecycle = '{name}' and space_guid = ?)"
        ),
        [space.to_string()],
    );
    query.filter_common(&mut select, "g", None)?;
    query.filter(&mut select, "names", "g.name");
    list(
        tx,
        &select,
        Columns {
            alias: "g",
            names: COLUMNS,
        },
        query,
        group,
    )
}

/// The spaces these groups are bound to, as far as the caller sees them.
pub(crate) fn bound(tx: &ReadTx<'_>, caller: &Caller, groups: &[SecurityGroup]) -> Result<Bound> {
    let guids: Vec<&SecurityGroupGuid> = groups.iter().map(|group| &group.guid).collect();
    let mut select = Select::from("security_group_spaces x");
    select.and(
        "x.security_group_guid in (select value from json_each(?))",
        [serde_json::to_string(&guids)?],
    );
    caller.limit_to_visible_spaces(&mut select, "x.space_guid");
    let mut statement = tx.sql().prepare_cached(&select.sql(
        "x.security_group_guid, x.space_guid, x.lifecycle = 'running'",
        "order by x.security_group_guid, x.space_guid",
    ))?;
    let mut rows = statement.query(params_from_iter(select.values()))?;
    let mut bound = Bound::new();
    while let Some(row) = rows.next()? {
        let lifecycle = Lifecycle::of(row.get(2)?);
        let spaces = bound.entry(row.get(0)?).or_default();
        spaces.push((row.get(1)?, lifecycle));
    }
    Ok(bound)
}

/// All groups.
pub(crate) fn all(tx: &ReadTx<'_>) -> Result<Vec<SecurityGroup>> {
    let sql = format!("select {COLUMNS} from security_groups g order by g.guid");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let mut reading = tx.reading("security groups");
    let groups = reading.rows(&mut statement, [], |row| Ok(group(row)?))?;
    reading.finish();
    Ok(groups)
}

/// All bindings: group, space and for what.
pub(crate) fn all_bound(tx: &ReadTx<'_>) -> Result<Vec<(SecurityGroupGuid, SpaceGuid, Lifecycle)>> {
    const SQL: &str = "
        select security_group_guid, space_guid, lifecycle = 'running' from security_group_spaces
        order by space_guid, security_group_guid";
    let mut statement = tx.sql().prepare_cached(SQL)?;
    let rows = statement.query_map([], |row| {
        let lifecycle = Lifecycle::of(row.get(2)?);
        Ok((row.get(0)?, row.get(1)?, lifecycle))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores a new group; the unique index decides races.
pub(crate) fn insert(tx: &WriteTx<'_>, group: &SecurityGroup) -> Result<()> {
    write(
        tx,
        group,
        "insert into security_groups (guid, name, rules, globally_enabled_running, globally_enabled_staging, \
         created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
}

/// Updates a group.
pub(crate) fn update(tx: &WriteTx<'_>, group: &SecurityGroup) -> Result<()> {
    write(
        tx,
        group,
        "update security_groups set name = ?2, rules = ?3, globally_enabled_running = ?4, \
         globally_enabled_staging = ?5, created_at = ?6, updated_at = ?7 where guid = ?1",
    )
}

fn write(tx: &WriteTx<'_>, group: &SecurityGroup, sql: &str) -> Result<()> {
    let done = tx.sql().prepare_cached(sql)?.execute(params![
        group.guid,
        group.name,
        group.rules,
        group.globally_running,
        group.globally_staging,
        group.created_at,
        group.updated_at
    ]);
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(Error::unprocessable(format!(
            "Security group with name '{}' already exists.",
            group.name
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a group with its bindings.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &SecurityGroupGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from security_groups where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Binds a group to a space; repeating it changes nothing.
pub(crate) fn bind(
    tx: &WriteTx<'_>,
    guid: &SecurityGroupGuid,
    space: &SpaceGuid,
    lifecycle: Lifecycle,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into security_group_spaces (security_group_guid, space_guid, lifecycle) values (?1, ?2, ?3) \
             on conflict do nothing",
        )?
        .execute(params![guid, space, lifecycle.as_str()])?;
    Ok(())
}

/// Deletes a binding; false = there was none.
pub(crate) fn unbind(
    tx: &WriteTx<'_>,
    guid: &SecurityGroupGuid,
    space: &SpaceGuid,
    lifecycle: Lifecycle,
) -> Result<bool> {
    let gone = tx
        .sql()
        .prepare_cached(
            "delete from security_group_spaces where security_group_guid = ?1 and space_guid = ?2 and lifecycle = ?3",
        )?
        .execute(params![guid, space, lifecycle.as_str()])?;
    Ok(gone > 0)
}

/// Inserts a globally enabled group if there is none with this name.
pub(crate) fn ensure(
    tx: &WriteTx<'_>,
    name: &str,
    rules: &Value,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into security_groups (guid, name, rules, globally_enabled_running, globally_enabled_staging, \
             created_at, updated_at) values (?1, ?2, ?3, 1, 1, ?4, ?4) on conflict (name) do nothing",
        )?
        .execute(params![guids.next(), name, rules.to_string(), now])?;
    Ok(())
}

fn group(row: &Row<'_>) -> rusqlite::Result<SecurityGroup> {
    Ok(SecurityGroup {
        guid: row.get(0)?,
        name: row.get(1)?,
        rules: row.get(2)?,
        globally_running: row.get(3)?,
        globally_staging: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}
