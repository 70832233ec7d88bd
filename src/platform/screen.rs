//! What happens to a request for the platform before it is routed: each API refuses what its server
//! refuses.

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response};

use crate::cloud_controller;

/// Lets the request pass, or answers it.
pub(super) fn screen(request: &mut Request<Body>) -> Option<Response<Body>> {
    let refusal = cloud_controller::screen(request.uri_mut()).err()?;
    Some(refusal.into_response())
}
