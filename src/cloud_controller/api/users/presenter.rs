//! JSON of users.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::model::users::User;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// `/v3/users/:guid`.
pub(super) fn one(tx: &ReadTx<'_>, user: &User, urls: &Urls) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::User, user.guid.as_str())?;
    Ok(present(user, &metadata, urls))
}

/// Several, for a constant number of queries.
pub(super) fn all(tx: &ReadTx<'_>, users: &[User], urls: &Urls) -> Result<Vec<Value>> {
    let guids = users.iter().map(|user| user.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::User, guids)?;
    let shown = users
        .iter()
        .map(|user| present(user, metadata.of(user.guid.as_str()), urls));
    Ok(shown.collect())
}

/// For `include=user`.
pub(crate) fn by_guids(tx: &ReadTx<'_>, guids: &[String], urls: &Urls) -> Result<Vec<Value>> {
    all(tx, &model::users::by_guids(tx, guids)?, urls)
}

fn present(user: &User, metadata: &Metadata, urls: &Urls) -> Value {
    json!({
        "guid": user.guid,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "username": user.name,
        "presentation_name": user.name.as_deref().unwrap_or(user.guid.as_str()),
        "origin": user.origin,
        "metadata": metadata.present(),
        "links": { "self": urls.link(&format!("/v3/users/{}", escaped(user.guid.as_str()))) },
    })
}

/// Guids of users and names of clients may hold anything.
fn escaped(guid: &str) -> String {
    const KEEP: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(guid, KEEP).to_string()
}
