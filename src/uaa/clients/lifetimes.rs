//! How long what is issued through a client lives.

use std::time::Duration;

use super::{Client, GrantType};
use crate::uaa::lifetime;

impl Client {
    /// A user's access token through this self.
    pub(crate) fn user_access_lifetime(&self) -> Duration {
        or(self.access_validity, lifetime::USER_ACCESS)
    }

    /// This client's own access token.
    pub(crate) fn client_access_lifetime(&self) -> Duration {
        or(self.access_validity, lifetime::CLIENT_ACCESS)
    }

    /// A refresh token through this self.
    pub(crate) fn refresh_lifetime(&self) -> Duration {
        or(self.refresh_validity, lifetime::REFRESH)
    }

    /// The access tokens of this client, for those who ask what it may do.
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
