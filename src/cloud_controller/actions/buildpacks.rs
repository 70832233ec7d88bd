//! What can be done to buildpacks, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::BuildpackGuid;
use crate::blobs::Digest;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model;
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::buildpacks::Buildpack;
use crate::cloud_controller::payload::buildpacks::BuildpackChange;
use crate::cloud_controller::permits::MayAdminister;
use crate::db::WriteTx;

/// Where a new buildpack goes unless the request says where.
const FIRST: i64 = 1;

/// Makes a buildpack that waits for its files.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    change: BuildpackChange,
) -> Result<Buildpack> {
    let lifecycle = change.lifecycle.unwrap_or_else(|| "buildpack".to_owned());
    let buildpack = Buildpack {
        guid: BuildpackGuid::generate(&may.guids),
        name: change.name.unwrap_or_default(),
        stack: change.stack.flatten(),
        state: "AWAITING_UPLOAD".to_owned(),
        position: model::buildpacks::last_position(tx, &lifecycle)? + 1,
        lifecycle,
        filename: None,
        enabled: change.enabled.unwrap_or(true),
        locked: change.locked.unwrap_or(false),
        blob_digest: None,
        built_in: None,
        created_at: may.now,
        updated_at: may.now,
    };
    check_stack(tx, buildpack.stack.as_deref())?;
    model::buildpacks::insert(tx, &buildpack).map_err(|error| taken(error, &buildpack))?;
    model::buildpacks::move_to(tx, &buildpack, change.position.unwrap_or(FIRST))?;
    change
        .metadata
        .store(tx, ResourceType::Buildpack, buildpack.guid.as_str())?;
    let data = json!({ "request": change.request });
    record(tx, may, "audit.buildpack.create", &buildpack, &data)?;
    model::buildpacks::get(tx, &buildpack.guid)
}

/// Changes what the request names.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    mut buildpack: Buildpack,
    change: BuildpackChange,
) -> Result<Buildpack> {
    if let Some(position) = change.position {
        model::buildpacks::move_to(tx, &buildpack, position)?;
    }
    if let Some(stack) = change.stack {
        check_stack(tx, stack.as_deref())?;
        if buildpack.stack.is_some() && buildpack.stack != stack {
            return Err(Error::unprocessable("Buildpack stack cannot be changed"));
        }
        buildpack.stack = stack;
    }
    buildpack.name = change.name.unwrap_or(buildpack.name);
    buildpack.enabled = change.enabled.unwrap_or(buildpack.enabled);
    buildpack.locked = change.locked.unwrap_or(buildpack.locked);
    buildpack.updated_at = may.now;
    model::buildpacks::update(tx, &buildpack).map_err(|error| taken(error, &buildpack))?;
    change
        .metadata
        .store(tx, ResourceType::Buildpack, buildpack.guid.as_str())?;
    let data = json!({ "request": change.request });
    record(tx, may, "audit.buildpack.update", &buildpack, &data)?;
    model::buildpacks::get(tx, &buildpack.guid)
}

/// Deletes a buildpack; those behind it move up. Builds that were asked for keep its files.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayAdminister, buildpack: &Buildpack) -> Result<()> {
    model::buildpacks::delete(tx, buildpack)?;
    record(tx, may, "audit.buildpack.delete", buildpack, &json!({}))
}

/// The files a buildpack gets.
pub(crate) struct Files {
    /// The archive.
    pub digest: Digest,
    /// Its name at the client's.
    pub filename: String,
    /// The stack its `manifest.yml` names.
    pub stack: Option<String>,
}

/// Gives a buildpack its files. What fails here fails the job, not the request.
pub(crate) fn finish_upload(
    tx: &WriteTx<'_>,
    may: &MayAdminister,
    guid: &BuildpackGuid,
    files: Files,
) -> Result<()> {
    let mut buildpack = model::buildpacks::get(tx, guid)?;
    if buildpack.locked {
        return Ok(());
    }
    if let Some(stack) = files.stack.filter(|stack| !stack.is_empty()) {
        let (kind, text) = match buildpack.stack.as_deref() {
            Some(current) if current != stack => (
                Kind::BuildpackStacksDontMatch,
                format!("Uploaded buildpack stack ({stack}) does not match {current}"),
            ),
            None if !model::stacks::exists(tx, &stack)? => (
                Kind::BuildpackStackDoesNotExist,
                format!("Uploaded buildpack stack ({stack}) does not exist"),
            ),
            _ => {
                buildpack.stack = Some(stack);
                return store_files(tx, may, buildpack, &files.digest, files.filename);
            }
        };
        return Err(Error::new(kind, text));
    }
    store_files(tx, may, buildpack, &files.digest, files.filename)
}

