//! OAuth clients: who may ask for tokens, how, and with which scopes.
//!
//! The platform's own clients are written at every start, so that an upgrade changes what they
//! may do; their secrets are made once and stay. A client's id is its name, chosen by people.

pub(crate) mod handlers;
pub(crate) mod store;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::scopes::{self, Scopes};
use crate::base::{Secret, Timestamp};
use crate::db::{DbError, Vault, VaultError, WriteTx};

/// Ways to obtain a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// The user's name and password.
    Password,
    /// A refresh token obtained before.
    RefreshToken,
    /// The client's own secret.
    ClientCredentials,
    /// A one-time code.
    AuthorizationCode,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Password,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::AuthorizationCode,
    ];

    /// As OAuth writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
        }
    }

    /// The one called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == name)
    }
}

/// An OAuth client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub client_id: String,
    /// Its name for people.
    pub name: String,
    /// Encrypted; a public client has none.
    pub(crate) sealed_secret: Option<Vec<u8>>,
    /// Ways it may obtain a token.
    pub grant_types: Vec<GrantType>,
    /// The most a user's token obtained through it may carry.
    pub scopes: Scopes,
    /// What its own tokens carry.
    pub authorities: Scopes,
    /// Where codes may be sent.
    pub redirect_uris: Vec<String>,
    /// When it appeared.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Client {
    /// Whether it may use `grant`.
    pub(crate) fn allows(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    /// Its secret; empty for a public client.
    pub(crate) fn secret(&self, vault: &Vault) -> Result<Secret<String>, VaultError> {
        let plain = match &self.sealed_secret {
            None => Vec::new(),
            Some(sealed) => vault.decrypt(sealed)?,
        };
        let text = String::from_utf8(plain).map_err(|_| VaultError::Undecipherable)?;
        Ok(Secret::new(text))
    }

    /// Whether `secret` is the client's; compares digests, so that time tells nothing.
    pub(crate) fn has_secret(
        &self,
        secret: &Secret<String>,
        vault: &Vault,
    ) -> Result<bool, VaultError> {
        let expected = self.secret(vault)?;
        let digest = |secret: &Secret<String>| Sha256::digest(secret.expose().as_bytes());
        Ok(digest(&expected) == digest(secret))
    }
}

enum Kind {
    /// Its secret is empty: whoever runs the CLI could read it anyway.
    Public,
    /// Its secret is made at first boot.
    Confidential,
}

struct Seed {
    client_id: &'static str,
    name: &'static str,
    kind: Kind,
    grant_types: &'static [GrantType],
    scopes: &'static [&'static [&'static str]],
    authorities: &'static [&'static str],
}

/// What people do through the CLI and the console.
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
    },
    Seed {
        client_id: "doppler",
        name: "Log streams",
        kind: Kind::Confidential,
        grant_types: &[GrantType::ClientCredentials],
        scopes: &[&["uaa.none"]],
        authorities: &["doppler.firehose", "logs.admin", scopes::UAA_RESOURCE],
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
            redirect_uris: Vec::new(),
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
    /// The database refused.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A secret could not be encrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// 256 random bits as text that needs no escaping anywhere.
pub(crate) fn random_secret() -> Secret<String> {
    let bytes: [u8; 32] = rand::random();
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}
