//! `GET /v3/droplets/:guid/download`: the layer as the classic `.tgz`, made while it is sent.

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;
use tokio_util::io::ReaderStream;

use crate::base::guid::DropletGuid;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::droplets::DropletState;
use crate::cloud_controller::v3::{ApiResult, Context};
use crate::cloud_controller::{actions, model};

pub(super) async fn download(ctx: Context, Path(guid): Path<DropletGuid>) -> ApiResult<Response> {
    let layer = ctx
        .write(move |tx, ctx| {
            let droplet = model::droplets::get_visible(tx, &ctx.caller, &guid)?;
            let may = ctx.may_download_droplets(tx, &droplet.space_guid)?;
            if droplet.lifecycle_type == "docker" {
                return Err(Error::unprocessable(
                    "Cannot download droplets with 'docker' lifecycle.",
                ));
            }
            if droplet.state != DropletState::Staged {
                return Err(Error::unprocessable(
                    "Only staged droplets can be downloaded.",
                ));
            }
            actions::droplets::record_download(tx, &may, &droplet)?;
            droplet.layer.ok_or_else(|| {
                Error::resource_not_found(
                    "Blobstore key not present on droplet. This may be due to a failed build.",
                )
            })
        })
        .await?;
    let tgz = ctx
        .cc
        .blobs()
        .droplet_tgz(&layer)
        .await
        .map_err(Error::internal)?;
    let tgz = tgz.ok_or_else(|| Error::internal(format!("layer {layer} is missing")))?;
    let kind = [(header::CONTENT_TYPE, "application/gzip")];
    Ok((kind, Body::from_stream(ReaderStream::new(tgz))).into_response())
}
