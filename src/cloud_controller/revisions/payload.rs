//! Bodies and queries of revisions.

use crate::cloud_controller::v3::{
    ApiError, ApiResult, Body, ListQuery, ListRules, MetadataChange,
};

pub(super) const LIST: ListRules = ListRules::new(&["versions"]).extras(&["deployable"]);

/// Of those that are running there is nothing to choose from.
pub(super) const LIST_DEPLOYED: ListRules = ListRules::new(&[]);

/// `deployable=true`.
pub(super) fn deployable(query: &ListQuery) -> ApiResult<Option<bool>> {
    match query.raw("deployable") {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(ApiError::bad_query("Deployable must be a boolean")),
    }
}

/// `PATCH /v3/revisions/:guid`: only metadata can change.
pub(super) fn update(mut body: Body) -> ApiResult<MetadataChange> {
    let metadata = body.metadata();
    body.finish()?;
    Ok(metadata)
}
