//! SQL of `droplets`.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::{Value, json};

use crate::base::guid::{AppGuid, DropletGuid, JobGuid, PackageGuid, SpaceGuid};
use crate::base::{Bytes, Timestamp};
use crate::blobs::{self, Blob, Digest};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::builds::Build;
use crate::cloud_controller::model::desired::DropletSidecar;
use crate::cloud_controller::model::states::states;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{Column, ListQuery, Listed, Select, list};
use crate::db::{DbError, ReadTx, WriteTx};
use crate::registry;
use crate::staging::{Staged, droplet_repository};

states! {
    /// What there is of a droplet.
    DropletState {
        /// Nothing yet.
        AwaitingUpload = "AWAITING_UPLOAD",
        /// An archive of which an image is made.
        ProcessingUpload = "PROCESSING_UPLOAD",
        /// A copy that is under way.
        Copying = "COPYING",
        /// Its image can be run.
        Staged = "STAGED",
        /// Nothing, and nothing will come.
        Failed = "FAILED",
        /// Its image was removed.
        Expired = "EXPIRED",
    }
}

const COLUMNS: &str = "d.guid, d.app_guid, a.space_guid, a.name, d.package_guid, d.state, d.error, d.lifecycle_type, \
    d.buildpacks, d.stack, d.process_types, d.execution_metadata, d.docker_image, d.layer_digest, d.created_at, \
    d.updated_at, a.current_droplet_guid is d.guid, d.image_digest";
/// Each has its app; the outer join is removed where no condition uses it.
const FROM: &str = "droplets d left join apps a on a.guid = d.app_guid";
/// Owner kind of droplets' layers.
const OWNER: &str = "droplet";
/// Owner kind of archives that become droplets.
const UPLOAD_OWNER: &str = "droplet_upload";

/// A stored droplet.
#[derive(Debug, Clone)]
pub(crate) struct Droplet {
    pub guid: DropletGuid,
    pub app_guid: AppGuid,
    pub space_guid: SpaceGuid,
    pub app_name: String,
    pub package_guid: Option<PackageGuid>,
    pub state: DropletState,
    pub error: Option<String>,
    pub lifecycle_type: String,
    pub buildpacks: Value,
    pub stack: Option<String>,
    pub process_types: Value,
    pub execution_metadata: String,
    pub docker_image: Option<String>,
    pub layer: Option<Digest>,
    pub image: Option<Digest>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Whether it is its app's current droplet.
    pub current: bool,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select
}

/// A droplet the caller sees, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &DropletGuid) -> Result<Droplet> {
    let mut select = visible(caller);
    select.and("d.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), droplet)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Droplet"))
}

/// A droplet, without an access check, or 404.
pub(crate) fn get(tx: &ReadTx<'_>, guid: &DropletGuid) -> Result<Droplet> {
    let sql = format!("select {COLUMNS} from {FROM} where d.guid = ?1");
    let found = tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], droplet)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Droplet"))
}

/// The app's current droplet.
pub(crate) fn current(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Option<Droplet>> {
    let sql = format!(
        "select {COLUMNS} from {FROM} where a.guid = ?1 and a.current_droplet_guid = d.guid"
    );
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([app], droplet)
        .optional()?)
}

/// Whose droplets are listed.
pub(crate) enum Of<'a> {
    All,
    App(&'a AppGuid),
    Package(&'a PackageGuid),
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    of: &Of<'_>,
) -> Result<Listed<Droplet>> {
    let mut select = visible(caller);
    match of {
        Of::All => {}
        Of::App(app) => select.and("d.app_guid = ?", [app.to_string()]),
        Of::Package(package) => select.and("d.package_guid = ?", [package.to_string()]),
    }
    query.filter_common(&mut select, "d", Some(ResourceType::Droplet))?;
    query.filter(&mut select, "states", Column::scanned("d.state"));
    query.filter(&mut select, "app_guids", "d.app_guid");
    query.filter(&mut select, "space_guids", "a.space_guid");
    query.filter_through(
        &mut select,
        "organization_guids",
        "a.space_guid",
        "select guid from spaces where organization_guid",
    );
    if query.raw("current").is_some() {
        select.and::<String>("a.current_droplet_guid is d.guid", []);
    }
    list(
        tx,
        &select,
        Columns {
            alias: "d",
            names: COLUMNS,
        },
        query,
        droplet,
    )
}

/// Inserts the droplet of a build; the staging engine references the layer in this transaction.
pub(crate) fn insert_staged(
    tx: &WriteTx<'_>,
    build: &Build,
    staged: &Staged,
    now: Timestamp,
) -> Result<()> {
    let size = i64::try_from(staged.size).unwrap_or(i64::MAX);
    let sidecars: Vec<DropletSidecar> = staged
        .sidecars
        .iter()
        .map(|sidecar| DropletSidecar {
            name: sidecar.name.clone(),
            command: sidecar.command.clone(),
            process_types: sidecar.process_types.clone(),
            memory: sidecar.memory.map(|memory| memory.0),
        })
        .collect();
    tx.sql()
        .prepare_cached(
            "insert into droplets (guid, app_guid, package_guid, build_guid, state, lifecycle_type, buildpacks, \
             stack, process_types, execution_metadata, layer_digest, image_digest, size, created_at, updated_at, \
             sidecars, docker_image) \
             values (?1, ?2, ?3, ?4, 'STAGED', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15)",
        )?
        .execute(params![
            staged.droplet_guid,
            build.app_guid,
            build.package_guid,
            build.guid,
            build.lifecycle_type,
            serde_json::to_string(&staged.buildpacks)?,
            staged.stack,
            json!(staged.process_types).to_string(),
            staged.execution_metadata,
            staged.layer.as_ref().map(|layer| &layer.digest),
            staged.image_digest,
            size,
            now,
            serde_json::to_string(&sidecars)?,
            staged.docker_image,
        ])?;
    Ok(())
}

/// The guids of all droplets.
pub(crate) fn guids(tx: &ReadTx<'_>) -> std::result::Result<BTreeSet<DropletGuid>, DbError> {
    let mut statement = tx.sql().prepare_cached("select guid from droplets")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The image of an app's newest droplet from a Docker image.
pub(crate) fn image_of(
    tx: &ReadTx<'_>,
    app: &AppGuid,
    docker_image: &str,
) -> std::result::Result<Option<Digest>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select image_digest from droplets where app_guid = ?1 and docker_image = ?2 \
         and state = 'STAGED' and image_digest is not null order by created_at desc, rowid desc limit 1",
    )?;
    let found = statement.query_row(params![app, docker_image], |row| row.get(0));
    Ok(found.optional()?)
}

