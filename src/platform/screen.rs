//! Preprocesses requests for the platform before routing: each API normalizes its own paths and
//! rejects what its server rejects.

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Request, Response};

use crate::cloud_controller::v3;
use crate::{uaa, web};

/// Normalizes the request, or returns the response that rejects it.
pub(super) fn screen(request: &mut Request<Body>) -> Option<Response<Body>> {
    if let Some(response) = web::screen(request) {
        return Some(response);
    }
    let uri = request.uri_mut();
    if let Err(error) = v3::screen(uri) {
        return Some(v3::ApiError::from(error).into_response());
    }
    let error = uaa::screen(uri).err()?;
    Some(error.into_response())
}
