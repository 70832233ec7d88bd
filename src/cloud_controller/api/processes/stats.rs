//! What the instances of a process are doing.
//!
//! Only instances of the version that is wanted now speak for a process, so nothing of a previous
//! run is shown after a restart; indexes without one are DOWN.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::base::Timestamp;
use crate::base::guid::ProcessGuid;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::processes::{FILE_DESCRIPTORS, Limits, Process};
use crate::db::ReadTx;
use crate::scheduler::{self, Instance, InstanceAddress, InstanceState, InstanceUsage};

/// One index of a process.
#[derive(Debug)]
pub(super) struct Row {
    pub index: usize,
    pub instance: Option<Instance>,
}

/// What an instance uses, as CC shows it with and without an answer of its metrics server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Metrics {
    /// Its limits, and its last sample if there is one.
    Known(Limits, Option<InstanceUsage>),
    /// The daemon does not answer.
    Unavailable,
}

/// One row for each wanted index, of started and of stopped apps.
pub(super) fn rows(tx: &ReadTx<'_>, process: &Process) -> Result<Vec<Row>> {
    let runs = model::desired::runs(tx, &process.guid)?;
    let all = if runs {
        scheduler::instances(tx, &process.guid)?
    } else {
        Vec::new()
    };
    Ok(by_index(process, &all))
}

/// The same of the processes of a list, read at once.
pub(super) fn rows_of_all(
    tx: &ReadTx<'_>,
    processes: &[Process],
) -> Result<HashMap<ProcessGuid, Vec<Row>>> {
    let running = model::desired::running(tx, processes.iter().map(|process| &process.guid))?;
    let mut of_process: HashMap<ProcessGuid, Vec<Instance>> = HashMap::new();
    for instance in scheduler::instances_of_all(tx, running.iter())? {
        let instances = of_process.entry(instance.process_guid.clone());
        instances.or_default().push(instance);
    }
    let rows = processes.iter().map(|process| {
        let all = of_process.get(&process.guid).map(Vec::as_slice);
        let rows = by_index(process, all.unwrap_or_default());
        (process.guid.clone(), rows)
    });
    Ok(rows.collect())
}

fn by_index(process: &Process, all: &[Instance]) -> Vec<Row> {
    let found = scheduler::by_index(all, &process.version, process.wanted());
    let rows = found.into_iter().enumerate();
    rows.map(|(index, instance)| Row { index, instance })
        .collect()
}

impl Row {
    /// An instance that is on its way out counts as gone.
    fn shown(&self) -> Option<&Instance> {
        let gone = [InstanceState::Down, InstanceState::Stopping];
        self.instance
            .as_ref()
            .filter(|instance| !gone.contains(&instance.state))
    }

    /// Of `process_instances`.
    pub(super) fn present_short(&self, now: Timestamp) -> Value {
        let (state, since) = match self.shown() {
            Some(instance) => (
                instance.state.as_str(),
                Some(now.since(instance.since).as_secs()),
            ),
            None => ("DOWN", None),
        };
        json!({ "index": self.index, "state": state, "since": since })
    }

    /// Of `stats`.
    pub(super) fn present(
        &self,
        kind: &str,
        metrics: Metrics,
        address: Option<&InstanceAddress>,
        now: Timestamp,
    ) -> Value {
        let details = self
            .instance
            .as_ref()
            .and_then(|instance| instance.details.clone());
        let mut row = Map::new();
        row.insert("type".to_owned(), json!(kind));
        row.insert("index".to_owned(), json!(self.index));
        let Some(instance) = self.shown() else {
            row.insert("state".to_owned(), json!("DOWN"));
            for name in ["routable", "uptime", "isolation_segment"] {
                row.insert(name.to_owned(), Value::Null);
            }
            row.insert("details".to_owned(), json!(details));
            return Value::Object(row);
        };
        let state = instance.state;
        let all = json!({
            "instance_guid": instance.guid,
            "state": state.as_str(),
            "routable": (state == InstanceState::Running).then_some(instance.routable),
            "host": address.and_then(|a| a.ports.values().next().map(|socket| socket.ip().to_string())),
            "instance_internal_ip": address.and_then(|a| a.ip.map(|ip| ip.to_string())),
            "uptime": now.since(instance.since).as_secs(),
            "mem_quota": metrics.limits().map(|limits| limits.memory.to_bytes().0),
            "disk_quota": metrics.limits().map(|limits| limits.disk.to_bytes().0),
            "log_rate_limit": metrics.limits().map(|limits| limits.log_rate),
            "fds_quota": FILE_DESCRIPTORS,
            "isolation_segment": null,
            "details": details,
            "instance_ports": ports(address),
            "usage": metrics.usage(now),
        });
        if let Value::Object(all) = all {
            row.extend(all);
        }
        Value::Object(row)
    }
}

