//! Bits in and out: streamed, never held in memory.

use axum::Json;
use axum::body::Body;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;
use http::header;
use serde_json::Value;
use tokio_util::io::{ReaderStream, StreamReader};

use super::presenter;
use crate::base::guid::PackageGuid;
use crate::blobs::resources::match_resources;
use crate::blobs::zip::{MatchedFile, ZipError, ZipLimits, has_empty_folders};
use crate::blobs::{Blob, BlobError, Blobs, Digest};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::packages::PackageState;
use crate::cloud_controller::model::packages::{LARGEST_PACKAGE, Package, PackageKind};
use crate::cloud_controller::payload::resource_matches::Resource;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiResult, Context};
use crate::cloud_controller::{actions, model, payload, v3};

/// Longest `resources` field: paths of many thousand files.
const LONGEST_RESOURCES: usize = 8 << 20;

/// What a multipart body brought.
#[derive(Default)]
struct Received {
    bits: Option<Blob>,
    resources: Vec<Resource>,
}

/// `POST /v3/packages/:guid/upload`.
pub(super) async fn upload(
    ctx: Context,
    Path(guid): Path<PackageGuid>,
    request: Request,
) -> ApiResult<Json<Value>> {
    let wanted = guid.clone();
    let (may, package) = ctx
        .write(move |tx, ctx| {
            actions::feature_flags::require(tx, &ctx.caller, "app_bits_upload")?;
            let package = model::packages::get_visible(tx, &ctx.caller, &wanted)?;
            let may = ctx.may_write(tx, &package.space_guid)?;
            actions::packages::begin_upload(tx, &may, &package)?;
            Ok((may, package))
        })
        .await?;
    // From here on the package waits for us: whatever ends the upload puts it back.
    let guard = Restore {
        cc: Some(ctx.cc.clone()),
        guid: guid.clone(),
    };
    let blob = receive(&ctx.cc, request, &package).await?;
    let digest = blob.digest.clone();
    let done = ctx
        .write(move |tx, ctx| {
            actions::packages::finish_upload(tx, &may, &package, &blob)?;
            let package =
                model::packages::find(tx, &guid)?.ok_or_else(|| Error::not_found("Package"))?;
            presenter::present(tx, &package, &ctx.urls).map(Json)
        })
        .await?;
    guard.done();
    remember_files(&ctx.cc, digest);
    Ok(done)
}

/// Later pushes may leave these files out. Nobody waits for it, and what fails only costs them the
/// upload.
fn remember_files(cc: &CloudController, digest: Digest) {
    let blobs = cc.blobs().clone();
    cc.supervisor().once(async move {
        if let Err(error) = blobs.index_package(&digest, ZipLimits::default()).await {
            tracing::warn!(%error, "cannot remember a package's files");
        }
    });
}

async fn receive(cc: &CloudController, request: Request, package: &Package) -> Result<Blob> {
    let form = v3::upload::form(request).await.map_err(unusable)?;
    let received = read(cc.blobs(), form).await?;
    if received.bits.is_none() && received.resources.is_empty() {
        return Err(Error::unprocessable(
            "Upload must include either resources or bits",
        ));
    }
    tracing::debug!(package.guid = %package.guid, "assembling a package");
    let limits = ZipLimits {
        unpacked: LARGEST_PACKAGE,
        ..ZipLimits::default()
    };
    let matched = matched(cc, received.resources).await?;
    let blobs = cc.blobs();
    match received.bits {
        // The usual case: nothing was left out, the zip is the package once it was found safe. It is
        // rewritten without its empty folders if it has any.
        Some(bits) if matched.is_empty() => {
            let entries = blobs.zip_entries(&bits.digest, limits).await;
            if has_empty_folders(&entries.map_err(refusal)?) {
                let merged = blobs.merge_zip(Some(&bits.digest), matched, limits).await;
                return merged.map_err(refusal);
            }
            Ok(bits)
        }
        bits => {
            let upload = bits.as_ref().map(|bits| &bits.digest);
            blobs
                .merge_zip(upload, matched, limits)
                .await
                .map_err(refusal)
        }
    }
}

/// The files that were left out because they are stored here.
async fn matched(cc: &CloudController, resources: Vec<Resource>) -> Result<Vec<MatchedFile>> {
    if resources.is_empty() {
        return Ok(Vec::new());
    }
    cc.db()
        .read(move |tx| {
            let keys: Vec<_> = resources
                .iter()
                .map(|resource| resource.key.clone())
                .collect();
            let stored = match_resources(tx, &keys)?;
            let files = resources.into_iter().zip(stored).map(|(resource, digest)| {
                let path = resource.path.unwrap_or_default();
                let digest = digest.ok_or_else(|| refusal(ZipError::ResourceGone(path.clone())))?;
                let mode = resource
                    .mode
                    .and_then(|mode| u32::from_str_radix(&mode, 8).ok());
                Ok(MatchedFile {
                    path,
                    digest,
                    mode: mode.unwrap_or(0o644),
                })
            });
            files.collect()
        })
        .await
}

