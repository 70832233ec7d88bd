//! Bodies of requests on clients, validated.

use serde::Deserialize;
use serde_json::Value;

use super::{AutoApprove, Client, GrantType, redirects};
use crate::base::{Secret, Timestamp};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::lifetime;
use crate::uaa::scopes::Scopes;
use crate::uaa::search::filter::{Attribute, Attributes};

/// The attributes of clients that filters and `sortBy` may name.
pub(crate) const ATTRIBUTES: Attributes = &[
    ("client_id", Attribute::text("client_id")),
    ("id", Attribute::text("client_id")),
    ("name", Attribute::text("name")),
    ("lastModified", Attribute::time("updated_at")),
];

const LONGEST: usize = 255;

/// A client as an administrator sends it. Read-only attributes (`lastModified`, …) are ignored, so
/// that a response can be sent back.
#[derive(Debug, Deserialize)]
pub(crate) struct ClientBody {
    client_id: Option<String>,
    client_secret: Option<Secret<String>>,
    name: Option<String>,
    #[serde(default)]
    authorized_grant_types: Option<List>,
    scope: Option<List>,
    authorities: Option<List>,
    redirect_uri: Option<List>,
    resource_ids: Option<List>,
    autoapprove: Option<Value>,
    allowpublic: Option<Value>,
    access_token_validity: Option<i64>,
    refresh_token_validity: Option<i64>,
}

/// A list, which may also be a string with commas.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum List {
    Items(Vec<String>),
    Text(String),
}

