//! The claims of a verified access token.

use serde::{Deserialize, Serialize};

use super::scopes::Scopes;
use crate::base::guid::UserGuid;

crate::guid_types! {
    /// A token's `jti`.
    TokenId,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT that this platform signed, or modified since.
    #[error("the token is not one this platform signed")]
    Unknown,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// Revoked, or its user was deleted, deactivated or got a new password.
    #[error("the token has been revoked")]
    Revoked,
}

/// The claims of an access token. A user's token names the user; a client's token does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The token's id.
    #[serde(rename = "jti")]
    pub id: TokenId,
    /// The user's guid or the client's id.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The user; `None` in a client's own token.
    #[serde(rename = "user_id", skip_serializing_if = "Option::is_none")]
    pub user: Option<UserGuid>,
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// The user's e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where the user's identity comes from; `uaa` for users stored here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The client the token was issued to.
    pub client_id: String,
    /// What the token allows.
    #[serde(rename = "scope")]
    pub scopes: Scopes,
    /// The audience of the token.
    #[serde(rename = "aud")]
    pub audience: Vec<String>,
    /// The issuer, as the caller saw this server.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Seconds since 1970.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// When the user authenticated; seconds since 1970.
    #[serde(rename = "auth_time", skip_serializing_if = "Option::is_none")]
    pub authenticated_at: Option<i64>,
    /// Seconds since 1970.
    #[serde(rename = "exp")]
    pub expires_at: i64,
    /// How it was obtained.
    pub grant_type: String,
    /// Identifies the generation of the user's tokens that this one belongs to.
    #[serde(rename = "rev_sig")]
    pub revocation_signature: String,
}

impl Claims {
    /// Whether the token carries `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether the token carries at least one of `scopes`.
    pub fn has_any_scope(&self, scopes: &[&str]) -> bool {
        self.scopes.contains_any(scopes)
    }
}

/// The token in an `Authorization` header's value, if there is one.
pub fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_found_whatever_the_case() {
        let cases = [
            ("bearer abc", Some("abc")),
            ("Bearer  abc ", Some("abc")),
            ("BEARER abc", Some("abc")),
            ("bearer", None),
            ("bearer ", None),
            ("Basic Y2Y6", None),
            ("", None),
        ];
        for (header, token) in cases {
            assert_eq!(bearer_token(header), token, "{header:?}");
        }
    }
}
