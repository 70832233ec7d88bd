//! SQL of `droplets`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::{Value, json};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid, PackageGuid, SpaceGuid};
use crate::blobs::{Digest, store as blob_store};
use crate::cloud_controller::builds::store::Build;
use crate::cloud_controller::desired::DropletSidecar;
use crate::cloud_controller::v3::{
    ApiError, ApiResult, Caller, ListQuery, Listed, Metadata, ResourceType, Select, list,
};
use crate::db::{ReadTx, WriteTx};
use crate::registry;
use crate::staging::{Staged, droplet_repository};

const COLUMNS: &str = "d.guid, d.app_guid, a.space_guid, a.name, d.package_guid, d.state, d.error, d.lifecycle_type, \
    d.buildpacks, d.stack, d.process_types, d.execution_metadata, d.docker_image, d.layer_digest, d.created_at, \
    d.updated_at, a.current_droplet_guid is d.guid";
const FROM: &str = "droplets d join apps a on a.guid = d.app_guid";
/// Owner kind of droplets' layers.
const OWNER: &str = "droplet";

/// A stored droplet.
#[derive(Debug, Clone)]
pub(crate) struct Droplet {
    pub guid: DropletGuid,
    pub app_guid: AppGuid,
    pub space_guid: SpaceGuid,
    pub app_name: String,
    pub package_guid: Option<PackageGuid>,
    pub state: String,
    pub error: Option<String>,
    pub lifecycle_type: String,
    pub buildpacks: Value,
    pub stack: Option<String>,
    pub process_types: Value,
    pub execution_metadata: String,
    pub docker_image: Option<String>,
    pub layer: Option<Digest>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Whether its app runs it.
    pub current: bool,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select
}

/// A droplet the caller sees, or 404.
pub(super) fn get_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &DropletGuid,
) -> ApiResult<Droplet> {
    let mut select = visible(caller);
    select.and("d.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), droplet)
        .optional()?;
    found.ok_or_else(|| ApiError::not_found("Droplet"))
}

/// The droplet an app runs.
pub(super) fn current(tx: &ReadTx<'_>, app: &AppGuid) -> ApiResult<Option<Droplet>> {
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
pub(super) enum Of<'a> {
    All,
    App(&'a AppGuid),
    Package(&'a PackageGuid),
}

/// A page of those the caller sees.
pub(super) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    of: &Of<'_>,
) -> ApiResult<Listed<Droplet>> {
    let mut select = visible(caller);
    match of {
        Of::All => {}
        Of::App(app) => select.and("d.app_guid = ?", [app.to_string()]),
        Of::Package(package) => select.and("d.package_guid = ?", [package.to_string()]),
    }
    query.filter_common(&mut select, "d", Some(ResourceType::Droplet))?;
    query.filter(&mut select, "states", "d.state");
    query.filter(&mut select, "app_guids", "d.app_guid");
    query.filter(&mut select, "space_guids", "a.space_guid");
    query.filter_marks(
        &mut select,
        "organization_guids",
        "a.space_guid in (select guid from spaces where organization_guid in ({}))",
    );
    if let Some(current) = query.raw("current") {
        let sql = if current == "true" {
            "a.current_droplet_guid is d.guid"
        } else {
            "a.current_droplet_guid is not d.guid"
        };
        select.and::<String>(sql, []);
    }
    list(tx, &select, ("d", COLUMNS), query, droplet)
}

/// Stores what a build made; the layer is referenced by the staging engine in this transaction.
pub(crate) fn insert_staged(
    tx: &WriteTx<'_>,
    build: &Build,
    staged: &Staged,
    now: Timestamp,
) -> ApiResult<()> {
    let size = i64::try_from(staged.layer.size).unwrap_or(i64::MAX);
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
             sidecars) values (?1, ?2, ?3, ?4, 'STAGED', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14)",
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
            staged.layer.digest,
            staged.image_digest,
            size,
            now,
            serde_json::to_string(&sidecars)?,
        ])?;
    Ok(())
}

/// Removes a droplet with its image and lets go of its layer.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &DropletGuid) -> ApiResult<()> {
    Metadata::remove(tx, ResourceType::Droplet, guid.as_str())?;
    blob_store::release(tx, OWNER, guid.as_str())?;
    registry::store::remove_repository(tx, &droplet_repository(guid))?;
    tx.sql()
        .prepare_cached("delete from droplets where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// All droplets of an app.
pub(crate) fn of_app(tx: &ReadTx<'_>, app: &AppGuid) -> ApiResult<Vec<DropletGuid>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select guid from droplets where app_guid = ?1")?;
    let rows = statement.query_map([app], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Staged droplets beyond the newest `keep` that the app does not run.
pub(super) fn surplus(tx: &ReadTx<'_>, app: &AppGuid, keep: i64) -> ApiResult<Vec<DropletGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select d.guid from droplets d join apps a on a.guid = d.app_guid \
         where d.app_guid = ?1 and d.state = 'STAGED' and a.current_droplet_guid is not d.guid \
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
    })
}
