//! The container and the volume of an instance.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde_json::{Map, Value};
use tar::{Builder, EntryType, Header};

use super::catalog::Spec;
use super::failure::Failure;
use super::template::render;
use super::variables::host_name;
use super::{Inner, KIND, LABEL_INSTANCE, Service};
use crate::docker::{
    Access, ByteReader, Container, ContainerSpec, DockerError, Engine, LABEL_INSTANCE_ID,
    LABEL_KIND, LABEL_OWNER, LABEL_SOURCE_ID, LABEL_SOURCE_TYPE, Labels, Upload, VolumeMount,
};

/// Holds a lock on the folder of the volume; the processes of the service inherit it.
const LOCK: &str = "exec {cflite_lock}< 'FOLDER'\nflock -n \"$cflite_lock\" || \
    { echo 'another process has the volume' >&2; exit 75; }\n";
/// The script that the container runs.
const START: &str = "/run/cflite/start";

impl Inner {
    /// The name of an instance's container: the daemon lets nobody make a second one.
    pub(super) fn container_name(&self, guid: &str) -> String {
        container_name(&self.settings.platform_id, guid)
    }

    /// The name of its volume.
    pub(super) fn volume_name(&self, guid: &str) -> String {
        volume_name(&self.settings.platform_id, guid)
    }

    pub(super) fn labels(&self) -> Labels {
        labels(&self.settings.platform_id)
    }

    pub(super) fn labels_of(&self, guid: &str) -> Labels {
        labels_of(&self.settings.platform_id, guid)
    }

    pub(super) async fn container(&self, guid: &str) -> Result<Option<Container>, DockerError> {
        self.engine.inspect(&self.container_name(guid)).await
    }

    /// The id of the running container.
    pub(super) async fn running(&self, guid: &str) -> Result<Option<String>, DockerError> {
        let found = self.container(guid).await?;
        Ok(found
            .filter(Container::is_running)
            .map(|container| container.id))
    }

    /// A new container with the instance's volume, started. The old one is stopped first.
    pub(super) async fn start_anew(&self, service: &Service<'_>) -> Result<String, Failure> {
        let guid = &service.instance.guid;
        self.stop(service).await?;
        self.engine.remove(&self.container_name(guid)).await?;
        let image = self.image(service).await?;
        self.fence_others(guid).await?;
        if service.plan.spec.storage.is_some() {
            let labels = self.labels_of(guid);
            self.engine
                .ensure_volume(&self.volume_name(guid), &labels)
                .await?;
        }
        let spec = self.container_spec(service, image).await?;
        let id = self.engine.create(&spec).await?;
        self.start(service, &id).await?;
        Ok(id)
    }

    /// Starts the instance's container, which is there already.
    pub(super) async fn start(&self, service: &Service<'_>, id: &str) -> Result<(), Failure> {
        // An image that users choose is started as it is.
        if service.plan.spec.own.is_none() {
            let variables = service.variables(&self.users(&service.instance.guid).await?);
            let upload = Upload {
                folder: "/".to_owned(),
                tar: files(service, &variables)?,
            };
            self.engine.upload(id, upload).await?;
        }
        Ok(self.engine.start(id).await?)
    }

    /// Drains and stops the container, if it runs.
    pub(super) async fn stop(&self, service: &Service<'_>) -> Result<(), Failure> {
        let guid = &service.instance.guid;
        let Some(id) = self.running(guid).await? else {
            return Ok(());
        };
        let signals = &service.plan.spec.signals;
        if !signals.drain.is_empty() {
            let drained = self.hooks(service, &id, &signals.drain).await;
            if let Err(error) = drained {
                self.note(
                    guid,
                    format!("draining failed, stopping all the same: {error}"),
                )
                .await?;
            }
        }
        let grace = Duration::from_secs(signals.stop.grace_seconds);
        Ok(self.engine.stop(&id, grace).await?)
    }

    /// The CPU limit of a service: the daemon refuses more than it has.
    pub(super) async fn cpu_limit(&self, service: &Service<'_>) -> Result<u32, Failure> {
        let all = self.engine.info().await?.cpus.saturating_mul(1000);
        Ok(service.plan.spec.limits.cpu_limit().min(all))
    }