fn store_files(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    mut buildpack: Buildpack,
    digest: &Digest,
    filename: String,
) -> Result<()> {
    let unchanged = buildpack.blob_digest.as_ref() == Some(digest)
        && buildpack.filename.as_deref() == Some(&filename);
    if unchanged {
        return Ok(());
    }
    let data = json!({ "request": { "bits_name": filename } });
    buildpack.filename = Some(filename);
    buildpack.blob_digest = Some(digest.clone());
    "READY".clone_into(&mut buildpack.state);
    buildpack.updated_at = recorder.now;
    model::buildpacks::update(tx, &buildpack).map_err(|error| match error {
        model::buildpacks::Refused::Failed(error) => error,
        model::buildpacks::Refused::Taken => {
            let stack = buildpack.stack.as_deref().unwrap_or_default();
            Error::new(
                Kind::BuildpackNameStackLifecycleTaken,
                format!(
                    "The buildpack name {} is already in use for the stack {stack} and the lifecycle {}",
                    buildpack.name, buildpack.lifecycle
                ),
            )
        }
    })?;
    model::buildpacks::refer_to_files(tx, &buildpack.guid, digest)?;
    record(tx, recorder, "audit.buildpack.upload", &buildpack, &data)
}

fn check_stack(tx: &WriteTx<'_>, stack: Option<&str>) -> Result<()> {
    match stack {
        Some(stack) if !model::stacks::exists(tx, stack)? => Err(Error::unprocessable(format!(
            "Stack '{stack}' does not exist"
        ))),
        _ => Ok(()),
    }
}

fn taken(error: model::buildpacks::Refused, buildpack: &Buildpack) -> Error {
    match error {
        model::buildpacks::Refused::Failed(error) => error,
        model::buildpacks::Refused::Taken => Error::unprocessable(match &buildpack.stack {
            None => format!(
                "Buildpack with name '{}' and an unassigned stack already exists",
                buildpack.name
            ),
            Some(stack) => format!(
                "Buildpack with name '{}', stack '{stack}' and lifecycle '{}' already exists",
                buildpack.name, buildpack.lifecycle
            ),
        }),
    }
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    kind: &str,
    buildpack: &Buildpack,
    data: &Value,
) -> Result<()> {
    let target = Target {
        guid: buildpack.guid.as_str(),
        kind: "buildpack",
        name: &buildpack.name,
    };
    recorder.record(tx, kind, &target, Place::default(), data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{GuidSource, Timestamp};
    use crate::cloud_controller::access::{Authority, Caller};
    use crate::cloud_controller::model::audit_events::Actor;
    use crate::db::Db;

    const ROWS: &str = "
        insert into stacks (guid, name, state, created_at, updated_at) values ('k', 'cflinuxfs4', 'ACTIVE', 0, 0);
        insert into blobs (digest, size, last_put_at) values
            ('sha256:0000000000000000000000000000000000000000000000000000000000000001', 1, 0);
        insert into buildpacks (guid, name, stack, position, state, lifecycle, created_at, updated_at) values
            ('b', 'mine', null, 1, 'AWAITING_UPLOAD', 'buildpack', 0, 0),
            ('c', 'mine', 'cflinuxfs4', 2, 'AWAITING_UPLOAD', 'buildpack', 0, 0);";

    fn admin() -> MayAdminister {
        let caller = Caller {
            guid: "admin".into(),
            name: "admin".to_owned(),
            email: String::new(),
            is_client: false,
            authority: Authority::Admin,
        };
        let recorder = Recorder {
            actor: Actor::from(&caller),
            now: Timestamp::from_micros(1),
            guids: GuidSource::counted(),
        };
        MayAdminister::check(&caller, recorder).expect("an administrator")
    }

    fn upload(tx: &WriteTx<'_>, stack: Option<&str>) -> Result<()> {
        let digest = format!("sha256:{:064}", 1);
        let files = Files {
            digest: Digest::parse(&digest).expect("a digest"),
            filename: "b.zip".to_owned(),
            stack: stack.map(str::to_owned),
        };
        finish_upload(tx, &admin(), &"b".into(), files)
    }

    #[tokio::test]
    async fn only_a_taken_name_is_called_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let rows = db.write(|tx| Ok::<_, Error>(tx.sql().execute_batch(ROWS)?));
        rows.await.expect("rows");
        let taken = db.write(|tx| upload(tx, Some("cflinuxfs4"))).await;
        let taken = taken.expect_err("another one of this name and stack");
        assert_eq!(taken.kind(), Kind::BuildpackNameStackLifecycleTaken);
        let failed = db.write(|tx| {
            tx.sql().execute_batch(
                "create trigger broken before update on buildpacks \
                 begin select raise(abort, 'the disk is full'); end",
            )?;
            upload(tx, None)
        });
        let failed = failed.await.expect_err("a database that fails");
        assert_eq!(failed.kind(), Kind::ServerError);
    }
}
