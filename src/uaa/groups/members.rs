//! `/Groups/:id/members`: who is in a group.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::Value;

use super::actions;
use super::payload::MemberBody;
use super::presenter::present_member;
use super::store::{self, Member};
use super::{Group, GroupGuid};
use crate::base::guid::UserGuid;
use crate::db::ReadTx;
use crate::uaa::caller::{Caller, Id, ScimBody};
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::scopes::{SCIM_READ, SCIM_WRITE, UAA_ADMIN};
use crate::uaa::{Uaa, users};

/// `GET /Groups/:id/members`.
pub(crate) async fn list(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<GroupGuid>,
) -> UaaResult<Json<Vec<Value>>> {
    caller.require_any(&[SCIM_READ, UAA_ADMIN])?;
    let found = uaa.db().read(move |tx| {
        let group = actions::existing(tx, &guid)?;
        members(tx, &group)
    });
    Ok(Json(found.await?.iter().map(present_member).collect()))
}

/// `POST /Groups/:id/members`.
pub(crate) async fn add(
    State(uaa): State<Uaa>,
    caller: Caller,
    Id(guid): Id<GroupGuid>,
    ScimBody(body): ScimBody<MemberBody>,
) -> UaaResult<(StatusCode, Json<Value>)> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let user = body.into_user()?;
    let now = uaa.now();
    let added = uaa.db().write_without_wake(move |tx| {
        let group = actions::existing(tx, &guid)?;
        if !actions::add_member(tx, &group, &user, now)? {
            return Err(UaaError::member_exists(user.as_str(), &group.name));
        }
        member(tx, &user)
    });
    Ok((StatusCode::CREATED, Json(present_member(&added.await?))))
}

/// `GET /Groups/:id/members/:user`.
pub(crate) async fn get(
    State(uaa): State<Uaa>,
    caller: Caller,
    Path((guid, user)): Path<(GroupGuid, UserGuid)>,
) -> UaaResult<Json<Value>> {
    caller.require_any(&[SCIM_READ, UAA_ADMIN])?;
    let found = uaa.db().read(move |tx| {
        let group = actions::existing(tx, &guid)?;
        let mut members = members(tx, &group)?.into_iter();
        let found = members.find(|member| member.user == user);
        found.ok_or_else(|| no_member(&user, &group))
    });
    Ok(Json(present_member(&found.await?)))
}

/// `DELETE /Groups/:id/members/:user`; returns the member.
pub(crate) async fn remove(
    State(uaa): State<Uaa>,
    caller: Caller,
    Path((guid, user)): Path<(GroupGuid, UserGuid)>,
) -> UaaResult<Json<Value>> {
    caller.require_any(&[SCIM_WRITE, UAA_ADMIN])?;
    let removed = uaa.db().write_without_wake(move |tx| {
        let group = actions::existing(tx, &guid)?;
        if group.holds_everybody() {
            return Err(UaaError::access_denied(format!(
                "Every user belongs to the group {}",
                group.name
            )));
        }
        if !store::remove_member(tx, &group.name, &user)? {
            return Err(no_member(&user, &group));
        }
        member(tx, &user)
    });
    Ok(Json(present_member(&removed.await?)))
}

fn members(tx: &ReadTx<'_>, group: &Group) -> UaaResult<Vec<Member>> {
    let mut found = store::members(tx, std::slice::from_ref(group))?;
    Ok(found.remove(&group.name).unwrap_or_default())
}

fn member(tx: &ReadTx<'_>, user: &UserGuid) -> UaaResult<Member> {
    let found = users::find_user(tx, user)?;
    let found = found.ok_or_else(|| UaaError::no_such_user(user.as_str()))?;
    Ok(Member {
        user: found.guid,
        origin: found.origin,
    })
}

fn no_member(user: &UserGuid, group: &Group) -> UaaError {
    UaaError::no_such_scim(format!("User {user} is not in the group {}", group.name))
}
