//! `POST /v3/buildpacks/:guid/upload`: the archive is stored while it comes in, looked through, and
//! given to the buildpack. What is wrong with its content fails the job, as it does in Cloud
//! Controller; what is wrong with the request is refused at once.

use axum::Json;
use axum::extract::{Path, Request};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::Value;

use super::presenter;
use crate::base::guid::BuildpackGuid;
use crate::base::yaml;
use crate::blobs::zip::{ZipError, ZipLimits};
use crate::blobs::{BlobError, Blobs, Digest};
use crate::cloud_controller::actions::buildpacks::Files;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::buildpacks::Buildpack;
use crate::cloud_controller::model::jobs::Work;
use crate::cloud_controller::v3::jobs::Finished;
use crate::cloud_controller::v3::upload::UploadedFile;
use crate::cloud_controller::v3::{ApiResult, Context};
use crate::cloud_controller::{actions, model, v3};

/// Largest archive: offline buildpacks carry their dependencies.
const LARGEST: u64 = 4 << 30;
/// What an archive may unpack to; staging has the same bounds.
const LIMITS: ZipLimits = ZipLimits {
    unpacked: 8 << 30,
    entries: 300_000,
};
/// Largest `manifest.yml`.
const LARGEST_MANIFEST: u64 = 1 << 20;

const ZIP: &[u8] = b"PK\x03\x04";
const GZIP: &[u8] = b"\x1f\x8b\x08";
/// Of a tar, behind this many bytes.
const TAR: (usize, &[u8]) = (257, b"ustar\x0000");

pub(super) async fn upload(
    ctx: Context,
    Path(guid): Path<BuildpackGuid>,
    request: Request,
) -> ApiResult<Response> {
    let wanted = guid.clone();
    let (may, buildpack) = ctx
        .read(move |tx, ctx| {
            let buildpack = model::buildpacks::get(tx, &wanted)?;
            let may = ctx.may_administer()?;
            Ok((may, buildpack))
        })
        .await?;
    let file = v3::upload::one_file(ctx.cc.blobs(), request, LARGEST)
        .await
        .map_err(refusal)?;
    let file = checked(file, &buildpack)?;
    if buildpack.locked {
        return Err(Error::unprocessable("Buildpack is locked").into());
    }
    let stack = stack_of(ctx.cc.blobs(), &file.blob.digest, &buildpack).await;
    let files = stack.map(|stack| Files {
        digest: file.blob.digest,
        filename: file.name,
        stack,
    });
    ctx.write(move |tx, ctx| {
        let done = match files {
            Ok(files) => match actions::buildpacks::finish_upload(tx, &may, &guid, files) {
                Err(error) if error.kind() == Kind::ServerError => return Err(error),
                done => done,
            },
            Err(error) => Err(error),
        };
        let job = Finished {
            work: Work {
                operation: "buildpack.upload",
                resource: guid.as_str(),
            },
            result: done,
        };
        let job = v3::jobs::record(tx, job, &may)?;
        let shown: Value = presenter::present(tx, &model::buildpacks::get(tx, &guid)?, &ctx.urls)?;
        let location = [(header::LOCATION, v3::jobs::url(&job, &ctx.urls))];
        Ok((StatusCode::ACCEPTED, location, Json(shown)).into_response())
    })
    .await
}

