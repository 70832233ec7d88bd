//! `GET /v3/droplets/:guid/download`: the layer as the classic `.tgz`, made while it is sent.

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;
use tokio_util::io::ReaderStream;

use super::{actions, store};
use crate::base::guid::DropletGuid;
use crate::cloud_controller::v3::{ApiError, ApiResult, Context};

pub(super) async fn download(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context { cc, caller, .. } = ctx;
    let layer = cc
        .db()
        .write(move |tx| {
            let droplet = store::get_visible(tx, &caller, &guid)?;
            caller.may_download_droplets(tx, &droplet.space_guid)?;
            if droplet.lifecycle_type == "docker" {
                return Err(ApiError::unprocessable(
                    "Cannot download droplets with 'docker' lifecycle.",
                ));
            }
            if droplet.state != "STAGED" {
                return Err(ApiError::unprocessable(
                    "Only staged droplets can be downloaded.",
                ));
            }
            actions::record_download(tx, &recorder, &droplet)?;
            droplet.layer.ok_or_else(|| {
                ApiError::resource_not_found(
                    "Blobstore key not present on droplet. This may be due to a failed build.",
                )
            })
        })
        .await?;
    let tgz = cc
        .blobs()
        .droplet_tgz(&layer)
        .await
        .map_err(ApiError::internal)?;
    let tgz = tgz.ok_or_else(|| ApiError::internal(format!("layer {layer} is missing")))?;
    let kind = [(header::CONTENT_TYPE, "application/gzip")];
    Ok((kind, Body::from_stream(ReaderStream::new(tgz))).into_response())
}
