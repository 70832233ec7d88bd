//! Whose lines are asked for, and whether the user may read them.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;

use super::asked::Asked;
use super::line::Style;
use crate::logs::{LogAccess, Readable};
use crate::web::api::models::Named;
use crate::web::fmt;
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

/// Sources whose lines a user may read.
#[derive(Clone)]
pub(in crate::web) struct Scope {
    access: Arc<dyn LogAccess>,
    authorization: String,
    /// `None` = all there are.
    sources: Option<BTreeSet<Arc<str>>>,
    style: Style,
    reads_all: bool,
}

impl Scope {
    /// One app or service instance that the user may see.
    pub(in crate::web) async fn of_one(visitor: &Visitor, guid: &str) -> Result<Self, Refused> {
        let scope = Self::new(visitor, Some([Arc::from(guid)].into()), Style::default());
        if scope.holds().await {
            return Ok(scope);
        }
        let text = "You may see this app, but its logs need the role Space Developer, Space Manager, \
                    Space Auditor, Space Supporter or Organization Manager.";
        Err(Refused::of(StatusCode::FORBIDDEN, "Not allowed", text))
    }

    /// What the explorer's address names: apps, a space or everything that the user may read.
    pub(in crate::web) async fn of_asked(
        visitor: &Visitor,
        asked: &Asked,
    ) -> Result<Self, Refused> {
        let style = Style {
            names: true,
            place: asked.place().into(),
        };
        let scope = Self::new(visitor, None, style);
        let readable = scope.access.all_readable(Some(&scope.authorization)).await;
        let wanted = match (asked.apps.is_empty(), asked.space.is_empty()) {
            (true, true) => None,
            (true, false) => Some(in_space(visitor, &asked.space).await?),
            (false, _) => Some(asked.apps.iter().cloned().collect()),
        };
        let reads_all = readable == Readable::Everything;
        let sources: Option<BTreeSet<String>> = match (readable, wanted) {
            (Readable::Nothing, _) => Some(BTreeSet::new()),
            (Readable::Everything, wanted) => wanted,
            (Readable::Only(readable), None) => Some(readable),
            (Readable::Only(readable), Some(wanted)) => {
                Some(wanted.intersection(&readable).cloned().collect())
            }
        };
        let sources = sources.map(|sources| sources.into_iter().map(Arc::from).collect());
        Ok(Self {
            sources,
            reads_all,
            ..scope
        })
    }

    fn new(visitor: &Visitor, sources: Option<BTreeSet<Arc<str>>>, style: Style) -> Self {
        Self {
            access: visitor.console.parts().log_access.clone(),
            authorization: format!("bearer {}", visitor.session.access.expose()),
            sources,
            style,
            reads_all: false,
        }
    }

    /// Whether the user may still read all of it: tokens end, and roles are taken away.
    pub(in crate::web) async fn holds(&self) -> bool {
        let authorization = Some(self.authorization.as_str());
        match &self.sources {
            Some(sources) if sources.len() == 1 => {
                let source = sources.first().map_or("", |source| &**source);
                self.access.readable(authorization, source).await
            }
            None => self.access.all_readable(authorization).await == Readable::Everything,
            Some(sources) => match self.access.all_readable(authorization).await {
                Readable::Nothing => false,
                Readable::Only(readable) => {
                    sources.iter().all(|source| readable.contains(&**source))
                }
                Readable::Everything => true,
            },
        }
    }

    /// Whether the user may read everything, also when less is asked for.
    pub(in crate::web) fn may_be_everything(&self) -> bool {
        self.reads_all
    }

    pub(super) fn sources(&self) -> Option<Vec<Arc<str>>> {
        let sources = self.sources.as_ref()?;
        Some(sources.iter().cloned().collect())
    }

    /// Lines of several sources have names.
    pub(in crate::web) fn style(&self) -> &Style {
        &self.style
    }
}

/// Apps and service instances of a space.
async fn in_space(visitor: &Visitor, space: &str) -> Result<BTreeSet<String>, Refused> {
    let space = fmt::query(space);
    let (apps, services) = (
        format!("/v3/apps?space_guids={space}"),
        format!("/v3/service_instances?space_guids={space}"),
    );
    let api = &visitor.api;
    let (apps, services) =
        tokio::try_join!(api.all::<Named>(&apps, 2), api.all::<Named>(&services, 2))?;
    let all = apps.resources.into_iter().chain(services.resources);
    Ok(all.map(|one| one.guid).collect())
}
