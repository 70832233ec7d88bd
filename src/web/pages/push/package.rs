//! The package of a push.

use serde::Deserialize;
use serde_json::Value;

use crate::web::api::models::ToOne;

/// A package, as far as a push needs it.
#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) guid: String,
    pub(super) state: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) data: Value,
    relationships: OfPackage,
}

#[derive(Deserialize)]
struct OfPackage {
    app: ToOne,
}

impl Package {
    /// Whether what was pushed is here, or was refused.
    pub(super) fn has_come(&self) -> bool {
        self.state != "AWAITING_UPLOAD"
    }

    /// The guid of its app.
    pub(super) fn app(&self) -> &str {
        self.relationships.app.guid()
    }
}
