//! The pages of one app, a file for each tab. Each begins with [`AppHead`].

mod actions;
mod deployments;
mod environment;
mod events;
mod files;
mod manifest;
mod metrics;
mod overview;
mod requests;
mod routes;
mod services;
mod settings;
mod tasks;
mod xray;

use axum::Router;

use crate::web::Console;
use crate::web::api::models::{App, Named, Organization, Process, Space};
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::pages::apps::{State, state_of};
use crate::web::show::Refused;
use crate::web::visitor::{InSpace, Visitor};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .merge(overview::routes())
        .merge(metrics::routes())
        .merge(requests::routes())
        .merge(actions::routes())
        .merge(xray::routes())
        .merge(routes::routes())
        .merge(services::routes())
        .merge(environment::routes())
        .merge(deployments::routes())
        .merge(tasks::routes())
        .merge(events::routes())
        .merge(files::routes())
        .merge(manifest::routes())
        .merge(settings::routes())
}

/// What all tabs of an app show above their content.
pub(super) struct AppHead {
    pub(super) app: App,
    pub(super) space: Space,
    pub(super) organization: Organization,
    pub(super) processes: Vec<Process>,
    pub(super) state: State,
    pub(super) may: InSpace,
    /// The tab that is shown.
    pub(super) tab: &'static str,
}

/// The tabs: their names in addresses, and their labels.
pub(in crate::web::pages) const TABS: &[(&str, &str)] = &[
    ("", "Overview"),
    ("logs", "Logs"),
    ("metrics", "Metrics"),
    ("requests", "Requests"),
    ("routes", "Routes"),
    ("services", "Services"),
    ("env", "Environment"),
    ("deployments", "Deployments"),
    ("tasks", "Tasks"),
    ("events", "Events"),
    ("files", "Files"),
    ("manifest", "Manifest"),
    ("xray", "X-ray"),
    ("settings", "Settings"),
];

/// The app that a change is for, if the visitor sees it.
async fn named(change: &Change, guid: &str) -> Result<Named, Refused> {
    let path = format!("/v3/apps/{}", fmt::segment(guid));
    Ok(change.visitor.api.get(&path).await?)
}

impl AppHead {
    /// Reads an app as the visitor sees it.
    pub(super) async fn load(
        visitor: &Visitor,
        guid: &str,
        tab: &'static str,
    ) -> Result<Self, Refused> {
        let api = &visitor.api;
        let guid = fmt::segment(guid);
        let app = format!("/v3/apps/{guid}");
        let processes = format!("{app}/processes?embed=process_instances&per_page=100");
        let (app, processes) =
            tokio::try_join!(api.get::<App>(&app), api.list::<Process>(&processes))?;
        let space = app.relationships.space.guid();
        let space: Space = api.get(&format!("/v3/spaces/{space}")).await?;
        let organization = space.relationships.organization.guid();
        let path = format!("/v3/organizations/{organization}");
        let (organization, may) = tokio::try_join!(
            async { Ok::<_, Refused>(api.get::<Organization>(&path).await?) },
            visitor.in_space(&space.guid, organization),
        )?;
        Ok(Self {
            state: state_of(&app.state, processes.resources.iter()),
            processes: processes.resources,
            app,
            space,
            organization,
            may,
            tab,
        })
    }

    /// The page of a tab.
    pub(super) fn path(&self, tab: &str) -> String {
        if tab.is_empty() {
            format!("/console/apps/{}", self.app.guid)
        } else {
            format!("/console/apps/{}/{tab}", self.app.guid)
        }
    }

    /// The app's name as a word of a shell command.
    pub(super) fn word(&self) -> String {
        fmt::word(&self.app.name)
    }

    /// The web process, which routes lead to.
    pub(super) fn web(&self) -> Option<&Process> {
        self.processes.iter().find(|process| process.kind == "web")
    }
}
