//! Users' consent for clients. The platform's clients do not need it; others need it once for each
//! set of scopes, unless an administrator made them trusted (`autoapprove`).

use axum::response::Response;
use http::StatusCode;
use url::Url;

use crate::base::guid::UserGuid;
use crate::uaa::Uaa;
use crate::uaa::clients::Client;
use crate::uaa::error::UaaResult;
use crate::uaa::lifetime;
use crate::uaa::pages::consent::ApprovePage;
use crate::uaa::pages::{Frame, show};
use crate::uaa::scopes::Scopes;
use crate::uaa::sessions::{self, Session};

/// The scopes of `wanted` that the user has not approved yet.
pub(super) async fn unapproved(
    uaa: &Uaa,
    client: &Client,
    user: &UserGuid,
    wanted: &Scopes,
) -> UaaResult<Scopes> {
    let left = client.auto_approve.leaves(wanted);
    if left.is_empty() {
        return Ok(left);
    }
    let (user, client_id, now) = (user.clone(), client.client_id.clone(), uaa.now());
    let approved = uaa
        .db()
        .read(move |tx| sessions::approved(tx, &user, &client_id, now));
    Ok(left.without(&approved.await?))
}

/// Stores the user's consent.
pub(super) async fn record(
    uaa: &Uaa,
    client: &Client,
    user: &UserGuid,
    scopes: &Scopes,
) -> UaaResult<()> {
    let (user, client_id, scopes) = (user.clone(), client.client_id.clone(), scopes.clone());
    let until = uaa.now().plus(lifetime::APPROVAL);
    uaa.db()
        .write_without_wake(move |tx| sessions::approve(tx, &user, &client_id, &scopes, until))
        .await?;
    Ok(())
}

/// Shows the consent page for a code that goes to `target`. `request` is the query to return to.
pub(super) fn page(
    session: &Session,
    client: &Client,
    scopes: &Scopes,
    target: &Url,
    request: &str,
) -> UaaResult<Response> {
    let page = ApprovePage {
        frame: Frame::new(),
        client: &client.name,
        user_name: &session.user.user_name,
        scopes: scopes.iter().collect(),
        target: target.as_str(),
        request,
        csrf: &session.csrf,
    };
    show(StatusCode::OK, &page)
}
