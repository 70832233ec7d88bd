//! What happens to users, each in its caller's transaction.

use super::payload::Whom;
use super::store;
use crate::base::guid::UserGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::roles;
use crate::cloud_controller::v3::{ApiError, ApiResult};
use crate::db::WriteTx;
use crate::uaa;

/// Enters a user; 422 when entered already.
pub(super) fn create(
    tx: &WriteTx<'_>,
    guids: &GuidSource,
    whom: &Whom,
    now: Timestamp,
) -> ApiResult<UserGuid> {
    let (guid, shown) = match whom {
        Whom::Guid(guid) => (guid.clone(), format!("guid '{guid}'")),
        Whom::Name { name, origin } => (
            known_or_new(tx, guids, name, origin, now)?,
            format!("username '{name}' and origin '{origin}'"),
        ),
    };
    if store::enter(tx, &guid, now)? {
        Ok(guid)
    } else {
        Err(ApiError::unprocessable(format!(
            "User with {shown} already exists."
        )))
    }
}

/// The guid of a user of another origin, who is made in UAA when it does not know it.
fn known_or_new(
    tx: &WriteTx<'_>,
    guids: &GuidSource,
    name: &str,
    origin: &str,
    now: Timestamp,
) -> ApiResult<UserGuid> {
    let known = uaa::store::find_users_by_name(tx, name, Some(origin))?;
    if let Some(user) = known.into_iter().next() {
        return Ok(user.guid);
    }
    let guid = UserGuid::generate(guids);
    let made = uaa::store::create_shadow_user(tx, guid, (name, origin), now);
    let made = made.map_err(|refused| {
        if refused.is_ours() {
            ApiError::internal("a user of another origin could not be made")
        } else {
            ApiError::unprocessable(refused.description())
        }
    })?;
    Ok(made.guid)
}

/// Removes a user's entry with all its roles; UAA keeps the user.
pub(super) fn delete(tx: &WriteTx<'_>, guid: &UserGuid) -> ApiResult<()> {
    roles::store::delete_of_user(tx, guid)?;
    store::leave(tx, guid)
}
