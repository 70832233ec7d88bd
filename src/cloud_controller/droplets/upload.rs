//! `POST /v3/droplets/:guid/upload`: the archive is stored while it comes in; [`DropletUploads`]
//! makes the image of it.
//!
//! The row of the droplet says what is to be done, so a worker that died is followed by one that
//! does the rest. The request waits a moment for the worker: the client then finds its job done
//! when it first asks.
//!
//! [`DropletUploads`]: super::DropletUploads

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::presenter::{self, Secrets};
use super::{actions, store};
use crate::base::guid::DropletGuid;
use crate::blobs::BlobError;
use crate::cloud_controller::jobs;
use crate::cloud_controller::v3::upload::{self, UploadedFile};
use crate::cloud_controller::v3::{ApiError, ApiResult, Context};

/// Largest archive.
const LARGEST: u64 = 2 << 30;
/// How long a request waits for the worker.
const WAIT: Duration = Duration::from_secs(3);

pub(super) async fn upload(
    ctx: Context,
    Path(guid): Path<DropletGuid>,
    request: Request,
) -> ApiResult<Response> {
    let recorder = ctx.recorder();
    let Context {
        cc, caller, urls, ..
    } = ctx;
    let wanted = guid.clone();
    let droplet = cc
        .db()
        .read(move |tx| {
            let droplet = store::get_visible(tx, &caller, &wanted)?;
            caller.may_write_space(tx, &droplet.space_guid)?;
            if droplet.state == "AWAITING_UPLOAD" {
                Ok(droplet)
            } else {
                Err(actions::only_once())
            }
        })
        .await?;
    let file = upload::one_file(cc.blobs(), request, LARGEST)
        .await
        .map_err(refusal)?;
    let archive = checked(file)?.blob.digest;
    let job = cc
        .db()
        .write(move |tx| actions::begin_upload(tx, &recorder, &droplet, &archive))
        .await?;
    jobs::wait_for(&cc, &job, WAIT).await?;
    cc.db()
        .read(move |tx| {
            let droplet = store::get(tx, &guid)?;
            let shown = presenter::present(tx, &droplet, Secrets::Shown, &urls)?;
            let location = [(header::LOCATION, jobs::url(&job, &urls))];
            Ok((StatusCode::ACCEPTED, location, Json(shown)).into_response())
        })
        .await
}

fn checked(file: Option<UploadedFile>) -> ApiResult<UploadedFile> {
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

fn invalid(why: &str) -> ApiError {
    ApiError::unprocessable(format!("Uploaded droplet file is invalid: {why}"))
}

fn refusal(fault: upload::Fault) -> ApiError {
    match fault {
        upload::Fault::NoForm => invalid("A droplet tgz file must be uploaded as 'bits'"),
        upload::Fault::Broken(why) => invalid(&why),
        upload::Fault::Blob(BlobError::TooLarge { limit }) => {
            invalid(&format!("it is larger than {limit} bytes"))
        }
        upload::Fault::Blob(error) => ApiError::internal(error),
    }
}
