//! Converts between bollard's types and those of [`crate::docker`]; pure.

use std::collections::{BTreeMap, HashMap};

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models;
use bollard::query_parameters as query;

use super::endpoint::{endpoint, loopback_binding};
use super::step::Step;
use crate::base::Timestamp;
use crate::docker::{
    Access, BuildSpec, ContainerChange, ContainerSpec, DaemonFacts, DaemonInfo, DockerError, Image,
    Input, Labels, MachineNetwork, RegistryAuth, Usage, VolumeMount,
};

/// Classifies an error by how callers handle it.
pub(super) fn error(error: Error) -> DockerError {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => match status_code {
            404 => DockerError::NotFound(missing(&message)),
            409 => DockerError::Conflict(message),
            _ => DockerError::Failed(message),
        },
        Error::DockerStreamError { error } => fault(error),
        Error::RequestTimeoutError => DockerError::Unreachable("no answer in time".into()),
        Error::SocketNotFoundError(path) => {
            DockerError::Unreachable(format!("there is no socket {path}"))
        }
        Error::IOError { err } => DockerError::Unreachable(err.to_string()),
        Error::HyperResponseError { err } => DockerError::Unreachable(chain(&err)),
        Error::HyperLegacyError { err } => DockerError::Unreachable(chain(&err)),
        other => DockerError::Failed(other.to_string()),
    }
}

/// An error reported inside a stream, which has no status code.
pub(super) fn fault(text: String) -> DockerError {
    let missing = ["not found", "manifest unknown", "does not exist"];
    if missing.iter().any(|words| text.contains(words)) {
        DockerError::NotFound(text)
    } else {
        DockerError::Failed(text)
    }
}

/// Shortens `No such container: x` to `container x`.
fn missing(message: &str) -> String {
    message
        .strip_prefix("No such ")
        .map_or_else(|| message.to_owned(), |thing| thing.replacen(": ", " ", 1))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether a container was rejected for its log driver.
pub(super) fn is_log_driver_error(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("log driver") || text.contains("log-driver") || text.contains("logging driver")
}

pub(super) fn daemon_info(info: models::SystemInfo, host: &str) -> DaemonInfo {
    let facts = daemon_facts(&info);
    let system = info.operating_system.unwrap_or_default();
    let rootless = facts.rootless;
    let local = !host.starts_with("tcp://") && !host.starts_with("http://");
    let architecture = match info.architecture.as_deref() {
        Some("x86_64") => "amd64",
        Some("aarch64") => "arm64",
        Some(other) => other,
        None => "unknown",
    };
    DaemonInfo {
        version: info.server_version.unwrap_or_default(),
        architecture: format!(
            "{}/{architecture}",
            info.os_type.as_deref().unwrap_or("linux")
        ),
        // The bridges of a daemon in a virtual machine or in a user namespace are there.
        containers_routable: cfg!(target_os = "linux")
            && local
            && !rootless
            && !system.contains("Docker Desktop"),
        cpus: u32::try_from(info.ncpu.unwrap_or(1)).unwrap_or(1),
        memory: u64::try_from(info.mem_total.unwrap_or(0)).unwrap_or(0),
        facts,
    }
}

fn daemon_facts(info: &models::SystemInfo) -> DaemonFacts {
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    let options = info.security_options.iter().flatten();
    let time = info.system_time.as_ref();
    let time = time.and_then(|time| time.parse::<jiff::Timestamp>().ok());
    DaemonFacts {
        cgroup_version: info
            .cgroup_version
            .map(|one| one.to_string())
            .unwrap_or_default(),
        cgroup_driver: info
            .cgroup_driver
            .map(|one| one.to_string())
            .unwrap_or_default(),
        storage_driver: text(&info.driver),
        root_dir: text(&info.docker_root_dir),
        rootless: { options }.any(|option| option.contains("rootless")),
        system_time: time.map(|time| Timestamp::from_micros(time.as_microsecond())),
        warnings: info.warnings.clone().unwrap_or_default(),
    }
}

/// How the ports of a container are reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ports {
    /// At its own address.
    Internal,
    /// At ports of this machine.
    Published,
}

pub(super) fn create_body(
    spec: &ContainerSpec,
    log_driver: &str,
    ports: Ports,
) -> models::ContainerCreateBody {
    let anywhere = spec.ports.iter().filter(|_| ports == Ports::Published);
    let published: BTreeMap<u16, Option<u16>> = anywhere
        .map(|port| (*port, None))
        .chain(spec.published.iter().map(|(port, at)| (*port, Some(*at))))
        .collect();
    models::ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
        // In the API one empty word clears the image's entrypoint.
        entrypoint: spec.entrypoint.as_ref().map(|words| {
            if words.is_empty() {
                vec![String::new()]
            } else {
                words.clone()
            }
        }),
        env: Some(
            spec.environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        ),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        hostname: spec.hostname.clone(),
        labels: Some(spec.labels.clone().into_iter().collect()),
        stop_timeout: spec
            .stop_timeout
            .map(|time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX)),
        open_stdin: Some(spec.input != Input::None),
        // The end of what is attached is the end of the input.
        stdin_once: Some(spec.input != Input::None),
        tty: Some(spec.input == Input::Terminal),
        stop_signal: spec.stop_signal.clone(),
        exposed_ports: (!published.is_empty())
            .then(|| published.keys().map(|port| format!("{port}/tcp")).collect()),
        networking_config: endpoint(spec),
        host_config: Some(models::HostConfig {
            port_bindings: (!published.is_empty()).then(|| {
                let bindings = published.iter();
                bindings
                    .map(|(port, at)| (format!("{port}/tcp"), Some(vec![loopback_binding(*at)])))
                    .collect()
            }),
            ..host_config(spec, log_driver, ports)
        }),
        ..Default::default()
    }
}

