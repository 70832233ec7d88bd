//! Access to users for other parts of the platform, inside their own transactions.

pub use super::clients::store::find_client;
pub use super::groups::store::{add_member, groups_of};
pub use super::users::store::{find_user, find_users_by_name};

use super::accounts;
use super::users::validate_origin;
use super::{NewUser, UaaError, User};
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::WriteTx;

/// Creates a user of another origin, who cannot log in here.
pub fn create_shadow_user(
    tx: &WriteTx<'_>,
    guid: UserGuid,
    (user_name, origin): (&str, &str),
    now: Timestamp,
) -> Result<User, UaaError> {
    let new = NewUser {
        origin: origin.to_owned(),
        verified: false,
        ..NewUser::named(user_name)
    };
    validate_origin(origin)?;
    accounts::create(tx, guid, new, None, now)
}
