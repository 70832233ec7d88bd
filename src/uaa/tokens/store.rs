//! SQL of `refresh_tokens`, `authorization_codes` and `token_revocations`.

use rusqlite::{OptionalExtension, Row, named_params};

use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::claims::TokenId;
use crate::uaa::scopes::Scopes;

/// A refresh token as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct RefreshToken {
    pub(crate) id: TokenId,
    pub(crate) user: UserGuid,
    pub(crate) client_id: String,
    pub(crate) scopes: Scopes,
    pub(crate) grant_type: String,
    pub(crate) generation: i64,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// An authorization code as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) user: UserGuid,
    pub(crate) client_id: String,
    pub(crate) scopes: Scopes,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) generation: i64,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// One row of what signed tokens cannot know.
#[derive(Clone, Debug)]
pub(crate) enum Revocation {
    Token(TokenId),
    User(UserGuid, Option<i64>),
}

const INSERT_REFRESH: &str = "insert into refresh_tokens (token_id, token_hash, user_guid,
    client_id, scopes, grant_type, generation, authenticated_at, issued_at, expires_at)
values (:token_id, :token_hash, :user_guid,
    :client_id, :scopes, :grant_type, :generation, :authenticated_at, :issued_at, :expires_at)";

const FIND_REFRESH: &str = "select token_id, user_guid, client_id, scopes, grant_type, generation,
    authenticated_at, issued_at, expires_at
from refresh_tokens where token_hash = :key";

const FIND_REFRESH_BY_ID: &str = "select token_id, user_guid, client_id, scopes, grant_type,
    generation, authenticated_at, issued_at, expires_at
from refresh_tokens where token_id = :key";

const DELETE_REFRESH: &str = "delete from refresh_tokens where token_id = :token_id";

const INSERT_CODE: &str = "insert into authorization_codes (code_hash, user_guid, client_id,
    scopes, redirect_uri, code_challenge, generation, authenticated_at, expires_at)
values (:code_hash, :user_guid, :client_id,
    :scopes, :redirect_uri, :code_challenge, :generation, :authenticated_at, :expires_at)";

const TAKE_CODE: &str = "delete from authorization_codes where code_hash = :code_hash
returning user_guid, client_id, scopes, redirect_uri, code_challenge, generation,
    authenticated_at, expires_at";

const FORGET_REFRESH_OF_USER: &str = "delete from refresh_tokens where user_guid = :user_guid";
const FORGET_CODES_OF_USER: &str = "delete from authorization_codes where user_guid = :user_guid";

const PRUNE_REFRESH: &str = "delete from refresh_tokens where expires_at <= :now";
const PRUNE_CODES: &str = "delete from authorization_codes where expires_at <= :now";
const PRUNE_REVOCATIONS: &str = "delete from token_revocations where expires_at <= :now";

const REVOCATIONS: &str =
    "select kind, subject, generation, expires_at from token_revocations where expires_at > :now";

const REVOKE: &str = "insert into token_revocations (kind, subject, generation, expires_at)
values (:kind, :subject, :generation, :expires_at)
on conflict (kind, subject) do update
set generation = excluded.generation, expires_at = excluded.expires_at";

fn refresh_token(row: &Row<'_>) -> rusqlite::Result<RefreshToken> {
    Ok(RefreshToken {
        id: row.get("token_id")?,
        user: row.get("user_guid")?,
        client_id: row.get("client_id")?,
        scopes: row.get("scopes")?,
        grant_type: row.get("grant_type")?,
        generation: row.get("generation")?,
        authenticated_at: row.get("authenticated_at")?,
        issued_at: row.get("issued_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn code(row: &Row<'_>) -> rusqlite::Result<Code> {
    Ok(Code {
        user: row.get("user_guid")?,
        client_id: row.get("client_id")?,
        scopes: row.get("scopes")?,
        redirect_uri: row.get("redirect_uri")?,
        challenge: row.get("code_challenge")?,
        generation: row.get("generation")?,
        authenticated_at: row.get("authenticated_at")?,
        expires_at: row.get("expires_at")?,
    })
}

/// Keeps a refresh token by its hash.
pub(crate) fn insert_refresh(
    tx: &WriteTx<'_>,
    token: &RefreshToken,
    hash: &str,
) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT_REFRESH)?;
    statement.execute(named_params! {
        ":token_id": token.id,
        ":token_hash": hash,
        ":user_guid": token.user,
        ":client_id": token.client_id,
        ":scopes": token.scopes,
        ":grant_type": token.grant_type,
        ":generation": token.generation,
        ":authenticated_at": token.authenticated_at,
        ":issued_at": token.issued_at,
        ":expires_at": token.expires_at,
    })?;
    Ok(())
}

/// The refresh token with this hash.
pub(crate) fn find_refresh(tx: &ReadTx<'_>, hash: &str) -> Result<Option<RefreshToken>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND_REFRESH)?;
    let found = statement.query_row(named_params! { ":key": hash }, refresh_token);
    Ok(found.optional()?)
}

/// The refresh token with this id.
pub(crate) fn find_refresh_by_id(
    tx: &ReadTx<'_>,
    id: &TokenId,
) -> Result<Option<RefreshToken>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND_REFRESH_BY_ID)?;
    let found = statement.query_row(named_params! { ":key": id }, refresh_token);
    Ok(found.optional()?)
}

