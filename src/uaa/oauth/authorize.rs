//! `/oauth/authorize`: a one-time code for a user, which a client exchanges for tokens.
//!
//! Web clients send browsers here; the user signs in and, unless the client is trusted, gives
//! consent. `cf ssh` asks with the user's access token instead. An error in the client or its
//! address is shown here; any other error is sent to the client's address, as OAuth specifies.

use axum::extract::{OriginalUri, State};
use axum::response::Response;
use http::HeaderMap;
use url::Url;

use super::{consent, grants};
use crate::base::guid::UserGuid;
use crate::base::secrets::{hash, random_secret};
use crate::base::{Secret, Timestamp};
use crate::uaa::caller::{Caller, Form, Parameters, Query, bearer};
use crate::uaa::clients::{self, Client, GrantType, redirects};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::lifetime;
use crate::uaa::pages::{self, login};
use crate::uaa::scopes::{Scopes, UAA_USER};
use crate::uaa::sessions::Session;
use crate::uaa::sessions::browser::Browser;
use crate::uaa::tokens::{self, Code};
use crate::uaa::{Uaa, users};

/// `GET /oauth/authorize`.
pub(crate) async fn authorize(
    State(uaa): State<Uaa>,
    browser: Browser,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(query): Query,
) -> Response {
    let asked = uri.query().unwrap_or("").to_owned();
    let done = async {
        let subject = subject(&uaa, &browser, &headers).await?;
        let request = Request::read(&uaa, &browser, &query, asked).await?;
        request.answer(&uaa, subject, None).await
    };
    let done: UaaResult<Response> = done.await;
    done.unwrap_or_else(|failed| pages::error(&browser, failed))
}

/// `POST /oauth/authorize`: the user's decision on the consent page.
pub(crate) async fn decide(State(uaa): State<Uaa>, browser: Browser, Form(form): Form) -> Response {
    let done = async {
        let asked = form.require("request")?.to_owned();
        let query = Parameters::parse(asked.as_bytes())?;
        let request = Request::read(&uaa, &browser, &query, asked).await?;
        let Some(session) = browser.session(&uaa).await? else {
            return request.answer(&uaa, Subject::Nobody, None).await;
        };
        session.check_token(&form)?;
        let decision = match form.get("user_oauth_approval") {
            Some("true") => Decision::Approved,
            _ => Decision::Denied,
        };
        let subject = Subject::Browser(Box::new(session));
        request.answer(&uaa, subject, Some(decision)).await
    };
    let done: UaaResult<Response> = done.await;
    done.unwrap_or_else(|failed| pages::error(&browser, failed))
}

/// What the user chose on the consent page.
#[derive(Clone, Copy)]
enum Decision {
    Approved,
    Denied,
}

/// Who a code is for.
enum Subject {
    /// Authenticated with an access token.
    Token(UserGuid, Timestamp),
    /// Signed in with a browser.
    Browser(Box<Session>),
    /// Not authenticated.
    Nobody,
}

async fn subject(uaa: &Uaa, browser: &Browser, headers: &HeaderMap) -> UaaResult<Subject> {
    if let Some(token) = bearer(headers) {
        let claims = uaa
            .verify(token)
            .map_err(|error| UaaError::invalid_token(error.to_string()))?;
        let caller = Caller { claims };
        caller.require_any(&[UAA_USER])?;
        let claims = caller.claims;
        let since = claims.authenticated_at.unwrap_or(claims.issued_at);
        let since = Timestamp::from_micros(since.saturating_mul(1_000_000));
        let user = claims.user.ok_or_else(UaaError::unauthenticated)?;
        return Ok(Subject::Token(user, since));
    }
    match browser.session(uaa).await? {
        Some(session) => Ok(Subject::Browser(Box::new(session))),
        None if browser.wants_page => Ok(Subject::Nobody),
        None => Err(UaaError::unauthenticated()),
    }
}

/// A request whose client and address are valid.
struct Request {
    client: Client,
    target: Target,
    query: Parameters,
    /// The original query, to return to it.
    asked: String,
}

/// Where the code is sent.
struct Target {
    url: Url,
    /// Not at a client's address but at one of ours: the client reads the code off the redirect.
    own: bool,
}

impl Request {
    async fn read(
        uaa: &Uaa,
        browser: &Browser,
        query: &Parameters,
        asked: String,
    ) -> UaaResult<Self> {
        let client = find_client(uaa, query.require("client_id")?).await?;
        let target = target(&client, query.get("redirect_uri"), &browser.base)?;
        Ok(Self {
            client,
            target,
            query: query.clone(),
            asked,
        })
    }

    async fn answer(
        self,
        uaa: &Uaa,
        subject: Subject,
        decision: Option<Decision>,
    ) -> UaaResult<Response> {
        match self.decided(uaa, subject, decision).await {
            Err(failed) if !self.target.own && !failed.status().is_server_error() => self.back(&[
                ("error", failed.code()),
                ("error_description", failed.description()),
            ]),
            done => done,
        }
    }

