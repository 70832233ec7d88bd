//! SQL of `builds`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::base::guid::{AppGuid, BuildGuid, DropletGuid, PackageGuid, SpaceGuid};
use crate::base::{Megabytes, Timestamp};
use crate::blobs::{self, Digest};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::states::states;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{Column, ListQuery, Listed, Select, list};
use crate::db::is_unique_violation;
use crate::db::{DbError, ReadTx, Reading, WriteTx};
use crate::staging::{BuildpackChoice, BuildpackSource, HostCredentials};

states! {
    /// How far a build is.
    BuildState {
        /// Waiting or under way.
        Staging = "STAGING",
        /// Its droplet is ready.
        Staged = "STAGED",
        /// It has no droplet.
        Failed = "FAILED",
    }
}

const COLUMNS: &str = "b.guid, b.app_guid, b.package_guid, b.droplet_guid, b.state, b.error_id, b.error, \
    b.lifecycle_type, b.lifecycle_buildpacks, b.lifecycle_stack, b.staging_memory_in_mb, b.staging_disk_in_mb, \
    b.staging_log_rate_limit_bytes_per_second, b.created_by_guid, b.created_by_name, b.created_by_email, \
    b.created_at, b.updated_at, a.space_guid, a.name";
/// Each has its app; the outer join is removed where no condition uses it.
const FROM: &str = "builds b left join apps a on a.guid = b.app_guid";

/// A stored build.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub guid: BuildGuid,
    pub app_guid: AppGuid,
    pub package_guid: PackageGuid,
    /// Chosen at creation; the droplet exists once the build is `STAGED`.
    pub droplet_guid: DropletGuid,
    pub state: BuildState,
    pub error_id: Option<String>,
    pub error: Option<String>,
    pub lifecycle_type: String,
    pub buildpacks: Vec<String>,
    pub stack: Option<String>,
    pub memory: Megabytes,
    pub disk: Megabytes,
    pub log_rate_limit: i64,
    pub created_by: [Option<String>; 3],
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub space_guid: SpaceGuid,
    pub app_name: String,
}

/// Owner kind of the blobs a build needs until it ends.
const OWNER: &str = "build";

/// The inputs of a new build.
pub(crate) struct NewBuildInputs<'a> {
    /// The package's zip; a Docker image has none.
    pub package: Option<&'a Digest>,
    /// Encrypted JSON: the environment of a package's build, a [`CnbInput`] or a [`DockerInput`].
    pub environment: &'a [u8],
    /// In order.
    pub buildpacks: &'a [BuildpackChoice],
}

/// What a build with Cloud Native Buildpacks needs.
#[derive(Serialize, Deserialize)]
pub(crate) struct CnbInput {
    pub environment: Vec<(String, String)>,
    /// Forgotten with the end of the build.
    pub credentials: HostCredentials,
}

/// What a build of a Docker image needs.
#[derive(Serialize, Deserialize)]
pub(crate) struct DockerInput {
    /// The image as the user wrote it.
    pub image: String,
    /// User in its registry.
    pub username: Option<String>,
    /// Forgotten with the end of the build.
    pub password: Option<String>,
}

/// The inputs of staging besides the build's row.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    /// A Docker image has none.
    pub package: Option<Digest>,
    pub environment: Vec<u8>,
    /// JSON list of [`BuildpackChoice`].
    pub buildpacks: String,
    pub cache: Option<Digest>,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select
}

/// A build the caller sees, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &BuildGuid) -> Result<Build> {
    let mut select = visible(caller);
    select.and("b.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    let found = statement
        .query_row(params_from_iter(select.values()), build)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Build"))
}

/// A page of those the caller sees, of one app or of all.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    app: Option<&AppGuid>,
) -> Result<Listed<Build>> {
    let mut select = visible(caller);
    if let Some(app) = app {
        select.and("b.app_guid = ?", [app.to_string()]);
    }
    query.filter_common(&mut select, "b", Some(ResourceType::Build))?;
    query.filter(&mut select, "states", Column::scanned("b.state"));
    query.filter(&mut select, "app_guids", "b.app_guid");
    query.filter(&mut select, "package_guids", "b.package_guid");
    list(
        tx,
        &select,
        Columns {
            alias: "b",
            names: COLUMNS,
        },
        query,
        build,
    )
}

