//! OAuth clients: who may ask for tokens, how, and with which scopes.
//!
//! The platform's own clients are written at every start, so that an upgrade changes what they may
//! do; their secrets are generated once and kept. Administrators add others. A client's id is its
//! name, chosen by people. While a client moves to a new secret it may have two.

pub(crate) mod actions;
mod dashboards;
pub(crate) mod handlers;
mod lifetimes;
pub(crate) mod payload;
pub(crate) mod presenter;
pub(crate) mod redirects;
mod store;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::{get, put};
use sha2::{Digest, Sha256};

pub use dashboards::{DashboardClient, delete_dashboard_client, is_client, save_dashboard_client};
pub(crate) use store::{find_client, raise_generation};

use super::Uaa;
use super::scopes::{self, Scopes};
use crate::base::secrets::random_secret;
use crate::base::{Secret, Timestamp};
use crate::db::{DbError, Vault, VaultError, WriteTx};

/// `/oauth/clients`.
pub(crate) fn routes() -> Router<Uaa> {
    Router::new()
        .route("/oauth/clients", get(handlers::list).post(handlers::create))
        .route(
            "/oauth/clients/{client_id}",
            get(handlers::get)
                .put(handlers::replace)
                .delete(handlers::delete),
        )
        .route(
            "/oauth/clients/{client_id}/secret",
            put(handlers::change_secret),
        )
}

/// Ways to obtain a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// The user's name and password.
    Password,
    /// A refresh token obtained earlier.
    RefreshToken,
    /// The client's own secret.
    ClientCredentials,
    /// A one-time code.
    AuthorizationCode,
}

impl GrantType {
    /// All grant types.
    pub const ALL: [Self; 4] = [
        Self::Password,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::AuthorizationCode,
    ];

    /// The name that OAuth uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
        }
    }

    /// The grant type called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == name)
    }
}

/// An OAuth client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub client_id: String,
    /// Its display name.
    pub name: String,
    /// Encrypted; public clients have none.
    pub(crate) sealed_secret: Option<Vec<u8>>,
    /// Encrypted; valid as well.
    pub(crate) sealed_second_secret: Option<Vec<u8>>,
    /// Ways it may obtain a token.
    pub grant_types: Vec<GrantType>,
    /// The most that a user's token obtained through it may carry.
    pub scopes: Scopes,
    /// What its own tokens carry.
    pub authorities: Scopes,
    /// Registered redirect URIs.
    pub redirect_uris: Vec<String>,
    /// The names of resource servers in `aud`; stored for clients that read them.
    pub(crate) resource_ids: Vec<String>,
    /// Scopes that users need not approve.
    pub(crate) auto_approve: AutoApprove,
    /// Lifetime of access tokens in seconds; `None` = default.
    pub(crate) access_validity: Option<u32>,
    /// Lifetime of refresh tokens in seconds; `None` = default.
    pub(crate) refresh_validity: Option<u32>,
    /// Whether it is one of the platform's.
    pub(crate) built_in: bool,
    /// Incremented when everything issued through it has to become invalid.
    pub(crate) generation: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Client {
    /// Whether it may use `grant`.
    pub(crate) fn allows(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    /// Whether it has no secret, because it could not keep one confidential.
    pub(crate) fn is_public(&self) -> bool {
        self.sealed_secret.is_none()
    }

    /// Its secret; empty for a public client.
    pub(crate) fn secret(&self, vault: &Vault) -> Result<Secret<String>, VaultError> {
        open(self.sealed_secret.as_deref(), vault)
    }

    /// Whether `secret` is one of the client's; compares digests in constant time.
    pub(crate) fn has_secret(
        &self,
        secret: &Secret<String>,
        vault: &Vault,
    ) -> Result<bool, VaultError> {
        let digest = |secret: &Secret<String>| Sha256::digest(secret.expose().as_bytes());
        let given = digest(secret);
        let first = digest(&self.secret(vault)?) == given;
        let second = match &self.sealed_second_secret {
            None => false,
            Some(sealed) => digest(&open(Some(sealed), vault)?) == given,
        };
        Ok(first || second)
    }
}

fn open(sealed: Option<&[u8]>, vault: &Vault) -> Result<Secret<String>, VaultError> {
    let plain = match sealed {
        None => Vec::new(),
        Some(sealed) => vault.decrypt(sealed)?,
    };
    let text = String::from_utf8(plain).map_err(|_| VaultError::Undecipherable)?;
    Ok(Secret::new(text))
}

/// Which scopes users need not approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AutoApprove {
    /// All scopes.
    All,
    /// These scopes.
    Scopes(Scopes),
}