impl List {
    fn words(self) -> UaaResult<Vec<String>> {
        let words: Vec<String> = match self {
            Self::Items(items) => items,
            Self::Text(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        };
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        match words
            .iter()
            .find(|word| word.chars().any(|c| c.is_whitespace() || c.is_control()))
        {
            None => Ok(words),
            Some(word) => {
                let text = format!("Entries must not hold blanks: {word:?}");
                Err(UaaError::invalid_client(text))
            }
        }
    }
}

fn words(list: Option<List>, default: &str) -> UaaResult<Vec<String>> {
    let words = list.map_or_else(|| Ok(Vec::new()), List::words)?;
    if words.is_empty() && !default.is_empty() {
        return Ok(vec![default.to_owned()]);
    }
    Ok(words)
}

/// A validated client, its secrets not encrypted yet.
pub(crate) struct NewClient {
    pub(crate) client: Client,
    pub(crate) secret: Option<Secret<String>>,
    /// Whether it may lack a secret.
    pub(crate) public: bool,
}

impl ClientBody {
    /// Validates the body.
    pub(crate) fn validate(self, now: Timestamp) -> UaaResult<NewClient> {
        let client_id = self.client_id.unwrap_or_default();
        validate_id(&client_id)?;
        let grant_types = grant_types(self.authorized_grant_types)?;
        let redirect_uris = words(self.redirect_uri, "")?;
        for address in &redirect_uris {
            redirects::validate(address)?;
        }
        if grant_types.contains(&GrantType::AuthorizationCode) && redirect_uris.is_empty() {
            let text = "authorization_code grant type requires at least one redirect URL.";
            return Err(UaaError::invalid_client(text));
        }
        let public = is_true(self.allowpublic.as_ref());
        if public && grant_types.contains(&GrantType::ClientCredentials) {
            let text = "A client that may do without a secret cannot use client_credentials.";
            return Err(UaaError::invalid_client(text));
        }
        let auto_approve = auto_approve(self.autoapprove)?;
        let client = Client {
            name: self
                .name
                .filter(|name| !name.trim().is_empty())
                .unwrap_or_else(|| client_id.clone()),
            client_id,
            sealed_secret: None,
            sealed_second_secret: None,
            grant_types,
            scopes: words(self.scope, "uaa.none")?.into_iter().collect(),
            authorities: words(self.authorities, "uaa.none")?.into_iter().collect(),
            redirect_uris,
            resource_ids: words(self.resource_ids, "none")?,
            auto_approve,
            access_validity: validity(self.access_token_validity, "access_token_validity")?,
            refresh_validity: validity(self.refresh_token_validity, "refresh_token_validity")?,
            built_in: false,
            generation: 0,
            created_at: now,
            updated_at: now,
        };
        Ok(NewClient {
            client,
            secret: self.client_secret,
            public,
        })
    }
}

fn validate_id(client_id: &str) -> UaaResult<()> {
    if client_id.is_empty() {
        return Err(UaaError::invalid_client("client_id cannot be blank"));
    }
    let plain = |c: char| c.is_ascii_graphic() && !['/', '\\', '"', '?', '#', ':'].contains(&c);
    if client_id.len() > LONGEST || !client_id.chars().all(plain) {
        return Err(UaaError::invalid_client(
            "client_id must be at most 255 printable ASCII characters without blanks and / \\ \" ? # :",
        ));
    }
    Ok(())
}

/// Checks a new secret of a client.
pub(crate) fn validate_secret(secret: &Secret<String>) -> UaaResult<()> {
    if secret.expose().is_empty() {
        return Err(UaaError::invalid_client("Client secret cannot be empty"));
    }
    if secret.expose().len() > LONGEST {
        let text = format!("Secret must be no more than {LONGEST} characters in length.");
        return Err(UaaError::invalid_client(text));
    }
    Ok(())
}

fn grant_types(list: Option<List>) -> UaaResult<Vec<GrantType>> {
    let names = words(list, "")?;
    if names.is_empty() {
        let text = "An authorized grant type must be provided. Must be one of: ";
        return Err(UaaError::invalid_client(format!(
            "{text}{}",
            known_grants()
        )));
    }
    let mut grants = Vec::new();
    for name in names {
        let grant = GrantType::parse(&name).ok_or_else(|| {
            let known = known_grants();
            let text = format!("{name} is not an allowed grant type. Must be one of: {known}");
            UaaError::invalid_client(text)
        })?;
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    Ok(grants)
}

fn known_grants() -> String {
    format!("[{}]", GrantType::ALL.map(GrantType::as_str).join(", "))
}

fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn auto_approve(value: Option<Value>) -> UaaResult<AutoApprove> {
    if is_true(value.as_ref()) {
        return Ok(AutoApprove::All);
    }
    match value {
        None | Some(Value::Null | Value::Bool(_)) => Ok(AutoApprove::Scopes(Scopes::default())),
        Some(Value::String(text)) if text == "false" => Ok(AutoApprove::Scopes(Scopes::default())),
        Some(value @ (Value::Array(_) | Value::String(_))) => {
            let list: List = serde_json::from_value(value).map_err(|_| not_approvable())?;
            let names = list.words()?;
            if names.iter().any(|name| name == "true") {
                return Ok(AutoApprove::All);
            }
            Ok(AutoApprove::Scopes(names.into_iter().collect()))
        }
        Some(_) => Err(not_approvable()),
    }
}

fn not_approvable() -> UaaError {
    UaaError::invalid_client("autoapprove must be true, false or a list of scopes")
}

fn validity(seconds: Option<i64>, name: &str) -> UaaResult<Option<u32>> {
    let longest = i64::try_from(lifetime::LONGEST.as_secs()).unwrap_or(i64::MAX);
    match seconds {
        // UAA shows clients without a validity of their own like this.
        None | Some(0) => Ok(None),
        Some(seconds) if (1..=longest).contains(&seconds) => Ok(u32::try_from(seconds).ok()),
        Some(_) => Err(UaaError::invalid_client(format!(
            "{name} must be between 1 and {longest} seconds"
        ))),
    }
}

/// `PUT /oauth/clients/:id/secret`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretBody {
    /// Needed to change one's own.
    pub(crate) old_secret: Option<Secret<String>>,
    /// The new one.
    pub(crate) secret: Option<Secret<String>>,
    #[serde(default)]
    pub(crate) change_mode: ChangeMode,
}

/// How to change the secrets of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ChangeMode {
    /// The new secret replaces all others.
    #[default]
    Update,
    /// The new secret is valid in addition to the old one.
    Add,
    /// The older of two secrets is removed.
    Delete,
}
