//! SQL of `access_tokens`, `refresh_tokens`, `authorization_codes` and `token_revocations`.

use rusqlite::{OptionalExtension, Row, named_params};

use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};
use crate::uaa::claims::{Claims, TokenId};
use crate::uaa::scopes::Scopes;

/// A refresh token as stored.
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

/// An issued access token.
#[derive(Clone, Debug)]
pub(crate) struct AccessToken {
    pub(crate) id: TokenId,
    pub(crate) user: Option<UserGuid>,
    pub(crate) client_id: String,
    pub(crate) scopes: Scopes,
    pub(crate) grant_type: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl AccessToken {
    /// The row of a token with these claims.
    pub(crate) fn of(claims: &Claims) -> Self {
        let time = |seconds: i64| Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        Self {
            id: claims.id.clone(),
            user: claims.user.clone(),
            client_id: claims.client_id.clone(),
            scopes: claims.scopes.clone(),
            grant_type: claims.grant_type.clone(),
            issued_at: time(claims.issued_at),
            expires_at: time(claims.expires_at),
        }
    }
}

/// Whose tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TokensOf<'a> {
    /// A user's, through any client.
    User(&'a UserGuid),
    /// Everything issued through a client.
    Client(&'a str),
    /// A user's through one client.
    UserAndClient(&'a UserGuid, &'a str),
}

impl<'a> TokensOf<'a> {
    fn sql(self, (of_user, of_client): OfEither) -> &'static str {
        match self {
            Self::User(_) | Self::UserAndClient(..) => of_user,
            Self::Client(_) => of_client,
        }
    }

    fn parts(self) -> (Option<&'a UserGuid>, Option<&'a str>) {
        match self {
            Self::User(user) => (Some(user), None),
            Self::Client(client) => (None, Some(client)),
            Self::UserAndClient(user, client) => (Some(user), Some(client)),
        }
    }
}

/// An authorization code as stored.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) user: UserGuid,
    pub(crate) client_id: String,
    pub(crate) scopes: Scopes,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) generation: i64,
    pub(crate) authenticated_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A row of `token_revocations`.
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
    scopes, redirect_uri, code_challenge, nonce, generation, authenticated_at, expires_at)
values (:code_hash, :user_guid, :client_id,
    :scopes, :redirect_uri, :code_challenge, :nonce, :generation, :authenticated_at, :expires_at)";

const TAKE_CODE: &str = "delete from authorization_codes where code_hash = :code_hash
returning user_guid, client_id, scopes, redirect_uri, code_challenge, nonce, generation,
    authenticated_at, expires_at";

const INSERT_ACCESS: &str = "insert into access_tokens (token_id, user_guid, client_id, scopes,
    grant_type, issued_at, expires_at)
values (:token_id, :user_guid, :client_id, :scopes, :grant_type, :issued_at, :expires_at)";

const FIND_ACCESS: &str = "select token_id, user_guid, client_id, scopes, grant_type, issued_at,
    expires_at
from access_tokens where token_id = :key";

macro_rules! of_user {
    ($sql:literal, $rest:literal) => {
        concat!(
            $sql,
            " where user_guid = :user and (:client is null or client_id = :client)",
            $rest
        )
    };
}

macro_rules! of_client {
    ($sql:literal, $rest:literal) => {
        concat!($sql, " where client_id = :client and :user is null", $rest)
    };
}

/// The same statement by user and by client, so that each uses its index.
macro_rules! of_either {
    ($sql:literal, $rest:literal) => {
        (of_user!($sql, $rest), of_client!($sql, $rest))
    };
}

type OfEither = (&'static str, &'static str);

const LIST_ACCESS: OfEither = of_either!(
    "select token_id, user_guid, client_id, scopes, grant_type, issued_at, expires_at
from access_tokens",
    " and expires_at > :now order by issued_at, token_id"
);

const LIST_REFRESH: OfEither = of_either!(
    "select token_id, user_guid, client_id, scopes, grant_type, generation,
    authenticated_at, issued_at, expires_at
from refresh_tokens",
    " and expires_at > :now order by issued_at, token_id"
);

const DELETE_TOKENS: [OfEither; 3] = [
    of_either!("delete from access_tokens", ""),
    of_either!("delete from refresh_tokens", ""),
    of_either!("delete from authorization_codes", ""),
];

const DELETE_ACCESS: &str = "delete from access_tokens where token_id = :token_id";

const DELETE_ACCESS_OF_USER: &str = "delete from access_tokens where user_guid = :user_guid";
const DELETE_REFRESH_OF_USER: &str = "delete from refresh_tokens where user_guid = :user_guid";
const DELETE_CODES_OF_USER: &str = "delete from authorization_codes where user_guid = :user_guid";

const PRUNE_ACCESS: &str = "delete from access_tokens where expires_at <= :now";
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
        nonce: row.get("nonce")?,
        generation: row.get("generation")?,
        authenticated_at: row.get("authenticated_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn access_token(row: &Row<'_>) -> rusqlite::Result<AccessToken> {
    Ok(AccessToken {
        id: row.get("token_id")?,
        user: row.get("user_guid")?,
        client_id: row.get("client_id")?,
        scopes: row.get("scopes")?,
        grant_type: row.get("grant_type")?,
        issued_at: row.get("issued_at")?,
        expires_at: row.get("expires_at")?,
    })
}

