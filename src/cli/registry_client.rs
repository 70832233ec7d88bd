//! A client of what the running platform's registry offers to operators.

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::client::{json_of, plain};
use super::{credentials, process};
use crate::base::Secret;
use crate::config::Config;
use crate::platform::Running;

/// The longest line of an answer.
const LONGEST: usize = 1 << 20;

/// A client of the running platform's registry.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    password: Secret<String>,
}

impl Client {
    pub(super) fn of_running(config: &Config) -> anyhow::Result<Self> {
        let running: Running = process::find(&config.data_dir)?
            .running()
            .context("cflite is not running; start it with `cflite up`")?;
        Ok(Self {
            http: plain()?,
            base: format!("http://127.0.0.1:{}/cflite/registry", running.registry_port),
            password: credentials::password(config)?,
        })
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .basic_auth("admin", Some(self.password.expose()))
    }

    /// A long request; texts about what happens go to `progress`.
    pub(super) async fn long(
        &self,
        path: &str,
        body: &Value,
        progress: impl Fn(&str),
    ) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path).body(body.to_string());
        let mut answer = request.send().await?;
        if !answer.status().is_success() {
            return json_of(answer).await;
        }
        let mut rest = Vec::new();
        while let Some(line) = next_line(&mut answer, &mut rest).await? {
            let mut line: Value = serde_json::from_slice(&line)?;
            if let Some(text) = line["progress"].as_str() {
                progress(text);
            } else if let Some(error) = line["error"].as_str() {
                bail!("{error}");
            } else {
                return Ok(line["done"].take());
            }
        }
        bail!("the platform stopped before the end")
    }
}

/// The next line of a response; `rest` keeps what was read behind it.
async fn next_line(answer: &mut Response, rest: &mut Vec<u8>) -> anyhow::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let behind = rest.split_off(end + 1);
            return Ok(Some(std::mem::replace(rest, behind)));
        }
        if rest.len() > LONGEST {
            bail!("a line of the answer is too long");
        }
        match answer.chunk().await? {
            Some(chunk) => rest.extend_from_slice(&chunk),
            None => return Ok(None),
        }
    }
}