async fn read(blobs: &Blobs, mut form: Multipart) -> Result<Received> {
    let mut received = Received::default();
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|e| unusable(v3::upload::broken(&e)))?
    {
        match field.name() {
            Some("resources") => received.resources = resources(field).await?,
            Some("bits" | "application") => received.bits = Some(bits(blobs, field).await?),
            _ => {}
        }
    }
    Ok(received)
}

async fn resources(mut field: Field<'_>) -> Result<Vec<Resource>> {
    let mut text = Vec::new();
    while let Some(chunk) = field
        .chunk()
        .await
        .map_err(|e| unusable(v3::upload::broken(&e)))?
    {
        if text.len() + chunk.len() > LONGEST_RESOURCES {
            return Err(Error::unprocessable(
                "Resources must be smaller than 8 MiB.",
            ));
        }
        text.extend_from_slice(&chunk);
    }
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let values: Vec<Value> = serde_json::from_slice(&text)
        .map_err(|_| Error::unprocessable("Resources must be valid JSON."))?;
    payload::resource_matches::parse(&values).map_err(|fault| {
        Error::unprocessable(format!(
            "Resources array contains at least one resource with {fault}"
        ))
    })
}

async fn bits(blobs: &Blobs, field: Field<'_>) -> Result<Blob> {
    let chunks = field.map_err(std::io::Error::other);
    blobs
        .put(StreamReader::new(chunks), Some(LARGEST_PACKAGE))
        .await
        .map_err(|error| unusable(error.into()))
}

fn unusable(fault: v3::upload::Fault) -> Error {
    match fault {
        v3::upload::Fault::NoForm => Error::bad_request("Content-Type must be multipart/form-data"),
        v3::upload::Fault::Broken(why) => Error::new(
            Kind::AppBitsUploadInvalid,
            format!("The app upload is invalid: {why}"),
        ),
        v3::upload::Fault::Blob(BlobError::TooLarge { .. }) => Error::new(
            Kind::AppPackageInvalid,
            "The app package is invalid: Package may not be larger than 1073741824 bytes",
        ),
        v3::upload::Fault::Blob(other) => Error::internal(other),
    }
}

fn refusal(error: ZipError) -> Error {
    match error {
        ZipError::Blob(cause) => Error::internal(cause),
        other => Error::new(
            Kind::AppBitsUploadInvalid,
            format!("The app upload is invalid: {other}"),
        ),
    }
}

/// Lets an upload be tried again when it ended without success, also when the client went away and
/// the request's future was dropped.
struct Restore {
    cc: Option<CloudController>,
    guid: PackageGuid,
}

impl Restore {
    fn done(mut self) {
        self.cc = None;
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let Some(cc) = self.cc.take() else { return };
        let guid = self.guid.clone();
        let now = cc.now();
        cc.supervisor().clone().once(async move {
            let put_back: Result<()> = cc
                .db()
                .write(move |tx| model::packages::await_upload(tx, &guid, now))
                .await;
            if let Err(error) = put_back {
                tracing::error!(%error, "cannot take back an upload");
            }
        });
    }
}

/// `GET /v3/packages/:guid/download`.
pub(super) async fn download(ctx: Context, Path(guid): Path<PackageGuid>) -> ApiResult<Response> {
    let blob = ctx
        .write(move |tx, ctx| {
            let package = model::packages::get_visible(tx, &ctx.caller, &guid)?;
            let may = ctx.may_read_secrets(tx, &package.space_guid)?;
            match &package.kind {
                PackageKind::Docker { .. } => {
                    Err(Error::unprocessable("Package type must be bits."))
                }
                PackageKind::Bits(Some(blob)) if package.state == PackageState::Ready => {
                    let blob = blob.clone();
                    actions::packages::record_download(tx, &may, &package)?;
                    Ok(blob)
                }
                PackageKind::Bits(_) => {
                    Err(Error::unprocessable("Package has no bits to download."))
                }
            }
        })
        .await?;
    let file = ctx
        .cc
        .blobs()
        .read(&blob.digest)
        .await
        .map_err(Error::internal)?;
    let file = file.ok_or_else(|| Error::internal(format!("blob {} is missing", blob.digest)))?;
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, blob.size.to_string()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}
