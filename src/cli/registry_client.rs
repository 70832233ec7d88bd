//! A client of what the running platform offers to operators on its registry's port.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{json_of, plain};
use super::{block_on, credentials, process, show};
use crate::base::Secret;
use crate::blobs::Collected;
use crate::config::Config;
use crate::platform::Running;

/// The longest line of an answer.
const LONGEST: usize = 1 << 20;

/// A client of a part of the running platform, such as its registry.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    password: Secret<String>,
}

impl Client {
    /// `part` is `registry`, `packages`, `data_services`, `alerts` or `logs`.
    pub(super) fn of_running(config: &Config, part: &str) -> anyhow::Result<Self> {
        let running: Running = process::find(&config.data_dir)?
            .running()
            .context("cflite is not running; start it with `cflite up`")?;
        Ok(Self {
            http: plain()?,
            base: format!("http://127.0.0.1:{}/cflite/{part}", running.registry_port),
            password: credentials::password(config)?,
        })
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .basic_auth("admin", Some(self.password.expose()))
    }

    /// The document that says what is here.
    pub(super) fn list(&self) -> anyhow::Result<Value> {
        block_on(async { json_of(self.request(Method::GET, "").send().await?).await })
    }

    /// A document.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        block_on(async { json_of(self.request(Method::GET, path).send().await?).await })
    }

    /// Has something done, and returns what came of it.
    pub(super) fn post(&self, path: &str) -> anyhow::Result<Value> {
        block_on(async { json_of(self.request(Method::POST, path).send().await?).await })
    }

    /// Removes something.
    pub(super) fn delete(&self, path: &str) -> anyhow::Result<()> {
        block_on(async {
            json_of(self.request(Method::DELETE, path).send().await?).await?;
            Ok(())
        })
    }

    /// Copies a file into `out`; returns its size.
    pub(super) fn download(&self, path: &str, out: &mut dyn Write) -> anyhow::Result<u64> {
        block_on(async {
            let mut answer = self.request(Method::GET, path).send().await?;
            if !answer.status().is_success() {
                return Err(json_of(answer)
                    .await
                    .err()
                    .unwrap_or_else(|| anyhow::anyhow!("no file")));
            }
            let mut size = 0;
            while let Some(chunk) = answer.chunk().await? {
                out.write_all(&chunk)?;
                size += chunk.len() as u64;
            }
            out.flush()?;
            Ok(size)
        })
    }

    /// `gc`; `describe` names a copy that went.
    pub(super) fn collect<C: DeserializeOwned>(
        &self,
        dry_run: bool,
        as_json: bool,
        describe: impl Fn(&C) -> String,
    ) -> anyhow::Result<ExitCode> {
        let answer = block_on(async {
            let path = format!("/gc?dry_run={dry_run}");
            json_of(self.request(Method::POST, &path).send().await?).await
        })?;
        if as_json {
            show::json(&answer);
            return Ok(ExitCode::SUCCESS);
        }
        let collected: Collected<C> = serde_json::from_value(answer)?;
        let would = if dry_run {
            "would be removed"
        } else {
            "removed"
        };
        for copy in &collected.evicted {
            show::line(&format!("{} {would} from the cache", describe(copy)));
        }
        let (blobs, bytes) = (collected.blobs, show::bytes(collected.bytes));
        show::line(&format!("{blobs} blobs ({bytes}) {would}"));
        Ok(ExitCode::SUCCESS)
    }

    /// Lines of JSON as they come, until there are no more.
    pub(super) async fn lines(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut answer = self.request(Method::GET, path).send().await?;
        if !answer.status().is_success() {
            json_of(answer).await?;
            bail!("{path} cannot be read");
        }
        let mut rest = Vec::new();
        while let Some(line) = next_line(&mut answer, &mut rest).await? {
            each(&line)?;
        }
        Ok(())
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
