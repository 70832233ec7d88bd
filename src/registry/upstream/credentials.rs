//! Who asks another registry.

use std::fmt;

use crate::base::Secret;

/// Credentials for one pull. Neither stored here nor shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Of a user.
    User {
        /// Name.
        username: String,
        /// Password.
        password: Secret<String>,
    },
    /// What a token service would give for them.
    Token(Secret<String>),
}

impl Credentials {
    /// Of a user.
    pub fn of_user(username: String, password: String) -> Self {
        Self::User {
            username,
            password: Secret::new(password),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("credentials")
    }
}