    async fn decided(
        &self,
        uaa: &Uaa,
        subject: Subject,
        decision: Option<Decision>,
    ) -> UaaResult<Response> {
        if self.query.require("response_type")? != "code" {
            return Err(UaaError::unsupported_response_type());
        }
        let challenge = self.challenge()?;
        let quiet = self.query.get("prompt") == Some("none");
        let (guid, since) = match &subject {
            Subject::Token(guid, since) => (guid.clone(), *since),
            Subject::Browser(session) => (session.user.guid.clone(), session.authenticated_at),
            Subject::Nobody if quiet => return Err(UaaError::login_required()),
            Subject::Nobody => {
                return login::redirect_to_login(&format!("/oauth/authorize?{}", self.asked));
            }
        };
        let scopes = grants::granted(uaa, &self.client, &guid, self.query.get("scope")).await?;
        let unapproved = consent::unapproved(uaa, &self.client, &guid, &scopes).await?;
        if !unapproved.is_empty() {
            match (decision, &subject) {
                (Some(Decision::Approved), _) => {
                    consent::record(uaa, &self.client, &guid, &scopes).await?;
                }
                (Some(Decision::Denied), _) => {
                    return Err(UaaError::access_denied("User denied access"));
                }
                (None, _) if quiet => return Err(UaaError::interaction_required()),
                (None, Subject::Browser(session)) => {
                    let target = &self.target.url;
                    return consent::page(session, &self.client, &unapproved, target, &self.asked);
                }
                (None, Subject::Token(..) | Subject::Nobody) => {
                    return Err(UaaError::interaction_required());
                }
            }
        }
        let code = self.code(uaa, guid, since, scopes, challenge).await?;
        self.back(&[("code", code.expose())])
    }

    fn challenge(&self) -> UaaResult<Option<String>> {
        let method = self.query.get("code_challenge_method");
        match (self.query.get("code_challenge"), method) {
            (None, _) if self.client.is_public() => Err(UaaError::invalid_request(
                "A client without a secret has to send a code_challenge",
            )),
            (None, _) => Ok(None),
            (Some(challenge), Some("S256")) if (43..=128).contains(&challenge.len()) => {
                Ok(Some(challenge.to_owned()))
            }
            (Some(_), Some("S256")) => Err(UaaError::invalid_request(
                "code_challenge must have between 43 and 128 characters",
            )),
            (Some(_), _) => Err(UaaError::invalid_request(
                "code_challenge_method must be S256",
            )),
        }
    }

    async fn code(
        &self,
        uaa: &Uaa,
        guid: UserGuid,
        since: Timestamp,
        scopes: Scopes,
        challenge: Option<String>,
    ) -> UaaResult<Secret<String>> {
        let secret = random_secret();
        let (code_hash, now) = (hash(secret.expose()), uaa.now());
        let text = |name: &str| self.query.get(name).map(str::to_owned);
        let (redirect_uri, nonce) = (text("redirect_uri"), text("nonce"));
        let client_id = self.client.client_id.clone();
        let known = uaa.db().write_without_wake(move |tx| {
            let user = users::find_user(tx, &guid)?.filter(|user| user.active);
            let Some(user) = user else {
                return Ok::<_, UaaError>(false);
            };
            let code = Code {
                user: guid,
                client_id,
                scopes,
                redirect_uri,
                challenge,
                nonce,
                generation: user.generation,
                authenticated_at: since,
                expires_at: now.plus(lifetime::CODE),
            };
            tokens::prune(tx, now)?;
            tokens::insert_code(tx, &code, &code_hash)?;
            Ok(true)
        });
        if known.await? {
            Ok(secret)
        } else {
            Err(UaaError::invalid_token("the token's user does not exist"))
        }
    }

    /// Redirects the browser to the client with these values and the client's own `state`.
    fn back(&self, values: &[(&str, &str)]) -> UaaResult<Response> {
        let mut url = self.target.url.clone();
        url.query_pairs_mut()
            .extend_pairs(values)
            .extend_pairs(self.query.get("state").map(|state| ("state", state)));
        pages::redirect(url.as_str())
    }
}

async fn find_client(uaa: &Uaa, client_id: &str) -> UaaResult<Client> {
    let asked = client_id.to_owned();
    let found = uaa
        .db()
        .read(move |tx| clients::find_client(tx, &asked))
        .await?;
    match found {
        Some(client) if client.allows(GrantType::AuthorizationCode) => Ok(client),
        Some(_) => Err(UaaError::unauthorized_client(format!(
            "The client {client_id} may not use authorization codes"
        ))),
        None => Err(UaaError::unauthorized_client(format!(
            "No client with requested id: {client_id}"
        ))),
    }
}

/// Only an address the client registered. A client without any gets the code at an address of ours,
/// where it reads the code off the redirect without following it.
fn target(client: &Client, asked: Option<&str>, base: &str) -> UaaResult<Target> {
    let plain = |address: &&String| Url::parse(address).is_ok() && !address.contains('*');
    let mut fixed = client
        .redirect_uris
        .iter()
        .filter(|address| *address != redirects::CONSOLE)
        .filter(plain);
    let (address, own) = match (asked, fixed.next()) {
        (Some(asked), _) if redirects::matches(&client.redirect_uris, asked, base) => {
            (asked.to_owned(), false)
        }
        (Some(_), _) => {
            let text = "redirect_uri is not one of the client's registered values";
            return Err(UaaError::invalid_request(text));
        }
        (None, Some(first)) => (first.clone(), false),
        (None, None) if client.redirect_uris.is_empty() => (format!("{base}/login"), true),
        (None, None) => {
            let text = "A redirect_uri must be supplied.";
            return Err(UaaError::invalid_request(text));
        }
    };
    let url = Url::parse(&address)
        .map_err(|error| UaaError::internal("read a redirect address", &error))?;
    Ok(Target { url, own })
}
