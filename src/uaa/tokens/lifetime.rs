//! How long things live.

use std::time::Duration;

use crate::uaa::clients::{Client, GrantType};

/// A user's access token: short, because the CLI refreshes it by itself.
pub(crate) const USER_ACCESS: Duration = Duration::from_secs(600);

/// A client's own access token: long, because the CLI keeps no secret to get another.
pub(crate) const CLIENT_ACCESS: Duration = Duration::from_secs(12 * 3600);

/// A refresh token.
pub(crate) const REFRESH: Duration = Duration::from_secs(30 * 24 * 3600);

/// An authorization code.
pub(crate) const CODE: Duration = Duration::from_secs(300);

/// After this, no access token issued before is valid any more.
pub(crate) const LONGEST_ACCESS: Duration = CLIENT_ACCESS;

/// The access tokens of this client, for those who ask what it may do.
pub(crate) fn access(client: &Client) -> Duration {
    if client.allows(GrantType::ClientCredentials) {
        CLIENT_ACCESS
    } else {
        USER_ACCESS
    }
}
