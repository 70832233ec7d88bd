//! What a process runs with, written down when it is started.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::NewTask;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::flows::desired::vcap_application::Facts;
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{App, LifecycleType};
use crate::cloud_controller::model::audit_events::Recorder;
use crate::cloud_controller::model::desired::{Droplet, Specification};
use crate::cloud_controller::model::processes::Process;
use crate::cloud_controller::model::revisions::Revision;
use crate::cloud_controller::model::sidecars::Sidecar;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::state::CloudController;
use crate::db::{ReadTx, Vault, WriteTx};

pub(super) const DEFAULT_PORT: u16 = 8080;
const LAUNCHER: &str = "/tmp/lifecycle/launcher";
const CNB_LAUNCHER: &str = "/tmp/lifecycle/cnb-launcher";

/// Tells the launcher to put the command under the supervisor of development.
const DEVELOPMENT_VARIABLE: &str = "CFLITE_DEVELOPMENT";

/// Starts the processes of an app.
pub(crate) fn launcher(kind: LifecycleType) -> &'static str {
    match kind {
        LifecycleType::Cnb => CNB_LAUNCHER,
        LifecycleType::Buildpack | LifecycleType::Docker => LAUNCHER,
    }
}

/// Where the launcher of Cloud Native Buildpacks finds the droplet.
pub(super) const CNB_VARIABLES: [(&str, &str); 2] = [
    ("CNB_LAYERS_DIR", "/home/vcap/layers"),
    ("CNB_APP_DIR", "/home/vcap/workspace"),
];

/// Starts the sidecars with the process, each with its own memory limit, and marks their lines.
const WITH_SIDECARS: &str = "/tmp/lifecycle/sidecars";

/// An app as it is to run.
#[derive(Clone, Copy)]
pub(crate) struct RunnableApp<'a> {
    pub app: &'a App,
    /// `None` when the app has no revisions.
    pub revision: Option<&'a Revision>,
}

impl<'a> RunnableApp<'a> {
    /// Of these.
    pub(crate) fn of(app: &'a App, revision: Option<&'a Revision>) -> Self {
        Self { app, revision }
    }
}

/// Writes snapshots; cheap to clone.
#[derive(Clone)]
pub(crate) struct Snapshots {
    pub(crate) vault: Vault,
    pub(crate) cf_api: String,
    pub(crate) log_revisions: bool,
    /// The lowest layer of every environment.
    pub(crate) proxy_variables: Arc<[(String, String)]>,
}

impl Snapshots {
    /// With the controller's secrets and address.
    pub(crate) fn of(cc: &CloudController) -> Self {
        Self {
            vault: cc.vault().clone(),
            cf_api: cc.default_base().to_owned(),
            log_revisions: cc.settings().app_log_revision,
            proxy_variables: cc.settings().proxy_variables.clone(),
        }
    }

    /// What secrets are sealed with.
    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Starts or restarts a process: a new version with the current settings.
    pub(crate) fn start(
        &self,
        tx: &WriteTx<'_>,
        recorder: &Recorder,
        runnable: RunnableApp<'_>,
        mut process: Process,
    ) -> Result<()> {
        let RunnableApp { app, revision } = runnable;
        if let Some(revision) = revision {
            process.revision_guid = Some(revision.guid.clone());
        }
        process.version = recorder.guids.next();
        process.updated_at = recorder.now;
        model::processes::update(tx, &process)?;
        let current = match &app.current_droplet_guid {
            Some(guid) => model::desired::find_droplet(tx, guid)?.filter(|droplet| droplet.staged),
            None => None,
        };
        let droplet = current
            .ok_or_else(|| Error::unprocessable("Assign a droplet before starting this app."))?;
        let sidecars = model::sidecars::of_process(tx, &app.guid, &process.kind)?;
        let mapped = model::desired::mapped_ports(tx, &app.guid, &process.kind)?;
        let kind = app.lifecycle.kind;
        let mut specification = specify(&process, &droplet, kind, &sidecars, &mapped);
        specification.logged_revision = revision
            .filter(|_| self.log_revisions)
            .map(|revision| revision.version);
        let developed = model::development_sessions::exists(tx, &app.guid)?;
        if developed {
            specification.without_checks();
        }
        let own_memory = process.memory - sidecars.iter().filter_map(|s| s.memory).sum::<i64>();
        let mut environment = self.environment(tx, app, &process, own_memory)?;
        if developed {
            environment.push((DEVELOPMENT_VARIABLE.to_owned(), "1".to_owned()));
        }
        let sealed = self.vault.encrypt(&serde_json::to_vec(&environment)?)?;
        model::desired::save(tx, &process, &droplet, &specification, &sealed)
    }

