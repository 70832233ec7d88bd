//! An HTTP client whose only state is its token.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// A client of one platform.
#[derive(Clone)]
pub struct TestClient {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    login: Option<Arc<Login>>,
}

/// A user whose token is replaced when it is refused: an access token lives for ten minutes.
struct Login {
    name: String,
    password: String,
    token: Mutex<String>,
}

impl Login {
    fn token(&self) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    fn replace(&self, token: &str) {
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone_into(&mut kept);
    }
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
            login: None,
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
            login: None,
            ..self.clone()
        }
    }

    /// A client that signs in, and again whenever its token was refused.
    pub async fn signed_in(base: &str, name: &str, password: &str) -> anyhow::Result<Self> {
        let client = Self::anonymous(base);
        let login = Login {
            name: name.to_owned(),
            password: password.to_owned(),
            token: Mutex::new(client.access_token(name, password).await?),
        };
        Ok(Self {
            login: Some(Arc::new(login)),
            ..client
        })
    }

    /// Its token; empty for one that signed in by itself.
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
        let path = format!("/v3/packages/{package}/upload");
        self.send_parts(&path, || {
            let bits = Part::bytes(zip.clone()).file_name("package.zip");
            Form::new().text("resources", "[]").part("bits", bits)
        })
        .await
    }

    /// Uploads one file as the part `bits`.
    pub async fn upload_file(
        &self,
        path: &str,
        name: &str,
        content: Vec<u8>,
    ) -> anyhow::Result<Answer> {
        self.send_parts(path, || {
            let bits = Part::bytes(content.clone()).file_name(name.to_owned());
            Form::new().part("bits", bits)
        })
        .await
    }

    async fn send_parts(&self, path: &str, parts: impl Fn() -> Form) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.base);
        let response = self.ask(|| self.http.post(&url).multipart(parts()));
        answer(response.await?).await
    }

    /// Downloads a path.
    pub async fn download(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}{path}", self.base);
        let response = self.ask(|| self.http.get(&url)).await?;
        Ok(response.error_for_status()?.bytes().await?.to_vec())
    }

    /// The job that a response refers to.
    pub async fn job_of(&self, accepted: &Answer) -> anyhow::Result<Answer> {
        let location = accepted.location.as_deref().unwrap_or_default();
        let path = location.strip_prefix(&self.base);
        self.get(path.context("no job of this platform")?).await
    }

    /// A user's access token.
    pub async fn access_token(&self, name: &str, password: &str) -> anyhow::Result<String> {
        let form = [
            ("grant_type", "password"),
            ("username", name),
            ("password", password),
        ];
        let answer = self.token(&form).await?;
        let token = answer.body["access_token"].as_str().context("no token")?;
        Ok(token.to_owned())
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
        let url = format!("{}{path}", self.base);
        let response = self.ask(|| {
            let request = self.http.request(method.clone(), &url);
            match &body {
                Some((kind, body)) => request.header("content-type", *kind).body(body.clone()),
                None => request,
            }
        });
        answer(response.await?).await
    }

    /// Sends a request with the token, and once more with a new one when it is refused.
    async fn ask(&self, request: impl Fn() -> RequestBuilder) -> anyhow::Result<Response> {
        let Some(login) = &self.login else {
            let request = request();
            return Ok(match &self.token {
                Some(token) => request.bearer_auth(token).send().await?,
                None => request.send().await?,
            });
        };
        let response = request().bearer_auth(login.token()).send().await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let token = self.access_token(&login.name, &login.password).await?;
        login.replace(&token);
        Ok(request().bearer_auth(token).send().await?)
    }
}

/// A client that does not follow redirects.
fn http_client() -> reqwest::Client {
    crate::net::http_client::plain()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap_or_default()
}

async fn answer(response: Response) -> anyhow::Result<Answer> {
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
