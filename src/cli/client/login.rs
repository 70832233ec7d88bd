//! How a client gets its tokens: with a password.

use anyhow::Context;

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

    /// A new token.
    pub(super) async fn token(&self, http: &reqwest::Client) -> anyhow::Result<String> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        match &self.grant {
            Grant::Password { user, password } => {
                form.append_pair("grant_type", "password");
                form.append_pair("username", user);
                form.append_pair("password", password.expose());
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
