//! Users as Cloud Controller shows them: UAA's users seen from the API. Clients with roles show
//! without a name.

mod members;
pub(crate) mod store;

use axum::extract::{Path, RawQuery};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::v3::{
    ApiError, ApiResult, Body, Context, JsonBody, ListQuery, ListRules, Metadata, ResourceType,
    Urls,
};
use super::{CloudController, jobs, roles};
use crate::base::guid::UserGuid;
use crate::db::ReadTx;

const LIST: ListRules = ListRules::new(&["usernames", "partial_usernames", "origins"]);

/// `/v3/users`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/users", get(list).post(create))
        .route(
            "/v3/organizations/{guid}/users",
            get(members::of_organization),
        )
        .route("/v3/spaces/{guid}/users", get(members::of_space))
        .route("/v3/users/{guid}", get(show).delete(delete))
}

/// A user or client with an entry here.
#[derive(Debug, Clone)]
pub(crate) struct User {
    guid: UserGuid,
    name: Option<String>,
    origin: Option<String>,
    created_at: crate::base::Timestamp,
    updated_at: crate::base::Timestamp,
}

/// For `include=user`.
pub(crate) fn present_by_guids(
    tx: &ReadTx<'_>,
    guids: &[String],
    urls: &Urls,
) -> ApiResult<Vec<Value>> {
    present_all(tx, &store::by_guids(tx, guids)?, urls)
}

/// Many, with their metadata.
fn present_all(tx: &ReadTx<'_>, users: &[User], urls: &Urls) -> ApiResult<Vec<Value>> {
    let guids = users.iter().map(|user| user.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::User, guids)?;
    let shown = users
        .iter()
        .map(|user| present_with(user, metadata.of(user.guid.as_str()), urls));
    Ok(shown.collect())
}

fn present(tx: &ReadTx<'_>, user: &User, urls: &Urls) -> ApiResult<Value> {
    let metadata = Metadata::load(tx, ResourceType::User, user.guid.as_str())?;
    Ok(present_with(user, &metadata, urls))
}

fn present_with(user: &User, metadata: &Metadata, urls: &Urls) -> Value {
    json!({
        "guid": user.guid,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "username": user.name,
        "presentation_name": user.name.as_deref().unwrap_or(user.guid.as_str()),
        "origin": user.origin,
        "metadata": metadata.present(),
        "links": { "self": urls.link(&format!("/v3/users/{}", user.guid)) },
    })
}

/// 400 when filters by name and origin do not go together.
fn check_names(query: &ListQuery) -> ApiResult<()> {
    let named = query.raw("usernames").is_some();
    let partly = query.raw("partial_usernames").is_some();
    if query.raw("origins").is_some() && !named && !partly {
        return Err(ApiError::bad_query(
            "Origins filter cannot be provided without usernames or partial_usernames filter.",
        ));
    }
    if named && partly {
        return Err(ApiError::bad_query(
            "Usernames filter cannot be provided with both usernames and partial_usernames filter.",
        ));
    }
    Ok(())
}

async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse(query.as_deref(), &LIST)?;
    check_names(&query)?;
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let found = store::list_visible(tx, &caller, &query)?;
            let shown = present_all(tx, &found.rows, &urls)?;
            let body = found.present_values(&query, &urls, "/v3/users", shown);
            Ok::<_, ApiError>(Json(body))
        })
        .await
}

async fn show(ctx: Context, Path(guid): Path<UserGuid>) -> ApiResult<Json<Value>> {
    let Context {
        cc, caller, urls, ..
    } = ctx;
    cc.db()
        .read(move |tx| {
            let user = store::find_visible(tx, &caller, &guid)?
                .ok_or_else(|| ApiError::not_found("User"))?;
            present(tx, &user, &urls).map(Json)
        })
        .await
}

/// `POST /v3/users {"guid"}`: enters an existing UAA user or client; 422 when entered already.
async fn create(ctx: Context, JsonBody(body): JsonBody) -> ApiResult<(StatusCode, Json<Value>)> {
    let (guid, metadata) = create_payload(body)?;
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    cc.db()
        .write(move |tx| {
            caller.must_be_admin()?;
            store::enter(tx, &guid, now)?;
            metadata.store(tx, ResourceType::User, guid.as_str())?;
            let user = store::find_visible(tx, &caller, &guid)?
                .ok_or_else(|| ApiError::not_found("User"))?;
            Ok((StatusCode::CREATED, Json(present(tx, &user, &urls)?)))
        })
        .await
}

fn create_payload(mut body: Body) -> ApiResult<(UserGuid, super::v3::MetadataChange)> {
    let guid = body.string("guid");
    let (name, origin) = (body.string("username"), body.string("origin"));
    match &guid {
        Some(guid) if !(1..=200).contains(&guid.chars().count()) => {
            body.invalid
                .field("guid", "must be between 1 and 200 characters");
        }
        Some(_) => {
            for (field, given) in [("username", name.is_some()), ("origin", origin.is_some())] {
                if given {
                    body.invalid.field(field, "cannot be provided with 'guid'");
                }
            }
        }
        None if body.invalid.is_empty() => {
            body.invalid
                .field("guid", "or 'username' and 'origin' must be provided");
        }
        None => {}
    }
    let metadata = body.metadata();
    body.finish()?;
    Ok((guid.unwrap_or_default().into(), metadata))
}

async fn delete(ctx: Context, Path(guid): Path<UserGuid>) -> ApiResult<Response> {
    let Context {
        cc,
        caller,
        urls,
        now,
    } = ctx;
    let guids = cc.guids().clone();
    cc.db()
        .write(move |tx| {
            store::find_visible(tx, &caller, &guid)?.ok_or_else(|| ApiError::not_found("User"))?;
            caller.must_be_admin()?;
            roles::store::delete_of_user(tx, &guid)?;
            store::leave(tx, &guid)?;
            Metadata::remove(tx, ResourceType::User, guid.as_str())?;
            let job = jobs::record_complete(tx, "user.delete", now, &guids)?;
            Ok(jobs::accepted(&job, &urls))
        })
        .await
}
