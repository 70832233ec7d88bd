//! SQL of `audit_events`.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use super::{Place, Recorder, Target};
use crate::base::Timestamp;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{Column, ListQuery, Listed, Select, count, page_by_id};
use crate::db::{ReadTx, WriteTx};

/// How long events are kept.
const KEPT: Duration = Duration::from_secs(31 * 24 * 60 * 60);

const COLUMNS: &str = "e.guid, e.type, e.actor_guid, e.actor_type, e.actor_name, e.target_guid, \
                       e.target_type, e.target_name, e.data, e.space_guid, e.organization_guid, e.created_at";

/// A stored event.
#[derive(Debug)]
pub(crate) struct AuditEvent {
    pub guid: String,
    pub kind: String,
    pub actor: [String; 3],
    pub target: [String; 3],
    pub data: Value,
    pub space_guid: Option<String>,
    pub organization_guid: Option<String>,
    pub created_at: Timestamp,
}

pub(crate) fn insert(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    target: &Target<'_>,
    place: Place<'_>,
    data: &Value,
) -> Result<()> {
    let mut statement = tx.sql().prepare_cached(
        "insert into audit_events (guid, type, actor_guid, actor_type, actor_name, target_guid, target_type, \
         target_name, data, space_guid, organization_guid, created_at) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
         coalesce(?11, (select organization_guid from spaces where guid = ?10)), ?12)",
    )?;
    statement.execute(params![
        recorder.guids.next(),
        kind,
        recorder.actor.guid,
        recorder.actor.kind,
        recorder.actor.name,
        target.guid,
        target.kind,
        target.name,
        data.to_string(),
        place.space,
        place.organization,
        recorder.now,
    ])?;
    tx.sql()
        .prepare_cached("delete from audit_events where created_at < ?1")?
        .execute([recorder.now.minus(KEPT)])?;
    Ok(())
}

/// How a caller's events are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// By the indexes of spaces and organizations: good when they are few.
    Index,
    /// Event by event in their order, a `+` disables the indexes: good when they are many.
    Scan,
}

/// More matches than this are many.
const FEW: i64 = 2000;

fn visible(caller: &Caller, by: By) -> Select {
    let mut select = Select::from("audit_events e");
    if !caller.sees_all() {
        let (space, plus) = match by {
            By::Index => (Column::from("e.space_guid"), ""),
            By::Scan => (Column::scanned("e.space_guid"), "+"),
        };
        select.and_column(
            space,
            &format!(
                "in (select space_guid from roles where user_guid = ? \
                 and type in ('space_auditor', 'space_developer', 'space_supporter')) \
                 or {plus}e.organization_guid in (select organization_guid from roles where user_guid = ? \
                 and type = 'organization_auditor')"
            ),
            [caller.guid.to_string(), caller.guid.to_string()],
        );
    }
    select
}

/// One event, if the caller sees it.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &str,
) -> Result<Option<AuditEvent>> {
    let mut select = visible(caller, By::Index);
    select.and("e.guid = ?", [guid.to_owned()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), event)
        .optional()?)
}

/// A page of events.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<AuditEvent>> {
    let mut select = filtered(caller, query, By::Index)?;
    let total = match counted(tx, caller, query)? {
        Some(total) => total,
        None => count(tx, &select)?,
    };
    if total > FEW {
        select = filtered(caller, query, By::Scan)?;
    }
    page_by_id(
        tx,
        &select,
        Columns {
            alias: "e",
            names: COLUMNS,
        },
        (query, total),
        event,
    )
}

/// How many events match, if only their place restricts them.
fn counted(tx: &ReadTx<'_>, caller: &Caller, query: &ListQuery) -> Result<Option<i64>> {
    let filters = query.filters();
    let place = ["space_guids", "organization_guids"]
        .into_iter()
        .find(|place| filters.len() == 1 && filters.contains(place));
    let Some(guids) = place.and_then(|place| query.values(place)) else {
        return Ok(None);
    };
    if !caller.sees_all() {
        return Ok(None);
    }
    let mut select = Select::from("audit_event_counts c");
    select.and_in("c.place_guid", &guids);
    let sql = select.sql("coalesce(sum(c.events), 0)", "");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let total = statement.query_row(params_from_iter(select.values()), |row| row.get(0))?;
    Ok(Some(total))
}

fn filtered(caller: &Caller, query: &ListQuery, by: By) -> Result<Select> {
    let mut select = visible(caller, by);
    query.filter_common(&mut select, "e", None)?;
    query.filter(&mut select, "types", "e.type");
    query.filter(&mut select, "target_guids", "e.target_guid");
    if let Some(guids) = query.values("target_guids[not]") {
        select.and_not_in("e.target_guid", &guids);
    }
    query.filter(&mut select, "space_guids", "e.space_guid");
    query.filter(&mut select, "organization_guids", "e.organization_guid");
    Ok(select)
}

/// The id of the newest event; ids grow.
pub(crate) fn newest_id(tx: &ReadTx<'_>) -> Result<i64> {
    let mut statement = tx
        .sql()
        .prepare_cached("select coalesce(max(id), 0) from audit_events")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// The first events after this one, with their ids; one that cannot be read has its error instead.
pub(crate) fn after(tx: &ReadTx<'_>, id: i64) -> Result<Vec<(i64, Result<AuditEvent>)>> {
    let sql = format!(
        "select {COLUMNS}, e.id from audit_events e where e.id > ?1 order by e.id limit 500"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    let rows = statement.query_map([id], |row| {
        let id: i64 = row.get(12)?;
        Ok((id, event(row).map_err(Into::into)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn event(row: &Row<'_>) -> rusqlite::Result<AuditEvent> {
    let data: String = row.get(8)?;
    Ok(AuditEvent {
        guid: row.get(0)?,
        kind: row.get(1)?,
        actor: [row.get(2)?, row.get(3)?, row.get(4)?],
        target: [row.get(5)?, row.get(6)?, row.get(7)?],
        data: serde_json::from_str(&data).unwrap_or(Value::Null),
        space_guid: row.get(9)?,
        organization_guid: row.get(10)?,
        created_at: row.get(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_controller::error::Error;
    use crate::db::Db;

    #[tokio::test]
    async fn an_event_that_cannot_be_read_keeps_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let rows = "insert into audit_events (guid, type, actor_guid, actor_type, actor_name, target_guid, \
                    target_type, target_name, data, created_at) values \
                    ('1', 'audit.app.start', 'u', 'user', 'u', 'a', 'app', 'a', '{}', 0), \
                    (cast(x'ff' as text), 'audit.app.start', 'u', 'user', 'u', 'a', 'app', 'a', '{}', 0), \
                    ('3', 'audit.app.stop', 'u', 'user', 'u', 'a', 'app', 'a', '{}', 0)";
        let rows = db.write(move |tx| Ok::<_, Error>(tx.sql().execute_batch(rows)?));
        rows.await.expect("rows");
        let found = db.read(|tx| after(tx, 0)).await.expect("read");
        let found: Vec<_> = found
            .iter()
            .map(|(id, event)| (*id, event.as_ref().ok().map(|event| event.guid.as_str())))
            .collect();
        assert_eq!(found, [(1, Some("1")), (2, None), (3, Some("3"))]);
    }
}
