//! An HTTP client whose only state is its token.

use anyhow::Context;
use reqwest::Method;
use serde_json::Value;

/// A client of one platform.
#[derive(Clone)]
pub struct TestClient {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `Location`, if present.
    pub location: Option<String>,
    /// `X-Cf-Warnings`, decoded.
    pub warnings: Option<String>,
    /// The body as JSON; null when it was empty, a string when it was not JSON.
    pub body: Value,
}

impl Answer {
    /// The text at a JSON pointer; empty when absent.
    pub fn text(&self, pointer: &str) -> &str {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Detail of the first error.
    pub fn detail(&self) -> &str {
        self.text("/errors/0/detail")
    }

    /// Title of the first error.
    pub fn title(&self) -> &str {
        self.text("/errors/0/title")
    }

    /// The names of a list's resources.
    pub fn names(&self) -> Vec<&str> {
        let resources = self.body["resources"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        resources
            .iter()
            .filter_map(|resource| resource["name"].as_str())
            .collect()
    }
}

impl TestClient {
    pub(super) fn new(base: String, token: Option<String>) -> Self {
        Self {
            http: http_client(),
            base,
            token,
        }
    }

    /// Without a token, for the platform at `base`.
    pub fn anonymous(base: &str) -> Self {
        Self::new(base.to_owned(), None)
    }

    /// The same client with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Its token.
    pub fn bearer(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The same client at another origin.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self.clone()
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(
            Method::POST,
            path,
            Some(("application/json", body.to_string().into_bytes())),
        )
        .await
    }

    /// PATCH with JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(
            Method::PATCH,
            path,
            Some(("application/json", body.to_string().into_bytes())),
        )
        .await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::DELETE, path, None).await
    }

    /// Any method with any body.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        kind: &'static str,
        body: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        self.send(method.parse()?, path, Some((kind, body))).await
    }

    /// Uploads bits as the cf CLI does.
    pub async fn upload(&self, package: &str, zip: Vec<u8>) -> anyhow::Result<Answer> {
        let bits = reqwest::multipart::Part::bytes(zip).file_name("package.zip");
        let form = reqwest::multipart::Form::new()
            .text("resources", "[]")
            .part("bits", bits);
        let url = format!("{}/v3/packages/{package}/upload", self.base);
        let request = self
            .http
            .post(url)
            .bearer_auth(self.token.as_deref().unwrap_or_default());
        answer(request.multipart(form).send().await?).await
    }

    /// Uploads one file as the part `bits`.
    pub async fn upload_file(
        &self,
        path: &str,
        name: &str,
        content: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        let bits = reqwest::multipart::Part::bytes(content).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("bits", bits);
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(self.token.as_deref().unwrap_or_default());
        answer(request.multipart(form).send().await?).await
    }

    /// Downloads a path.
    pub async fn download(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let request = self
            .http
            .get(format!("{}{path}", self.base))
            .bearer_auth(self.token.as_deref().unwrap_or_default());
        let response = request.send().await?.error_for_status()?;
        Ok(response.bytes().await?.to_vec())
    }

    /// The job that a response refers to.
    pub async fn job_of(&self, accepted: &Answer) -> anyhow::Result<Answer> {
        let location = accepted.location.as_deref().unwrap_or_default();
        let path = location.strip_prefix(&self.base);
        self.get(path.context("no job of this platform")?).await
    }

    /// Requests a token from UAA as the cf CLI does.
    pub async fn token(&self, form: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self
            .http
            .post(format!("{}/oauth/token", self.base))
            .basic_auth("cf", Some(""));
        let kind = "application/x-www-form-urlencoded";
        answer(
            request
                .header("content-type", kind)
                .body(body)
                .send()
                .await?,
        )
        .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        answer(request.send().await?).await
    }
}

/// A client that does not follow redirects.
fn http_client() -> reqwest::Client {
    crate::net::http_client::plain()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap_or_default()
}

async fn answer(response: reqwest::Response) -> anyhow::Result<Answer> {
    let status = response.status().as_u16();
    let location = response
        .headers()
        .get("location")
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let warnings = response.headers().get("x-cf-warnings").map(|value| {
        let pairs = url::form_urlencoded::parse(value.as_bytes());
        pairs.map(|(text, _)| text.into_owned()).collect()
    });
    let bytes = response.bytes().await?;
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
    };
    Ok(Answer {
        status,
        location,
        warnings,
        body,
    })
}
