//! Default lifetimes.

use std::time::Duration;

/// A user's access token: short, because the CLI refreshes it automatically.
pub(crate) const USER_ACCESS: Duration = Duration::from_secs(600);

/// A client's own access token: long, because the CLI stores no secret to get another.
pub(crate) const CLIENT_ACCESS: Duration = Duration::from_secs(12 * 3600);

/// A refresh token.
pub(crate) const REFRESH: Duration = Duration::from_secs(30 * 24 * 3600);

/// An authorization code.
pub(crate) const CODE: Duration = Duration::from_secs(300);

/// A passcode, which people copy from one window to another.
pub(crate) const PASSCODE: Duration = Duration::from_secs(300);

/// A browser session: a working day.
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 3600);

/// A user's consent.
pub(crate) const APPROVAL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The longest lifetime a client can be given. After it, no token issued before is valid any more.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