/// Stores an issued access token.
pub(crate) fn insert_access(tx: &WriteTx<'_>, token: &AccessToken) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT_ACCESS)?;
    statement.execute(named_params! {
        ":token_id": token.id,
        ":user_guid": token.user,
        ":client_id": token.client_id,
        ":scopes": token.scopes,
        ":grant_type": token.grant_type,
        ":issued_at": token.issued_at,
        ":expires_at": token.expires_at,
    })?;
    Ok(())
}

/// The access token with this id.
pub(crate) fn find_access(tx: &ReadTx<'_>, id: &TokenId) -> Result<Option<AccessToken>, DbError> {
    let mut statement = tx.sql().prepare_cached(FIND_ACCESS)?;
    let found = statement.query_row(named_params! { ":key": id }, access_token);
    Ok(found.optional()?)
}

/// Tokens of both kinds.
pub(crate) struct Tokens {
    pub(crate) access: Vec<AccessToken>,
    pub(crate) refresh: Vec<RefreshToken>,
}

/// Access and refresh tokens that have not expired, the oldest first.
pub(crate) fn list_tokens(
    tx: &ReadTx<'_>,
    of: TokensOf<'_>,
    now: Timestamp,
) -> Result<Tokens, DbError> {
    let (user, client) = of.parts();
    let parameters = named_params! { ":user": user, ":client": client, ":now": now };
    let mut statement = tx.sql().prepare_cached(of.sql(LIST_ACCESS))?;
    let access = statement.query_map(parameters, access_token)?;
    let access = access.collect::<Result<_, _>>()?;
    let mut statement = tx.sql().prepare_cached(of.sql(LIST_REFRESH))?;
    let refresh = statement.query_map(parameters, refresh_token)?;
    let refresh = refresh.collect::<Result<_, _>>()?;
    Ok(Tokens { access, refresh })
}

/// Deletes tokens and codes.
pub(super) fn delete_tokens(tx: &WriteTx<'_>, of: TokensOf<'_>) -> Result<(), DbError> {
    let (user, client) = of.parts();
    for sql in DELETE_TOKENS {
        let mut statement = tx.sql().prepare_cached(of.sql(sql))?;
        statement.execute(named_params! { ":user": user, ":client": client })?;
    }
    Ok(())
}

/// Deletes one access token.
pub(super) fn delete_access(tx: &WriteTx<'_>, id: &TokenId) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE_ACCESS)?;
    statement.execute(named_params! { ":token_id": id })?;
    Ok(())
}

/// Stores a refresh token by its hash.
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

/// Deletes one refresh token.
pub(crate) fn delete_refresh(tx: &WriteTx<'_>, id: &TokenId) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(DELETE_REFRESH)?;
    statement.execute(named_params! { ":token_id": id })?;
    Ok(())
}

/// Stores a code by its hash.
pub(crate) fn insert_code(tx: &WriteTx<'_>, code: &Code, hash: &str) -> Result<(), DbError> {
    let mut statement = tx.sql().prepare_cached(INSERT_CODE)?;
    statement.execute(named_params! {
        ":code_hash": hash,
        ":user_guid": code.user,
        ":client_id": code.client_id,
        ":scopes": code.scopes,
        ":redirect_uri": code.redirect_uri,
        ":code_challenge": code.challenge,
        ":nonce": code.nonce,
        ":generation": code.generation,
        ":authenticated_at": code.authenticated_at,
        ":expires_at": code.expires_at,
    })?;
    Ok(())
}

/// Finds and deletes the code with this hash.
pub(crate) fn take_code(tx: &WriteTx<'_>, hash: &str) -> Result<Option<Code>, DbError> {
    let mut statement = tx.sql().prepare_cached(TAKE_CODE)?;
    let found = statement.query_row(named_params! { ":code_hash": hash }, code);
    Ok(found.optional()?)
}

/// Deletes all refresh tokens and codes of a user.
pub(crate) fn delete_of_user(tx: &WriteTx<'_>, user: &UserGuid) -> Result<(), DbError> {
    for sql in [
        DELETE_ACCESS_OF_USER,
        DELETE_REFRESH_OF_USER,
        DELETE_CODES_OF_USER,
    ] {
        let mut statement = tx.sql().prepare_cached(sql)?;
        statement.execute(named_params! { ":user_guid": user })?;
    }
    Ok(())
}

/// Deletes expired rows.
pub(crate) fn prune(tx: &WriteTx<'_>, now: Timestamp) -> Result<(), DbError> {
    for sql in [PRUNE_ACCESS, PRUNE_REFRESH, PRUNE_CODES, PRUNE_REVOCATIONS] {
        let mut statement = tx.sql().prepare_cached(sql)?;
        statement.execute(named_params! { ":now": now })?;
    }
    Ok(())
}

/// All unexpired revocations.
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

/// Stores a revocation; a newer one of the same subject replaces it.
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
