//! The SQL of logs: sources with their totals, segments of envelopes, and Docker cursors.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, named_params};

use super::cursor::Cursor;
use super::envelope::{Envelope, LogStream};
use super::inbox::Output;
use super::query::Query;
use super::segment::{self, Segment};
use crate::db::{DbError, ReadTx, WriteTx};

/// What is kept of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) oldest: i64,
    pub(super) newest: i64,
    pub(super) count: i64,
    pub(super) bytes: i64,
    pub(super) expired: i64,
}

/// How much is kept on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct DiskLimits {
    pub(super) source_count: i64,
    pub(super) source_bytes: i64,
    pub(super) total_bytes: i64,
}

/// Every source with its totals.
pub(super) fn sources(tx: &ReadTx<'_>) -> Result<Vec<(Arc<str>, Totals)>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select source_id, oldest, newest, count, bytes, expired from log_sources",
    )?;
    let mut reading = tx.reading("log_sources");
    let sources = reading.rows(&mut statement, [], |row| {
        let totals = Totals {
            oldest: row.get(1)?,
            newest: row.get(2)?,
            count: row.get(3)?,
            bytes: row.get(4)?,
            expired: row.get(5)?,
        };
        Ok((row.get::<_, Arc<str>>(0)?, totals))
    })?;
    reading.finish();
    Ok(sources)
}

/// Appends the stored envelopes that match the query to `found`. A damaged segment is left out.
pub(super) fn select(
    tx: &ReadTx<'_>,
    source_id: &Arc<str>,
    query: &Query,
    mut found: Vec<Envelope>,
) -> Result<Vec<Envelope>, DbError> {
    let sql = if query.descending {
        "select first, body from log_segments
         where source = (select id from log_sources where source_id = :source_id)
           and first < :end and last >= :start and kinds & :kinds <> 0
         order by first desc"
    } else {
        "select first, body from log_segments
         where source = (select id from log_sources where source_id = :source_id)
           and first < :end and last >= :start and kinds & :kinds <> 0
         order by first"
    };
    let mut statement = tx.sql().prepare_cached(sql)?;
    let mut rows = statement.query(named_params! {
        ":source_id": &**source_id,
        ":start": query.start,
        ":end": query.end,
        ":kinds": query.kinds.bits(),
    })?;
    while found.len() < query.limit
        && let Some(row) = rows.next()?
    {
        let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        match segment::select(body, row.get(0)?, source_id, query, &mut found) {
            Err(error) if error.is_unreadable() => {
                tracing::warn!(source_id = %source_id, %error, "some log lines are damaged; left out");
            }
            selected => selected?,
        }
    }
    Ok(found)
}

/// Adds segments to a source, replacing those from `replaced_from` on, and trims it to its limits.
pub(super) fn append(
    tx: &WriteTx<'_>,
    source_id: &str,
    segments: &[Segment],
    replaced_from: Option<i64>,
    limits: DiskLimits,
) -> Result<Totals, DbError> {
    let (source, mut totals) = find_or_create(tx, source_id, segments)?;
    if let Some(from) = replaced_from {
        remove_from(tx, source, from, &mut totals)?;
    }
    let mut insert = tx.sql().prepare_cached(
        "insert into log_segments (source, first, last, kinds, count, bytes, body)
         values (:source, :first, :last, :kinds, :count, :bytes, :body)",
    )?;
    for segment in segments {
        let (count, bytes) = (integer(segment.count), integer(segment.body.len()));
        insert.execute(named_params! {
            ":source": source,
            ":first": segment.first,
            ":last": segment.last,
            ":kinds": segment.kinds.bits(),
            ":count": count,
            ":bytes": bytes,
            ":body": &*segment.body,
        })?;
        totals.count += count;
        totals.bytes += bytes;
        totals.newest = segment.last;
    }
    while totals.count > limits.source_count || totals.bytes > limits.source_bytes {
        if !drop_oldest(tx, source, &mut totals)? {
            break;
        }
    }
    save(tx, source, &totals)?;
    Ok(totals)
}

/// Trims the largest sources until the total fits; returns the changed totals.
pub(super) fn trim_total(
    tx: &WriteTx<'_>,
    limits: DiskLimits,
) -> Result<Vec<(Arc<str>, Totals)>, DbError> {
    let mut changed: HashMap<Arc<str>, Totals> = HashMap::new();
    loop {
        let mut sum = tx
            .sql()
            .prepare_cached("select coalesce(sum(bytes), 0) from log_sources")?;
        let bytes: i64 = sum.query_row([], |row| row.get(0))?;
        if bytes <= limits.total_bytes {
            return Ok(changed.into_iter().collect());
        }
        let mut largest = tx
            .sql()
            .prepare_cached("select source_id from log_sources order by bytes desc limit 1")?;
        let source_id: Option<Arc<str>> = largest.query_row([], |row| row.get(0)).ok();
        // An unreadable row is left alone.
        let Some(source_id) = source_id else {
            return Ok(changed.into_iter().collect());
        };
        let (source, mut totals) = find_or_create(tx, &source_id, &[])?;
        if !drop_oldest(tx, source, &mut totals)? {
            return Ok(changed.into_iter().collect());
        }
        save(tx, source, &totals)?;
        changed.insert(source_id, totals);
    }
}

/// Removes a source with all its envelopes.
pub(super) fn forget_source(tx: &WriteTx<'_>, source_id: &str) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached("delete from log_sources where source_id = :source_id")?
        .execute(named_params! { ":source_id": source_id })?;
    Ok(())
}

