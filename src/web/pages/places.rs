//! Where a user may do something.

use serde::Deserialize;

use super::apps::{Choice, spaces};
use crate::web::api::models::ToOne;
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

#[derive(Deserialize)]
struct Role {
    relationships: OfRole,
}

#[derive(Deserialize)]
struct OfRole {
    #[serde(default)]
    space: ToOne,
}

/// The spaces in which the user may develop, by organization and name.
pub(super) async fn develops(visitor: &Visitor) -> Result<Vec<Choice>, Refused> {
    let mut all = spaces(visitor).await?;
    if !visitor.is_admin() {
        let user = visitor.user_guid();
        let path = format!("/v3/roles?types=space_developer&user_guids={user}");
        let roles = visitor.api.all::<Role>(&path, 2).await?.resources;
        let has = |guid: &str| {
            let mut places = roles.iter().map(|role| role.relationships.space.guid());
            places.any(|space| space == guid)
        };
        all.retain(|space| has(&space.guid));
    }
    Ok(all)
}
