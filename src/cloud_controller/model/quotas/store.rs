//! SQL of quotas' limits and usage.

use rusqlite::{OptionalExtension, params};

use super::{LIMIT_COLUMNS, QuotaLimits, Usage};
use crate::base::guid::{AppGuid, SpaceGuid};
use crate::cloud_controller::error::Result;
use crate::db::ReadTx;

/// The kind of owner of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Space,
    Organization,
}

impl Owner {
    /// `space`, `organization`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Organization => "organization",
        }
    }

    /// Condition on `a`, a table of apps; `?1` is a space's guid.
    fn around(self) -> &'static str {
        match self {
            Self::Space => "a.space_guid = ?1",
            Self::Organization => {
                "a.space_guid in (select b.guid from spaces b join spaces c \
                 on c.organization_guid = b.organization_guid where c.guid = ?1)"
            }
        }
    }
}

/// The quota of a space and the name of its owner.
pub(crate) fn quota(
    tx: &ReadTx<'_>,
    owner: Owner,
    space: &SpaceGuid,
) -> Result<Option<(String, QuotaLimits)>> {
    let (name, from) = match owner {
        Owner::Space => (
            "s.name",
            "spaces s join space_quotas q on q.guid = s.quota_guid",
        ),
        Owner::Organization => (
            "o.name",
            "spaces s join organizations o on o.guid = s.organization_guid \
             join organization_quotas q on q.guid = o.quota_guid",
        ),
    };
    let sql = format!("select {name}, {LIMIT_COLUMNS} from {from} where s.guid = ?1");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let row = statement.query_row([space], |row| {
        Ok((row.get(0)?, QuotaLimits::from_row(row, 1)?))
    });
    Ok(row.optional()?)
}

/// How many tasks are pending or running in a space or its organization.
pub(crate) fn tasks(tx: &ReadTx<'_>, owner: Owner, space: &SpaceGuid) -> Result<i64> {
    let sql = format!(
        "select count(*) from tasks t join apps a on a.guid = t.app_guid \
         where t.state in ('PENDING', 'RUNNING') and {}",
        owner.around()
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([space], |row| row.get(0))?)
}

/// The usage of started processes and tasks in a space or its organization, and that of one app.
pub(crate) fn usage(
    tx: &ReadTx<'_>,
    owner: Owner,
    space: &SpaceGuid,
    app: &AppGuid,
) -> Result<Usage> {
    let around = owner.around();
    let sql = format!(
        "select coalesce(sum(p.instances * p.memory_in_mb), 0), coalesce(sum(p.instances), 0), \
         cast(min(total(p.instances * max(p.log_rate_limit_in_bytes_per_second, 0.0)), 4e18) as integer), \
         coalesce(max(iif(p.app_guid = ?2, p.memory_in_mb, 0)), 0), \
         coalesce(max(p.app_guid = ?2 and p.log_rate_limit_in_bytes_per_second = -1), 0), \
         (select coalesce(sum(t.memory_in_mb), 0) from tasks t join apps a on a.guid = t.app_guid \
          where t.state in ('PENDING', 'RUNNING') and {around}), \
         (select coalesce(sum(max(t.log_rate_limit_in_bytes_per_second, 0)), 0) from tasks t \
          join apps a on a.guid = t.app_guid where t.state in ('PENDING', 'RUNNING') and {around}) \
         from desired_processes d join processes p on p.guid = d.process_guid join apps a on a.guid = p.app_guid \
         where {around}"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let usage = statement.query_row(params![space, app], |row| {
        Ok(Usage {
            memory: row.get::<_, i64>(0)? + row.get::<_, i64>(5)?,
            instances: row.get(1)?,
            log_rate: row.get::<_, i64>(2)? + row.get::<_, i64>(6)?,
            largest_process: row.get(3)?,
            unlimited_logs: row.get(4)?,
        })
    });
    Ok(usage?)
}

/// The names of these organizations or spaces that have processes which log without limit.
pub(crate) fn names_with_unlimited_logs(
    tx: &ReadTx<'_>,
    owner: Owner,
    guids: &[&str],
) -> Result<Vec<String>> {
    let (name, guid) = match owner {
        Owner::Space => ("s.name", "s.guid"),
        Owner::Organization => ("o.name", "o.guid"),
    };
    let sql = format!(
        "select distinct {name} from processes p join apps a on a.guid = p.app_guid \
         join spaces s on s.guid = a.space_guid join organizations o on o.guid = s.organization_guid \
         where p.log_rate_limit_in_bytes_per_second = -1 and {guid} in (select value from json_each(?1)) \
         order by 1"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([serde_json::to_string(guids)?], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