impl AutoApprove {
    /// As stored: `*` or a list.
    pub(crate) fn parse(text: &str) -> Self {
        if text == "*" {
            Self::All
        } else {
            Self::Scopes(Scopes::parse(text))
        }
    }

    /// The scopes of `wanted` that users have to approve.
    pub(crate) fn leaves(&self, wanted: &Scopes) -> Scopes {
        match self {
            Self::All => Scopes::default(),
            Self::Scopes(scopes) => wanted.without(scopes),
        }
    }
}

impl std::fmt::Display for AutoApprove {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Scopes(scopes) => scopes.fmt(f),
        }
    }
}

enum Kind {
    /// Its secret is empty: anyone who runs the CLI could read it anyway.
    Public,
    /// Its secret is generated at first boot.
    Confidential,
}

struct Seed {
    client_id: &'static str,
    name: &'static str,
    kind: Kind,
    grant_types: &'static [GrantType],
    scopes: &'static [&'static [&'static str]],
    authorities: &'static [&'static str],
    redirect_uris: &'static [&'static str],
}

/// Scopes for users of the CLI and the console.
const FOR_PEOPLE: &[&[&str]] = &[
    scopes::OF_EVERY_USER,
    scopes::OF_ADMINISTRATORS,
    scopes::ON_REQUEST,
];

const SEEDS: &[Seed] = &[
    Seed {
        client_id: "cf",
        name: "Cloud Foundry CLI",
        kind: Kind::Public,
        grant_types: &[GrantType::Password, GrantType::RefreshToken],
        scopes: FOR_PEOPLE,
        authorities: &["uaa.none"],
        redirect_uris: &[],
    },
    Seed {
        client_id: "ssh-proxy",
        name: "SSH access to instances",
        kind: Kind::Confidential,
        grant_types: &[GrantType::AuthorizationCode],
        scopes: &[&[
            "cloud_controller.admin",
            "cloud_controller.read",
            "cloud_controller.write",
            scopes::OPENID,
            scopes::UAA_USER,
        ]],
        authorities: &["uaa.none"],
        redirect_uris: &[],
    },
    Seed {
        client_id: "cflite-console",
        name: "cflite console",
        kind: Kind::Confidential,
        grant_types: &[
            GrantType::AuthorizationCode,
            GrantType::Password,
            GrantType::RefreshToken,
        ],
        scopes: FOR_PEOPLE,
        authorities: &["uaa.none"],
        redirect_uris: &[redirects::CONSOLE],
    },
    Seed {
        client_id: "doppler",
        name: "Log streams",
        kind: Kind::Confidential,
        grant_types: &[GrantType::ClientCredentials],
        scopes: &[&["uaa.none"]],
        authorities: &["doppler.firehose", "logs.admin", scopes::UAA_RESOURCE],
        redirect_uris: &[],
    },
];

/// Writes the platform's own clients.
pub(crate) fn seed(tx: &WriteTx<'_>, vault: &Vault, now: Timestamp) -> Result<(), SeedError> {
    for seed in SEEDS {
        let secret = match seed.kind {
            Kind::Public => None,
            Kind::Confidential => Some(vault.encrypt(random_secret().expose().as_bytes())?),
        };
        let client = Client {
            client_id: seed.client_id.to_owned(),
            name: seed.name.to_owned(),
            sealed_secret: secret,
            grant_types: seed.grant_types.to_vec(),
            scopes: seed.scopes.iter().copied().flatten().copied().collect(),
            authorities: seed.authorities.iter().copied().collect(),
            redirect_uris: seed
                .redirect_uris
                .iter()
                .copied()
                .map(str::to_owned)
                .collect(),
            sealed_second_secret: None,
            resource_ids: vec!["none".to_owned()],
            auto_approve: AutoApprove::All,
            access_validity: None,
            refresh_validity: None,
            built_in: true,
            generation: 0,
            created_at: now,
            updated_at: now,
        };
        store::upsert_keeping_secret(tx, &client)?;
    }
    Ok(())
}

/// Why the platform's own clients could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A secret could not be encrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
}
