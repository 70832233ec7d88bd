//! Service offerings: what brokers offer, each with its plans. They come from catalogs, and cannot be
//! made here.

mod handlers;
pub(super) mod presenter;

use axum::Router;
use axum::routing::get;

use crate::cloud_controller::actions;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::Visit;
use crate::db::ReadTx;

/// `/v3/service_offerings`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/service_offerings", get(handlers::list))
        .route(
            "/v3/service_offerings/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
}

/// 401 when the marketplace is hidden from those who are not signed in.
pub(super) fn refuse_strangers(tx: &ReadTx<'_>, visit: &Visit) -> Result<()> {
    let flag = "hide_marketplace_from_unauthenticated_users";
    if visit.ctx.is_none() && actions::feature_flags::enabled(tx, flag)? {
        return Err(Error::not_authenticated());
    }
    Ok(())
}
