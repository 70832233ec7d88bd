//! A UAA with a temporary database and a manual clock, and a client that calls its router the way
//! the CLI does.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt as _;

use super::keys::{self, KeyId};
use super::{NewUser, Parts, Uaa, User};
use crate::base::clock::ManualClock;
use crate::base::{GuidSource, Secret, Timestamp};
use crate::db::{Db, Vault};
use crate::net::{RequestBase, Scheme};

pub(crate) const ADMIN_PASSWORD: &str = "admin-password";

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As JSON; null when it is not JSON.
    pub(crate) body: Value,
    /// As text.
    pub(crate) page: String,
}

impl Answer {
    /// The address of a redirect.
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 302, "{self:?}");
        self.headers[header::LOCATION].to_str().unwrap()
    }

    /// A query parameter of the redirect's address.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let base = url::Url::parse("http://uaa.cf.localhost:8080").unwrap();
        let url = base.join(self.location()).unwrap();
        let mut pairs = url.query_pairs();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// A string in the body.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.body[key]
            .as_str()
            .unwrap_or_else(|| panic!("no text {key} in {self:?}"))
    }

    /// Asserts status and error code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, error: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body["error"].as_str()),
            (status, Some(error)),
            "{self:?}"
        );
        assert!(!self.text("error_description").is_empty());
    }
}

/// A request under construction.
pub(crate) struct Call {
    method: Method,
    path: String,
    headers: Vec<(header::HeaderName, String)>,
    body: String,
    from: Option<[u8; 4]>,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            headers: vec![(header::HOST, "uaa.cf.localhost:8080".to_owned())],
            body: String::new(),
            from: None,
        }
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION, &format!("bearer {token}"))
    }

    pub(crate) fn basic(self, client_id: &str, secret: &str) -> Self {
        let encoded = STANDARD.encode(format!("{client_id}:{secret}"));
        self.header(header::AUTHORIZATION, &format!("Basic {encoded}"))
    }

    /// Sends it over a connection from this address.
    pub(crate) fn from(mut self, address: [u8; 4]) -> Self {
        self.from = Some(address);
        self
    }

    pub(crate) fn any_version(self) -> Self {
        self.header(header::IF_MATCH, "*")
    }

    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        self.body = form.extend_pairs(fields).finish();
        self.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.json_text(&body.to_string())
    }

    pub(crate) fn json_text(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self.header(header::CONTENT_TYPE, "application/json")
    }

    pub(crate) async fn send(self, uaa: &Uaa) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some(address) = self.from {
            request = request.extension(RequestBase {
                scheme: Scheme::Http,
                authority: "uaa.cf.localhost:8080".parse().unwrap(),
                client: (address, 40_000).into(),
            });
        }
        let request = request.body(Body::from(self.body)).unwrap();
        let response = uaa.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            page: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

/// UAA with an administrator and a clock that only the test moves.
pub(crate) struct World {
    pub(crate) uaa: Uaa,
    pub(crate) clock: ManualClock,
    directory: tempfile::TempDir,
}

/// One key for all tests: generating one is slow.
fn key() -> (KeyId, Secret<String>) {
    static KEY: OnceLock<Secret<String>> = OnceLock::new();
    let pem = KEY.get_or_init(|| keys::generate().unwrap());
    (keys::thumbprint(pem), pem.clone())
}

impl World {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let (db, vault) = Self::stores(&directory);
        let (id, pem) = key();
        let sealed = vault.encrypt(pem.expose().as_bytes()).unwrap();
        db.write(move |tx| keys::insert_key(tx, &id, &sealed, Timestamp::from_micros(1)))
            .await
            .unwrap();
        let uaa = Self::open(&directory, &clock).await;
        uaa.ensure_admin(&Secret::new(ADMIN_PASSWORD.to_owned()))
            .await
            .unwrap();
        Self {
            uaa,
            clock,
            directory,
        }
    }

    fn stores(directory: &tempfile::TempDir) -> (Db, Vault) {
        let path = directory.path().join("cflite.db");
        let vault = Vault::open(&directory.path().join("key"), &path).unwrap();
        (Db::open(&path).unwrap(), vault)
    }

    async fn open(directory: &tempfile::TempDir, clock: &ManualClock) -> Uaa {
        let (db, vault) = Self::stores(directory);
        let parts = Parts {
            db,
            vault,
            clock: Arc::new(clock.clone()),
            guids: GuidSource::random(),
            issuer: None,
        };
        Uaa::open(parts).await.unwrap()
    }

    /// A second UAA over the same database, as after a restart.
    pub(crate) async fn restarted(&self) -> Uaa {
        Self::open(&self.directory, &self.clock).await
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// `cf auth NAME PASSWORD`.
    pub(crate) async fn log_in(&self, user_name: &str, password: &str) -> Answer {
        self.log_in_from([127, 0, 0, 1], user_name, password).await
    }

    /// The same from another address.
    pub(crate) async fn log_in_from(
        &self,
        address: [u8; 4],
        user_name: &str,
        password: &str,
    ) -> Answer {
        let form = [
            ("grant_type", "password"),
            ("username", user_name),
            ("password", password),
        ];
        Call::new("POST", "/oauth/token")
            .basic("cf", "")
            .form(&form)
            .from(address)
            .send(&self.uaa)
            .await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        Call::new("POST", "/oauth/token")
            .basic("cf", "")
            .form(&form)
            .send(&self.uaa)
            .await
    }

    pub(crate) async fn token(&self, user_name: &str, password: &str) -> String {
        self.log_in(user_name, password)
            .await
            .text("access_token")
            .to_owned()
    }

    pub(crate) async fn admin_token(&self) -> String {
        self.token("admin", ADMIN_PASSWORD).await
    }

    pub(crate) async fn user(&self, user_name: &str, password: &str) -> User {
        let password = Some(Secret::new(password.to_owned()));
        self.uaa
            .create_user(NewUser::named(user_name), password)
            .await
            .unwrap()
    }

    /// The secret of the platform's own client with its own token.
    pub(crate) async fn doppler_secret(&self) -> String {
        let secret = self.uaa.client_secret("doppler").await.unwrap().unwrap();
        secret.expose().clone()
    }
}

/// A JWT's payload, read without checks.
pub(crate) fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
