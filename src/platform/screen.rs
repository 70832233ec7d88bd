//! What happens to a request for the platform before it is routed: each API tidies its own paths and
//! refuses what its server refuses.

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response};

use crate::cloud_controller::v3;
use crate::uaa;

/// Tidies the request, or answers it.
pub(super) fn screen(request: &mut Request<Body>) -> Option<Response<Body>> {
    let uri = request.uri_mut();
    if let Err(refusal) = v3::screen(uri) {
        return Some(v3::ApiError::from(refusal).into_response());
    }
    let refusal = uaa::screen(uri).err()?;
    Some(refusal.into_response())
}