    /// `VCAP_APPLICATION` as `cf env` shows it.
    pub(crate) fn vcap_application_of_app(&self, tx: &ReadTx<'_>, app: &App) -> Result<Value> {
        let (space, uris) = (
            Self::space(tx, app)?,
            model::desired::uris(tx, &app.guid, None)?,
        );
        Ok(Facts {
            cf_api: &self.cf_api,
            app,
            space: &space,
            uris: &uris,
        }
        .of_app())
    }

    fn environment(
        &self,
        tx: &ReadTx<'_>,
        app: &App,
        process: &Process,
        own_memory: i64,
    ) -> Result<Vec<(String, String)>> {
        let of_process = |facts: Facts<'_>| facts.of_process(process, own_memory);
        self.variables(tx, app, Some(&process.kind), own_memory, of_process)
    }

    /// The same of a task, whose version nothing else has.
    pub(crate) fn task_environment(
        &self,
        tx: &ReadTx<'_>,
        app: &App,
        task: &NewTask<'_>,
        version: &str,
    ) -> Result<Vec<(String, String)>> {
        let of_task = |facts: Facts<'_>| facts.of_task(task, version);
        self.variables(tx, app, None, task.memory, of_task)
    }

    /// Lowest precedence first: the running group, the app's own, then what nobody may override.
    /// `kind` = only the routes of this process type.
    fn variables(
        &self,
        tx: &ReadTx<'_>,
        app: &App,
        kind: Option<&str>,
        memory: i64,
        vcap_application: impl FnOnce(Facts<'_>) -> Value,
    ) -> Result<Vec<(String, String)>> {
        // The lowest of all: also users may set them.
        let of_layers = app.lifecycle.kind == LifecycleType::Cnb;
        let of_layers = CNB_VARIABLES.iter().filter(|_| of_layers);
        let (group, _) = model::environment_variable_groups::load(tx, &self.vault, "running")?;
        let own = model::apps::environment(tx, &self.vault, &app.guid)?;
        let mut all: Vec<(String, String)> = Vec::with_capacity(group.len() + own.len() + 5);
        all.extend(self.proxy_variables.iter().cloned());
        all.extend(of_layers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all.extend(
            group
                .into_iter()
                .chain(own)
                .map(|(name, value)| (name, text(value))),
        );
        let space = Self::space(tx, app)?;
        let uris = model::desired::uris(tx, &app.guid, kind)?;
        let facts = Facts {
            cf_api: &self.cf_api,
            app,
            space: &space,
            uris: &uris,
        };
        let platform = [
            ("VCAP_APPLICATION", vcap_application(facts).to_string()),
            ("MEMORY_LIMIT", format!("{memory}m")),
        ];
        all.extend(platform.map(|(name, value)| (name.to_owned(), value)));
        all.extend(super::services::variables(tx, &self.vault, app)?);
        Ok(all)
    }

    fn space(tx: &ReadTx<'_>, app: &App) -> Result<Space> {
        let space = model::spaces::find(tx, &app.space_guid)?;
        space.ok_or_else(|| Error::internal("an app without its space"))
    }
}

/// A variable's value as a process sees it; what is no text is its JSON.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

pub(super) fn specify(
    process: &Process,
    droplet: &Droplet,
    kind: LifecycleType,
    sidecars: &[Sidecar],
    mapped: &[u16],
) -> Specification {
    let docker = kind == LifecycleType::Docker;
    let (entrypoint, command) = if docker {
        docker_command(process)
    } else {
        let command = model::desired::command(process, Some(droplet));
        (
            Some(Vec::new()),
            launcher_command(launcher(kind), &command, process, sidecars),
        )
    };
    Specification {
        command,
        entrypoint,
        user: if docker {
            process.user.clone()
        } else {
            Some("2000:2000".to_owned())
        },
        working_dir: (!docker).then(|| "/home/vcap".to_owned()),
        memory: process.memory,
        disk: process.disk,
        log_rate_limit: process.log_rate_limit,
        ports: ports(
            mapped,
            if docker {
                droplet.docker_ports()
            } else {
                Vec::new()
            },
        ),
        health_check: (&process.health_check).into(),
        readiness_check: (&process.readiness_check).into(),
        lifecycle_files: !docker,
        cloud_native: kind == LifecycleType::Cnb,
        logged_revision: None,
        sidecars: if docker {
            Vec::new()
        } else {
            sidecars.iter().map(|one| one.name.clone()).collect()
        },
    }
}

/// A command that users set replaces the image's entrypoint; without one the image decides.
fn docker_command(process: &Process) -> (Option<Vec<String>>, Vec<String>) {
    match process
        .command
        .as_deref()
        .filter(|command| !command.is_empty())
    {
        Some(command) => (Some(Vec::new()), words(&["/bin/sh", "-c", command])),
        None => (None, Vec::new()),
    }
}

fn launcher_command(
    launcher: &str,
    command: &str,
    process: &Process,
    sidecars: &[Sidecar],
) -> Vec<String> {
    if sidecars.is_empty() {
        return words(&[launcher, "app", command, ""]);
    }
    let mut all = words(&[WITH_SIDECARS, launcher, command]);
    for sidecar in sidecars {
        all.push(sidecar.command.clone());
        all.push(format!("{}m", sidecar.memory.unwrap_or(process.memory)));
    }
    all
}

/// Words of a command.
pub(crate) fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

/// The ports routes name (0 = the default one), else those of the image, else 8080.
fn ports(mapped: &[u16], exposed: Vec<u16>) -> Vec<u16> {
    let mut ports: Vec<u16> = mapped.iter().copied().filter(|port| *port != 0).collect();
    if mapped.contains(&0) || ports.is_empty() {
        let default = if exposed.is_empty() {
            vec![DEFAULT_PORT]
        } else {
            exposed
        };
        ports.splice(0..0, default);
    }
    let mut seen = BTreeSet::new();
    ports.retain(|port| seen.insert(*port));
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::cloud_controller::model::desired::tests::droplet;
    use crate::cloud_controller::model::processes::tests::web;

    #[test]
    fn ports_come_from_routes_then_the_image_then_the_default() {
        let table: [(&[u16], &[u16], &[u16]); 6] = [
            (&[], &[], &[8080]),
            (&[0], &[], &[8080]),
            (&[9000], &[], &[9000]),
            (&[0, 9000, 9000], &[], &[8080, 9000]),
            (&[0], &[80, 443], &[80, 443]),
            (&[9000], &[80], &[9000]),
        ];
        for (mapped, exposed, expected) in table {
            assert_eq!(
                ports(mapped, exposed.to_vec()),
                expected,
                "{mapped:?} {exposed:?}"
            );
        }
    }

    #[test]
    fn a_buildpack_app_is_started_by_the_launcher() {
        let mut process = web();
        let spec = specify(&process, &droplet(""), LifecycleType::Buildpack, &[], &[]);
        assert_eq!(spec.command, [LAUNCHER, "app", "serve", ""]);
        assert_eq!(spec.entrypoint, Some(Vec::new()));
        assert!(spec.lifecycle_files);
        process.command = Some("mine".to_owned());
        let spec = specify(&process, &droplet(""), LifecycleType::Buildpack, &[], &[]);
        assert_eq!(spec.command[2], "mine");
    }

    #[test]
    fn an_app_of_cloud_native_buildpacks_has_a_launcher_of_its_own() {
        let spec = specify(&web(), &droplet(""), LifecycleType::Cnb, &[], &[]);
        assert_eq!(spec.command, [CNB_LAUNCHER, "app", "serve", ""]);
        assert!(spec.lifecycle_files && spec.cloud_native);
        let rows = ["buildpack", "docker", "cnb"];
        let kinds = rows.map(|name| LifecycleType::parse(name).map(launcher));
        let expected = [LAUNCHER, LAUNCHER, CNB_LAUNCHER].map(Some);
        assert_eq!(kinds, expected);
    }

    #[test]
    fn an_image_keeps_its_entrypoint_unless_a_command_is_set() {
        let mut process = web();
        let spec = specify(&process, &droplet(""), LifecycleType::Docker, &[], &[]);
        assert_eq!(
            (spec.entrypoint, spec.command.len(), spec.user),
            (None, 0, None)
        );
        process.command = Some("echo hi".to_owned());
        let spec = specify(&process, &droplet(""), LifecycleType::Docker, &[], &[]);
        assert_eq!(spec.command, ["/bin/sh", "-c", "echo hi"]);
        assert_eq!(spec.entrypoint, Some(Vec::new()));
    }

    #[test]
    fn sidecars_are_started_beside_the_process() {
        let sidecar = |memory| Sidecar {
            guid: "s".to_owned(),
            app_guid: "a".into(),
            name: "cache".to_owned(),
            command: "run cache".to_owned(),
            process_types: vec!["web".to_owned()],
            memory,
            origin: "user".to_owned(),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        };
        let all = [sidecar(Some(32)), sidecar(None)];
        let spec = specify(&web(), &droplet(""), LifecycleType::Buildpack, &all, &[]);
        assert_eq!(spec.command[..2], [WITH_SIDECARS, LAUNCHER]);
        assert_eq!(
            spec.command[2..],
            ["serve", "run cache", "32m", "run cache", "256m"]
        );
        assert_eq!(spec.sidecars, ["cache", "cache"]);
    }
}
