//! A small client of the public API, as the cf CLI uses it.

mod login;
pub(super) mod target;

use std::io::Seek;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::base::Secret;
use crate::net::http_client;
use crate::platform::Running;
use login::Login;

/// A name as a query has it.
pub(super) fn encode(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// A resource that came with a list, by its kind (`spaces`) and guid.
pub(super) fn included<'a>(list: &'a Value, kind: &str, guid: &Value) -> Option<&'a Value> {
    let all = list.pointer(&format!("/included/{kind}"))?.as_array()?;
    all.iter().find(|one| one["guid"] == *guid)
}

/// How long a job may take; deletions of many services are long ones.
const JOB: Duration = Duration::from_secs(600);

/// A signed-in client.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    login: Login,
    /// The current token; one that expired is replaced.
    token: Mutex<String>,
}

impl Client {
    /// Signs in as admin.
    pub(super) async fn sign_in(
        running: &Running,
        password: &Secret<String>,
    ) -> anyhow::Result<Self> {
        let base = running.local_url();
        let login = Login::password(&base, "admin", password);
        Self::with(plain()?, base, login).await
    }

    /// Signs in at any platform.
    async fn with(http: reqwest::Client, base: String, login: Login) -> anyhow::Result<Self> {
        let token = Mutex::new(login.token(&http).await?);
        Ok(Self {
            http,
            base,
            login,
            token,
        })
    }

    /// GET a document.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        json_of(self.send(self.request(Method::GET, path)).await?).await
    }

    /// GET a document that may not be there.
    pub(super) async fn find(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let answer = self.send(self.request(Method::GET, path)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        json_of(answer).await.map(Some)
    }

    /// GET a text, such as a manifest.
    pub(super) async fn text(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.send(self.request(Method::GET, path)).await?;
        if answer.status().is_success() {
            return Ok(answer.text().await?);
        }
        json_of(answer).await?;
        bail!("{path} cannot be read")
    }

    /// POST a document.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        json_of(self.change(Method::POST, path, body).await?).await
    }

    /// PATCH a document.
    pub(super) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        json_of(self.change(Method::PATCH, path, body).await?).await
    }

    /// PUT without a document.
    pub(super) async fn put(&self, path: &str) -> anyhow::Result<Value> {
        json_of(self.send(self.request(Method::PUT, path)).await?).await
    }

    /// PUT a document.
    pub(super) async fn put_json(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        json_of(self.change(Method::PUT, path, body).await?).await
    }

    /// DELETE what needs no job.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        json_of(self.send(self.request(Method::DELETE, path)).await?).await?;
        Ok(())
    }

    /// DELETE and wait for the job; what is gone already is fine.
    pub(super) async fn delete_job(&self, path: &str) -> anyhow::Result<()> {
        let answer = self.send(self.request(Method::DELETE, path)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        self.done(answer).await
    }

    /// Downloads into a temporary file.
    pub(super) async fn download(&self, path: &str) -> anyhow::Result<std::fs::File> {
        let mut answer = self.send(self.request(Method::GET, path)).await?;
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
        let answer = self.yaml(&path, manifest).await?;
        self.done(answer).await
    }

    /// What applying a manifest would change.
    pub(super) async fn manifest_diff(
        &self,
        space: &str,
        manifest: String,
    ) -> anyhow::Result<Value> {
        let path = format!("/v3/spaces/{space}/manifest_diff");
        json_of(self.yaml(&path, manifest).await?).await
    }

    async fn yaml(&self, path: &str, text: String) -> anyhow::Result<Response> {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/x-yaml");
        self.send(request.body(text)).await
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
        json_of(self.send(request.multipart(form)).await?).await
    }

    /// Uploads a droplet's archive and waits until it is read.
    pub(super) async fn upload_droplet(
        &self,
        droplet: &str,
        archive: std::fs::File,
    ) -> anyhow::Result<()> {
        let mut archive = archive;
        let size = archive.seek(std::io::SeekFrom::End(0))?;
        archive.rewind()?;
        let bytes = tokio_util::io::ReaderStream::new(tokio::fs::File::from_std(archive));
        let body = reqwest::Body::wrap_stream(bytes);
        let bits = reqwest::multipart::Part::stream_with_length(body, size)
            .file_name("droplet.tgz")
            .mime_str("application/gzip")?;
        let form = reqwest::multipart::Form::new().part("bits", bits);
        let request = self.request(Method::POST, &format!("/v3/droplets/{droplet}/upload"));
        let answer = self.send(request.multipart(form)).await?;
        self.done(answer).await
    }

    /// Every resource of a list, of all its pages.
    pub(super) async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1.. {
            let path = format!("{path}{sign}per_page=5000&page={page}");
            let mut list = self.get(&path).await?;
            if let Value::Array(found) = list["resources"].take() {
                all.extend(found);
            }
            if list["pagination"]["next"].is_null() {
                break;
            }
        }
        Ok(all)
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

    /// Waits for the job of an answer, if it names one.
    async fn done(&self, answer: Response) -> anyhow::Result<()> {
        let location = answer
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        json_of(answer).await?;
        let path = location.and_then(|url| url.find("/v3/jobs/").map(|at| url[at..].to_owned()));
        match path {
            Some(path) => self.wait_for_job(&path).await,
            None => Ok(()),
        }
    }

    async fn wait_for_job(&self, path: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + JOB;
        let mut pause = Duration::from_millis(20);
        loop {
            let job = self.get(path).await?;
            match job["state"].as_str() {
                Some("COMPLETE") => return Ok(()),
                Some("FAILED") => bail!("{}", detail(&job["errors"])),
                _ if Instant::now() > deadline => {
                    bail!("job {path} did not complete within {} s", JOB.as_secs())
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn change(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Response> {
        let request = self
            .request(method, path)
            .header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request; once more when the token has expired, unless its body is a stream.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let again = request.try_clone();
        let answer = request.bearer_auth(self.bearer()).send().await?;
        match again {
            Some(again) if answer.status() == StatusCode::UNAUTHORIZED => {
                self.renew().await?;
                Ok(again.bearer_auth(self.bearer()).send().await?)
            }
            _ => Ok(answer),
        }
    }

    fn bearer(&self) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    /// Gets a new token.
    async fn renew(&self) -> anyhow::Result<()> {
        let new = self.login.token(&self.http).await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
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
