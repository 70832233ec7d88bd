//! The labels of an instance's container: all data to adopt it after a restart, and for the log
//! reader.

use super::desired::DesiredProcess;
use super::instance::Slot;
use crate::base::guid::InstanceGuid;
use crate::docker::{
    Container, LABEL_INSTANCE_ID, LABEL_KIND, LABEL_OWNER, LABEL_RATE_LIMIT, LABEL_SIDECARS,
    LABEL_SOURCE_ID, LABEL_SOURCE_TYPE, LABEL_TAG_PREFIX, Labels,
};

/// Value of [`LABEL_KIND`] on the containers of instances.
pub const KIND_INSTANCE: &str = "instance";
/// App guid.
pub const LABEL_APP: &str = "cflite.app";
/// Process guid.
pub const LABEL_PROCESS: &str = "cflite.process";
/// Process type.
pub const LABEL_PROCESS_TYPE: &str = "cflite.process_type";
/// Version of the process.
pub const LABEL_VERSION: &str = "cflite.version";
/// Index.
pub const LABEL_INDEX: &str = "cflite.index";
/// Instance guid.
pub const LABEL_INSTANCE: &str = "cflite.instance";
/// Ports the app listens on, with commas between.
pub const LABEL_PORTS: &str = "cflite.ports";

const NAME_PART: usize = 24;

/// The labels of all our instances' containers.
pub(super) fn of_platform(platform_id: &str) -> Labels {
    labels([(LABEL_OWNER, platform_id), (LABEL_KIND, KIND_INSTANCE)])
}

/// All labels of one instance's container.
pub(super) fn of_instance(
    platform_id: &str,
    process: &DesiredProcess,
    index: u32,
    guid: &InstanceGuid,
) -> Labels {
    let ports: Vec<String> = process.ports.iter().map(u16::to_string).collect();
    let (index, limit) = (index.to_string(), process.log_rate_limit.to_string());
    let mut all = of_platform(platform_id);
    all.extend(labels([
        (LABEL_APP, process.app_guid.as_str()),
        (LABEL_PROCESS, process.process_guid.as_str()),
        (LABEL_PROCESS_TYPE, &process.process_type),
        (LABEL_VERSION, &process.version),
        (LABEL_INDEX, &index),
        (LABEL_INSTANCE, guid.as_str()),
        (LABEL_PORTS, &ports.join(",")),
        (LABEL_SOURCE_ID, process.app_guid.as_str()),
        (LABEL_SOURCE_TYPE, &process.log_source_type),
        (LABEL_INSTANCE_ID, &index),
        (LABEL_RATE_LIMIT, &limit),
    ]));
    if !process.log_sidecars.is_empty() {
        let names = serde_json::json!(process.log_sidecars).to_string();
        all.insert(LABEL_SIDECARS.to_owned(), names);
    }
    let tags = [
        ("process_id", process.process_guid.as_str()),
        ("process_type", &process.process_type),
        ("process_instance_id", guid.as_str()),
    ];
    all.extend(tags.map(|(tag, value)| (format!("{LABEL_TAG_PREFIX}{tag}"), value.to_owned())));
    all
}

/// The name of an instance's container.
pub(super) fn of_name(
    platform_id: &str,
    process: &DesiredProcess,
    index: u32,
    guid: &InstanceGuid,
) -> String {
    let words = [
        process.app_name.as_str(),
        &process.process_type,
        &index.to_string(),
    ];
    container_name(platform_id, &words, guid.as_str())
}

/// A readable container name, the same for every attempt to create it.
pub(super) fn container_name(platform_id: &str, words: &[&str], guid: &str) -> String {
    let platform = sanitized(platform_id, 8);
    let words: Vec<String> = words
        .iter()
        .map(|word| sanitized(word, NAME_PART))
        .collect();
    // The last digits also differ in the sequential guids of tests.
    let guid = sanitized(guid, usize::MAX);
    let short = &guid[guid.len().saturating_sub(12)..];
    format!("cflite-{platform}-{}-{short}", words.join("-"))
}

/// The instance guid of a container; falls back to the container id if the label is missing.
pub(super) fn instance_guid(container: &Container) -> InstanceGuid {
    match container.labels.get(LABEL_INSTANCE) {
        Some(guid) => InstanceGuid::from(guid.as_str()),
        None => InstanceGuid::from(container.id.as_str()),
    }
}

/// The slot a container was created for.
pub(super) fn slot(container: &Container) -> Option<Slot> {
    let label = |name: &str| container.labels.get(name).map(String::as_str);
    label(LABEL_INSTANCE)?;
    Some(Slot {
        process_guid: label(LABEL_PROCESS)?.into(),
        version: label(LABEL_VERSION)?.to_owned(),
        index: label(LABEL_INDEX)?.parse().ok()?,
        app_guid: label(LABEL_APP)?.into(),
        process_type: label(LABEL_PROCESS_TYPE)?.to_owned(),
    })
}

/// The ports the app in a container listens on.
pub(super) fn ports(container: &Container) -> Vec<u16> {
    let text = container.labels.get(LABEL_PORTS);
    let ports = text.into_iter().flat_map(|text| text.split(','));
    ports.filter_map(|port| port.parse().ok()).collect()
}

/// The source type of a container's log lines.
pub(super) fn log_source_type(container: &Container) -> String {
    container
        .labels
        .get(LABEL_SOURCE_TYPE)
        .cloned()
        .unwrap_or_else(|| "APP".to_owned())
}

/// Labels by name.
pub(super) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Only what Docker allows in names, at most `length` characters.
fn sanitized(text: &str, length: usize) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.chars().filter(allowed).take(length).collect()
}
