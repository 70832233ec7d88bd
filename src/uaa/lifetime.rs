//! How long things live.

use std::time::Duration;

/// A user's access token: short, because the CLI refreshes it by itself.
pub(crate) const USER_ACCESS: Duration = Duration::from_secs(600);

/// A client's own access token: long, because the CLI keeps no secret to get another.
pub(crate) const CLIENT_ACCESS: Duration = Duration::from_secs(12 * 3600);

/// A refresh token.
pub(crate) const REFRESH: Duration = Duration::from_secs(30 * 24 * 3600);

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
