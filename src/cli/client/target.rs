//! Signing in at another Cloud Foundry: by its API's address, with a password or with the log-in of the
//! cf CLI.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use url::{Host, Url};

use super::login::Login;
use super::{Client, json_of};
use crate::base::Secret;
use crate::net::http_client;

/// How to sign in there.
#[derive(Debug)]
pub(in crate::cli) enum Credentials {
    Password(String, Secret<String>),
    /// What the cf CLI keeps.
    Cli(CliLogin),
}

/// The log-in of the cf CLI, from its `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct CliLogin {
    api: String,
    access: Secret<String>,
    refresh: Secret<String>,
    /// Its targeted organization and space.
    pub(in crate::cli) organization: Option<String>,
    pub(in crate::cli) space: Option<String>,
    /// Whether it does not check certificates.
    pub(in crate::cli) skips_validation: bool,
}

impl CliLogin {
    /// The one of this user, if it is for an API.
    pub(in crate::cli) fn find(api: &str) -> Option<Self> {
        let home = std::env::var_os("CF_HOME").or_else(|| std::env::var_os("HOME"))?;
        let path = PathBuf::from(home).join(".cf/config.json");
        let login = Self::read(&std::fs::read_to_string(path).ok()?)?;
        (login.api == api).then_some(login)
    }

    fn read(text: &str) -> Option<Self> {
        let config: Value = serde_json::from_str(text).ok()?;
        let text = |value: &Value| {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let access = text(&config["AccessToken"])?;
        let access = access
            .split_once(' ')
            .map_or(access.as_str(), |(_, token)| token);
        Some(Self {
            api: text(&config["Target"])?.trim_end_matches('/').to_owned(),
            access: Secret::new(access.to_owned()),
            refresh: Secret::new(text(&config["RefreshToken"]).unwrap_or_default()),
            organization: text(&config["OrganizationFields"]["Name"]),
            space: text(&config["SpaceFields"]["Name"]),
            skips_validation: config["SSLDisabled"] == true,
        })
    }
}

/// An API's address as everything else has it: with a scheme, without a slash at the end.
pub(in crate::cli) fn address(given: &str) -> anyhow::Result<String> {
    let text = if given.contains("://") {
        given.to_owned()
    } else {
        format!("https://{given}")
    };
    let url = Url::parse(&text).with_context(|| format!("{given} is no address of an API"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        bail!("{given} is no address of an API: write https://api.example.com");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether certificates are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Certificates {
    Checked,
    Any,
}

impl Client {
    /// Signs in at the API with this address.
    pub(in crate::cli) async fn at(
        api: &str,
        credentials: Credentials,
        certificates: Certificates,
    ) -> anyhow::Result<Self> {
        let http = http(api, certificates)?;
        let root = http.get(format!("{api}/")).send().await;
        let root = root.with_context(|| {
            format!(
                "cannot reach {api} (a certificate that this machine does not know needs \
                 --skip-ssl-validation)"
            )
        })?;
        let root = json_of(root).await;
        let root = root.with_context(|| format!("{api} is no Cloud Foundry API"))?;
        let uaa = ["login", "uaa"].map(|name| root["links"][name]["href"].as_str());
        let uaa = uaa.into_iter().flatten().next();
        let uaa = uaa.with_context(|| format!("{api} names no UAA: it is no Cloud Foundry API"))?;
        match credentials {
            Credentials::Password(user, password) => {
                let login = Login::password(uaa, &user, &password);
                Self::with(http, api.to_owned(), login)
                    .await
                    .with_context(|| format!("{api}, user {user}"))
            }
            Credentials::Cli(cli) => Ok(Self {
                http,
                base: api.to_owned(),
                login: Login::refresh(uaa, &cli.refresh),
                token: Mutex::new(cli.access.expose().clone()),
            }),
        }
    }
}

fn http(api: &str, certificates: Certificates) -> anyhow::Result<reqwest::Client> {
    let mut builder = http_client::builder().connect_timeout(Duration::from_secs(15));
    // A proxy leads to other machines.
    let url = Url::parse(api)?;
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_here {
        builder = builder.no_proxy();
    }
    if certificates == Certificates::Any {
        builder = builder.danger_accept_invalid_certs(true);
    }
    Ok(builder.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_complete_and_without_a_slash() {
        for (given, expected) in [
            ("api.example.com", Some("https://api.example.com")),
            ("https://api.example.com/", Some("https://api.example.com")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("ftp://a", None),
            ("https://", None),
        ] {
            assert_eq!(address(given).ok().as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn the_log_in_of_the_cf_cli_is_read_with_its_target() {
        let text = r#"{"Target":"https://api.example.com/","AccessToken":"bearer abc","RefreshToken":"r",
            "OrganizationFields":{"Name":"acme"},"SpaceFields":{"Name":""},"SSLDisabled":true}"#;
        let login = CliLogin::read(text).expect("a log-in");
        assert_eq!(login.api, "https://api.example.com");
        assert_eq!(login.access.expose(), "abc");
        assert_eq!(login.organization.as_deref(), Some("acme"));
        assert_eq!(login.space, None);
        assert!(login.skips_validation);
        let logged_out = r#"{"Target":"https://api.example.com","AccessToken":""}"#;
        assert_eq!(CliLogin::read(logged_out), None);
        assert_eq!(CliLogin::read("no JSON"), None);
    }
}
