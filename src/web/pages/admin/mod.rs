//! What an administrator sets for the whole platform: people, quotas, domains, security groups,
//! buildpacks, stacks, feature flags and environment variables of all apps. Others see what the API
//! shows them.

mod buildpacks;
mod domains;
mod flags;
mod groups;
mod people;
mod person;
mod quotas;
mod stacks;
mod variables;

use axum::Router;
use http::StatusCode;

use crate::web::Console;
use crate::web::frame::Frame;
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .merge(people::routes())
        .merge(person::routes())
        .merge(quotas::routes())
        .merge(domains::routes())
        .merge(groups::routes())
        .merge(buildpacks::routes())
        .merge(stacks::routes())
        .merge(flags::routes())
        .merge(variables::routes())
}

/// The pages, by their addresses below `/console/`.
const TABS: &[(&str, &str)] = &[
    ("platform", "Platform"),
    ("people", "People"),
    ("quotas", "Quotas"),
    ("domains", "Domains"),
    ("security-groups", "Security groups"),
    ("buildpacks", "Buildpacks"),
    ("stacks", "Stacks"),
    ("feature-flags", "Feature flags"),
    ("variables", "Variables"),
];

/// The pages that a visitor may open.
pub(in crate::web) fn tabs(frame: &Frame) -> Vec<(&'static str, &'static str)> {
    let may = |page: &str| match page {
        "people" => frame.is_admin,
        "platform" => frame.sees_all,
        _ => true,
    };
    let open = TABS.iter().filter(|(page, _)| may(page));
    open.copied().collect()
}

/// Refuses everybody but administrators.
pub(super) fn administrators(visitor: &Visitor) -> Result<(), Refused> {
    if visitor.is_admin() {
        return Ok(());
    }
    let text = "This page is for administrators of the platform.";
    Err(Refused::of(StatusCode::FORBIDDEN, "Not allowed", text))
}
