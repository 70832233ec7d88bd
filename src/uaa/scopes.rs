//! Scopes: what a token allows. Groups and clients' authorities have the same names.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Full administration of UAA.
pub(crate) const UAA_ADMIN: &str = "uaa.admin";
/// Lets a client introspect tokens.
pub(crate) const UAA_RESOURCE: &str = "uaa.resource";
/// Lets a user's token request codes.
pub(crate) const UAA_USER: &str = "uaa.user";
/// Reads users.
pub(crate) const SCIM_READ: &str = "scim.read";
/// Changes users.
pub(crate) const SCIM_WRITE: &str = "scim.write";
/// Creates users.
pub(crate) const SCIM_CREATE: &str = "scim.create";
/// Reads clients.
pub(crate) const CLIENTS_READ: &str = "clients.read";
/// Changes clients.
pub(crate) const CLIENTS_ADMIN: &str = "clients.admin";
/// Lets a client change its own secret.
pub(crate) const CLIENTS_SECRET: &str = "clients.secret";
/// Changes passwords.
pub(crate) const PASSWORD_WRITE: &str = "password.write";
/// Revokes other people's tokens.
pub(crate) const TOKENS_REVOKE: &str = "tokens.revoke";
/// Lists other people's tokens.
pub(crate) const TOKENS_LIST: &str = "tokens.list";
/// Requests an identity token.
pub(crate) const OPENID: &str = "openid";

/// Groups that contain every user.
pub(crate) const OF_EVERY_USER: &[&str] = &[
    "approvals.me",
    "cloud_controller.read",
    "cloud_controller.write",
    "cloud_controller_service_permissions.read",
    "oauth.approvals",
    OPENID,
    PASSWORD_WRITE,
    "profile",
    "roles",
    "scim.me",
    UAA_USER,
    "user_attributes",
];

/// Groups of the platform's administrator.
pub(crate) const OF_ADMINISTRATORS: &[&str] = &[
    CLIENTS_READ,
    "cloud_controller.admin",
    "doppler.firehose",
    "logs.admin",
    "network.admin",
    "network.write",
    "routing.router_groups.read",
    "routing.router_groups.write",
    SCIM_CREATE,
    SCIM_READ,
    SCIM_WRITE,
    UAA_ADMIN,
];

/// Groups for operators to assign.
pub(crate) const ON_REQUEST: &[&str] = &[
    "cloud_controller.admin_read_only",
    "cloud_controller.global_auditor",
];

/// A set of scopes, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<String>);

impl Scopes {
    /// From a list separated by spaces (or commas, as some clients send it).
    pub fn parse(text: &str) -> Self {
        let names = text.split(|c: char| c.is_whitespace() || c == ',');
        Self(
            names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether at least one of `scopes` is in the set.
    pub fn contains_any(&self, scopes: &[&str]) -> bool {
        scopes.iter().any(|scope| self.contains(scope))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All scopes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The scopes in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The scopes of `self` that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// The resources of these scopes (`cloud_controller` of `cloud_controller.read`) and the client
    /// itself: a token's `aud`.
    pub(crate) fn audience(&self, client_id: &str) -> Vec<String> {
        let resource = |scope: &String| match scope.rsplit_once('.') {
            Some((resource, _)) => resource.to_owned(),
            None => scope.clone(),
        };
        let mut audience: BTreeSet<String> = self.0.iter().map(resource).collect();
        audience.insert(client_id.to_owned());
        audience.into_iter().collect()
    }
}

impl<S: Into<String>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            let blank = if n == 0 { "" } else { " " };
            write!(f, "{blank}{scope}")?;
        }
        Ok(())
    }
}

impl rusqlite::ToSql for Scopes {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl rusqlite::types::FromSql for Scopes {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        value.as_str().map(Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_sorted_and_once() {
        let scopes = Scopes::parse(" openid  a.b,openid\ta.a ");
        assert_eq!(scopes.to_string(), "a.a a.b openid");
        assert!(scopes.contains_any(&["x", "a.b"]));
        assert!(!scopes.contains_any(&["x", "a"]));
        assert!(Scopes::parse(" , ").is_empty());
    }

    #[test]
    fn the_audience_is_what_stands_before_the_last_dot() {
        let scopes = Scopes::parse("openid cloud_controller.read routing.router_groups.read");
        let audience = scopes.audience("cf");
        assert_eq!(
            audience,
            ["cf", "cloud_controller", "openid", "routing.router_groups"]
        );
    }
}
