//! The other Cloud Foundry of a command: how to sign in, and which space.

use std::io::IsTerminal;

use anyhow::{Context, bail};
use serde_json::Value;

use super::super::client::target::{Certificates, CliLogin, Credentials, address};
use super::super::client::{Client, encode};
use super::super::push;
use crate::base::Secret;

/// The variable with the password.
const PASSWORD: &str = "CFLITE_TARGET_PASSWORD";

/// How to sign in there.
#[derive(Debug, clap::Args)]
pub(super) struct There {
    /// User there; the password is CFLITE_TARGET_PASSWORD or asked for [default: the log-in of the cf CLI]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Accept any certificate of it
    #[arg(long)]
    skip_ssl_validation: bool,
    /// Organization there [default: the one that the cf CLI targets]
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// Space there [default: the one that the cf CLI targets]
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
}

/// The other side, signed in.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) api: String,
    pub(super) org: Option<String>,
    pub(super) space: Option<String>,
}

/// A space and its organization.
pub(super) struct Space {
    pub(super) guid: String,
    pub(super) org: String,
    pub(super) name: String,
}

impl There {
    /// Signs in.
    pub(super) async fn sign_in(&self, api: &str) -> anyhow::Result<Session> {
        let api = address(api)?;
        let cli = CliLogin::find(&api);
        let (org, space) = { cli.as_ref() }
            .map(|cli| (cli.organization.clone(), cli.space.clone()))
            .unwrap_or_default();
        let skips = self.skip_ssl_validation
            || self.user.is_none() && cli.as_ref().is_some_and(|cli| cli.skips_validation);
        let credentials = match (&self.user, cli) {
            (Some(user), _) => Credentials::Password(user.clone(), password(user, &api)?),
            (None, Some(cli)) => Credentials::Cli(cli),
            (None, None) => bail!(
                "the cf CLI is not logged in at {api}: run `cf login -a {api}`, or name a --user"
            ),
        };
        let certificates = if skips {
            Certificates::Any
        } else {
            Certificates::Checked
        };
        let client = Client::at(&api, credentials, certificates).await?;
        // A space of another organization would be another space.
        let space = if self.org.is_some() && self.org != org {
            None
        } else {
            space
        };
        Ok(Session {
            client,
            api,
            org: self.org.clone().or(org),
            space: self.space.clone().or(space),
        })
    }
}

impl Session {
    /// The organization there, if one is named.
    pub(super) async fn organization(&self) -> anyhow::Result<Option<Value>> {
        let Some(name) = &self.org else {
            return Ok(None);
        };
        let path = format!("/v3/organizations?names={}", encode(name));
        let found = self.client.first(&path).await?;
        let found = found.with_context(|| format!("{} has no organization {name}", self.api))?;
        Ok(Some(found))
    }

    /// The space there.
    pub(super) async fn space(&self) -> anyhow::Result<Space> {
        let organization = self.organization().await?;
        let organization = organization.context("name the organization there with --org")?;
        let name = self.space.as_deref();
        let name = name.context("name the space there with --space")?;
        let path = format!(
            "/v3/spaces?organization_guids={}&names={}",
            push::guid(&organization)?,
            encode(name)
        );
        let found = self.client.first(&path).await?;
        let found = found.with_context(|| {
            format!(
                "the organization {} at {} has no space {name}",
                self.org.as_deref().unwrap_or_default(),
                self.api
            )
        })?;
        Ok(Space {
            guid: push::guid(&found)?,
            org: push::guid(&organization)?,
            name: name.to_owned(),
        })
    }
}

fn password(user: &str, api: &str) -> anyhow::Result<Secret<String>> {
    if let Ok(password) = std::env::var(PASSWORD)
        && !password.is_empty()
    {
        return Ok(Secret::new(password));
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("set the password of {user} at {api} as {PASSWORD}");
    }
    let question = format!("Password of {user} at {api}: ");
    let answer = rpassword::prompt_password(question).context("cannot read the password")?;
    Ok(Secret::new(answer))
}
