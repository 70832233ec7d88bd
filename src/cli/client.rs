//! A small client of the public API, as the cf CLI uses it.

use std::time::Duration;

use anyhow::{Context, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::base::Secret;
use crate::net::http_client;
use crate::platform::Running;

/// A name as a query has it.
pub(super) fn encode(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// A resource that came with a list, by its kind (`spaces`) and guid.
pub(super) fn included<'a>(list: &'a Value, kind: &str, guid: &Value) -> Option<&'a Value> {
    let all = list.pointer(&format!("/included/{kind}"))?.as_array()?;
    all.iter().find(|one| one["guid"] == *guid)
}

/// A signed-in client.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    /// Signs in as admin.
    pub(super) async fn sign_in(
        running: &Running,
        password: &Secret<String>,
    ) -> anyhow::Result<Self> {
        let http = plain()?;
        let base = running.local_url();
        let form = [
            ("grant_type", "password"),
            ("username", "admin"),
            ("password", password.expose()),
        ];
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let answer = http
            .post(format!("{base}/oauth/token"))
            .basic_auth("cf", Some(""))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .context("cannot reach the platform")?;
        let answer = json_of(answer).await.context("cannot sign in")?;
        let token = answer["access_token"]
            .as_str()
            .context("the token response has no token")?
            .to_owned();
        Ok(Self { http, base, token })
    }

    /// GET a document.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        json_of(self.request(Method::GET, path).send().await?).await
    }

    /// POST a document.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        json_of(request.body(body.to_string()).send().await?).await
    }

    /// PATCH a document.
    pub(super) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .request(Method::PATCH, path)
            .header("content-type", "application/json");
        json_of(request.body(body.to_string()).send().await?).await
    }

    /// PUT without a document.
    pub(super) async fn put(&self, path: &str) -> anyhow::Result<Value> {
        json_of(self.request(Method::PUT, path).send().await?).await
    }

    /// DELETE what needs no job.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        json_of(self.request(Method::DELETE, path).send().await?).await?;
        Ok(())
    }

    /// Downloads into a temporary file.
    pub(super) async fn download(&self, path: &str) -> anyhow::Result<std::fs::File> {
        let mut answer = self.request(Method::GET, path).send().await?;
        if !answer.status().is_success() {
            json_of(answer).await?;
            bail!("{path} cannot be downloaded");
        }
        let mut file = tempfile::tempfile()?;
        while let Some(chunk) = answer.chunk().await? {
            std::io::Write::write_all(&mut file, &chunk)?;
        }
        Ok(file)
    }

    /// Applies a manifest and waits for its job.
    pub(super) async fn apply_manifest(&self, space: &str, manifest: String) -> anyhow::Result<()> {
        let path = format!("/v3/spaces/{space}/actions/apply_manifest");
        let request = self
            .request(Method::POST, &path)
            .header("content-type", "application/x-yaml");
        let answer = request.body(manifest).send().await?;
        let location = answer
            .headers()
            .get("location")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        json_of(answer).await?;
        let location = location.context("the response names no job")?;
        self.wait_for_job(&location).await
    }

    /// Uploads a package's bits.
    pub(super) async fn upload(&self, package: &str, zip: std::fs::File) -> anyhow::Result<Value> {
        let size = zip.metadata()?.len();
        let bytes = tokio_util::io::ReaderStream::new(tokio::fs::File::from_std(zip));
        let body = reqwest::Body::wrap_stream(bytes);
        let bits = reqwest::multipart::Part::stream_with_length(body, size)
            .file_name("package.zip")
            .mime_str("application/zip")?;
        let form = reqwest::multipart::Form::new()
            .text("resources", "[]")
            .part("bits", bits);
        let request = self.request(Method::POST, &format!("/v3/packages/{package}/upload"));
        json_of(request.multipart(form).send().await?).await
    }

    /// The first resource of a list, if any.
    pub(super) async fn first(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let list = self.get(path).await?;
        Ok(list["resources"].get(0).cloned())
    }

    /// The first resource of `list`, or a new one created with `body`.
    pub(super) async fn ensure(
        &self,
        list: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        match self.first(list).await? {
            Some(found) => Ok(found),
            None => self.post(path, body).await,
        }
    }

    async fn wait_for_job(&self, location: &str) -> anyhow::Result<()> {
        let path = location
            .find("/v3/jobs/")
            .map(|at| &location[at..])
            .context("no job in Location")?;
        for _ in 0..600 {
            let job = self.get(path).await?;
            match job["state"].as_str() {
                Some("COMPLETE") => return Ok(()),
                Some("FAILED") => bail!("{}", detail(&job["errors"])),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        bail!("job {path} did not complete in time")
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
    }
}

/// An HTTP client for this machine, without a proxy.
pub(super) fn plain() -> anyhow::Result<reqwest::Client> {
    Ok(http_client::plain()
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .build()?)
}

/// The platform's `/healthz`.
pub(super) async fn health(running: &Running) -> anyhow::Result<Value> {
    let answer = plain()?
        .get(format!("{}/healthz", running.local_url()))
        .timeout(Duration::from_secs(5))
        .send()
        .await?;
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}

/// The document of an answer; an error if it is one.
pub(super) async fn json_of(answer: Response) -> anyhow::Result<Value> {
    let status = answer.status();
    let bytes = answer.bytes().await?;
    if status == StatusCode::NO_CONTENT || (status.is_success() && bytes.is_empty()) {
        return Ok(json!({}));
    }
    let body: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{status}: the response is not JSON"))?;
    if status.is_success() {
        return Ok(body);
    }
    let text = body["error_description"]
        .as_str()
        .map_or_else(|| detail(&body["errors"]), str::to_owned);
    bail!("{status}: {text}")
}

fn detail(errors: &Value) -> String {
    let texts: Vec<&str> = errors
        .as_array()
        .into_iter()
        .flatten()
        // The registry has no detail but in the message.
        .filter_map(|e| e["detail"].as_str().or_else(|| e["message"].as_str()))
        .collect();
    if texts.is_empty() {
        errors.to_string()
    } else {
        texts.join("; ")
    }
}
