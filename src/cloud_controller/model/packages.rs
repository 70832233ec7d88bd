//! SQL of `packages`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, PackageGuid, SpaceGuid};
use crate::blobs::{self, Blob, Digest};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::states::states;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{Column, ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

states! {
    /// What there is of a package.
    PackageState {
        /// Nothing yet.
        AwaitingUpload = "AWAITING_UPLOAD",
        /// A copy that is under way.
        Copying = "COPYING",
        /// Bits that are on their way in.
        ProcessingUpload = "PROCESSING_UPLOAD",
        /// All of it.
        Ready = "READY",
        /// Nothing, and nothing will come.
        Failed = "FAILED",
        /// Its bits were removed.
        Expired = "EXPIRED",
    }
}

/// Largest package, zipped and unzipped: 1 GiB.
pub(crate) const LARGEST_PACKAGE: u64 = 1 << 30;

const COLUMNS: &str = "p.guid, p.app_guid, a.space_guid, p.type, p.state, p.error, p.blob_digest, p.blob_size, \
                       p.docker_image, p.docker_username, p.created_at, p.updated_at, a.name";
/// Each has its app; the outer join is removed where no condition uses it.
const FROM: &str = "packages p left join apps a on a.guid = p.app_guid";
/// Owner kind of packages' blobs.
const OWNER: &str = "package";

/// The type of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PackageKind {
    /// A zip, once uploaded.
    Bits(Option<Blob>),
    /// An image.
    Docker {
        /// Reference.
        image: String,
        /// Registry user.
        username: Option<String>,
    },
}

/// A stored package.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub guid: PackageGuid,
    pub app_guid: AppGuid,
    pub app_name: String,
    pub space_guid: SpaceGuid,
    pub kind: PackageKind,
    pub state: PackageState,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from(FROM);
    caller.limit_to_visible_spaces(&mut select, "a.space_guid");
    select
}

/// A package the caller sees, or 404.
pub(crate) fn get_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &PackageGuid) -> Result<Package> {
    find_visible(tx, caller, guid)?.ok_or_else(|| Error::not_found("Package"))
}

/// A package the caller sees.
pub(crate) fn find_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    guid: &PackageGuid,
) -> Result<Option<Package>> {
    let mut select = visible(caller);
    select.and("p.guid = ?", [guid.to_string()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), package)
        .optional()?)
}

/// A package, without an access check.
pub(crate) fn find(tx: &ReadTx<'_>, guid: &PackageGuid) -> Result<Option<Package>> {
    let sql = format!("select {COLUMNS} from {FROM} where p.guid = ?1");
    Ok(tx
        .sql()
        .prepare_cached(&sql)?
        .query_row([guid], package)
        .optional()?)
}

/// A page of those the caller sees, of one app or of all.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
    app: Option<&AppGuid>,
) -> Result<Listed<Package>> {
    let mut select = visible(caller);
    if let Some(app) = app {
        select.and("p.app_guid = ?", [app.to_string()]);
    }
    query.filter_common(&mut select, "p", Some(ResourceType::Package))?;
    query.filter(&mut select, "states", Column::scanned("p.state"));
    query.filter(&mut select, "types", Column::scanned("p.type"));
    query.filter(&mut select, "app_guids", "p.app_guid");
    query.filter(&mut select, "space_guids", "a.space_guid");
    query.filter_through(
        &mut select,
        "organization_guids",
        "a.space_guid",
        "select guid from spaces where organization_guid",
    );
    list(
        tx,
        &select,
        Columns {
            alias: "p",
            names: COLUMNS,
        },
        query,
        package,
    )
}

/// Stores a new package; `password` is encrypted.
pub(crate) fn insert(tx: &WriteTx<'_>, package: &Package, password: Option<&[u8]>) -> Result<()> {
    let (kind, image, username) = match &package.kind {
        PackageKind::Bits(_) => ("bits", None, None),
        PackageKind::Docker { image, username } => ("docker", Some(image), username.as_ref()),
    };
    tx.sql()
        .prepare_cached(
            "insert into packages (guid, app_guid, type, state, docker_image, docker_username, docker_password, \
             created_at, updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        )?
        .execute(params![
            package.guid,
            package.app_guid,
            kind,
            package.state,
            image,
            username,
            password,
            package.created_at
        ])?;
    Ok(())
}

/// Marks an upload as in progress; false when another upload was faster.
pub(crate) fn begin_upload(tx: &WriteTx<'_>, guid: &PackageGuid, now: Timestamp) -> Result<bool> {
    let changed = tx
        .sql()
        .prepare_cached(
            "update packages set state = 'PROCESSING_UPLOAD', updated_at = ?2 \
             where guid = ?1 and state = 'AWAITING_UPLOAD'",
        )?
        .execute(params![guid, now])?;
    Ok(changed == 1)
}

/// Marks a package as ready with its bits.
pub(crate) fn set_ready(
    tx: &WriteTx<'_>,
    guid: &PackageGuid,
    blob: &Blob,
    now: Timestamp,
) -> Result<()> {
    blobs::reference(tx, &blob.digest, OWNER, guid.as_str())?;
    let size = i64::try_from(blob.size).unwrap_or(i64::MAX);
    tx.sql()
        .prepare_cached(
            "update packages set state = 'READY', blob_digest = ?2, blob_size = ?3, updated_at = ?4 where guid = ?1",
        )?
        .execute(params![guid, blob.digest, size, now])?;
    Ok(())
}

/// Records why a package has no bits.
pub(crate) fn set_failed(
    tx: &WriteTx<'_>,
    guid: &PackageGuid,
    error: &str,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update packages set state = 'FAILED', error = ?2, updated_at = ?3 where guid = ?1",
        )?
        .execute(params![guid, error, now])?;
    Ok(())
}