    async fn container_spec(
        &self,
        service: &Service<'_>,
        image: String,
    ) -> Result<ContainerSpec, Failure> {
        let (instance, spec) = (service.instance, &service.plan.spec);
        let variables = service.variables(&[]);
        let environment: Result<Vec<_>, String> = { spec.environment.iter() }
            .map(|(name, value)| Ok((name.clone(), render(value, &variables)?)))
            .collect();
        let (network, address) = self.host.address().await?;
        let cpu_limit = self.cpu_limit(service).await?;
        let published = spec.ports.iter();
        let published: BTreeMap<u16, u16> = published
            .filter_map(|(name, port)| Some((port.port, *instance.ports.get(name)?)))
            .collect();
        let mut labels = self.labels_of(&instance.guid);
        labels.insert(LABEL_SOURCE_ID.to_owned(), instance.guid.clone());
        labels.insert(LABEL_SOURCE_TYPE.to_owned(), "SVC".to_owned());
        labels.insert(LABEL_INSTANCE_ID.to_owned(), "0".to_owned());
        let volume = spec.storage.iter().map(|storage| VolumeMount {
            volume: self.volume_name(&instance.guid),
            folder: storage.path.clone(),
            access: Access::ReadWrite,
        });
        let run = run(spec);
        Ok(ContainerSpec {
            name: self.container_name(&instance.guid),
            image,
            command: run.command,
            entrypoint: run.entrypoint,
            environment: environment?,
            user: run.user,
            working_dir: run.working_dir,
            hostname: Some(service.short().to_owned()),
            labels,
            memory: Some(service.memory()),
            cpu_limit: Some(cpu_limit),
            pids_limit: Some(spec.limits.pids),
            network: Some(network),
            address: Some(address),
            aliases: vec![host_name(&instance.guid)],
            published,
            stop_signal: Some(spec.signals.stop.signal.clone()),
            stop_timeout: Some(Duration::from_secs(spec.signals.stop.grace_seconds)),
            volumes: volume.collect(),
            ..ContainerSpec::default()
        })
    }
}

/// How the process of a container is started.
struct Run {
    entrypoint: Option<Vec<String>>,
    command: Vec<String>,
    user: Option<String>,
    working_dir: Option<String>,
}

fn run(spec: &Spec) -> Run {
    match &spec.own {
        Some(own) => Run {
            entrypoint: own.entrypoint.clone(),
            command: own.command.clone(),
            user: own.user.clone(),
            working_dir: None,
        },
        None => Run {
            entrypoint: Some(Vec::new()),
            command: ["bash", START].map(str::to_owned).to_vec(),
            user: Some("0:0".to_owned()),
            working_dir: Some("/".to_owned()),
        },
    }
}

fn labels(platform_id: &str) -> Labels {
    Labels::from([
        (LABEL_OWNER.to_owned(), platform_id.to_owned()),
        (LABEL_KIND.to_owned(), KIND.to_owned()),
    ])
}

/// The labels of an instance's container and volume.
pub fn labels_of(platform_id: &str, guid: &str) -> Labels {
    let mut labels = labels(platform_id);
    labels.insert(LABEL_INSTANCE.to_owned(), guid.to_owned());
    labels
}

/// The name of an instance's container.
pub fn container_name(platform_id: &str, guid: &str) -> String {
    format!("cflite-{platform_id}-service-{guid}")
}

/// The name of an instance's volume.
pub fn volume_name(platform_id: &str, guid: &str) -> String {
    format!("{}{guid}", volume_prefix(platform_id))
}

/// The guids of the instances that have a volume on the daemon.
pub async fn instances_with_volume(
    engine: &dyn Engine,
    platform_id: &str,
) -> Result<Vec<String>, DockerError> {
    let prefix = volume_prefix(platform_id);
    let names = engine.volume_names(&prefix).await?;
    let guids = names.iter().filter_map(|name| name.strip_prefix(&prefix));
    let mut guids: Vec<String> = guids.map(str::to_owned).collect();
    guids.sort();
    Ok(guids)
}

/// What the names of a platform's volumes begin with.
pub(super) fn volume_prefix(platform_id: &str) -> String {
    format!("cflite-{platform_id}-service-")
}

/// The script and all files of an instance.
fn files(service: &Service<'_>, variables: &Map<String, Value>) -> Result<ByteReader, Failure> {
    let spec = &service.plan.spec;
    let mut script = String::from("#!/bin/bash\nset -eu\n");
    if let Some(storage) = &spec.storage {
        // The lock is on the folder; all processes of the service have it, and the kernel releases it.
        script.push_str(&LOCK.replace("FOLDER", &storage.path));
    }
    script.push_str(&render(&spec.entry, variables)?);
    let mut tar = Builder::new(Vec::new());
    append(&mut tar, START, script.as_bytes(), 0o500)?;
    for (name, value) in service.instance.secrets.expose() {
        append(
            &mut tar,
            &format!("/run/secrets/{name}"),
            value.as_bytes(),
            0o400,
        )?;
    }
    for (path, body) in &spec.files {
        append(&mut tar, path, render(body, variables)?.as_bytes(), 0o400)?;
    }
    Ok(Box::pin(io::Cursor::new(tar.into_inner().map_err(broken)?)))
}

/// A tar of files of root: paths, contents and modes.
pub(super) fn tar_of(files: &[(&str, &[u8], u32)]) -> Result<ByteReader, Failure> {
    let mut tar = Builder::new(Vec::new());
    for (path, content, mode) in files {
        append(&mut tar, path, content, *mode)?;
    }
    Ok(Box::pin(io::Cursor::new(tar.into_inner().map_err(broken)?)))
}

fn append(
    tar: &mut Builder<Vec<u8>>,
    path: &str,
    content: &[u8],
    mode: u32,
) -> Result<(), Failure> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    let appended = tar.append_data(&mut header, path.trim_start_matches('/'), content);
    appended.map_err(broken)
}

fn broken(error: io::Error) -> Failure {
    Failure::new(error.to_string())
}
