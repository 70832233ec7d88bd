//! What happens to users, each in its caller's transaction.

use crate::base::guid::UserGuid;
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::payload::users::Whom;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::WriteTx;
use crate::uaa;

/// Enters a user; 422 when entered already.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    whom: &Whom,
    metadata: &MetadataChange,
) -> Result<UserGuid> {
    let (guid, shown) = match whom {
        Whom::Guid(guid) => (guid.clone(), format!("guid '{guid}'")),
        Whom::Name { name, origin } => (
            known_or_new(tx, &may.guids, name, origin, may.now)?,
            format!("username '{name}' and origin '{origin}'"),
        ),
    };
    if !model::users::insert(tx, &guid, may.now)? {
        return Err(Error::unprocessable(format!(
            "User with {shown} already exists."
        )));
    }
    metadata.store(tx, ResourceType::User, guid.as_str())?;
    Ok(guid)
}

/// The guid of a user of another origin, who is made in UAA when it does not know it.
fn known_or_new(
    tx: &WriteTx<'_>,
    guids: &GuidSource,
    name: &str,
    origin: &str,
    now: Timestamp,
) -> Result<UserGuid> {
    let known = uaa::find_users_by_name(tx, name, Some(origin))?;
    if let Some(user) = known.into_iter().next() {
        return Ok(user.guid);
    }
    let guid = UserGuid::generate(guids);
    let identity = uaa::Identity {
        user_name: name,
        origin,
    };
    let made = uaa::create_shadow_user(tx, guid, identity, now);
    let made = made.map_err(|refused| {
        if refused.is_ours() {
            Error::internal("a user of another origin could not be made")
        } else {
            Error::unprocessable(refused.description())
        }
    })?;
    Ok(made.guid)
}

/// Changes a user's labels and annotations.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    guid: &UserGuid,
    metadata: &MetadataChange,
) -> Result<()> {
    metadata.store(tx, ResourceType::User, guid.as_str())?;
    model::users::touch(tx, guid, may.now)
}

/// Removes a user's entry with all its roles; UAA keeps the user.
pub(crate) fn delete(tx: &WriteTx<'_>, _may: &MayAdminister, guid: &UserGuid) -> Result<()> {
    model::roles::delete_of_user(tx, guid)?;
    model::users::delete(tx, guid)
}
