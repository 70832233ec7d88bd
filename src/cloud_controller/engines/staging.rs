//! The staging engine's view of builds: pending builds and their results.

use crate::cloud_controller::actions::app_usage_events::WrittenBy;
use crate::cloud_controller::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{Clock, GuidSource};
use crate::cloud_controller::actions::app_usage_events::Staging;
use crate::cloud_controller::model::apps::LifecycleType;
use crate::cloud_controller::model::audit_events::{Actor, Place, Recorder, Target};
use crate::cloud_controller::model::builds::{Build, BuildError, CnbInput, DockerInput};
use crate::cloud_controller::{actions, model};
use crate::db::{DbError, ReadTx, Vault, WriteTx};
use crate::registry::upstream::Credentials;
use crate::staging::{
    Builds, CnbStaging, ImageStaging, Lifecycle, PackageStaging, PendingBuilds, Staged,
    StagingFailure, StagingRequest, error_ids,
};

/// Longest staging.
const TIMEOUT: Duration = Duration::from_secs(900);

/// The rows of builds for the staging engine.
pub(crate) struct StagingQueue {
    /// For the environment of builds.
    pub vault: Vault,
    /// When a build ended.
    pub clock: Arc<dyn Clock>,
    /// For audit events.
    pub guids: GuidSource,
}

impl Builds for StagingQueue {
    fn pending(&self, tx: &ReadTx<'_>) -> Result<PendingBuilds, DbError> {
        let mut reading = tx.reading("builds");
        let mut requests = Vec::new();
        for build in model::builds::staging(tx, &mut reading)? {
            match self.request(tx, &build) {
                Ok(request) => requests.push(request),
                Err(error) if error.is_unreadable() => {
                    let app = Some(build.app_guid.to_string());
                    reading.unreadable(build.guid.as_str(), app, &error);
                }
                Err(error) => return Err(error),
            }
        }
        let found = reading.found().iter();
        let unreadable = found.map(|row| (row.key.as_str().into(), row.reason.clone()));
        let unreadable = unreadable.collect();
        reading.finish();
        Ok(PendingBuilds {
            requests,
            unreadable,
        })
    }

    fn staged(&self, tx: &WriteTx<'_>, staged: &Staged) -> Result<bool, DbError> {
        let now = self.clock.now();
        let Some(build) = model::builds::find_staging(tx, &staged.build_guid)? else {
            release(tx, staged)?;
            return Ok(false);
        };
        if staged.process_types.is_empty() && !model::builds::has_web_command(tx, &build.app_guid)?
        {
            release(tx, staged)?;
            self.failed(
                tx,
                &StagingFailure {
                    build_guid: build.guid,
                    error_id: "StagingError",
                    message: "Staging error: Start command not specified".to_owned(),
                },
            )?;
            return Ok(false);
        }
        model::builds::set_staged(tx, &build.guid, now)?;
        model::droplets::insert_staged(tx, &build, staged, now).map_err(|e| inconsistent(&e))?;
        if let Some(stack) = &staged.stack {
            let cache = staged.cache.as_ref().map(|blob| &blob.digest);
            model::builds::set_cache(tx, &build.app_guid, cache, stack)?;
        }
        actions::droplets::expire(tx, &build.app_guid, now).map_err(|e| inconsistent(&e))?;
        let data = json!({
            "droplet_guid": staged.droplet_guid,
            "package_guid": build.package_guid,
        });
        let buildpack = staged.buildpacks.last().map(|one| one.name.as_str());
        self.record_use(tx, &build, Staging::Stopped, buildpack)?;
        self.record_use(tx, &build, Staging::BuildpackSet, buildpack)?;
        self.record(tx, &build, "audit.app.droplet.create", &data)?;
        let mut data = of_build(&build);
        data["droplet_guid"] = json!(staged.droplet_guid);
        data["buildpacks"] = staged
            .buildpacks
            .iter()
            .map(|buildpack| {
                json!({
                    "name": model::buildpacks::without_credentials(&buildpack.name),
                    "buildpack_name": buildpack.buildpack_name,
                    "version": buildpack.version,
                })
            })
            .collect();
        self.record(tx, &build, "audit.app.build.staged", &data)?;
        Ok(true)
    }

    fn failed(&self, tx: &WriteTx<'_>, failure: &StagingFailure) -> Result<(), DbError> {
        let found = model::builds::find_staging(tx, &failure.build_guid);
        let found = match found {
            // It fails all the same, without an event: its app is unknown.
            Err(error) if error.is_unreadable() => None,
            Err(error) => return Err(error),
            Ok(None) => return Ok(()),
            Ok(found) => found,
        };
        let error = BuildError {
            id: failure.error_id,
            message: &failure.message,
        };
        model::builds::set_failed(tx, &failure.build_guid, error, self.clock.now())?;
        let Some(build) = found else { return Ok(()) };
        self.record_use(tx, &build, Staging::Stopped, None)?;
        let mut data = of_build(&build);
        data["error_id"] = json!(failure.error_id);
        data["error_message"] = json!(reason(failure));
        self.record(tx, &build, "audit.app.build.failed", &data)
    }
}

/// The reason for events and log lines: a buildpack's failure is already in its own output.
fn reason(failure: &StagingFailure) -> &str {
    if failure.error_id == error_ids::STAGING {
        let message = &failure.message;
        message.strip_prefix("Staging error: ").unwrap_or(message)
    } else {
        "staging failed"
    }
}

