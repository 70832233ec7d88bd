//! `POST /v3/droplets/:guid/upload`: the archive is stored while it comes in; [`DropletUploads`]
//! makes the image of it.
//!
//! The row of the droplet says what is to be done, so a worker that died is followed by one that
//! does the rest. The request waits a moment for the worker: the client then finds its job done
//! when it first asks.
//!
//! [`DropletUploads`]: crate::cloud_controller::engines::DropletUploads

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::presenter;
use super::presenter::Secrets;
use crate::base::guid::DropletGuid;
use crate::blobs::BlobError;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::droplets::DropletState;
use crate::cloud_controller::v3::upload::UploadedFile;
use crate::cloud_controller::v3::{ApiResult, Context};
use crate::cloud_controller::{actions, api, model, v3};

/// Largest archive.
const LARGEST: u64 = 2 << 30;
/// How long a request waits for the worker.
const WAIT: Duration = Duration::from_secs(3);

pub(super) async fn upload(
    ctx: Context,
    Path(guid): Path<DropletGuid>,
    request: Request,
) -> ApiResult<Response> {
    let wanted = guid.clone();
    let (may, droplet) = ctx
        .read(move |tx, ctx| {
            let droplet = model::droplets::get_visible(tx, &ctx.caller, &wanted)?;
            let may = ctx.may_write(tx, &droplet.space_guid)?;
            if droplet.state == DropletState::AwaitingUpload {
                Ok((may, droplet))
            } else {
                Err(actions::droplets::only_once())
            }
        })
        .await?;
    let file = v3::upload::one_file(ctx.cc.blobs(), request, LARGEST)
        .await
        .map_err(refusal)?;
    let archive = checked(file)?.blob.digest;
    let job = ctx
        .write(move |tx, _ctx| actions::droplets::begin_upload(tx, &may, &droplet, &archive))
        .await?;
    api::jobs::wait_for(&ctx.cc, &job, WAIT).await?;
    ctx.read(move |tx, ctx| {
        let droplet = model::droplets::get(tx, &guid)?;
        let shown = presenter::present(tx, &droplet, Secrets::Shown, &ctx.urls)?;
        let location = [(header::LOCATION, v3::jobs::url(&job, &ctx.urls))];
        Ok((StatusCode::ACCEPTED, location, Json(shown)).into_response())
    })
    .await
}

fn checked(file: Option<UploadedFile>) -> Result<UploadedFile> {
    let Some(file) = file.filter(|file| !file.name.is_empty()) else {
        return Err(invalid("A droplet tgz file must be uploaded as 'bits'"));
    };
    let name = &file.name;
    let archive = [".tgz", ".tar.gz"].iter().any(|end| name.ends_with(end));
    let faults = [
        (!archive).then(|| format!("{name} is not a tgz")),
        (file.blob.size == 0).then(|| format!("{name} cannot be empty")),
    ];
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    if faults.is_empty() {
        Ok(file)
    } else {
        Err(invalid(&faults.join(", ")))
    }
}

fn invalid(why: &str) -> Error {
    Error::unprocessable(format!("Uploaded droplet file is invalid: {why}"))
}

fn refusal(fault: v3::upload::Fault) -> Error {
    match fault {
        v3::upload::Fault::NoForm => invalid("A droplet tgz file must be uploaded as 'bits'"),
        v3::upload::Fault::Broken(why) => invalid(&why),
        v3::upload::Fault::Blob(BlobError::TooLarge { limit }) => {
            invalid(&format!("it is larger than {limit} bytes"))
        }
        v3::upload::Fault::Blob(error) => Error::internal(error),
    }
}
