//! The pages: a file or folder for each, with its routes, what it reads and its template.

mod admin;
mod app;
mod apps;
mod home;
mod logs;
mod orgs;
mod palette;
mod places;
mod platform;
pub(super) mod push;
mod routes;
mod services;

use axum::Router;

use super::Console;

/// All pages.
pub(super) fn routes() -> Router<Console> {
    Router::new()
        .merge(home::routes())
        .merge(apps::routes())
        .merge(logs::routes())
        .merge(palette::routes())
        .merge(app::routes())
        .merge(push::routes())
        .merge(services::routes())
        .merge(orgs::routes())
        .merge(admin::routes())
        .merge(platform::routes())
        .merge(routes::routes())
}
