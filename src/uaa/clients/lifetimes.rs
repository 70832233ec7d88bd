//! Lifetimes of what is issued through a client.

use std::time::Duration;

use super::{Client, GrantType};
use crate::uaa::lifetime;

impl Client {
    /// The lifetime of a user's access token through this client.
    pub(crate) fn user_access_lifetime(&self) -> Duration {
        or(self.access_validity, lifetime::USER_ACCESS)
    }

    /// The lifetime of this client's own access token.
    pub(crate) fn client_access_lifetime(&self) -> Duration {
        or(self.access_validity, lifetime::CLIENT_ACCESS)
    }

    /// The lifetime of a refresh token through this client.
    pub(crate) fn refresh_lifetime(&self) -> Duration {
        or(self.refresh_validity, lifetime::REFRESH)
    }

    /// The lifetime of this client's access tokens, as its description shows it.
    pub(crate) fn access_lifetime(&self) -> Duration {
        if self.allows(GrantType::ClientCredentials) {
            self.client_access_lifetime()
        } else {
            self.user_access_lifetime()
        }
    }
}

fn or(seconds: Option<u32>, default: Duration) -> Duration {
    seconds.map_or(default, |seconds| Duration::from_secs(seconds.into()))
}
