//! What can be done to packages, each inside the caller's transaction.

use serde_json::{Value, json};

use std::time::Duration;

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, PackageGuid};
use crate::blobs::Blob;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{App, LifecycleType};
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::packages::{Credentials, Package, PackageKind, PackageState};
use crate::cloud_controller::payload::packages::{CreatePackage, NewKind, PackageChange};
use crate::cloud_controller::permits::{MayReadSecrets, MayWrite};
use crate::db::{Vault, WriteTx};

/// Packages kept per app besides the one in use.
const KEPT: i64 = 5;
/// How long a password for a Docker registry waits for its build.
const PASSWORD_LIFETIME: Duration = Duration::from_secs(3600);

/// Makes a package.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    app: &App,
    wanted: CreatePackage,
) -> Result<Package> {
    may.covers(&app.space_guid)?;
    let docker_app = app.lifecycle.kind == LifecycleType::Docker;
    let mut secret = None;
    let (kind, state) = match wanted.kind {
        NewKind::Bits if docker_app => {
            return Err(Error::unprocessable(
                "Cannot create bits package for a Docker app.",
            ));
        }
        NewKind::Docker { .. } if !docker_app => {
            return Err(Error::unprocessable(
                "Cannot create Docker package for a buildpack app.",
            ));
        }
        NewKind::Bits => (PackageKind::Bits(None), PackageState::AwaitingUpload),
        NewKind::Docker {
            image,
            username,
            password,
        } => {
            secret = password
                .map(|password| vault.encrypt(password.as_bytes()))
                .transpose()?;
            (PackageKind::Docker { image, username }, PackageState::Ready)
        }
    };
    let package = new(may, app, kind, state);
    model::packages::insert(tx, &package, secret.as_deref())?;
    wanted
        .metadata
        .store(tx, ResourceType::Package, package.guid.as_str())?;
    record(
        tx,
        may,
        "audit.app.package.create",
        &package,
        &json!({ "request": wanted.request }),
    )?;
    Ok(package)
}

/// Reserves a package for an upload: it takes bits once.
pub(crate) fn begin_upload(tx: &WriteTx<'_>, may: &MayWrite, package: &Package) -> Result<()> {
    may.covers(&package.space_guid)?;
    if !matches!(package.kind, PackageKind::Bits(_)) {
        return Err(Error::unprocessable("Package type must be bits."));
    }
    if model::packages::begin_upload(tx, &package.guid, may.now)? {
        return Ok(());
    }
    Err(Error::new(
        Kind::PackageBitsAlreadyUploaded,
        "Bits may be uploaded only once. Create a new package to upload different bits.",
    ))
}

/// What a copy is made of, and the right to take it from there.
pub(crate) struct CopySource<'a> {
    pub package: &'a Package,
    pub may: &'a MayWrite,
}

/// Makes a package of `app` with the bits or image of another app's package.
pub(crate) fn copy(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    source: CopySource<'_>,
    app: &App,
) -> Result<Package> {
    may.covers(&app.space_guid)?;
    source.may.covers(&source.package.space_guid)?;
    let source = source.package;
    if source.app_guid == app.guid {
        return Err(Error::unprocessable(
            "Source and destination app cannot be the same",
        ));
    }
    let (kind, state) = match &source.kind {
        // Credentials are not handed on.
        PackageKind::Docker { image, .. } => {
            let (image, username) = (image.clone(), None);
            (PackageKind::Docker { image, username }, PackageState::Ready)
        }
        PackageKind::Bits(bits) => (PackageKind::Bits(bits.clone()), PackageState::Copying),
    };
    let package = new(may, app, kind, state);
    model::packages::insert(tx, &package, None)?;
    match &package.kind {
        PackageKind::Docker { .. } => {}
        PackageKind::Bits(Some(bits)) => {
            model::packages::set_ready(tx, &package.guid, bits, may.now)?;
            expire(tx, &app.guid, may.now)?;
        }
        PackageKind::Bits(None) => {
            let why = "failed to copy - the source package has no bits";
            model::packages::set_failed(tx, &package.guid, why, may.now)?;
        }
    }
    let data = json!({ "request": { "source_package_guid": source.guid } });
    record(tx, may, "audit.app.package.create", &package, &data)?;
    model::packages::find(tx, &package.guid)?.ok_or_else(|| Error::not_found("Package"))
}

/// Changes metadata, or the credentials of a Docker package.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    vault: &Vault,
    package: &Package,
    change: &PackageChange,
) -> Result<Package> {
    may.covers(&package.space_guid)?;
    if change.has_credentials() {
        let password = change.password.as_ref();
        let password = password.map(|text| vault.encrypt(text.as_bytes()));
        let credentials = Credentials {
            username: change.username.as_deref(),
            password: password.transpose()?,
        };
        model::packages::set_credentials(tx, &package.guid, credentials, may.now)?;
    }
    change
        .metadata
        .store(tx, ResourceType::Package, package.guid.as_str())?;
    model::packages::find(tx, &package.guid)?.ok_or_else(|| Error::not_found("Package"))
}

/// Forgets passwords for registries that no build used in time: of packages, and of the buildpacks
/// of apps.
pub(crate) fn forget_unused_passwords(tx: &WriteTx<'_>, now: Timestamp) -> Result<()> {
    let lifetime = i64::try_from(PASSWORD_LIFETIME.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(now.as_micros().saturating_sub(lifetime));
    model::packages::forget_passwords(tx, before)?;
    model::apps::forget_credentials(tx, before)
}

/// Gives up the bits of packages that are unlikely to be staged again; their rows stay, as `EXPIRED`.
fn expire(tx: &WriteTx<'_>, app: &AppGuid, now: Timestamp) -> Result<()> {
    for old in model::packages::surplus(tx, app, KEPT)? {
        model::packages::expire(tx, &old, now)?;
    }
    Ok(())
}

/// Stores an upload's result; older packages the app does not need expire.
pub(crate) fn finish_upload(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    package: &Package,
    blob: &Blob,
) -> Result<()> {
    may.covers(&package.space_guid)?;
    model::packages::set_ready(tx, &package.guid, blob, may.now)?;
    expire(tx, &package.app_guid, may.now)?;
    record(tx, may, "audit.app.package.upload", package, &json!({}))
}

/// Deletes a package.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayWrite, package: &Package) -> Result<()> {
    may.covers(&package.space_guid)?;
    model::packages::delete(tx, &package.guid)?;
    record(tx, may, "audit.app.package.delete", package, &json!({}))
}

/// Writes that bits were downloaded.
pub(crate) fn record_download(
    tx: &WriteTx<'_>,
    may: &MayReadSecrets,
    package: &Package,
) -> Result<()> {
    may.covers(&package.space_guid)?;
    record(tx, may, "audit.app.package.download", package, &json!({}))
}

fn new(recorder: &Recorder, app: &App, kind: PackageKind, state: PackageState) -> Package {
    Package {
        guid: PackageGuid::generate(&recorder.guids),
        app_guid: app.guid.clone(),
        app_name: app.name.clone(),
        space_guid: app.space_guid.clone(),
        kind,
        state,
        error: None,
        created_at: recorder.now,
        updated_at: recorder.now,
    }
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    package: &Package,
    data: &Value,
) -> Result<()> {
    let mut data = data.clone();
    data["package_guid"] = json!(package.guid);
    let target = Target {
        guid: package.app_guid.as_str(),
        kind: "app",
        name: &package.app_name,
    };
    recorder.record(tx, kind, &target, Place::space(&package.space_guid), &data)
}
