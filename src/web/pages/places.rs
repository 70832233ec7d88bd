//! Where a user may do something.

use super::apps::{Choice, spaces};
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

/// The spaces in which the user may develop, by organization and name.
pub(super) async fn develops(visitor: &Visitor) -> Result<Vec<Choice>, Refused> {
    let mut all = spaces(visitor).await?;
    if !visitor.is_admin() {
        let roles = visitor.roles().await?;
        let has = |guid: &str| {
            let mut developer = roles.iter().filter(|role| role.kind == "space_developer");
            developer.any(|role| role.relationships.space.guid() == guid)
        };
        all.retain(|space| has(&space.guid));
    }
    Ok(all)
}