/// Every cursor. A container with an unreadable cursor is read from its start.
pub(super) fn cursors(tx: &ReadTx<'_>) -> Result<Vec<(Output, Cursor)>, DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("select container_id, stream, nanos, open_offset from log_cursors")?;
    let mut reading = tx.reading("log_cursors");
    let cursors = reading.rows(&mut statement, [], |row| {
        let stream = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let stream = match stream {
            "out" => LogStream::Out,
            "err" => LogStream::Err,
            other => {
                return Err(DbError::Inconsistent {
                    what: "log_cursors.stream",
                    value: other.to_owned(),
                });
            }
        };
        let offset: Option<i64> = row.get(3)?;
        let cursor = Cursor {
            nanos: row.get(2)?,
            open_offset: offset.map(|offset| u64::try_from(offset).unwrap_or(0)),
        };
        Ok(((row.get(0)?, stream), cursor))
    })?;
    reading.finish();
    Ok(cursors)
}

/// Moves a cursor.
pub(super) fn save_cursor(
    tx: &WriteTx<'_>,
    (container_id, stream): &Output,
    cursor: Cursor,
) -> Result<(), DbError> {
    let stream = match stream {
        LogStream::Out => "out",
        LogStream::Err => "err",
    };
    let offset = cursor
        .open_offset
        .map(|o| i64::try_from(o).unwrap_or(i64::MAX));
    tx.sql()
        .prepare_cached(
            "insert into log_cursors (container_id, stream, nanos, open_offset)
             values (:container_id, :stream, :nanos, :open_offset)
             on conflict (container_id, stream)
             do update set nanos = excluded.nanos, open_offset = excluded.open_offset",
        )?
        .execute(named_params! {
            ":container_id": &**container_id,
            ":stream": stream,
            ":nanos": cursor.nanos,
            ":open_offset": offset,
        })?;
    Ok(())
}

/// Removes the cursors of a container that is gone.
pub(super) fn forget_container(tx: &WriteTx<'_>, container_id: &str) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached("delete from log_cursors where container_id = :container_id")?
        .execute(named_params! { ":container_id": container_id })?;
    Ok(())
}

fn find_or_create(
    tx: &WriteTx<'_>,
    source_id: &str,
    segments: &[Segment],
) -> Result<(i64, Totals), DbError> {
    let mut find = tx.sql().prepare_cached(
        "select id, oldest, newest, count, bytes, expired from log_sources
         where source_id = :source_id",
    )?;
    let found = find.query_row(named_params! { ":source_id": source_id }, |row| {
        let totals = Totals {
            oldest: row.get(1)?,
            newest: row.get(2)?,
            count: row.get(3)?,
            bytes: row.get(4)?,
            expired: row.get(5)?,
        };
        Ok((row.get(0)?, totals))
    });
    if let Some(found) = found.optional()? {
        return Ok(found);
    }
    let totals = Totals {
        oldest: segments.first().map_or(0, |segment| segment.first),
        ..Totals::default()
    };
    tx.sql()
        .prepare_cached(
            "insert into log_sources (source_id, oldest, newest, count, bytes, expired)
             values (:source_id, :oldest, 0, 0, 0, 0)",
        )?
        .execute(named_params! { ":source_id": source_id, ":oldest": totals.oldest })?;
    Ok((tx.sql().last_insert_rowid(), totals))
}

fn remove_from(
    tx: &WriteTx<'_>,
    source: i64,
    from: i64,
    totals: &mut Totals,
) -> Result<(), DbError> {
    let mut sum = tx.sql().prepare_cached(
        "select coalesce(sum(count), 0), coalesce(sum(bytes), 0) from log_segments
         where source = :source and first >= :from",
    )?;
    let parameters = named_params! { ":source": source, ":from": from };
    let (count, bytes): (i64, i64) =
        sum.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
    tx.sql()
        .prepare_cached("delete from log_segments where source = :source and first >= :from")?
        .execute(parameters)?;
    totals.count -= count;
    totals.bytes -= bytes;
    Ok(())
}

/// Removes the oldest segment unless it is the only one.
fn drop_oldest(tx: &WriteTx<'_>, source: i64, totals: &mut Totals) -> Result<bool, DbError> {
    let mut oldest = tx.sql().prepare_cached(
        "select id, first, count, bytes from log_segments
         where source = :source order by first limit 2",
    )?;
    let rows = oldest.query_map(named_params! { ":source": source }, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let rows: Vec<(i64, i64, i64, i64)> = rows.collect::<Result<_, _>>()?;
    let [(id, _, count, bytes), (_, next, ..)] = rows[..] else {
        return Ok(false);
    };
    tx.sql()
        .prepare_cached("delete from log_segments where id = :id")?
        .execute(named_params! { ":id": id })?;
    totals.count -= count;
    totals.bytes -= bytes;
    totals.expired += count;
    totals.oldest = next;
    Ok(true)
}

fn save(tx: &WriteTx<'_>, source: i64, totals: &Totals) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached(
            "update log_sources set oldest = :oldest, newest = :newest, count = :count,
                    bytes = :bytes, expired = :expired
             where id = :source",
        )?
        .execute(named_params! {
            ":source": source,
            ":oldest": totals.oldest,
            ":newest": totals.newest,
            ":count": totals.count,
            ":bytes": totals.bytes,
            ":expired": totals.expired,
        })?;
    Ok(())
}

fn integer(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
