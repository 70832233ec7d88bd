//! How a client gets its tokens: with a password, or with the refresh token of another client.

use anyhow::{Context, bail};

use super::json_of;
use crate::base::Secret;

/// Where tokens come from, and for what.
pub(super) struct Login {
    /// `https://uaa.example.com`.
    uaa: String,
    grant: Grant,
}

enum Grant {
    Password {
        user: String,
        password: Secret<String>,
    },
    Refresh(Secret<String>),
}

impl Login {
    /// By a user's password.
    pub(super) fn password(uaa: &str, user: &str, password: &Secret<String>) -> Self {
        Self {
            uaa: uaa.to_owned(),
            grant: Grant::Password {
                user: user.to_owned(),
                password: password.clone(),
            },
        }
    }

    /// By a refresh token.
    pub(super) fn refresh(uaa: &str, token: &Secret<String>) -> Self {
        Self {
            uaa: uaa.trim_end_matches('/').to_owned(),
            grant: Grant::Refresh(token.clone()),
        }
    }

    /// A new token.
    pub(super) async fn token(&self, http: &reqwest::Client) -> anyhow::Result<String> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        match &self.grant {
            Grant::Password { user, password } => {
                form.append_pair("grant_type", "password");
                form.append_pair("username", user);
                form.append_pair("password", password.expose());
            }
            Grant::Refresh(token) if token.expose().is_empty() => {
                bail!("the log-in of the cf CLI has ended: run `cf login` again");
            }
            Grant::Refresh(token) => {
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("refresh_token", token.expose());
            }
        }
        let answer = http
            .post(format!("{}/oauth/token", self.uaa))
            .basic_auth("cf", Some(""))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish())
            .send()
            .await
            .context("cannot reach the platform")?;
        let answer = json_of(answer).await.context("cannot sign in")?;
        let token = answer["access_token"].as_str();
        Ok(token.context("the token response has no token")?.to_owned())
    }
}
