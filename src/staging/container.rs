//! The container of one build.

use std::collections::BTreeMap;

use super::network::Joined;
use super::{BuildpackSource, Lifecycle, PackageStaging, Settings, cnb};
use crate::base::guid::DropletGuid;
use crate::docker::{Container, ContainerSpec, LABEL_BUILD, LABEL_KIND, LABEL_OWNER, Labels};

/// [`LABEL_KIND`] of a staging container.
const KIND: &str = "staging";
/// [`LABEL_KIND`] of a droplet's image.
const KIND_DROPLET: &str = "droplet";
/// Label: the droplet guid of an image.
pub const LABEL_DROPLET: &str = "cflite.droplet";
/// Label: the number of the attempt.
const LABEL_ATTEMPT: &str = "cflite.attempt";

const OPEN_FILES: i64 = 16_384;
const PIDS: i64 = 1024;
/// Half the shares of an 8 GB instance: a build must not starve apps.
const CPU_SHARES: i64 = 512;

/// The build a container belongs to, and its attempt.
pub(super) fn identity(container: &Container) -> (Option<String>, u32) {
    let label = |name| container.labels.get(name).cloned();
    let attempt = label(LABEL_ATTEMPT).and_then(|text| text.parse().ok());
    (label(LABEL_BUILD), attempt.unwrap_or(1))
}

/// Labels of all staging containers of a platform.
pub(super) fn labels(settings: &Settings) -> Labels {
    [
        (LABEL_OWNER, settings.platform_id.as_str()),
        (LABEL_KIND, KIND),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Labels of the images of all droplets of a platform.
pub fn droplets_labels(platform_id: &str) -> Labels {
    [(LABEL_OWNER, platform_id), (LABEL_KIND, KIND_DROPLET)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Labels of one droplet's image; used to find and remove unused images.
pub(super) fn droplet_labels(platform_id: &str, droplet: &DropletGuid) -> Labels {
    let mut labels = droplets_labels(platform_id);
    labels.insert(LABEL_DROPLET.to_owned(), droplet.to_string());
    labels
}

/// The name of the container of one attempt.
pub(super) fn name(request: &PackageStaging, attempt: u32) -> String {
    format!("cflite-staging-{}-{attempt}", request.build_guid)
}

/// The container of one attempt.
pub(super) fn spec(
    settings: &Settings,
    request: &PackageStaging,
    image: &str,
    attempt: u32,
    joined: &Joined,
) -> ContainerSpec {
    let mut labels = labels(settings);
    labels.insert(LABEL_BUILD.to_owned(), request.build_guid.to_string());
    labels.insert(LABEL_ATTEMPT.to_owned(), attempt.to_string());
    ContainerSpec {
        name: name(request, attempt),
        image: image.to_owned(),
        entrypoint: Some(vec![builder(request).to_owned()]),
        command: match request.lifecycle {
            Lifecycle::Buildpack => builder_arguments(request),
            Lifecycle::Cnb(_) => cnb::arguments(request),
        },
        environment: environment(settings, request, joined),
        user: Some("2000:2000".to_owned()),
        working_dir: Some("/home/vcap".to_owned()),
        labels,
        memory: Some(request.memory),
        cpu_shares: Some(CPU_SHARES),
        pids_limit: Some(PIDS),
        nofile: Some(OPEN_FILES),
        volumes: settings.trust.mount().into_iter().collect(),
        network: Some(joined.network.clone()),
        extra_hosts: joined
            .packages
            .iter()
            .filter_map(|reach| reach.extra_host.clone())
            .collect(),
        ..ContainerSpec::default()
    }
}

fn builder(request: &PackageStaging) -> &'static str {
    match request.lifecycle {
        Lifecycle::Buildpack => "/tmp/lifecycle/builder",
        Lifecycle::Cnb(_) => "/tmp/lifecycle/cnb-builder",
    }
}

fn builder_arguments(request: &PackageStaging) -> Vec<String> {
    let mut arguments = Vec::new();
    if request.skip_detect {
        arguments.push("--skip-detect".to_owned());
    }
    for choice in &request.buildpacks {
        let key = choice.source.key();
        arguments.extend(match &choice.source {
            BuildpackSource::Url(_) => ["--custom".to_owned(), key],
            _ => ["--buildpack".to_owned(), format!("{key}={}", choice.name)],
        });
    }
    arguments
}

/// The container's variables, overridden by those of the request; each name once.
fn environment(
    settings: &Settings,
    request: &PackageStaging,
    joined: &Joined,
) -> Vec<(String, String)> {
    let memory = format!("{}m", request.memory.0);
    let host = settings.host_ip.to_string();
    let platform_variables = [
        ("LANG", "en_US.UTF-8"),
        ("HOME", "/home/vcap"),
        ("USER", "vcap"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("CF_INSTANCE_IP", &host),
        ("CF_INSTANCE_ADDR", ""),
        ("CF_INSTANCE_PORT", ""),
        ("CF_INSTANCE_PORTS", "[]"),
        ("MEMORY_LIMIT", &memory),
    ];
    let platform_variables =
        platform_variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let of_lifecycle = match &request.lifecycle {
        Lifecycle::Buildpack => vec![("CF_STACK".to_owned(), request.stack.clone())],
        Lifecycle::Cnb(cnb) => cnb::variables(request, &cnb.credentials),
    };
    let packages = joined.packages.iter();
    let packages = packages.map(|reach| ("CFLITE_PACKAGES".to_owned(), reach.url.clone()));
    let all = platform_variables
        .into_iter()
        .chain(settings.trust.variable())
        .chain(of_lifecycle)
        .chain(request.environment.iter().cloned())
        // Not the user's to set: the scripts trust it.
        .chain(packages);
    all.collect::<BTreeMap<_, _>>().into_iter().collect()
}
