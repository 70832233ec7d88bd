//! Bodies and queries of revisions.

use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::{ListQuery, ListRules};

pub(crate) const LIST: ListRules = ListRules::new(&["versions"]).extras(&["deployable"]);

/// The list of deployed revisions has no filters.
pub(crate) const LIST_DEPLOYED: ListRules = ListRules::new(&[]);

/// `deployable=true`.
pub(crate) fn deployable(query: &ListQuery) -> Result<Option<bool>> {
    match query.raw("deployable") {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Error::bad_query("Deployable must be a boolean")),
    }
}

/// `PATCH /v3/revisions/:guid`: only metadata can change.
pub(crate) fn update(mut body: Body) -> Result<MetadataChange> {
    let metadata = body.metadata();
    body.finish()?;
    Ok(metadata)
}