/// What a droplet adds to its stack, if that is known.
pub(crate) fn size(
    tx: &ReadTx<'_>,
    guid: &DropletGuid,
) -> std::result::Result<Option<Bytes>, DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("select size from droplets where guid = ?1")?;
    let size: Option<Option<i64>> = statement.query_row([guid], |row| row.get(0)).optional()?;
    Ok(size.flatten().filter(|size| *size > 0).map(Bytes))
}

/// The newest droplet of an app.
pub(crate) fn newest_of(
    tx: &ReadTx<'_>,
    app: &AppGuid,
) -> std::result::Result<Option<DropletGuid>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select guid from droplets where app_guid = ?1 and state = 'STAGED' \
         order by created_at desc, rowid desc limit 1",
    )?;
    Ok(statement.query_row([app], |row| row.get(0)).optional()?)
}

/// Inserts a droplet that waits for its files.
pub(crate) fn insert_empty(
    tx: &WriteTx<'_>,
    guid: &DropletGuid,
    app: &AppGuid,
    process_types: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into droplets (guid, app_guid, state, lifecycle_type, process_types, created_at, updated_at) \
             values (?1, ?2, 'AWAITING_UPLOAD', 'buildpack', ?3, ?4, ?4)",
        )?
        .execute(params![guid, app, json!(process_types).to_string(), now])?;
    Ok(())
}

/// Inserts a droplet of another app that shares files and image with `source`.
pub(crate) fn insert_copy(
    tx: &WriteTx<'_>,
    source: &Droplet,
    guid: &DropletGuid,
    app: &AppGuid,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "insert into droplets (guid, app_guid, state, lifecycle_type, buildpacks, stack, process_types, \
             sidecars, execution_metadata, docker_image, layer_digest, image_digest, size, created_at, updated_at) \
             select ?2, ?3, state, lifecycle_type, buildpacks, stack, process_types, sidecars, execution_metadata, \
             docker_image, layer_digest, image_digest, size, ?4, ?4 from droplets where guid = ?1",
        )?
        .execute(params![source.guid, guid, app, now])?;
    if let Some(layer) = &source.layer {
        blobs::reference(tx, layer, OWNER, guid.as_str())?;
    }
    if let Some(image) = &source.image {
        registry::share_image(tx, image, &droplet_repository(guid), "latest", now)?;
    }
    Ok(())
}

/// Stores the archive of a droplet; false when the droplet does not wait for one.
pub(crate) fn begin_upload(
    tx: &WriteTx<'_>,
    guid: &DropletGuid,
    archive: &Digest,
    job: &JobGuid,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .sql()
        .prepare_cached(
            "update droplets set state = 'PROCESSING_UPLOAD', upload_digest = ?2, upload_job = ?3, updated_at = ?4 \
             where guid = ?1 and state = 'AWAITING_UPLOAD'",
        )?
        .execute(params![guid, archive, job, now])?;
    blobs::reference(tx, archive, UPLOAD_OWNER, guid.as_str())?;
    Ok(changed == 1)
}

/// A droplet with an uploaded archive.
#[derive(Debug, Clone)]
pub(crate) struct Uploaded {
    pub guid: DropletGuid,
    pub app_guid: AppGuid,
    /// The guid of its app.
    pub stack: String,
    pub archive: Digest,
    pub job: JobGuid,
}

