//! SQL of `security_groups` and `security_group_spaces`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use crate::base::guid::SpaceGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::v3::{ApiResult, Caller, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

const COLUMNS: &str = "g.guid, g.name, g.rules, g.globally_enabled_running, g.globally_enabled_staging, \
                       g.created_at, g.updated_at";

/// What a group applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Running,
    Staging,
}

impl Lifecycle {
    /// `running`, `staging`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Staging => "staging",
        }
    }
}

/// A stored group.
#[derive(Debug)]
pub(super) struct SecurityGroup {
    pub guid: String,
    pub name: String,
    /// JSON array.
    pub rules: String,
    pub globally_running: bool,
    pub globally_staging: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Everybody sees what applies to all, and what is bound to a space they see.
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

pub(super) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> ApiResult<Option<SecurityGroup>> {
    let mut select = visible(caller);
    select.and("g.guid = ?", [guid.to_owned()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), group)
        .optional()?)
}

/// A page of those the caller sees; `switches` = globally enabled for running and staging.
pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    switches: [Option<bool>; 2],
) -> ApiResult<Listed<SecurityGroup>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "g", None)?;
    query.filter(&mut select, "names", "g.name");
    let columns = ["g.globally_enabled_running", "g.globally_enabled_staging"];
    for (column, switch) in columns.iter().zip(switches) {
        if let Some(on) = switch {
            select.and(&format!("{column} = ?"), [i64::from(on)]);
        }
    }
    for lifecycle in [Lifecycle::Running, Lifecycle::Staging] {
        let name = lifecycle.as_str();
        let sql = format!(
            "g.guid in (select security_group_guid from security_group_spaces \
             where lifecycle = '{name}' and space_guid in ({{}}))"
        );
        query.filter_marks(&mut select, &format!("{name}_space_guids"), &sql);
    }
    list(tx, &select, ("g", COLUMNS), query, group)
}

/// A page of those that apply to a space.
pub(super) fn list_of_space(
    tx: &ReadTx<'_>,
    space: &SpaceGuid,
    lifecycle: Lifecycle,
    query: &ListQuery,
) -> ApiResult<Listed<SecurityGroup>> {
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
    list(tx, &select, ("g", COLUMNS), query, group)
}

/// The spaces a group is bound to, as far as the caller sees them.
pub(super) fn spaces(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> ApiResult<Vec<(SpaceGuid, Lifecycle)>> {
    let mut select = Select::from("security_group_spaces x");
    select.and("x.security_group_guid = ?", [guid.to_owned()]);
    caller.limit_to_visible_spaces(&mut select, "x.space_guid");
    let mut statement = tx.sql().prepare_cached(&select.sql(
        "x.space_guid, x.lifecycle = 'running'",
        "order by x.space_guid",
    ))?;
    let rows = statement.query_map(params_from_iter(select.values()), |row| {
        let is_running: bool = row.get(1)?;
        let lifecycle = if is_running {
            Lifecycle::Running
        } else {
            Lifecycle::Staging
        };
        Ok((row.get(0)?, lifecycle))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores a group for everything if there is none of this name.
pub(super) fn ensure(
    tx: &WriteTx<'_>,
    (name, rules): (&str, &Value),
    now: Timestamp,
    guids: &GuidSource,
) -> ApiResult<()> {
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