/// Inserts a new build with all its inputs, and references the blobs it needs: package and
/// buildpacks may be deleted meanwhile. The unique index allows one `STAGING` build per app.
pub(crate) fn insert(tx: &WriteTx<'_>, build: &Build, inputs: &NewBuildInputs<'_>) -> Result<()> {
    insert_row(tx, build, inputs)?;
    let guid = build.guid.as_str();
    if let Some(package) = inputs.package {
        blobs::reference(tx, package, OWNER, guid)?;
    }
    for choice in inputs.buildpacks {
        if let BuildpackSource::Uploaded(digest) = &choice.source {
            blobs::reference(tx, digest, OWNER, guid)?;
        }
    }
    Ok(())
}

fn insert_row(tx: &WriteTx<'_>, build: &Build, inputs: &NewBuildInputs<'_>) -> Result<()> {
    let done = tx
        .sql()
        .prepare_cached(
            "insert into builds (guid, app_guid, package_guid, droplet_guid, state, lifecycle_type, \
             lifecycle_buildpacks, lifecycle_stack, staging_memory_in_mb, staging_disk_in_mb, \
             staging_log_rate_limit_bytes_per_second, staging_environment, created_by_guid, created_by_name, \
             created_by_email, created_at, updated_at, package_digest, buildpack_choices) \
             values (?1, ?2, ?3, ?4, 'STAGING', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17)",
        )?
        .execute(params![
            build.guid,
            build.app_guid,
            build.package_guid,
            build.droplet_guid,
            build.lifecycle_type,
            serde_json::to_string(&build.buildpacks)?,
            build.stack,
            build.memory,
            build.disk,
            build.log_rate_limit,
            inputs.environment,
            build.created_by[0],
            build.created_by[1],
            build.created_by[2],
            build.created_at,
            inputs.package,
            serde_json::to_string(inputs.buildpacks)?,
        ]);
    match done {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(staging_in_progress()),
        Err(error) => Err(error.into()),
    }
}

/// 422: one build of an app at a time.
pub(crate) fn staging_in_progress() -> Error {
    Error::new(
        Kind::StagingInProgress,
        "Only one build can be STAGING at a time per application.",
    )
}

/// Whether the app has a build in progress.
pub(crate) fn is_staging(tx: &ReadTx<'_>, app: &AppGuid) -> Result<bool> {
    let mut statement = tx
        .sql()
        .prepare_cached("select 1 from builds where app_guid = ?1 and state = 'STAGING'")?;
    Ok(statement.exists([app])?)
}

/// A build, without an access check, or 404.
pub(crate) fn get(tx: &ReadTx<'_>, guid: &BuildGuid) -> Result<Build> {
    let sql = format!("select {COLUMNS} from {FROM} where b.guid = ?1");
    let found = tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], build)
        .optional()?;
    found.ok_or_else(|| Error::not_found("Build"))
}

/// Releases the blobs of the builds of an app that is being deleted.
pub(crate) fn release_of_app(tx: &WriteTx<'_>, app: &AppGuid) -> Result<()> {
    let mut statement = tx
        .sql()
        .prepare_cached("select guid from builds where app_guid = ?1 and state = 'STAGING'")?;
    let guids = statement.query_map([app], |row| row.get::<_, String>(0))?;
    for guid in guids.collect::<rusqlite::Result<Vec<_>>>()? {
        blobs::release(tx, OWNER, &guid)?;
    }
    Ok(())
}

/// Builds in `STAGING`, oldest first.
pub(crate) fn staging(tx: &ReadTx<'_>, reading: &mut Reading<'_>) -> Result<Vec<Build>, DbError> {
    let sql = format!(
        "select {COLUMNS} from {FROM} where b.state = 'STAGING' order by b.created_at, b.guid"
    );
    let mut statement = tx.sql().prepare_cached(&sql)?;
    reading.rows(&mut statement, [], |row| Ok(build(row)?))
}

/// A build, if it is in `STAGING`.
pub(crate) fn find_staging(tx: &ReadTx<'_>, guid: &BuildGuid) -> Result<Option<Build>, DbError> {
    let sql = format!("select {COLUMNS} from {FROM} where b.guid = ?1 and b.state = 'STAGING'");
    let mut statement = tx.sql().prepare_cached(&sql)?;
    Ok(statement.query_row([guid], build).optional()?)
}