fn ports(address: Option<&InstanceAddress>) -> Vec<Value> {
    let ports = address.map(|address| &address.ports).into_iter().flatten();
    let entry = |(internal, socket): (&u16, &std::net::SocketAddr)| {
        json!({
            "external": socket.port(),
            "internal": internal,
            "external_tls_proxy_port": null,
            "internal_tls_proxy_port": null,
        })
    };
    ports.map(entry).collect()
}

impl Metrics {
    fn limits(self) -> Option<Limits> {
        match self {
            Self::Known(limits, _) => Some(limits),
            Self::Unavailable => None,
        }
    }

    /// Zeros before the first sample; empty when the daemon did not answer.
    fn usage(self, now: Timestamp) -> Value {
        match self {
            Self::Known(_, usage) => present_usage(usage.unwrap_or_default(), now),
            Self::Unavailable => json!({}),
        }
    }
}

fn present_usage(usage: InstanceUsage, now: Timestamp) -> Value {
    json!({
        "time": now,
        "cpu": usage.cpu,
        "cpu_entitlement": usage.cpu_entitlement(),
        "mem": usage.memory,
        "disk": usage.disk,
        "log_rate": usage.log_rate,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Megabytes;

    fn instance(state: InstanceState) -> Instance {
        Instance {
            guid: "i".into(),
            process_guid: "p".into(),
            app_guid: "a".into(),
            process_type: "web".to_owned(),
            index: 1,
            version: "v".to_owned(),
            state,
            since: Timestamp::from_micros(1_000_000),
            crash_count: 0,
            details: Some("insufficient resources: memory".to_owned()),
            routable: true,
            container_id: None,
        }
    }

    fn present(instance: Option<Instance>) -> Value {
        let limits = Limits {
            memory: Megabytes(64),
            disk: Megabytes(128),
            log_rate: -1,
        };
        let row = Row { index: 1, instance };
        row.present(
            "web",
            Metrics::Known(limits, None),
            None,
            Timestamp::from_micros(9_500_000),
        )
    }

    #[test]
    fn what_does_not_run_is_down_with_its_reason() {
        let down = json!({
            "type": "web", "index": 1, "state": "DOWN", "routable": null, "uptime": null,
            "isolation_segment": null, "details": null,
        });
        assert_eq!(present(None), down);
        let unplaced = present(Some(instance(InstanceState::Down)));
        assert_eq!(unplaced["state"], "DOWN");
        assert_eq!(unplaced["details"], "insufficient resources: memory");
        assert_eq!(
            present(Some(instance(InstanceState::Stopping)))["state"],
            "DOWN"
        );
    }

    #[test]
    fn numbers_are_whole_where_clients_want_them_whole() {
        let running = present(Some(instance(InstanceState::Running)));
        assert_eq!(running["uptime"], 8);
        assert_eq!(running["mem_quota"], 64 * 1024 * 1024);
        assert_eq!(running["log_rate_limit"], -1);
        assert_eq!(running["usage"]["mem"], 0);
        assert_eq!(running["routable"], true);
        assert_eq!(
            present(Some(instance(InstanceState::Starting)))["routable"],
            Value::Null
        );
    }

    #[test]
    fn since_is_an_age_in_seconds() {
        let row = Row {
            index: 0,
            instance: Some(instance(InstanceState::Crashed)),
        };
        let shown = row.present_short(Timestamp::from_micros(3_000_000));
        assert_eq!(shown, json!({ "index": 0, "state": "CRASHED", "since": 2 }));
        let row = Row {
            index: 2,
            instance: None,
        };
        let shown = row.present_short(Timestamp::from_micros(0));
        assert_eq!(shown, json!({ "index": 2, "state": "DOWN", "since": null }));
    }
}