/// Ends one refresh token.
pub(crate) fn delete_refresh(tx: &WriteTx<'_>, id: &TokenId) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE_REFRESH)?;
    statement.execute(named_params! { ":token_id": id })?;
    Ok(())
}

/// Keeps a code by its hash.
pub(crate) fn insert_code(tx: &WriteTx<'_>, code: &Code, hash: &str) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT_CODE)?;
    statement.execute(named_params! {
        ":code_hash": hash,
        ":user_guid": code.user,
        ":client_id": code.client_id,
        ":scopes": code.scopes,
        ":redirect_uri": code.redirect_uri,
        ":code_challenge": code.challenge,
        ":generation": code.generation,
        ":authenticated_at": code.authenticated_at,
        ":expires_at": code.expires_at,
    })?;
    Ok(())
}

/// The code with this hash, which is gone afterwards.
pub(crate) fn take_code(tx: &WriteTx<'_>, hash: &str) -> Result<Option<Code>, DbError> {
    let mut statement = tx.sql().prepare_cached(TAKE_CODE)?;
    let found = statement.query_row(named_params! { ":code_hash": hash }, code);
    Ok(found.optional()?)
}

/// Ends all refresh tokens and codes of a user.
pub(crate) fn forget_user(tx: &WriteTx<'_>, user: &UserGuid) -> Result<(), DbError> {
    for sql in [FORGET_REFRESH_OF_USER, FORGET_CODES_OF_USER] {
        let mut statement = tx.sql().prepare_cached(sql)?;
        statement.execute(named_params! { ":user_guid": user })?;
    }
    Ok(())
}

/// Removes what has expired.
pub(crate) fn prune(tx: &WriteTx<'_>, now: Timestamp) -> Result<(), DbError> {
    for sql in [PRUNE_REFRESH, PRUNE_CODES, PRUNE_REVOCATIONS] {
        let mut statement = tx.sql().prepare_cached(sql)?;
        statement.execute(named_params! { ":now": now })?;
    }
    Ok(())
}

/// All revocations that still matter.
pub(super) fn revocations(
    tx: &ReadTx<'_>,
    now: Timestamp,
) -> Result<Vec<(Revocation, Timestamp)>, DbError> {
    let mut statement = tx.sql().prepare_cached(REVOCATIONS)?;
    let rows = statement.query_map(named_params! { ":now": now }, |row| {
        let revocation = match row.get_ref("kind")?.as_str()? {
            "user" => Revocation::User(row.get("subject")?, row.get("generation")?),
            _ => Revocation::Token(row.get("subject")?),
        };
        Ok((revocation, row.get("expires_at")?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps a revocation; a newer one of the same subject replaces it.
pub(super) fn revoke(
    tx: &WriteTx<'_>,
    revocation: &Revocation,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let (kind, subject, generation) = match revocation {
        Revocation::Token(id) => ("token", id.as_str(), None),
        Revocation::User(guid, generation) => ("user", guid.as_str(), *generation),
    };
    let mut statement = tx.sql().prepare_cached(REVOKE)?;
    statement.execute(named_params! {
        ":kind": kind,
        ":subject": subject,
        ":generation": generation,
        ":expires_at": expires_at,
    })?;
    Ok(())
}