/// Who may pull an image; the password is encrypted.
#[derive(Debug)]
pub(crate) struct Credentials<'a> {
    pub username: Option<&'a str>,
    pub password: Option<Vec<u8>>,
}

/// Updates the credentials for a Docker registry; `None` keeps a value.
pub(crate) fn set_credentials(
    tx: &WriteTx<'_>,
    guid: &PackageGuid,
    credentials: Credentials<'_>,
    now: Timestamp,
) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update packages set docker_username = coalesce(?2, docker_username), \
             docker_password = coalesce(?3, docker_password), updated_at = ?4 where guid = ?1",
        )?
        .execute(params![
            guid,
            credentials.username,
            credentials.password,
            now
        ])?;
    Ok(())
}

/// Takes a package's password for a Docker registry, encrypted: it is used once.
pub(crate) fn take_password(tx: &WriteTx<'_>, guid: &PackageGuid) -> Result<Option<Vec<u8>>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select docker_password from packages where guid = ?1")?;
    let password = statement.query_row([guid], |row| row.get(0)).optional()?;
    tx.sql()
        .prepare_cached("update packages set docker_password = null where guid = ?1")?
        .execute([guid])?;
    Ok(password.flatten())
}

/// Forgets the passwords of packages that were not staged since `before`.
pub(crate) fn forget_passwords(tx: &WriteTx<'_>, before: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update packages set docker_password = null \
             where docker_password is not null and updated_at < ?1",
        )?
        .execute([before])?;
    Ok(())
}

/// Releases a package's bits; the row stays.
pub(crate) fn expire(tx: &WriteTx<'_>, guid: &PackageGuid, now: Timestamp) -> Result<()> {
    blobs::release(tx, OWNER, guid.as_str())?;
    tx.sql()
        .prepare_cached(
            "update packages set state = 'EXPIRED', blob_digest = null, blob_size = null, updated_at = ?2 \
             where guid = ?1",
        )?
        .execute(params![guid, now])?;
    Ok(())
}

/// Resets an upload, so that it can be tried again.
pub(crate) fn await_upload(tx: &WriteTx<'_>, guid: &PackageGuid, now: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update packages set state = 'AWAITING_UPLOAD', updated_at = ?2 \
             where guid = ?1 and state = 'PROCESSING_UPLOAD'",
        )?
        .execute(params![guid, now])?;
    Ok(())
}

/// After a restart: uploads in progress ended with their connection.
pub(crate) fn reset_broken_uploads(tx: &WriteTx<'_>) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update packages set state = 'AWAITING_UPLOAD' where state = 'PROCESSING_UPLOAD'",
        )?
        .execute([])?;
    Ok(())
}

/// Deletes a package and releases its bits.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &PackageGuid) -> Result<()> {
    blobs::release(tx, OWNER, guid.as_str())?;
    tx.sql()
        .prepare_cached("delete from packages where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// The Docker image and user name of the package of an app's current droplet.
pub(crate) fn current_image(
    tx: &ReadTx<'_>,
    app: &AppGuid,
) -> Result<Option<(String, Option<String>)>> {
    let mut statement = tx.sql().prepare_cached(
        "select p.docker_image, p.docker_username from apps a join droplets d on d.guid = a.current_droplet_guid \
         join packages p on p.guid = d.package_guid where a.guid = ?1 and p.docker_image is not null",
    )?;
    let row = statement.query_row([app], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(row.optional()?)
}

/// All packages of an app.
pub(crate) fn of_app(tx: &ReadTx<'_>, app: &AppGuid) -> Result<Vec<PackageGuid>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select guid from packages where app_guid = ?1")?;
    let rows = statement.query_map([app], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Ready and failed packages beyond the newest `keep` that are not needed any more.
pub(crate) fn surplus(tx: &ReadTx<'_>, app: &AppGuid, keep: i64) -> Result<Vec<PackageGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select guid from packages where app_guid = ?1 and state in ('READY', 'FAILED') \
         and guid not in (select package_guid from builds where app_guid = ?1 and state = 'STAGING') \
         and guid not in (select d.package_guid from droplets d join apps a on a.current_droplet_guid = d.guid \
         where a.guid = ?1 and d.package_guid is not null) \
         order by created_at desc, guid desc limit -1 offset ?2",
    )?;
    let rows = statement.query_map(params![app, keep], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn package(row: &Row<'_>) -> rusqlite::Result<Package> {
    let kind: String = row.get(3)?;
    let digest: Option<Digest> = row.get(6)?;
    let size: Option<i64> = row.get(7)?;
    let blob = digest.zip(size).map(|(digest, size)| Blob {
        digest,
        size: u64::try_from(size).unwrap_or_default(),
    });
    let image: Option<String> = row.get(8)?;
    Ok(Package {
        guid: row.get(0)?,
        app_guid: row.get(1)?,
        space_guid: row.get(2)?,
        kind: if kind == "docker" {
            PackageKind::Docker {
                image: image.unwrap_or_default(),
                username: row.get(9)?,
            }
        } else {
            PackageKind::Bits(blob)
        },
        state: row.get(4)?,
        error: row.get(5)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
        app_name: row.get(12)?,
    })
}
