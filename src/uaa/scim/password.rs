//! `PUT /Users/:id/password`.
//!
//! Changing one's own password needs the old one, also for administrators. Changing another user's
//! needs `uaa.admin`, or a client with `password.write`.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::payload::PasswordBody;
use crate::base::Secret;
use crate::base::guid::UserGuid;
use crate::uaa::accounts;
use crate::uaa::caller::{Caller, Id, ScimBody};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{PASSWORD_WRITE, UAA_ADMIN};
use crate::uaa::throttle::Source;
use crate::uaa::users::{ORIGIN_UAA, User};
use crate::uaa::{Uaa, logins, password, users};

/// `PUT /Users/:id/password`.
pub(crate) async fn change(
    State(uaa): State<Uaa>,
    caller: Caller,
    source: Source,
    Id(guid): Id<UserGuid>,
    ScimBody(body): ScimBody<PasswordBody>,
) -> UaaResult<Json<Value>> {
    let is_client = caller.claims.user.is_none();
    let own = caller.is(&guid);
    caller.require_any(if own || is_client {
        &[PASSWORD_WRITE, UAA_ADMIN]
    } else {
        &[UAA_ADMIN]
    })?;
    password::validate(&body.password)?;
    require_local_user(&uaa, &guid).await?;
    let generation = if own {
        let old = body.old_password.filter(|old| !old.expose().is_empty());
        let old =
            old.ok_or_else(|| UaaError::invalid_password("Previous password is required."))?;
        let proven = check_old_password(&uaa, source, &guid, old, &body.password).await?;
        Some(proven.generation)
    } else {
        None
    };
    let hashed = uaa.passwords().hash(source, body.password).await?;
    let now = uaa.now();
    uaa.write(move |tx, revocations| {
        let user = users::find_user(tx, &guid)?;
        // The password may have changed while this one was hashed.
        if user.is_some_and(|user| generation.is_some_and(|proven| proven != user.generation)) {
            return Err(wrong_old_password());
        }
        accounts::set_password(tx, revocations, &guid, &hashed, now)
    })
    .await?;
    Ok(Json(
        json!({ "status": "ok", "message": "password updated" }),
    ))
}

async fn require_local_user(uaa: &Uaa, guid: &UserGuid) -> UaaResult<()> {
    let asked = guid.clone();
    let found = uaa
        .db()
        .read(move |tx| users::find_user(tx, &asked))
        .await?;
    let user = found.ok_or_else(|| UaaError::no_such_user(guid.as_str()))?;
    if user.origin.eq_ignore_ascii_case(ORIGIN_UAA) {
        return Ok(());
    }
    Err(UaaError::invalid_password(format!(
        "The password of a user of origin {} is not kept here.",
        user.origin
    )))
}

async fn check_old_password(
    uaa: &Uaa,
    source: Source,
    guid: &UserGuid,
    old: Secret<String>,
    new: &Secret<String>,
) -> UaaResult<User> {
    let same = old == *new;
    let proven = logins::authenticate_user(uaa, source, guid, old).await?;
    let proven = proven.ok_or_else(wrong_old_password)?;
    if same {
        let asked = guid.clone();
        uaa.db()
            .write_without_wake(move |tx| logins::reset_failures(tx, &asked))
            .await?;
        let text = "Your new password cannot be the same as the old password.";
        return Err(UaaError::invalid_password(text));
    }
    Ok(proven)
}

fn wrong_old_password() -> UaaError {
    UaaError::unauthorized("Old password is incorrect")
}
