//! `/Users` and `/Users/:id`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use super::payload::{ListQuery, UserBody};
use super::{presenter, store};
use crate::base::guid::UserGuid;
use crate::db::ReadTx;
use crate::uaa::caller::{Caller, Id, Query, ScimBody};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{SCIM_CREATE, SCIM_READ, SCIM_WRITE, UAA_ADMIN};
use crate::uaa::users::{User, actions};
use crate::uaa::{Uaa, groups, users};

/// `GET /Users`.
pub(crate) async fn list(
    State(uaa): State<Uaa>,
    caller: Caller,
    Query(query): Query,
) -> UaaResult<Json<Value>> {
    caller.require_any(&[SCIM_READ, UAA_ADMIN])?;
    let ListQuery {
        search,
        start,
        attributes,
    } = ListQuery::validate(&query)?;
    let limit = search.limit;
    let found = uaa.db().read(move |tx| {
        let (users, total) = store::search(tx, &search)?;
        let users = users.iter().map(|user| Ok(shown(tx, user)?.0));
        Ok::<_, UaaError>((users.collect::<UaaResult<Vec<Value>>>()?, total))
    });
    let (mut users, total) = found.await?;
    if !attributes.is_empty() {
        let selected = users
            .into_iter()
            .map(|user| presenter::select(user, &attributes));
        users = selected.collect();
    }
    Ok(Json(presenter::present_list(&users, start, limit, total)))
}

/// `POST /Users`.
pub(crate) async fn create(
    State(uaa): State<Uaa>,
    caller: Caller,
    ScimBody(body): ScimBody<UserBody>,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, SCIM_CREATE, UAA_ADMIN])?;
    let (new, password) = body.into_new()?;
    let hashed = match password {
        Some(password) => Some(uaa.passwords().hash(password).await?),
        None => None,
    };
    let (guid, now) = (UserGuid::generate(uaa.guids()), uaa.now());
    let created = uaa.db().write(move |tx| {
        let user = actions::create(tx, guid, new, hashed.as_ref(), now)?;
        shown(tx, &user)
    });
    Ok(answer(StatusCode::CREATED, created.await?))
}

/// `GET /Users/:id`; everybody may see themselves.
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
    let wanted = wanted_version(&headers)?;
    let wanted = wanted.ok_or_else(|| UaaError::bad_scim("Missing If-Match header"))?;
    let now = uaa.now();
    let changed = uaa.write(move |tx, revocations| {
        let before = existing(tx, &guid)?;
        wanted.check(&before)?;
        let after = apply(&before)?;
        let after = actions::update(tx, revocations, &before, after, now)?;
        shown(tx, &after)
    });
    Ok(answer(StatusCode::OK, changed.await?))
}

/// `DELETE /Users/:id`; answers the user, as the CLI needs a body.
pub(crate) async fn delete(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<UserGuid>,
    headers: HeaderMap,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let wanted = wanted_version(&headers)?;
    let now = uaa.now();
    let deleted = uaa.write(move |tx, revocations| {
        let user = existing(tx, &guid)?;
        if let Some(wanted) = wanted {
            wanted.check(&user)?;
        }
        let shown = shown(tx, &user)?;
        actions::delete(tx, revocations, &guid, now)?;
        Ok(shown)
    });
    Ok(answer(StatusCode::OK, deleted.await?))
}

/// Which version of a user a change is based on.
enum Version {
    Any,
    Exactly(i64),
}

impl Version {
    fn check(&self, user: &User) -> UaaResult<()> {
        match self {
            Self::Exactly(asked) if *asked != user.version => {
                Err(UaaError::version_conflict(user.version, *asked))
            }
            Self::Any | Self::Exactly(_) => Ok(()),
        }
    }
}

fn wanted_version(headers: &HeaderMap) -> UaaResult<Option<Version>> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("").trim().trim_matches('"');
    match text.parse() {
        _ if text == "*" => Ok(Some(Version::Any)),
        Ok(version) => Ok(Some(Version::Exactly(version))),
        Err(_) => Err(UaaError::bad_scim("If-Match must be a version or *")),
    }
}

fn existing(tx: &ReadTx<'_>, guid: &UserGuid) -> UaaResult<User> {
    let found = users::store::find_user(tx, guid)?;
    found.ok_or_else(|| UaaError::no_such_user(guid.as_str()))
}

fn shown(tx: &ReadTx<'_>, user: &User) -> UaaResult<(Value, i64)> {
    let groups = groups::store::groups_of(tx, &user.guid)?;
    Ok((presenter::present(user, &groups), user.version))
}

fn answer(status: StatusCode, (user, version): (Value, i64)) -> Response {
    let mut response = (status, Json(user)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
