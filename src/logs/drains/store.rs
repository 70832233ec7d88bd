//! The SQL of drains: which there are, and how far each got.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::named_params;

use super::progress::{Progress, Unsaved};
use crate::db::{DbError, WriteTx};

/// The progress of each of these drains, given by their digests; others are forgotten. A new one
/// begins `now`.
pub(super) fn open(
    tx: &WriteTx<'_>,
    digests: &BTreeSet<String>,
    now: i64,
) -> Result<BTreeMap<String, Progress>, DbError> {
    let mut all = tx
        .sql()
        .prepare_cached("select id, digest, since from log_drains")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let rows: Vec<(i64, String, i64)> = rows.collect::<Result<_, _>>()?;
    let mut opened = BTreeMap::new();
    for (id, digest, since) in rows {
        if digests.contains(&digest) {
            opened.insert(digest, Progress::known(id, since, positions(tx, id)?));
        } else {
            tx.sql()
                .prepare_cached("delete from log_drains where id = :id")?
                .execute(named_params! { ":id": id })?;
        }
    }
    for digest in digests {
        if opened.contains_key(digest) {
            continue;
        }
        tx.sql()
            .prepare_cached("insert into log_drains (digest, since) values (:digest, :since)")?
            .execute(named_params! { ":digest": digest, ":since": now })?;
        let id = tx.sql().last_insert_rowid();
        opened.insert(digest.clone(), Progress::begun(id, now));
    }
    Ok(opened)
}

fn positions(tx: &WriteTx<'_>, drain: i64) -> Result<HashMap<Arc<str>, i64>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select log_sources.source_id, log_drain_positions.position
         from log_drain_positions join log_sources on log_sources.id = log_drain_positions.source
         where log_drain_positions.drain = :drain",
    )?;
    let rows = statement.query_map(named_params! { ":drain": drain }, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes positions; returns the sources that are gone.
pub(super) fn save(
    tx: &WriteTx<'_>,
    progress: &Progress,
    unsaved: &Unsaved,
) -> Result<Vec<Arc<str>>, DbError> {
    // The drain may have been forgotten meanwhile, too.
    let mut statement = tx.sql().prepare_cached(
        "insert into log_drain_positions (drain, source, position)
         select log_drains.id, log_sources.id, :position from log_drains, log_sources
         where log_drains.id = :drain and log_sources.source_id = :source_id
         on conflict (drain, source) do update set position = excluded.position",
    )?;
    let mut gone = Vec::new();
    for (source_id, position) in unsaved {
        let written = statement.execute(named_params! {
            ":drain": progress.id,
            ":source_id": &**source_id,
            ":position": position,
        })?;
        if written == 0 {
            gone.push(source_id.clone());
        }
    }
    Ok(gone)
}