/// The file, if it looks like an archive of the buildpack's lifecycle.
fn checked(file: Option<UploadedFile>, buildpack: &Buildpack) -> Result<UploadedFile> {
    let Some(file) = file.filter(|file| !file.name.is_empty()) else {
        return Err(invalid("A buildpack zip file must be uploaded as 'bits'"));
    };
    let (name, kind) = (&file.name, &buildpack.lifecycle);
    let is_tar = file
        .head
        .get(TAR.0..)
        .is_some_and(|rest| rest.starts_with(TAR.1));
    let fault = if kind == "cnb" {
        (!file.head.starts_with(GZIP) && !is_tar).then(|| format!(
            "{name} is not a gzip archive or cnb file. Buildpacks of lifecycle \"{kind}\" must be valid gzip archives or cnb files."
        ))
    } else {
        (!file.head.starts_with(ZIP)).then(|| {
            format!("{name} is not a zip file. Buildpacks of lifecycle \"{kind}\" must be valid zip files.")
        })
    };
    let empty = (file.blob.size == 0).then(|| format!("{name} cannot be empty"));
    let faults: Vec<String> = fault.into_iter().chain(empty).collect();
    if faults.is_empty() {
        Ok(file)
    } else {
        Err(invalid(&faults.join(", ")))
    }
}

/// Reads the whole archive; gives the stack that its manifest names.
async fn stack_of(
    blobs: &Blobs,
    archive: &Digest,
    buildpack: &Buildpack,
) -> Result<Option<String>> {
    if buildpack.lifecycle == "cnb" {
        return Ok(None);
    }
    let zip_error = |error: ZipError| match error {
        ZipError::Blob(error) => Error::internal(error),
        ZipError::Invalid(_) => archive_error("buildpack zipfile is not valid"),
        ZipError::TooLarge { .. } => archive_error("buildpack zipfile unpacks to more than 8 GB"),
        other => archive_error(&other.to_string()),
    };
    blobs
        .zip_entries(archive, LIMITS)
        .await
        .map_err(zip_error)?;
    let manifest = blobs
        .zip_file(archive, "manifest.yml", LARGEST_MANIFEST)
        .await;
    match manifest {
        Ok(None) => Ok(None),
        Ok(Some(manifest)) => stack_in(&manifest),
        Err(ZipError::TooLarge { .. }) => Err(archive_error("buildpack manifest is too large")),
        Err(error) => Err(zip_error(error)),
    }
}

fn stack_in(manifest: &[u8]) -> Result<Option<String>> {
    let manifest = std::str::from_utf8(manifest).ok();
    let manifest = manifest.and_then(|text| yaml::read(text).ok());
    let manifest = manifest.ok_or_else(|| archive_error("buildpack manifest is not valid"))?;
    let stack = manifest.get("stack").and_then(|stack| stack.as_text());
    Ok(stack.map(str::to_owned))
}

fn archive_error(why: &str) -> Error {
    Error::new(
        Kind::BuildpackZipError,
        format!("Buildpack zip error: {why}"),
    )
}

fn invalid(why: &str) -> Error {
    Error::unprocessable(format!("Uploaded buildpack file is invalid: {why}"))
}

fn refusal(fault: v3::upload::Fault) -> Error {
    match fault {
        v3::upload::Fault::NoForm => invalid("A buildpack zip file must be uploaded as 'bits'"),
        v3::upload::Fault::Broken(why) => Error::new(
            Kind::BuildpackBitsUploadInvalid,
            format!("The buildpack upload is invalid: {why}"),
        ),
        v3::upload::Fault::Blob(BlobError::TooLarge { limit }) => Error::new(
            Kind::BuildpackBitsUploadInvalid,
            format!(
                "The buildpack upload is invalid: Buildpack may not be larger than {limit} bytes"
            ),
        ),
        v3::upload::Fault::Blob(error) => Error::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_may_name_a_stack() {
        let cases: [(&[u8], Option<&str>); 4] = [
            (b"stack: cflinuxfs4\nlanguage: go\n", Some("cflinuxfs4")),
            (b"language: go\n", None),
            (b"- a\n", None),
            (b"", None),
        ];
        for (manifest, stack) in cases {
            let found = stack_in(manifest).expect("valid");
            assert_eq!(found.as_deref(), stack);
        }
        let refused = stack_in(b"a: [").expect_err("broken");
        assert_eq!(
            refused.detail(),
            "Buildpack zip error: buildpack manifest is not valid"
        );
    }
}
