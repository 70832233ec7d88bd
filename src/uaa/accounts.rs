//! Changes to users, each in its caller's transaction: the row, and the end of the tokens that must
//! not outlive the change.

use super::users::{self, Identity, NewUser, User, validate_name, validate_origin};
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::WriteTx;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::password::Hashed;
use crate::uaa::tokens::revocations::Revocations;
use crate::uaa::{sessions, tokens};

/// Creates a user. Without a password it cannot log in here.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    guid: UserGuid,
    new: NewUser,
    password: Option<&Hashed>,
    now: Timestamp,
) -> UaaResult<User> {
    validate_name(&new.user_name, &new.origin)?;
    if let Some(other) = users::find_users_by_name(tx, &new.user_name, Some(&new.origin))?.first() {
        return Err(UaaError::name_taken(&new.user_name)
            .with("user_id", other.guid.as_str())
            .with("active", other.active)
            .with("verified", other.verified));
    }
    let user = User {
        guid,
        user_name: new.user_name,
        origin: new.origin,
        external_id: new.external_id,
        given_name: new.given_name,
        family_name: new.family_name,
        email: new.email,
        active: new.active,
        verified: new.verified,
        generation: 0,
        version: 0,
        password_changed_at: now,
        last_logon_at: None,
        previous_logon_at: None,
        created_at: now,
        updated_at: now,
    };
    users::insert(tx, &user, password)?;
    Ok(user)
}

/// Creates a user of another origin, who cannot log in here.
pub fn create_shadow_user(
    tx: &WriteTx<'_>,
    guid: UserGuid,
    identity: Identity<'_>,
    now: Timestamp,
) -> UaaResult<User> {
    let new = NewUser {
        origin: identity.origin.to_owned(),
        verified: false,
        ..NewUser::named(identity.user_name)
    };
    validate_origin(identity.origin)?;
    create(tx, guid, new, None, now)
}

/// Replaces `before` with `after`; deactivating a user ends its tokens.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    before: &User,
    mut after: User,
    now: Timestamp,
) -> UaaResult<User> {
    validate_name(&after.user_name, &after.origin)?;
    let same_name = users::find_users_by_name(tx, &after.user_name, Some(&after.origin))?;
    if same_name.iter().any(|other| other.guid != after.guid) {
        return Err(UaaError::name_taken(&after.user_name));
    }
    after.version = before.version + 1;
    after.updated_at = now;
    if before.active && !after.active {
        after.generation = before.generation + 1;
        end_tokens(tx, revocations, &after.guid, Some(after.generation), now)?;
    }
    users::update(tx, &after)?;
    Ok(after)
}

/// Sets a new password; everything issued under the old one ends.
pub(crate) fn set_password(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    guid: &UserGuid,
    password: &Hashed,
    now: Timestamp,
) -> UaaResult<()> {
    let generation = users::set_password(tx, guid, password, now)?;
    let generation = generation.ok_or_else(|| UaaError::no_such_user(guid.as_str()))?;
    end_tokens(tx, revocations, guid, Some(generation), now)
}

/// Ends everything issued to a user so far.
pub(crate) fn end_all(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    guid: &UserGuid,
    now: Timestamp,
) -> UaaResult<()> {
    let generation = users::raise_generation(tx, guid)?;
    let generation = generation.ok_or_else(|| UaaError::no_such_user(guid.as_str()))?;
    end_tokens(tx, revocations, guid, Some(generation), now)
}

/// Removes a user and everything issued to it.
pub(crate) fn delete(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    guid: &UserGuid,
    now: Timestamp,
) -> UaaResult<()> {
    end_tokens(tx, revocations, guid, None, now)?;
    users::delete(tx, guid)?;
    Ok(())
}

fn end_tokens(
    tx: &WriteTx<'_>,
    revocations: &Revocations,
    guid: &UserGuid,
    generation: Option<i64>,
    now: Timestamp,
) -> UaaResult<()> {
    tokens::delete_of_user(tx, guid)?;
    sessions::delete_of_user(tx, guid)?;
    revocations.end_user_tokens(tx, guid, generation, now)?;
    Ok(())
}
