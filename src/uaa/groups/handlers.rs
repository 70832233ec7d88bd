//! `/Groups` and `/Groups/:id`. Reading needs `scim.read`, writing `scim.write`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::payload::{ATTRIBUTES, GroupBody, MemberChange};
use super::presenter::{SCHEMA, present};
use super::{Group, GroupGuid, actions, store};
use crate::db::ReadTx;
use crate::uaa::Uaa;
use crate::uaa::caller::{Caller, Id, Query, ScimBody};
use crate::uaa::error::UaaResult;
use crate::uaa::scopes::{SCIM_READ, SCIM_WRITE, UAA_ADMIN};
use crate::uaa::search::ListQuery;
use crate::uaa::version::{self, Versioned, answer};

/// `GET /Groups`.
pub(crate) async fn list(
    State(uaa): State<Uaa>,
    caller: Caller,
    Query(query): Query,
) -> UaaResult<Json<Value>> {
    caller.require_any(&[SCIM_READ, UAA_ADMIN])?;
    let query = ListQuery::validate(&query, ATTRIBUTES)?;
    let search = query.search.clone();
    let found = uaa.db().read(move |tx| {
        let (groups, total) = store::list(tx, &search)?;
        let members = store::members(tx, &groups)?;
        let shown = groups.iter().map(|group| {
            let members = members.get(&group.name).map_or(&[][..], Vec::as_slice);
            present(group, members)
        });
        Ok::<_, crate::uaa::UaaError>((shown.collect::<Vec<Value>>(), total))
    });
    let (groups, total) = found.await?;
    Ok(Json(query.present(groups, total, SCHEMA)))
}

/// `POST /Groups`.
pub(crate) async fn create(
    State(uaa): State<Uaa>,
    caller: Caller,
    ScimBody(body): ScimBody<GroupBody>,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let (name, description, members) = body.into_new()?;
    let now = uaa.now();
    let group = Group {
        guid: GroupGuid::generate(uaa.guids()),
        name,
        description,
        version: 0,
        created_at: now,
        updated_at: now,
    };
    let created = uaa.db().write_without_wake(move |tx| {
        let group = actions::create(tx, group, &members, now)?;
        shown(tx, &group)
    });
    Ok(answer(StatusCode::CREATED, created.await?))
}

/// `GET /Groups/:id`.
pub(crate) async fn get(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<GroupGuid>,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_READ, UAA_ADMIN])?;
    let found = uaa.db().read(move |tx| {
        let group = actions::existing(tx, &guid)?;
        shown(tx, &group)
    });
    Ok(answer(StatusCode::OK, found.await?))
}

/// `PUT /Groups/:id`.
pub(crate) async fn replace(
    state: State<Uaa>,
    caller: Caller,
    id: Id<GroupGuid>,
    headers: HeaderMap,
    ScimBody(body): ScimBody<GroupBody>,
) -> UaaResult<Response> {
    change(state, caller, id, headers, move |group| body.replace(group)).await
}

/// `PATCH /Groups/:id`.
pub(crate) async fn patch(
    state: State<Uaa>,
    caller: Caller,
    id: Id<GroupGuid>,
    headers: HeaderMap,
    ScimBody(body): ScimBody<GroupBody>,
) -> UaaResult<Response> {
    change(state, caller, id, headers, move |group| body.patch(group)).await
}

async fn change(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<GroupGuid>,
    headers: HeaderMap,
    apply: impl FnOnce(&Group) -> UaaResult<(Group, Vec<MemberChange>)> + Send + 'static,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let wanted = version::required(&headers)?;
    let now = uaa.now();
    let changed = uaa.db().write_without_wake(move |tx| {
        let before = actions::existing(tx, &guid)?;
        wanted.check(before.version)?;
        let (after, changes) = apply(&before)?;
        let after = actions::update(tx, &before, after, &changes, now)?;
        shown(tx, &after)
    });
    Ok(answer(StatusCode::OK, changed.await?))
}

/// `DELETE /Groups/:id`; returns the group.
pub(crate) async fn delete(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<GroupGuid>,
    headers: HeaderMap,
) -> UaaResult<Response> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let wanted = version::optional(&headers)?;
    let deleted = uaa.db().write_without_wake(move |tx| {
        let group = actions::existing(tx, &guid)?;
        wanted.check(group.version)?;
        let shown = shown(tx, &group)?;
        actions::delete(tx, &group)?;
        Ok::<_, crate::uaa::UaaError>(shown)
    });
    Ok(answer(StatusCode::OK, deleted.await?))
}

fn shown(tx: &ReadTx<'_>, group: &Group) -> UaaResult<Versioned> {
    let mut members = store::members(tx, std::slice::from_ref(group))?;
    let members = members.remove(&group.name).unwrap_or_default();
    Ok(Versioned {
        resource: present(group, &members),
        version: group.version,
    })
}
