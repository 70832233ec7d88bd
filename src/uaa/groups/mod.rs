//! Groups: their names are scopes, and members' tokens may carry them.

pub(crate) mod store;

use super::scopes;
use crate::base::Timestamp;
use crate::db::{DbError, WriteTx};

/// Writes the groups that every platform has.
pub(crate) fn seed(tx: &WriteTx<'_>, now: Timestamp) -> Result<(), DbError> {
    let all = [
        scopes::OF_EVERY_USER,
        scopes::OF_ADMINISTRATORS,
        scopes::ON_REQUEST,
    ];
    for name in all.into_iter().flatten() {
        store::ensure(tx, name, now)?;
    }
    Ok(())
}