/// Releases the files of a build that does not become a droplet.
fn release(tx: &WriteTx<'_>, staged: &Staged) -> Result<(), DbError> {
    model::droplets::delete(tx, &staged.droplet_guid).map_err(|e| inconsistent(&e))
}

impl StagingQueue {
    fn request(&self, tx: &ReadTx<'_>, build: &Build) -> Result<StagingRequest, DbError> {
        let inputs = model::builds::inputs(tx, build)?.ok_or_else(|| DbError::Inconsistent {
            what: "builds.staging_environment",
            value: "none".to_owned(),
        })?;
        let broken = |value: String| DbError::Inconsistent {
            what: "builds.staging_environment",
            value,
        };
        let plain = self
            .vault
            .decrypt(&inputs.environment)
            .map_err(|e| broken(e.to_string()))?;
        let Some(package) = inputs.package else {
            let input = serde_json::from_slice(&plain).map_err(|e| broken(e.to_string()))?;
            return image_request(tx, build, input);
        };
        let (lifecycle, environment) =
            lifecycle(build, &plain).map_err(|e| broken(e.to_string()))?;
        let lifecycle = with_previous(tx, build, lifecycle)?;
        let buildpacks =
            serde_json::from_str(&inputs.buildpacks).map_err(|e| DbError::Inconsistent {
                what: "builds.buildpack_choices",
                value: e.to_string(),
            })?;
        Ok(StagingRequest::Package(PackageStaging {
            build_guid: build.guid.clone(),
            app_guid: build.app_guid.clone(),
            droplet_guid: build.droplet_guid.clone(),
            package,
            lifecycle,
            skip_detect: !build.buildpacks.is_empty(),
            buildpacks,
            stack: build.stack.clone().unwrap_or_default(),
            environment,
            memory: build.memory,
            disk: build.disk,
            log_rate_limit: build.log_rate_limit,
            cache: inputs.cache,
            timeout: TIMEOUT,
        }))
    }

    /// `buildpack` is the one that was used; until then the first requested one.
    fn record_use(
        &self,
        tx: &WriteTx<'_>,
        build: &Build,
        staging: Staging,
        buildpack: Option<&str>,
    ) -> Result<(), DbError> {
        let buildpack = buildpack.or(build.buildpacks.first().map(String::as_str));
        let by = WrittenBy {
            now: self.clock.now(),
            guids: &self.guids,
        };
        actions::app_usage_events::of_build(tx, by, &build.app_guid, staging, buildpack)
            .map_err(|e| inconsistent(&e))
    }

    /// The actor is the user who created the build.
    fn record(
        &self,
        tx: &WriteTx<'_>,
        build: &Build,
        kind: &str,
        data: &Value,
    ) -> Result<(), DbError> {
        let [guid, name, _] = build.created_by.clone();
        let actor = Actor {
            guid: guid.unwrap_or_default(),
            kind: "user",
            name: name.unwrap_or_default(),
        };
        let recorder = Recorder {
            actor,
            now: self.clock.now(),
            guids: self.guids.clone(),
        };
        recorder
            .record(
                tx,
                kind,
                &target(build),
                Place::space(&build.space_guid),
                data,
            )
            .map_err(|e| inconsistent(&e))
    }
}

/// The kind of the buildpacks and their environment.
fn lifecycle(
    build: &Build,
    plain: &[u8],
) -> serde_json::Result<(Lifecycle, Vec<(String, String)>)> {
    if build.lifecycle_type == LifecycleType::Cnb.as_str() {
        let input: CnbInput = serde_json::from_slice(plain)?;
        let cnb = CnbStaging {
            credentials: input.credentials,
            previous: None,
        };
        return Ok((Lifecycle::Cnb(cnb), input.environment));
    }
    Ok((Lifecycle::Buildpack, serde_json::from_slice(plain)?))
}

/// Images of buildpacks may be had from the app's newest droplet.
fn with_previous(
    tx: &ReadTx<'_>,
    build: &Build,
    lifecycle: Lifecycle,
) -> Result<Lifecycle, DbError> {
    match lifecycle {
        Lifecycle::Buildpack => Ok(Lifecycle::Buildpack),
        Lifecycle::Cnb(cnb) => Ok(Lifecycle::Cnb(CnbStaging {
            previous: model::droplets::newest_of(tx, &build.app_guid)?,
            ..cnb
        })),
    }
}

/// The request for a build of a Docker image.
fn image_request(
    tx: &ReadTx<'_>,
    build: &Build,
    input: DockerInput,
) -> Result<StagingRequest, DbError> {
    let credentials = input.username.zip(input.password);
    let credentials =
        credentials.map(|(username, password)| Credentials::of_user(username, password));
    Ok(StagingRequest::Image(ImageStaging {
        build_guid: build.guid.clone(),
        app_guid: build.app_guid.clone(),
        droplet_guid: build.droplet_guid.clone(),
        previous: model::droplets::image_of(tx, &build.app_guid, &input.image)?,
        image: input.image,
        credentials,
        timeout: TIMEOUT,
    }))
}

fn of_build(build: &Build) -> Value {
    json!({ "build_guid": build.guid, "package_guid": build.package_guid })
}

fn target(build: &Build) -> Target<'_> {
    Target {
        guid: build.app_guid.as_str(),
        kind: "app",
        name: &build.app_name,
    }
}

fn inconsistent(error: &Error) -> DbError {
    DbError::Inconsistent {
        what: "builds",
        value: error.to_string(),
    }
}
