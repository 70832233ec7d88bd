//! How long things live.

use std::time::Duration;

use crate::uaa::clients::{Client, GrantType};

/// A user's access token: short, because the CLI refreshes it by itself.
const USER_ACCESS: Duration = Duration::from_secs(600);

/// A client's own access token: long, because the CLI keeps no secret to get another.
const CLIENT_ACCESS: Duration = Duration::from_secs(12 * 3600);

/// A refresh token.
const REFRESH: Duration = Duration::from_secs(30 * 24 * 3600);

/// An authorization code.
pub(crate) const CODE: Duration = Duration::from_secs(300);

/// A passcode, which people carry from one window to another.
pub(crate) const PASSCODE: Duration = Duration::from_secs(300);

/// A signed-in browser: a working day.
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 3600);

/// What a user agreed to.
pub(crate) const APPROVAL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most a client can be given. After it, no token issued before is valid any more.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

fn or(seconds: Option<u32>, default: Duration) -> Duration {
    seconds.map_or(default, |seconds| Duration::from_secs(seconds.into()))
}

/// A user's access token through this client.
pub(crate) fn user_access(client: &Client) -> Duration {
    or(client.access_validity, USER_ACCESS)
}

/// This client's own access token.
pub(crate) fn client_access(client: &Client) -> Duration {
    or(client.access_validity, CLIENT_ACCESS)
}

/// A refresh token through this client.
pub(crate) fn refresh(client: &Client) -> Duration {
    or(client.refresh_validity, REFRESH)
}

/// The access tokens of this client, for those who ask what it may do.
pub(crate) fn access(client: &Client) -> Duration {
    if client.allows(GrantType::ClientCredentials) {
        client_access(client)
    } else {
        user_access(client)
    }
}
