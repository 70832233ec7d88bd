//! The row of the embedded broker: how the marketplace signs in, and what it knows.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::base::Secret;
use crate::data_services::random::random_text;
use crate::db::{DbError, ReadTx, Vault, WriteTx};

/// User name and password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret<String>,
}

/// What is on record of the embedded broker.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// How to sign in.
    pub credentials: Credentials,
    /// Digest of the catalog that the marketplace took over last; empty before.
    pub catalog_digest: String,
    /// The marketplace's guid of the broker, also when it was deleted there.
    pub broker_guid: Option<String>,
}

fn broken(error: impl std::fmt::Display) -> DbError {
    DbError::Interrupted(format!("the credentials of the embedded broker: {error}"))
}

/// What is on record; `None` before the first start.
fn find(tx: &ReadTx<'_>, vault: &Vault) -> Result<Option<Embedded>, DbError> {
    let mut statement = tx.sql().prepare_cached(
        "select credentials, catalog_digest, broker_guid from data_service_broker",
    )?;
    let found = statement.query_row([], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?))
    });
    let Some((sealed, catalog_digest, broker_guid)) = found.optional()? else {
        return Ok(None);
    };
    let plain = vault.decrypt(&sealed).map_err(broken)?;
    Ok(Some(Embedded {
        credentials: serde_json::from_slice(&plain).map_err(broken)?,
        catalog_digest,
        broker_guid,
    }))
}

/// Makes the credentials at the first start.
pub fn ensure_credentials(tx: &WriteTx<'_>, vault: &Vault) -> Result<Embedded, DbError> {
    if let Some(found) = find(tx, vault)? {
        return Ok(found);
    }
    let credentials = Credentials {
        username: "cflite".to_owned(),
        password: Secret::new(random_text(32)),
    };
    let plain = serde_json::to_vec(&credentials).map_err(broken)?;
    let sealed = vault.encrypt(&plain).map_err(broken)?;
    let mut statement = tx
        .sql()
        .prepare_cached("insert into data_service_broker (id, credentials) values (1, ?1)")?;
    statement.execute(params![sealed])?;
    Ok(Embedded {
        credentials,
        catalog_digest: String::new(),
        broker_guid: None,
    })
}

/// Notes which broker of the marketplace this is, and which catalog it took over.
pub fn set_broker(tx: &WriteTx<'_>, guid: &str, catalog_digest: &str) -> Result<(), DbError> {
    let mut statement = tx
        .sql()
        .prepare_cached("update data_service_broker set broker_guid = ?1, catalog_digest = ?2")?;
    statement.execute([guid, catalog_digest])?;
    Ok(())
}