/// The inputs of a build; `None` when they are incomplete.
pub(crate) fn inputs(tx: &ReadTx<'_>, build: &Build) -> Result<Option<Inputs>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select b.package_digest, b.staging_environment, b.buildpack_choices, \
         case when a.buildpack_cache_stack is b.lifecycle_stack then a.buildpack_cache_digest end \
         from builds b join apps a on a.guid = b.app_guid \
         where b.guid = ?1 and b.staging_environment is not null",
    )?;
    let row = statement.query_row([&build.guid], |row| {
        Ok(Inputs {
            package: row.get(0)?,
            environment: row.get(1)?,
            buildpacks: row.get(2)?,
            cache: row.get(3)?,
        })
    });
    Ok(row.optional()?)
}

/// Marks a build as staged; false when it is not `STAGING` any more.
pub(crate) fn set_staged(
    tx: &WriteTx<'_>,
    guid: &BuildGuid,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = tx
        .sql()
        .prepare_cached(
            "update builds set state = 'STAGED', staging_environment = null, package_digest = null, \
             updated_at = ?2 where guid = ?1 and state = 'STAGING'",
        )?
        .execute(params![guid, now])?;
    blobs::release(tx, OWNER, guid.as_str())?;
    Ok(changed == 1)
}

/// Why a build failed: what kind of error, and its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuildError<'a> {
    pub id: &'a str,
    pub message: &'a str,
}

/// Marks a build as failed.
pub(crate) fn set_failed(
    tx: &WriteTx<'_>,
    guid: &BuildGuid,
    error: BuildError<'_>,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached(
            "update builds set state = 'FAILED', error_id = ?2, error = ?3, staging_environment = null, \
             package_digest = null, updated_at = ?4 where guid = ?1 and state = 'STAGING'",
        )?
        .execute(params![guid, error.id, error.message, now])?;
    blobs::release(tx, OWNER, guid.as_str())
}

/// Stores an app's build cache.
pub(crate) fn set_cache(
    tx: &WriteTx<'_>,
    app: &AppGuid,
    cache: Option<&Digest>,
    stack: &str,
) -> Result<(), DbError> {
    tx.sql()
        .prepare_cached("update apps set buildpack_cache_digest = ?2, buildpack_cache_stack = ?3 where guid = ?1")?
        .execute(params![app, cache, stack])?;
    Ok(())
}

/// The newest web process's memory, disk and log rate limit.
pub(crate) fn web_limits(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Option<(i64, i64, i64)>> {
    let mut statement = tx.sql().prepare_cached(
        "select memory_in_mb, disk_in_mb, log_rate_limit_in_bytes_per_second from processes \
         where app_guid = ?1 and type = 'web' order by created_at desc, rowid desc limit 1",
    )?;
    Ok(statement
        .query_row([app], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?)
}

/// Whether a start command is set on the app's newest web process.
pub(crate) fn has_web_command(tx: &ReadTx<'_>, app: &AppGuid) -> Result<bool, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from (select command from processes where app_guid = ?1 and type = 'web' \
         order by created_at desc, rowid desc limit 1) where coalesce(command, '') <> ''",
    )?;
    Ok(statement.exists([app])?)
}

fn build(row: &Row<'_>) -> rusqlite::Result<Build> {
    let buildpacks: String = row.get(8)?;
    let droplet: Option<DropletGuid> = row.get(3)?;
    Ok(Build {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        package_guid: row.get(2)?,
        droplet_guid: droplet.unwrap_or_default(),
        state: row.get(4)?,
        error_id: row.get(5)?,
        error: row.get(6)?,
        lifecycle_type: row.get(7)?,
        buildpacks: serde_json::from_str(&buildpacks).unwrap_or_default(),
        stack: row.get(9)?,
        memory: row.get(10)?,
        disk: row.get(11)?,
        log_rate_limit: row.get(12)?,
        created_by: [row.get(13)?, row.get(14)?, row.get(15)?],
        created_at: row.get(16)?,
        updated_at: row.get(17)?,
        space_guid: row.get(18)?,
        app_name: row.get(19)?,
    })
}
