//! Bodies of SCIM requests on users, validated.

use serde::Deserialize;

use crate::base::Secret;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::search::filter::{Attribute, Attributes};
use crate::uaa::users::{NewUser, ORIGIN_UAA, User, validate_origin};

/// The attributes of users that filters and `sortBy` may name.
pub(crate) const ATTRIBUTES: Attributes = &[
    ("id", Attribute::text("guid")),
    ("userName", Attribute::text("user_name")),
    ("origin", Attribute::text("origin")),
    ("externalId", Attribute::text("external_id")),
    ("email", Attribute::text("email")),
    ("emails", Attribute::text("email")),
    ("emails.value", Attribute::text("email")),
    ("givenName", Attribute::text("given_name")),
    ("name.givenName", Attribute::text("given_name")),
    ("familyName", Attribute::text("family_name")),
    ("name.familyName", Attribute::text("family_name")),
    ("active", Attribute::flag("active")),
    ("verified", Attribute::flag("verified")),
    ("meta.created", Attribute::time("created_at")),
    ("meta.lastModified", Attribute::time("updated_at")),
];

/// A user as a client sends it. Read-only attributes (`id`, `meta`, `groups`, …) are ignored, so
/// that a response can be sent back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserBody {
    user_name: Option<String>,
    origin: Option<String>,
    external_id: Option<String>,
    password: Option<Secret<String>>,
    name: Option<NameBody>,
    emails: Option<Vec<EmailBody>>,
    active: Option<bool>,
    verified: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NameBody {
    given_name: Option<String>,
    family_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct EmailBody {
    value: String,
    #[serde(default)]
    primary: bool,
}

impl UserBody {
    /// A new user and its password; users of other origins have none.
    pub(crate) fn into_new(self) -> UaaResult<(NewUser, Option<Secret<String>>)> {
        let email = self.email()?;
        let email = email.ok_or_else(|| UaaError::invalid_scim("An email must be provided."))?;
        let user_name = self
            .user_name
            .ok_or_else(|| UaaError::invalid_scim("A username must be provided."))?;
        // The CLI sends an empty origin for users to be stored here.
        let origin = self.origin.filter(|origin| !origin.is_empty());
        let origin = origin.unwrap_or_else(|| ORIGIN_UAA.to_owned());
        validate_origin(&origin)?;
        let kept_here = origin.eq_ignore_ascii_case(ORIGIN_UAA);
        let password = match self.password {
            password if !kept_here => password.and(None),
            Some(password) => Some(password),
            None => Some(Secret::new(String::new())),
        };
        let (given_name, family_name) = names(self.name);
        let new = NewUser {
            user_name,
            origin: if kept_here {
                ORIGIN_UAA.to_owned()
            } else {
                origin
            },
            external_id: self.external_id,
            given_name,
            family_name,
            email,
            active: self.active.unwrap_or(true),
            verified: self.verified.unwrap_or(true),
        };
        Ok((new, password))
    }

    /// `user` replaced with this body (`PUT`): missing attributes are removed.
    pub(crate) fn replace(self, user: &User) -> UaaResult<User> {
        self.refuse_fixed(user)?;
        let email = self.email()?;
        let email = email.ok_or_else(|| UaaError::invalid_scim("An email must be provided."))?;
        let user_name = self
            .user_name
            .ok_or_else(|| UaaError::invalid_scim("A username must be provided."))?;
        let (given_name, family_name) = names(self.name);
        Ok(User {
            user_name,
            email,
            given_name,
            family_name,
            external_id: self.external_id,
            active: self.active.unwrap_or(true),
            verified: self.verified.unwrap_or(user.verified),
            ..user.clone()
        })
    }

    /// `user` with the changes of this body (`PATCH`).
    pub(crate) fn patch(self, user: &User) -> UaaResult<User> {
        self.refuse_fixed(user)?;
        let email = self.email()?;
        let (given_name, family_name) = names(self.name);
        let user = user.clone();
        Ok(User {
            user_name: self.user_name.unwrap_or(user.user_name),
            email: email.unwrap_or(user.email),
            given_name: given_name.or(user.given_name),
            family_name: family_name.or(user.family_name),
            external_id: self.external_id.or(user.external_id),
            active: self.active.unwrap_or(user.active),
            verified: self.verified.unwrap_or(user.verified),
            ..user
        })
    }

    fn refuse_fixed(&self, user: &User) -> UaaResult<()> {
        if self.password.is_some() {
            let text = "A password is changed with PUT /Users/{id}/password.";
            return Err(UaaError::invalid_scim(text));
        }
        match &self.origin {
            Some(origin) if !origin.is_empty() && !origin.eq_ignore_ascii_case(&user.origin) => {
                Err(UaaError::invalid_scim(
                    "The origin of a user cannot be changed.",
                ))
            }
            _ => Ok(()),
        }
    }

    fn email(&self) -> UaaResult<Option<String>> {
        let Some(emails) = &self.emails else {
            return Ok(None);
        };
        let email = emails
            .iter()
            .find(|email| email.primary)
            .or_else(|| emails.first());
        match email.map(|email| email.value.trim()) {
            Some(value) if !value.is_empty() && value.len() <= 255 => Ok(Some(value.to_owned())),
            _ => Err(UaaError::invalid_scim("An email must be provided.")),
        }
    }
}

fn names(name: Option<NameBody>) -> (Option<String>, Option<String>) {
    name.map_or((None, None), |name| (name.given_name, name.family_name))
}

/// `PUT /Users/:id/password`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PasswordBody {
    /// Required to change one's own password.
    pub(crate) old_password: Option<Secret<String>>,
    /// The new one.
    pub(crate) password: Secret<String>,
}
