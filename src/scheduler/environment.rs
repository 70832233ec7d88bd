//! The environment and the container specification of an instance.

use std::collections::BTreeMap;
use std::time::Duration;

use super::desired::DesiredProcess;
use super::instance::Record;
use super::labels;
use super::settings::Settings;
use crate::base::Megabytes;
use crate::base::guid::InstanceGuid;
use crate::docker::trust::Trust;
use crate::docker::{ContainerSpec, VolumeMount};

const PIDS: i64 = 1024;
const OPEN_FILES: i64 = 16_384;
const MAX_SHARES: i64 = 1024;
const MIN_SHARES: i64 = 10;

/// The container of an instance.
pub(super) fn container_spec(
    settings: &Settings,
    process: &DesiredProcess,
    record: &Record,
    grace: Duration,
) -> ContainerSpec {
    let (index, guid) = (record.slot.index, &record.guid);
    ContainerSpec {
        name: labels::of_name(&settings.platform_id, process, index, guid),
        image: process.image.clone(),
        command: process.command.clone(),
        entrypoint: process.entrypoint.clone(),
        environment: environment(settings, process, index, guid),
        user: process.user.clone(),
        working_dir: process.working_dir.clone(),
        hostname: Some(guid.to_string()),
        labels: labels::of_instance(&settings.platform_id, process, index, guid),
        ports: process.ports.clone(),
        volumes: volumes(settings, process.lifecycle_files),
        ..with_limits(process.memory, grace)
    }
}

/// The volumes of a container: those on a stack's image have some.
pub(super) fn volumes(settings: &Settings, is_stack: bool) -> Vec<VolumeMount> {
    if !is_stack {
        return Vec::new();
    }
    let lifecycle = std::iter::once(settings.lifecycle.mount());
    lifecycle.chain(settings.trust.mount()).collect()
}

/// A container specification with its resource limits.
pub fn with_limits(memory: Megabytes, grace: Duration) -> ContainerSpec {
    ContainerSpec {
        memory: Some(memory),
        cpu_shares: Some(cpu_shares(memory)),
        pids_limit: Some(PIDS),
        nofile: Some(OPEN_FILES),
        stop_timeout: Some(grace),
        ..ContainerSpec::default()
    }
}

/// CPU weight grows with memory between 128 MB and 8 GB.
fn cpu_shares(memory: Megabytes) -> i64 {
    (MAX_SHARES * memory.0.clamp(128, 8192) / 8192).max(MIN_SHARES)
}

/// The scheduler's variables, overridden by those of the app.
fn environment(
    settings: &Settings,
    process: &DesiredProcess,
    index: u32,
    guid: &InstanceGuid,
) -> Vec<(String, String)> {
    let mut all = platform_variables(settings, process, index, guid);
    all.extend(process.environment.iter().cloned());
    deduplicated(all)
}

/// Each name once: the last value wins and keeps its place in the order.
pub(super) fn deduplicated(all: Vec<(String, String)>) -> Vec<(String, String)> {
    let last: BTreeMap<String, usize> = all
        .iter()
        .enumerate()
        .map(|(place, (name, _))| (name.clone(), place))
        .collect();
    all.into_iter()
        .enumerate()
        .filter(|(place, (name, _))| last.get(name) == Some(place))
        .map(|(_, pair)| pair)
        .collect()
}

/// The user's variables on a stack's image, and that of the machine's authorities; other images
/// bring their own.
pub fn of_stack(is_stack: bool, trust: &Trust) -> Vec<(String, String)> {
    if !is_stack {
        return Vec::new();
    }
    let all = [
        ("LANG", "en_US.UTF-8"),
        ("HOME", "/home/vcap"),
        ("USER", "vcap"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ];
    let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
    all.into_iter().chain(trust.variable()).collect()
}

/// `CF_INSTANCE_PORT` and `CF_INSTANCE_ADDR` are absent, as on every Cloud Foundry whose cells do
/// not expose host ports. `CF_INSTANCE_INTERNAL_IP` is only known inside the container: the
/// launcher sets it.
fn platform_variables(
    settings: &Settings,
    process: &DesiredProcess,
    index: u32,
    guid: &InstanceGuid,
) -> Vec<(String, String)> {
    let mut all = of_stack(process.lifecycle_files, &settings.trust);
    let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
    add("CF_INSTANCE_GUID", guid.to_string());
    add("INSTANCE_GUID", guid.to_string());
    add("CF_INSTANCE_INDEX", index.to_string());
    add("INSTANCE_INDEX", index.to_string());
    add("CF_INSTANCE_IP", settings.host_ip.to_string());
    add("CF_INSTANCE_PORTS", instance_ports(&process.ports));
    if let Some(port) = process.ports.first() {
        add("PORT", port.to_string());
        if process.vcap_app_port {
            add("VCAP_APP_PORT", port.to_string());
            add("VCAP_APP_HOST", "0.0.0.0".to_owned());
        }
    }
    all
}

fn instance_ports(ports: &[u16]) -> String {
    let entries: Vec<_> = ports
        .iter()
        .map(|port| serde_json::json!({ "internal": port }))
        .collect();
    serde_json::Value::from(entries).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::fake::process;

    fn value(all: &[(String, String)], name: &str) -> Option<String> {
        let mut found = all.iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, v)| v.clone());
        assert!(found.next().is_none(), "{name} appears once");
        value
    }

    #[test]
    fn cpu_weight_follows_memory_within_bounds() {
        let table = [
            (1, 16),
            (128, 16),
            (1024, 128),
            (8192, 1024),
            (65_536, 1024),
        ];
        for (memory, shares) in table {
            assert_eq!(cpu_shares(Megabytes(memory)), shares, "{memory} MB");
        }
    }

    #[test]
    fn a_buildpack_app_gets_the_variables_of_its_instance() {
        let settings = Settings::for_tests();
        let mut web = process("p", 1);
        web.lifecycle_files = true;
        web.vcap_app_port = true;
        web.ports = vec![8080, 9090];
        web.environment = vec![
            ("LANG".to_owned(), "C".to_owned()),
            ("A".to_owned(), "1".to_owned()),
            ("A".to_owned(), "2".to_owned()),
        ];
        let all = environment(&settings, &web, 3, &"guid-1".into());
        let text: Vec<_> = all.iter().map(|(n, v)| format!("{n}={v}")).collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        HOME=/home/vcap
        USER=vcap
        PATH=/usr/local/bin:/usr/bin:/bin
        CF_INSTANCE_GUID=guid-1
        INSTANCE_GUID=guid-1
        CF_INSTANCE_INDEX=3
        INSTANCE_INDEX=3
        CF_INSTANCE_IP=10.0.0.1
        CF_INSTANCE_PORTS=[{"internal":8080},{"internal":9090}]
        PORT=8080
        VCAP_APP_PORT=8080
        VCAP_APP_HOST=0.0.0.0
        LANG=C
        A=2
        "#);
    }

    #[test]
    fn an_image_keeps_its_own_path_home_and_language() {
        let all = environment(&Settings::for_tests(), &process("p", 1), 0, &"g".into());
        for name in ["PATH", "HOME", "USER", "LANG", "VCAP_APP_PORT"] {
            assert_eq!(value(&all, name), None, "{name}");
        }
        assert_eq!(value(&all, "PORT").as_deref(), Some("8080"));
    }
}