/// Thousandths of a core as the daemon counts CPU time.
pub(super) fn nano_cpus(limit: Option<u32>) -> Option<i64> {
    limit.map(|thousandths| i64::from(thousandths) * 1_000_000)
}

fn host_config(spec: &ContainerSpec, log_driver: &str, ports: Ports) -> models::HostConfig {
    let memory = spec.memory.map(|memory| memory.to_bytes().0);
    let log_options = [
        ("max-size", "10m"),
        ("max-file", "3"),
        ("compress", "false"),
        ("mode", "blocking"),
    ];
    let changes_network = spec.machine_network == MachineNetwork::Changes;
    models::HostConfig {
        init: Some(true),
        memory,
        // Equal to memory = no swap.
        memory_swap: memory,
        cpu_shares: spec.cpu_shares,
        nano_cpus: nano_cpus(spec.cpu_limit),
        pids_limit: spec.pids_limit,
        ulimits: spec.nofile.map(|limit| {
            vec![models::ResourcesUlimits {
                name: Some("nofile".to_owned()),
                soft: Some(limit),
                hard: Some(limit),
            }]
        }),
        network_mode: match spec.machine_network {
            MachineNetwork::None => spec.network.clone(),
            MachineNetwork::Changes => Some("host".to_owned()),
        },
        cap_drop: changes_network.then(|| vec!["ALL".to_owned()]),
        cap_add: changes_network.then(|| vec!["NET_ADMIN".to_owned()]),
        dns: Some(spec.dns.iter().map(ToString::to_string).collect())
            .filter(|all: &Vec<String>| ports == Ports::Internal && !all.is_empty()),
        extra_hosts: Some(spec.extra_hosts.clone()).filter(|hosts| !hosts.is_empty()),
        mounts: Some(spec.volumes.iter().map(mount).collect()),
        log_config: Some(models::HostConfigLogConfig {
            typ: Some(log_driver.to_owned()),
            config: Some(
                log_options
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
        }),
        ..Default::default()
    }
}

fn mount(wanted: &VolumeMount) -> models::Mount {
    models::Mount {
        typ: Some(models::MountType::VOLUME),
        source: Some(wanted.volume.clone()),
        target: Some(wanted.folder.clone()),
        read_only: Some(wanted.access == Access::ReadOnly),
        volume_options: Some(models::MountVolumeOptions {
            // An empty volume would get what the image has in the folder.
            no_copy: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(super) fn label_filters(labels: &Labels) -> HashMap<String, Vec<String>> {
    let texts = labels.iter().map(|(name, value)| format!("{name}={value}"));
    HashMap::from([("label".to_owned(), texts.collect())])
}

pub(super) fn change(event: models::EventMessage) -> Option<ContainerChange> {
    Some(ContainerChange {
        id: event.actor?.id?,
        action: event.action?,
    })
}

/// `None` for a container that does not run: its values are all absent or zero.
pub(super) fn usage(stats: models::ContainerStatsResponse) -> Option<Usage> {
    let cpu_nanos = stats.cpu_stats?.cpu_usage?.total_usage?;
    let memory = stats.memory_stats.unwrap_or_default();
    let used = memory.usage.unwrap_or(0);
    if cpu_nanos == 0 && used == 0 {
        return None;
    }
    // The first name is that of cgroup v1, the second that of v2.
    let figures = memory.stats.unwrap_or_default();
    let cache = figures
        .get("total_inactive_file")
        .or_else(|| figures.get("inactive_file"));
    let networks = stats.networks.unwrap_or_default();
    Some(Usage {
        cpu_nanos,
        memory: used.saturating_sub(cache.copied().unwrap_or(0)),
        rx: networks.values().filter_map(|n| n.rx_bytes).sum(),
        tx: networks.values().filter_map(|n| n.tx_bytes).sum(),
    })
}

pub(super) fn image(found: models::ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    let mut ports: Vec<u16> = config
        .exposed_ports
        .unwrap_or_default()
        .iter()
        .filter_map(|name| match name.split_once('/') {
            None => name.parse().ok(),
            Some((port, "tcp")) => port.parse().ok(),
            Some(_) => None,
        })
        .collect();
    ports.sort_unstable();
    Image {
        id: found.id.unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        digests: found.repo_digests.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        size: u64::try_from(found.size.unwrap_or(0)).unwrap_or(0),
        diff_ids: found.root_fs.and_then(|fs| fs.layers).unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        environment: config.env.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        exposed_ports: ports,
    }
}

pub(super) fn credentials(auth: RegistryAuth) -> DockerCredentials {
    DockerCredentials {
        username: Some(auth.username),
        password: Some(auth.password.expose().clone()),
        ..Default::default()
    }
}

/// Name and tag of `host:port/name:tag`; `latest` when there is none.
pub(super) fn split_reference(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

/// Daemons before Docker 25 list images without names as `<none>:<none>` and `<none>@<none>`.
pub(super) fn is_name(listed: &str) -> bool {
    !listed.contains("<none>")
}

/// Without a tag the daemon would pull all tags.
pub(super) fn pull_name(reference: &str) -> String {
    if reference.contains('@') {
        return reference.to_owned();
    }
    let (name, tag) = split_reference(reference);
    format!("{name}:{tag}")
}

pub(super) fn pull_text(step: models::CreateImageInfo) -> Step {
    if let Some(text) = step.error_detail.and_then(|detail| detail.message) {
        return Step::Fault(text);
    }
    match (step.id, step.status) {
        // Progress bars change many times a second.
        (_, Some(status)) if status == "Downloading" || status == "Extracting" => Step::Silent,
        (Some(id), Some(status)) => Step::Text(format!("{id}: {status}")),
        (None, Some(status)) => Step::Text(status),
        (_, None) => Step::Silent,
    }
}

pub(super) fn build_text(step: models::BuildInfo) -> Step {
    if let Some(text) = step.error_detail.and_then(|detail| detail.message) {
        return Step::Fault(text);
    }
    match step.stream.or(step.status) {
        Some(text) if !text.trim().is_empty() => Step::Text(text.trim_end().to_owned()),
        _ => Step::Silent,
    }
}

pub(super) fn build_options(build: &BuildSpec) -> query::BuildImageOptions {
    let arguments: HashMap<&str, &str> = pairs(&build.arguments);
    let labels: HashMap<&str, &str> = pairs(&build.labels);
    query::BuildImageOptionsBuilder::default()
        .dockerfile(&build.dockerfile)
        .t(&build.reference)
        .rm(true)
        .forcerm(true)
        .buildargs(&arguments)
        .labels(&labels)
        .build()
}

fn pairs(map: &BTreeMap<String, String>) -> HashMap<&str, &str> {
    map.iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_at_their_tag() {
        let cases = [
            ("debian", ("debian", "latest")),
            ("debian:bookworm-slim", ("debian", "bookworm-slim")),
            ("127.0.0.1:5000/a/b", ("127.0.0.1:5000/a/b", "latest")),
            ("127.0.0.1:5000/a/b:c", ("127.0.0.1:5000/a/b", "c")),
        ];
        for (reference, expected) in cases {
            assert_eq!(split_reference(reference), expected, "{reference}");
        }
        assert!(!is_name("<none>:<none>") && !is_name("a/b@<none>") && is_name("a/b:c"));
        assert_eq!(pull_name("a/b@sha256:00"), "a/b@sha256:00");
        assert_eq!(pull_name("a/b"), "a/b:latest");
    }

    #[test]
    fn errors_are_classified_by_how_callers_handle_them() {
        let server = |status_code, message: &str| Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        };
        let missing = error(server(404, "No such container: abc"));
        assert_eq!(missing.to_string(), "docker: container abc not found");
        assert!(matches!(error(server(409, "x")), DockerError::Conflict(_)));
        assert!(matches!(error(server(500, "x")), DockerError::Failed(_)));
        assert!(matches!(
            error(Error::RequestTimeoutError),
            DockerError::Unreachable(_)
        ));
    }

    #[test]
    fn ports_are_published_only_where_containers_cannot_be_reached() {
        let spec = ContainerSpec {
            ports: vec![8080],
            entrypoint: Some(Vec::new()),
            dns: vec![[172, 18, 0, 1].into()],
            ..Default::default()
        };
        let here = create_body(&spec, "local", Ports::Internal);
        let host = here.host_config.unwrap_or_default();
        assert_eq!(host.port_bindings, None);
        assert_eq!(host.dns, Some(vec!["172.18.0.1".to_owned()]));
        assert_eq!(here.entrypoint, Some(vec![String::new()]));
        let desktop = create_body(&spec, "local", Ports::Published);
        let host = desktop.host_config.unwrap_or_default();
        let bindings = host.port_bindings;
        assert!(bindings.is_some_and(|map| map.contains_key("8080/tcp")));
        assert_eq!(host.dns, None, "the gateway is no address of this machine");
    }

    #[test]
    fn a_stopped_container_uses_nothing() {
        assert_eq!(usage(models::ContainerStatsResponse::default()), None);
    }
}
