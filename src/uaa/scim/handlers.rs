//! `/Users` and `/Users/:id`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::payload::{ATTRIBUTES, UserBody};
use super::presenter;
use crate::base::guid::UserGuid;
use crate::db::ReadTx;
use crate::uaa::accounts;
use crate::uaa::caller::{Caller, Id, Query, ScimBody};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{SCIM_CREATE, SCIM_READ, SCIM_WRITE, UAA_ADMIN};
use crate::uaa::search::ListQuery;
use crate::uaa::throttle::Source;
use crate::uaa::users::User;
use crate::uaa::version::{self, Versioned, answer};
use crate::uaa::{Uaa, groups, users};

/// `GET /Users`.
pub(crate) async fn list(
    State(uaa): State<Uaa>,
    caller: Caller,
    Query(query): Query,
) -> UaaResult<Json<Value>> {
    caller.require_any(&[SCIM_READ, UAA_ADMIN])?;
    let query = ListQuery::validate(&query, ATTRIBUTES)?;
    let search = query.search.clone();
    let found = uaa.db().read(move |tx| {
        let (users, total) = users::search_users(tx, &search)?;
        Ok::<_, UaaError>((shown_all(tx, &users)?, total))
    });
    let (users, total) = found.await?;
    Ok(Json(query.present(users, total, presenter::SCHEMA)))
}

/// `POST /Users`.
pub(crate) async fn create(
    State(uaa): State<Uaa>,
    caller: Caller,
    source: Source,
    ScimBody(body): ScimBody<UserBody>,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, SCIM_CREATE, UAA_ADMIN])?;
    let (new, password) = body.into_new()?;
    let hashed = match password {
        Some(password) => Some(uaa.passwords().hash(source, password).await?),
        None => None,
    };
    let (guid, now) = (UserGuid::generate(uaa.guids()), uaa.now());
    let created = uaa.db().write(move |tx| {
        let user = accounts::create(tx, guid, new, hashed.as_ref(), now)?;
        shown(tx, &user)
    });
    Ok(answer(StatusCode::CREATED, created.await?))
}

/// `GET /Users/:id`; users may read themselves.
pub(crate) async fn get(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<UserGuid>,
) -> UaaResult<Response> {
    if !caller.is(&guid) {
        caller.require_any(&[SCIM_READ, UAA_ADMIN])?;
    }
    let found = uaa.db().read(move |tx| {
        let user = existing(tx, &guid)?;
        shown(tx, &user)
    });
    Ok(answer(StatusCode::OK, found.await?))
}

/// `PUT /Users/:id`.
pub(crate) async fn replace(
    state: State<Uaa>,
    caller: Caller,
    id: Id<UserGuid>,
    headers: HeaderMap,
    ScimBody(body): ScimBody<UserBody>,
) -> UaaResult<Response> {
    change(state, caller, id, headers, move |user| body.replace(user)).await
}

/// `PATCH /Users/:id`.
pub(crate) async fn patch(
    state: State<Uaa>,
    caller: Caller,
    id: Id<UserGuid>,
    headers: HeaderMap,
    ScimBody(body): ScimBody<UserBody>,
) -> UaaResult<Response> {
    change(state, caller, id, headers, move |user| body.patch(user)).await
}

async fn change(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<UserGuid>,
    headers: HeaderMap,
    apply: impl FnOnce(&User) -> UaaResult<User> + Send + 'static,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let wanted = version::required(&headers)?;
    let now = uaa.now();
    let changed = uaa.write(move |tx, revocations| {
        let before = existing(tx, &guid)?;
        wanted.check(before.version)?;
        let after = apply(&before)?;
        let after = accounts::update(tx, revocations, &before, after, now)?;
        shown(tx, &after)
    });
    Ok(answer(StatusCode::OK, changed.await?))
}

/// `DELETE /Users/:id`; returns the user, as the CLI needs a body.
pub(crate) async fn delete(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<UserGuid>,
    headers: HeaderMap,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let wanted = version::optional(&headers)?;
    let now = uaa.now();
    let deleted = uaa.write(move |tx, revocations| {
        let user = existing(tx, &guid)?;
        wanted.check(user.version)?;
        let shown = shown(tx, &user)?;
        accounts::delete(tx, revocations, &guid, now)?;
        Ok(shown)
    });
    Ok(answer(StatusCode::OK, deleted.await?))
}

fn existing(tx: &ReadTx<'_>, guid: &UserGuid) -> UaaResult<User> {
    let found = users::find_user(tx, guid)?;
    found.ok_or_else(|| UaaError::no_such_user(guid.as_str()))
}

fn shown(tx: &ReadTx<'_>, user: &User) -> UaaResult<Versioned> {
    let mut shown = shown_all(tx, std::slice::from_ref(user))?;
    Ok(Versioned {
        resource: shown.remove(0),
        version: user.version,
    })
}

/// These users with their groups, with a constant number of queries.
fn shown_all(tx: &ReadTx<'_>, users: &[User]) -> UaaResult<Vec<Value>> {
    let guids: Vec<&UserGuid> = users.iter().map(|user| &user.guid).collect();
    let own = groups::memberships(tx, &guids)?;
    let of_everybody = groups::of_everybody(tx)?;
    let shown = users.iter().map(|user| {
        let own = own.get(&user.guid).into_iter().flatten();
        presenter::present(user, own.chain(&of_everybody))
    });
    Ok(shown.collect())
}
