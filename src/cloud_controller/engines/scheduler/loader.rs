//! The scheduler's input, read from the snapshots.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::Megabytes;
use crate::base::guid::{DropletGuid, ProcessGuid};
use crate::blobs::Digest;
use crate::cloud_controller::model;
use crate::cloud_controller::model::desired::{Snapshot, Specification, Started, StoredCheck};
use crate::db::{DbError, ReadTx, Vault};
use crate::scheduler::{
    CheckKind, DesiredProcess, DesiredState, HealthCheck, ReadinessCheck, Wanted,
};

/// How the daemon pulls a droplet's image: a reference by digest.
pub(crate) type ImageReferences = Arc<dyn Fn(&DropletGuid, &Digest) -> String + Send + Sync>;

/// The desired processes of all apps.
///
/// Snapshots never change within a version, so each is read and decrypted once. One that cannot be
/// read is reported as such, and the others are loaded all the same.
pub(crate) struct DesiredApps {
    vault: Vault,
    images: ImageReferences,
    known: Mutex<HashMap<ProcessGuid, Arc<DesiredProcess>>>,
}

impl DesiredApps {
    /// `images` builds the references of images.
    pub(crate) fn new(vault: Vault, images: ImageReferences) -> Self {
        Self {
            vault,
            images,
            known: Mutex::default(),
        }
    }

    fn process(
        &self,
        tx: &ReadTx<'_>,
        started: &Started,
    ) -> Result<Option<DesiredProcess>, DbError> {
        let Some(snapshot) = model::desired::snapshot(tx, &started.process_guid)? else {
            return Ok(None);
        };
        let spec: Specification = serde_json::from_str(&snapshot.specification)
            .map_err(|e| broken("desired_processes.specification", &e))?;
        let environment = self
            .vault
            .decrypt(&snapshot.environment)
            .map_err(|e| broken("desired_processes.environment", &e))?;
        let environment = serde_json::from_slice(&environment)
            .map_err(|e| broken("desired_processes.environment", &e))?;
        let digest = Digest::parse(&snapshot.image_digest)
            .map_err(|e| broken("desired_processes.image_digest", &e))?;
        let image = (self.images)(&snapshot.droplet_guid, &digest);
        let droplet_size = model::droplets::size(tx, &snapshot.droplet_guid)?;
        Ok(Some(DesiredProcess {
            droplet_size,
            ..desired(started, snapshot, spec, image, environment)
        }))
    }
}

/// A stored value cannot be read.
pub(crate) fn broken(what: &'static str, cause: &impl std::fmt::Display) -> DbError {
    DbError::Inconsistent {
        what,
        value: cause.to_string(),
    }
}

impl DesiredState for DesiredApps {
    fn load(&self, tx: &ReadTx<'_>) -> Result<Wanted, DbError> {
        let mut reading = tx.reading("desired_processes");
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = HashMap::with_capacity(known.len());
        let mut all = Vec::with_capacity(known.len());
        for started in model::desired::started(tx, &mut reading)? {
            let guid = started.process_guid.clone();
            let as_known = known
                .get(&guid)
                .filter(|process| process.version == started.version);
            let process = match as_known {
                Some(process) => process.clone(),
                None => match self.process(tx, &started) {
                    Ok(Some(process)) => Arc::new(process),
                    Ok(None) => continue,
                    Err(error) if error.is_unreadable() => {
                        let app = Some(started.app_guid.to_string());
                        reading.unreadable(guid.as_str(), app, &error);
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            all.push(DesiredProcess {
                instances: started.instances,
                app_name: started.app_name,
                ..(*process).clone()
            });
            current.insert(guid, process);
        }
        *known = current;
        let unreadable = reading.keys().collect();
        reading.finish();
        Ok(Wanted {
            processes: all,
            unreadable,
        })
    }
}

fn desired(
    started: &Started,
    snapshot: Snapshot,
    spec: Specification,
    image: String,
    environment: Vec<(String, String)>,
) -> DesiredProcess {
    DesiredProcess {
        process_guid: started.process_guid.clone(),
        app_guid: snapshot.app_guid,
        app_name: started.app_name.clone(),
        log_source_type: source_type(&snapshot.process_type, spec.logged_revision),
        process_type: snapshot.process_type,
        version: started.version.clone(),
        instances: started.instances,
        image,
        droplet_size: None,
        entrypoint: spec.entrypoint,
        command: spec.command,
        user: spec.user,
        working_dir: spec.working_dir,
        environment,
        memory: Megabytes(spec.memory),
        disk: Megabytes(spec.disk),
        log_rate_limit: spec.log_rate_limit,
        log_sidecars: spec.sidecars,
        ports: spec.ports,
        health_check: health_check(&spec.health_check),
        readiness_check: readiness_check(&spec.readiness_check),
        lifecycle_files: spec.lifecycle_files,
        vcap_app_port: spec.lifecycle_files && !spec.cloud_native,
    }
}

/// `APP/PROC/WEB`, or `APP/REV/3/PROC/WEB` when the revision is included.
fn source_type(kind: &str, revision: Option<i64>) -> String {
    let revision = revision.map_or(String::new(), |version| format!("REV/{version}/"));
    format!("APP/{revision}PROC/{}", kind.to_uppercase())
}

fn kind(check: &StoredCheck) -> CheckKind {
    match check.kind.as_str() {
        "port" => CheckKind::Port,
        "http" => CheckKind::Http {
            endpoint: check.endpoint.clone().unwrap_or_else(|| "/".to_owned()),
        },
        _ => CheckKind::Process,
    }
}

fn seconds(given: Option<i64>, default: Duration) -> Duration {
    given
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(default, Duration::from_secs)
}

fn health_check(check: &StoredCheck) -> HealthCheck {
    let default = HealthCheck::new(kind(check));
    HealthCheck {
        timeout: seconds(check.timeout, default.timeout),
        invocation_timeout: seconds(check.invocation_timeout, default.invocation_timeout),
        interval: seconds(check.interval, default.interval),
        kind: default.kind,
    }
}

fn readiness_check(check: &StoredCheck) -> ReadinessCheck {
    let default = ReadinessCheck::new(kind(check));
    ReadinessCheck {
        invocation_timeout: seconds(check.invocation_timeout, default.invocation_timeout),
        interval: seconds(check.interval, default.interval),
        kind: default.kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_name_the_process_and_optionally_the_revision() {
        assert_eq!(source_type("web", None), "APP/PROC/WEB");
        assert_eq!(source_type("worker", Some(3)), "APP/REV/3/PROC/WORKER");
    }

    #[test]
    fn checks_keep_the_platforms_times_where_none_are_set() {
        let stored = |kind: &str, timeout| StoredCheck {
            kind: kind.to_owned(),
            endpoint: Some("/health".to_owned()),
            timeout,
            invocation_timeout: Some(7),
            interval: None,
        };
        let check = health_check(&stored("http", Some(90)));
        assert_eq!(
            check.kind,
            CheckKind::Http {
                endpoint: "/health".to_owned()
            }
        );
        assert_eq!(check.timeout, Duration::from_secs(90));
        assert_eq!(check.invocation_timeout, Duration::from_secs(7));
        let default = HealthCheck::new(CheckKind::Port);
        assert_eq!(check.interval, default.interval);
        assert_eq!(health_check(&stored("port", None)).timeout, default.timeout);
        assert_eq!(
            readiness_check(&stored("process", None)).kind,
            CheckKind::Process
        );
    }
}