/// Uploaded droplets, the one that waits longest first.
pub(crate) fn all_uploaded(tx: &ReadTx<'_>) -> Result<Vec<Uploaded>> {
    let mut statement = tx.sql().prepare_cached(
        "select d.guid, d.app_guid, coalesce(a.lifecycle_stack, ''), d.upload_digest, d.upload_job \
         from droplets d join apps a on a.guid = d.app_guid where d.upload_digest is not null \
         order by d.created_at",
    )?;
    let mut reading = tx.reading("droplet uploads");
    let uploaded = reading.rows(&mut statement, [], |row| {
        Ok(Uploaded {
            guid: row.get(0)?,
            app_guid: row.get(1)?,
            stack: row.get(2)?,
            archive: row.get(3)?,
            job: row.get(4)?,
        })
    })?;
    reading.finish();
    Ok(uploaded)
}

/// Stores the files and image of an uploaded droplet; releases them when the droplet was deleted
/// meanwhile.
pub(crate) fn set_staged(
    tx: &WriteTx<'_>,
    uploaded: &Uploaded,
    layer: &Blob,
    image: &Digest,
    now: Timestamp,
) -> Result<()> {
    blobs::release(tx, UPLOAD_OWNER, uploaded.guid.as_str())?;
    let size = i64::try_from(layer.size).unwrap_or(i64::MAX);
    let changed = tx
        .sql()
        .prepare_cached(
            "update droplets set state = 'STAGED', layer_digest = ?2, image_digest = ?3, size = ?4, \
             upload_digest = null, upload_job = null, updated_at = ?5 where guid = ?1",
        )?
        .execute(params![uploaded.guid, layer.digest, image, size, now])?;
    if changed == 1 {
        blobs::reference(tx, &layer.digest, OWNER, uploaded.guid.as_str())?;
    } else {
        registry::remove_repository(tx, &droplet_repository(&uploaded.guid))?;
    }
    Ok(())
}

/// Marks an upload as failed.
pub(crate) fn set_failed(
    tx: &WriteTx<'_>,
    uploaded: &Uploaded,
    error: &str,
    now: Timestamp,
) -> Result<()> {
    blobs::release(tx, UPLOAD_OWNER, uploaded.guid.as_str())?;
    tx.sql()
        .prepare_cached(
            "update droplets set state = 'FAILED', error = ?2, upload_digest = null, upload_job = null, \
             updated_at = ?3 where guid = ?1",
        )?
        .execute(params![uploaded.guid, error, now])?;
    Ok(())
}

/// Updates the reference of a Docker image.
pub(crate) fn set_image(
    tx: &WriteTx<'_>,
    guid: &DropletGuid,
    image: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached("update droplets set docker_image = ?2, updated_at = ?3 where guid = ?1")?
        .execute(params![guid, image, now])?;
    Ok(())
}

/// Releases a droplet's files and image; the row stays.
pub(crate) fn expire(tx: &WriteTx<'_>, guid: &DropletGuid, now: Timestamp) -> Result<()> {
    blobs::release(tx, OWNER, guid.as_str())?;
    registry::remove_repository(tx, &droplet_repository(guid))?;
    tx.sql()
        .prepare_cached(
            "update droplets set state = 'EXPIRED', layer_digest = null, image_digest = null, updated_at = ?2 \
             where guid = ?1",
        )?
        .execute(params![guid, now])?;
    Ok(())
}

/// Deletes a droplet with its image and releases its layer.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &DropletGuid) -> Result<()> {
    blobs::release(tx, OWNER, guid.as_str())?;
    blobs::release(tx, UPLOAD_OWNER, guid.as_str())?;
    registry::remove_repository(tx, &droplet_repository(guid))?;
    tx.sql()
        .prepare_cached("delete from droplets where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// All droplets of an app.
pub(crate) fn of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Vec<DropletGuid>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select guid from droplets where app_guid = ?1")?;
    let rows = statement.query_map([app], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Staged and failed droplets beyond the newest `keep` that are not the app's current droplet.
pub(crate) fn surplus(tx: &ReadTx<'_>, app: &AppGuid, keep: i64) -> Result<Vec<DropletGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select d.guid from droplets d join apps a on a.guid = d.app_guid \
         where d.app_guid = ?1 and d.state in ('STAGED', 'FAILED') and a.current_droplet_guid is not d.guid \
         and d.guid not in (select droplet_guid from desired_processes where app_guid = ?1) \
         and d.guid not in (select droplet_guid from desired_tasks) \
         order by d.created_at desc, d.guid desc limit -1 offset ?2",
    )?;
    let rows = statement.query_map(params![app, keep], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn droplet(row: &Row<'_>) -> rusqlite::Result<Droplet> {
    let json = |i: usize| -> rusqlite::Result<Value> {
        let text: String = row.get(i)?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    };
    Ok(Droplet {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        space_guid: row.get(2)?,
        app_name: row.get(3)?,
        package_guid: row.get(4)?,
        state: row.get(5)?,
        error: row.get(6)?,
        lifecycle_type: row.get(7)?,
        buildpacks: json(8)?,
        stack: row.get(9)?,
        process_types: json(10)?,
        execution_metadata: row.get(11)?,
        docker_image: row.get(12)?,
        layer: row.get(13)?,
        created_at: row.get(14)?,
        updated_at: row.get(15)?,
        current: row.get(16)?,
        image: row.get(17)?,
    })
}
