//! Access tokens that are revoked before they expire.
//!
//! The database is authoritative; a copy in memory lets every request check a token without IO. The
//! copy is read once, when UAA opens. From then on each transaction stages what it adds, and the
//! commit applies it ([`WriteTx::after_commit`]): a failed transaction changes nothing, a request
//! dropped half-way cannot leave the copy out of date, and no revocation leaves the copy before its
//! token has expired.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use super::store::{self, AccessToken, Revocation, TokensOf};
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{Db, DbError, WriteTx};
use crate::uaa::claims::{Claims, TokenError, TokenId};
use crate::uaa::lifetime;

#[derive(Default)]
struct Known {
    tokens: HashMap<TokenId, Timestamp>,
    users: HashMap<UserGuid, (Option<i64>, Timestamp)>,
}

impl Known {
    fn add(&mut self, revocation: Revocation, expires_at: Timestamp) {
        match revocation {
            Revocation::Token(id) => {
                self.tokens.insert(id, expires_at);
            }
            Revocation::User(guid, generation) => {
                let known = self.users.entry(guid).or_insert((generation, expires_at));
                // A deleted user stays deleted, and generations only grow.
                let newest = known.0.and_then(|known| Some(known.max(generation?)));
                *known = (newest, known.1.max(expires_at));
            }
        }
    }

    fn prune(&mut self, now: Timestamp) {
        self.tokens.retain(|_, expires_at| *expires_at > now);
        self.users.retain(|_, (_, expires_at)| *expires_at > now);
    }
}

/// The known revocations; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Revocations(Arc<RwLock<Known>>);

impl Revocations {
    /// Reads all unexpired revocations from the database.
    pub(crate) async fn open(db: &Db, now: Timestamp) -> Result<Self, DbError> {
        let rows = db.read(move |tx| store::revocations(tx, now)).await?;
        let opened = Self::default();
        opened.add(rows, now);
        Ok(opened)
    }

    /// Ends the user's tokens except those of `generation`; all of them when the user is deleted.
    pub(crate) fn end_user_tokens(
        &self,
        tx: &WriteTx<'_>,
        user: &UserGuid,
        generation: Option<i64>,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let revocation = Revocation::User(user.clone(), generation);
        self.end(tx, revocation, now.plus(lifetime::LONGEST), now)
    }

    /// Ends one token.
    pub(crate) fn end_token(
        &self,
        tx: &WriteTx<'_>,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let expires_at = Timestamp::from_micros(claims.expires_at.saturating_mul(1_000_000));
        store::delete_access(tx, &claims.id)?;
        self.end(tx, Revocation::Token(claims.id.clone()), expires_at, now)
    }

    /// Ends an access token found by its id.
    pub(crate) fn end_issued(
        &self,
        tx: &WriteTx<'_>,
        token: &AccessToken,
        now: Timestamp,
    ) -> Result<(), DbError> {
        store::delete_access(tx, &token.id)?;
        self.end(
            tx,
            Revocation::Token(token.id.clone()),
            token.expires_at,
            now,
        )
    }

    /// Ends access tokens, refresh tokens and codes.
    pub(crate) fn end_tokens(
        &self,
        tx: &WriteTx<'_>,
        of: TokensOf<'_>,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let access = store::list_tokens(tx, of, now)?.access;
        store::delete_tokens(tx, of)?;
        for token in &access {
            store::revoke(tx, &Revocation::Token(token.id.clone()), token.expires_at)?;
        }
        let ended = access.into_iter();
        let ended = ended.map(|token| (Revocation::Token(token.id), token.expires_at));
        self.stage(tx, ended.collect(), now);
        Ok(())
    }

    fn end(
        &self,
        tx: &WriteTx<'_>,
        revocation: Revocation,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), DbError> {
        store::revoke(tx, &revocation, expires_at)?;
        self.stage(tx, vec![(revocation, expires_at)], now);
        Ok(())
    }

    fn stage(&self, tx: &WriteTx<'_>, ended: Vec<(Revocation, Timestamp)>, now: Timestamp) {
        let revocations = self.clone();
        tx.after_commit(move || revocations.add(ended, now));
    }

    fn add(&self, ended: Vec<(Revocation, Timestamp)>, now: Timestamp) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.prune(now);
        for (revocation, expires_at) in ended {
            known.add(revocation, expires_at);
        }
    }

    /// Refuses a revoked token.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.tokens.contains_key(&claims.id) {
            return Err(TokenError::Revoked);
        }
        let Some(user) = &claims.user else {
            return Ok(());
        };
        match known.users.get(user) {
            None => Ok(()),
            Some((Some(valid), _))
                if claims.revocation_signature == signature(user.as_str(), *valid) =>
            {
                Ok(())
            }
            Some(_) => Err(TokenError::Revoked),
        }
    }
}

/// `rev_sig`: identifies a generation of a subject's tokens without revealing its number.
pub(crate) fn signature(subject: &str, generation: i64) -> String {
    let digest = Sha256::digest(format!("{subject}/{generation}").as_bytes());
    hex::encode(&digest[..8])
}
