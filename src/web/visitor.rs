//! Who asks for a page, and how.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::sync::OnceCell;

use super::Console;
use super::api::Api;
use super::api::models::Role;
use super::fmt;
use super::session::Session;
use super::session::cookies::Cookie;
use super::show::{Refused, go_on};
use crate::net::RequestBase;

/// The address under which the browser sees this server.
pub(super) struct Origin(pub(super) RequestBase);

impl FromRequestParts<Console> for Origin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Console) -> Result<Self, Refused> {
        let base = parts.extensions.get::<RequestBase>().cloned();
        base.map(Self)
            .ok_or_else(|| Refused::internal("a request without its address"))
    }
}

/// A signed-in user and the API as this user sees it.
#[derive(Clone)]
pub(super) struct Visitor {
    pub(super) console: Console,
    pub(super) session: Session,
    pub(super) api: Api,
    base: RequestBase,
    /// Commits before the request was read.
    pub(super) sequence: u64,
    /// Path and query of the page.
    pub(super) page: String,
    /// The user's choice of colors; empty = the system's.
    pub(super) theme: &'static str,
    roles: Arc<OnceCell<Vec<Role>>>,
}

/// What a page answers instead of itself.
pub(super) enum NoVisitor {
    /// To the sign-in, or to the page itself.
    Elsewhere(Box<Response>),
    Refused(Refused),
}

impl IntoResponse for NoVisitor {
    fn into_response(self) -> Response {
        match self {
            Self::Elsewhere(response) => *response,
            Self::Refused(refused) => refused.into_response(),
        }
    }
}

impl From<Refused> for NoVisitor {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl FromRequestParts<Console> for Visitor {
    type Rejection = NoVisitor;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, NoVisitor> {
        let Origin(base) = Origin::from_request_parts(parts, console).await?;
        let sequence = *console.parts().db.changes().borrow();
        let page = parts
            .uri
            .path_and_query()
            .map_or("/console", |path| path.as_str());
        let secret = console.jar(&base).read(Cookie::Session, &parts.headers);
        let session = match secret {
            Some(secret) => console
                .session(&base, secret)
                .await
                .map_err(|error| NoVisitor::Refused(error.into()))?,
            None => None,
        };
        let Some(session) = session else {
            return Err(sign_in(&parts.method, &parts.headers, page));
        };
        Ok(Self {
            api: Api::new(console.clone(), base.clone(), &session.access),
            console: console.clone(),
            session,
            base,
            sequence,
            page: page.to_owned(),
            theme: theme(&parts.headers),
            roles: Arc::default(),
        })
    }
}

/// Sends a browser to the sign-in, and tells a script that there is no session.
fn sign_in(method: &Method, headers: &HeaderMap, page: &str) -> NoVisitor {
    let stream = HeaderValue::from_static("text/event-stream");
    let is_stream = headers.get(header::ACCEPT) == Some(&stream);
    if is_script(headers) || is_stream || *method != Method::GET {
        let text = "Your session has ended. Reload the page to sign in again.";
        return Refused::of(StatusCode::UNAUTHORIZED, "Signed out", text).into();
    }
    // The cookie of a session does not come with a link on another site; it comes with our own.
    let site = headers.get("sec-fetch-site");
    let answer = if site.is_some_and(|site| site == "cross-site") {
        go_on(page)
    } else {
        HeaderValue::from_str(&format!("/console/login?next={}", fmt::query(page)))
            .map(|location| (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
            .map_err(|error| Refused::internal(&error.to_string()))
    };
    match answer {
        Ok(response) => NoVisitor::Elsewhere(Box::new(response)),
        Err(refused) => refused.into(),
    }
}

/// Whether a script of ours asks, which wants JSON for what is no page.
pub(super) fn is_script(headers: &HeaderMap) -> bool {
    headers.contains_key("x-cflite-script")
}

fn theme(headers: &HeaderMap) -> &'static str {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut cookies = cookies.filter_map(|line| line.to_str().ok());
    let chosen = cookies.find_map(|line| {
        let mut pairs = line
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.find_map(|(name, value)| (name == "cflite-theme").then_some(value))
    });
    match chosen {
        Some("dark") => "dark",
        Some("light") => "light",
        _ => "",
    }
}

/// What a user may do in a space.
#[derive(Clone, Copy, Default)]
pub(super) struct InSpace {
    /// Change apps, routes and services.
    pub(super) develop: bool,
    /// Change the space and its roles.
    pub(super) manage: bool,
    /// Restart apps and their instances.
    pub(super) support: bool,
}

impl Visitor {
    /// The origin of this request.
    pub(super) fn base(&self) -> &RequestBase {
        &self.base
    }

    /// The guid of the user.
    pub(super) fn user_guid(&self) -> &str {
        &self.session.claims.subject
    }

    /// The name of the user.
    pub(super) fn user_name(&self) -> &str {
        let claims = &self.session.claims;
        claims.user_name.as_deref().unwrap_or(&claims.client_id)
    }

    /// Whether the user administers the platform.
    pub(super) fn is_admin(&self) -> bool {
        self.session.claims.has_scope("cloud_controller.admin")
    }

    /// Whether the user reads everything.
    pub(super) fn sees_all(&self) -> bool {
        self.session.claims.has_any_scope(&[
            "cloud_controller.admin",
            "cloud_controller.admin_read_only",
            "cloud_controller.global_auditor",
        ])
    }

    /// The roles of the user, read once for a page.
    pub(super) async fn roles(&self) -> Result<&[Role], Refused> {
        let read = || async {
            let path = format!("/v3/roles?user_guids={}", self.user_guid());
            Ok::<_, Refused>(self.api.all::<Role>(&path, 4).await?.resources)
        };
        Ok(self.roles.get_or_try_init(read).await?)
    }

    /// What the user may do in a space of an organization.
    pub(super) async fn in_space(
        &self,
        space: &str,
        organization: &str,
    ) -> Result<InSpace, Refused> {
        if self.is_admin() {
            return Ok(InSpace {
                develop: true,
                manage: true,
                support: true,
            });
        }
        let roles = self.roles().await?;
        let has = |kind: &str| {
            roles.iter().any(|role| {
                role.kind == kind
                    && (role.relationships.space.guid() == space
                        || kind.starts_with("organization")
                            && role.relationships.organization.guid() == organization)
            })
        };
        let develop = has("space_developer");
        Ok(InSpace {
            develop,
            manage: has("space_manager") || has("organization_manager"),
            support: develop || has("space_supporter"),
        })
    }

    /// Whether the user manages an organization.
    pub(super) async fn manages(&self, organization: &str) -> Result<bool, Refused> {
        if self.is_admin() {
            return Ok(true);
        }
        let roles = self.roles().await?;
        Ok(roles.iter().any(|role| {
            role.kind == "organization_manager"
                && role.relationships.organization.guid() == organization
        }))
    }
}
