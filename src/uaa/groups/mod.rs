//! Groups: their names are scopes that the tokens of their members may carry.
//!
//! Some groups contain every user without a row ([`scopes::OF_EVERY_USER`]); members of the others
//! are rows. The platform's own groups cannot be deleted or renamed. Groups contain users only, not
//! other groups.

pub(crate) mod actions;
pub(crate) mod handlers;
pub(crate) mod members;
pub(crate) mod payload;
pub(crate) mod presenter;
mod store;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::get;

pub(crate) use store::{Named, add_member, groups_of, memberships, of_everybody};

use super::error::{UaaError, UaaResult};
use super::{Uaa, scopes};
use crate::base::{GuidSource, Timestamp};
use crate::db::{DbError, WriteTx};

crate::guid_types! {
    /// A group's guid.
    GroupGuid,
}

/// `/Groups`.
pub(crate) fn routes() -> Router<Uaa> {
    Router::new()
        .route("/Groups", get(handlers::list).post(handlers::create))
        .route(
            "/Groups/{guid}",
            get(handlers::get)
                .put(handlers::replace)
                .patch(handlers::patch)
                .delete(handlers::delete),
        )
        .route(
            "/Groups/{guid}/members",
            get(members::list).post(members::add),
        )
        .route(
            "/Groups/{guid}/members/{user}",
            get(members::get).delete(members::remove),
        )
}

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) guid: GroupGuid,
    /// The scope.
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Incremented with every change, for `If-Match`.
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// Groups the platform itself depends on.
fn of_the_platform() -> impl Iterator<Item = &'static str> {
    let all = [
        scopes::OF_EVERY_USER,
        scopes::OF_ADMINISTRATORS,
        scopes::ON_REQUEST,
    ];
    all.into_iter().flatten().copied()
}

impl Group {
    fn is_of_the_platform(&self) -> bool {
        of_the_platform().any(|name| name == self.name)
    }

    fn holds_everybody(&self) -> bool {
        scopes::OF_EVERY_USER.contains(&self.name.as_str())
    }
}

/// Checks a group's name, which has to be a valid scope.
fn validate_name(name: &str) -> UaaResult<()> {
    if name.is_empty() {
        return Err(UaaError::invalid_scim("A group must have a displayName."));
    }
    let plain = |c: char| c.is_ascii_graphic() && !['"', '\\', ','].contains(&c);
    if name.len() > 255 || !name.chars().all(plain) {
        return Err(UaaError::invalid_scim(
            "displayName must be at most 255 printable ASCII characters without blanks, commas, \
             quotation marks and backslashes.",
        ));
    }
    Ok(())
}

/// Creates the groups that every platform has.
pub(crate) fn seed(tx: &WriteTx<'_>, guids: &GuidSource, now: Timestamp) -> Result<(), DbError> {
    for name in of_the_platform() {
        store::ensure(tx, &GroupGuid::generate(guids), name, now)?;
    }
    Ok(())
}
