//! SQL of the credentials of an app's Cloud Native Buildpacks, all encrypted.

use rusqlite::{OptionalExtension, params};

use crate::base::Timestamp;
use crate::base::guid::AppGuid;
use crate::cloud_controller::error::Result;
use crate::db::WriteTx;

/// Stores the credentials for the next build; `None` forgets them.
pub(crate) fn set_credentials(
    tx: &WriteTx<'_>,
    guid: &AppGuid,
    sealed: Option<&[u8]>,
    now: Timestamp,
) -> Result<()> {
    let given_at = sealed.map(|_| now);
    tx.sql()
        .prepare_cached(
            "update apps set lifecycle_credentials = ?2, lifecycle_credentials_at = ?3 where guid = ?1",
        )?
        .execute(params![guid, sealed, given_at])?;
    Ok(())
}

/// Takes the credentials: they are used once.
pub(crate) fn take_credentials(tx: &WriteTx<'_>, guid: &AppGuid) -> Result<Option<Vec<u8>>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select lifecycle_credentials from apps where guid = ?1")?;
    let sealed: Option<Option<Vec<u8>>> =
        statement.query_row([guid], |row| row.get(0)).optional()?;
    let sealed = sealed.flatten();
    if sealed.is_some() {
        tx.sql()
            .prepare_cached(
                "update apps set lifecycle_credentials = null, lifecycle_credentials_at = null where guid = ?1",
            )?
            .execute([guid])?;
    }
    Ok(sealed)
}

/// Forgets credentials that no build took since `before`.
pub(crate) fn forget_credentials(tx: &WriteTx<'_>, before: Timestamp) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "update apps set lifecycle_credentials = null, lifecycle_credentials_at = null \
             where lifecycle_credentials_at is not null and lifecycle_credentials_at < ?1",
        )?
        .execute([before])?;
    Ok(())
}
