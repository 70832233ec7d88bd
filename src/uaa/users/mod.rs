//! Users and their groups.
//!
//! A user is found by name and origin, ignoring case. Every user belongs to the default groups
//! ([`scopes::OF_EVERY_USER`](crate::uaa::scopes)) without a row; others are rows. A change that
//! must end the user's tokens (new password, deactivation, deletion) increments the user's
//! generation in the same transaction: see [`accounts`](crate::uaa::accounts).

mod store;

pub(crate) use store::{
    admin_password_seen, delete, insert, raise_generation, remember_admin_password, search_users,
    set_password, update,
};
pub use store::{find_user, find_users_by_name};

use crate::base::Timestamp;
use crate::base::guid::UserGuid;

use super::error::{UaaError, UaaResult};

/// Origin of users whose password is stored here.
pub const ORIGIN_UAA: &str = "uaa";

/// What a user is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Name to log in with.
    pub user_name: &'a str,
    /// Where the identity comes from.
    pub origin: &'a str,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its guid.
    pub guid: UserGuid,
    /// Name to log in with, unique within its origin.
    pub user_name: String,
    /// Where the identity comes from.
    pub origin: String,
    /// Its id in another system.
    pub external_id: Option<String>,
    /// First name.
    pub given_name: Option<String>,
    /// Last name.
    pub family_name: Option<String>,
    /// E-mail address; the CLI puts the user name here.
    pub email: String,
    /// Whether it may log in.
    pub active: bool,
    /// Whether the e-mail address was confirmed.
    pub verified: bool,
    /// Which tokens are valid; see the module.
    pub(crate) generation: i64,
    /// Incremented with every change, for `If-Match`.
    pub version: i64,
    /// When the password was set.
    pub password_changed_at: Timestamp,
    /// Last log-in.
    pub last_logon_at: Option<Timestamp>,
    /// The log-in before that.
    pub previous_logon_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A new user, validated.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Name to log in with.
    pub user_name: String,
    /// Where the identity comes from.
    pub origin: String,
    /// Its id in another system.
    pub external_id: Option<String>,
    /// First name.
    pub given_name: Option<String>,
    /// Last name.
    pub family_name: Option<String>,
    /// E-mail address.
    pub email: String,
    /// Whether it may log in.
    pub active: bool,
    /// Whether the e-mail address was confirmed.
    pub verified: bool,
}

impl NewUser {
    /// A user stored here, as `cf create-user` creates it.
    pub fn named(user_name: &str) -> Self {
        Self {
            user_name: user_name.to_owned(),
            origin: ORIGIN_UAA.to_owned(),
            external_id: None,
            given_name: Some(user_name.to_owned()),
            family_name: Some(user_name.to_owned()),
            email: user_name.to_owned(),
            active: true,
            verified: true,
        }
    }
}

/// Checks a user's name; names of users stored here follow UAA's rules.
pub(crate) fn validate_name(user_name: &str, origin: &str) -> UaaResult<()> {
    let plain = |c: char| c.is_alphabetic() || c.is_ascii_digit() || "+-_.@'!".contains(c);
    if user_name.trim().is_empty() {
        return Err(UaaError::invalid_scim("A username must be provided."));
    }
    if user_name.len() > 255 || user_name.chars().any(char::is_control) {
        return Err(UaaError::invalid_scim(
            "Username must be at most 255 printable characters.",
        ));
    }
    if origin.eq_ignore_ascii_case(ORIGIN_UAA) && !user_name.chars().all(plain) {
        return Err(UaaError::invalid_scim(
            "Username may hold letters, digits and + - _ . @ ' ! only.",
        ));
    }
    Ok(())
}

/// Checks the name of an origin.
pub(crate) fn validate_origin(origin: &str) -> UaaResult<()> {
    if origin.is_empty() || origin.len() > 36 || origin.chars().any(|c| c.is_control() || c == '"')
    {
        return Err(UaaError::invalid_scim(
            "Origin must be at most 36 printable characters.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_a_few_signs_unless_they_come_from_elsewhere() {
        let cases = [
            ("bob", ORIGIN_UAA, true),
            ("bob+x@example.com", ORIGIN_UAA, true),
            ("Jürgen.O'Neil!", ORIGIN_UAA, true),
            ("", ORIGIN_UAA, false),
            ("  ", ORIGIN_UAA, false),
            ("bob\"", ORIGIN_UAA, false),
            ("{{bob}}", "UAA", false),
            ("CORP\\bob smith", "ldap", true),
            ("bob\n", "ldap", false),
        ];
        for (name, origin, fine) in cases {
            assert_eq!(
                validate_name(name, origin).is_ok(),
                fine,
                "{name:?} of {origin}"
            );
        }
        assert!(validate_name(&"x".repeat(256), "ldap").is_err());
    }
}
