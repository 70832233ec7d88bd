//! Bodies and queries of network policies.
//!
//! Texts and cases: policy-server `api/policy_validator.go`, `handlers/policies_index.go`.

use serde::{Deserialize, Serialize};

use crate::cloud_controller::model::network_policies::Filter;
use crate::network::{Policy, PolicyProtocol, PortRange};

/// A list of policies, as it is sent and received.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PolicyList {
    #[serde(skip_deserializing)]
    pub total_policies: usize,
    pub policies: Vec<PolicyBody>,
}

/// One of them.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PolicyBody {
    pub source: Source,
    pub destination: Destination,
}

/// Who connects.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Source {
    pub id: String,
    #[serde(skip_serializing)]
    pub tag: String,
}

/// Who accepts, and where.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Destination {
    pub id: String,
    #[serde(skip_serializing)]
    pub tag: String,
    pub protocol: String,
    pub ports: Ports,
}

/// Both ends included.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ports {
    pub start: i64,
    pub end: i64,
}

/// The policies of a body, or what is wrong with it.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Policy>, String> {
    let list: PolicyList =
        serde_json::from_slice(body).map_err(|error| format!("mapper: unmarshal json: {error}"))?;
    let refused = |text: String| format!("mapper: validate policies: {text}");
    if list.policies.is_empty() {
        return Err(refused("missing policies".to_owned()));
    }
    let policies = list.policies.into_iter().map(check);
    policies.collect::<Result<_, _>>().map_err(refused)
}

fn check(policy: PolicyBody) -> Result<Policy, String> {
    let PolicyBody {
        source,
        destination,
    } = policy;
    if source.id.is_empty() {
        return Err("missing source id".to_owned());
    }
    if destination.id.is_empty() {
        return Err("missing destination id".to_owned());
    }
    let protocol = PolicyProtocol::parse(&destination.protocol)
        .ok_or("invalid destination protocol, specify either udp or tcp")?;
    let ports = ports(&destination.ports)?;
    if !source.tag.is_empty() || !destination.tag.is_empty() {
        return Err("tags may not be specified".to_owned());
    }
    Ok(Policy {
        source: source.id,
        destination: destination.id,
        protocol,
        ports,
    })
}

fn ports(ports: &Ports) -> Result<PortRange, String> {
    let Ports { start, end } = *ports;
    if start > end {
        return Err(format!(
            "invalid port range {start}-{end}, start must be less than or equal to end"
        ));
    }
    if start == 0 {
        return Err("missing start port".to_owned());
    }
    let port = |which: &str, port: i64| {
        u16::try_from(port)
            .map_err(|_| format!("invalid {which} port {port}, must be in range 1-65535"))
    };
    Ok(PortRange {
        first: port("start", start)?,
        last: port("end", end)?,
    })
}

/// Which policies a query asks for: those of `id`, or of `source_id` and `dest_id`.
pub(crate) fn filter(query: &str) -> Filter {
    let first = |wanted: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        let (_, list) = pairs.find(|(name, _)| name == wanted)?;
        Some(list.split(',').map(str::to_owned).collect())
    };
    match first("id") {
        Some(either) => Filter {
            either: Some(either),
            ..Filter::default()
        },
        None => Filter {
            either: None,
            sources: first("source_id"),
            destinations: first("dest_id"),
        },
    }
}

/// Policies as they are sent.
pub(crate) fn present(policies: Vec<Policy>) -> PolicyList {
    let policies: Vec<PolicyBody> = { policies.into_iter() }
        .map(|policy| PolicyBody {
            source: Source {
                id: policy.source,
                tag: String::new(),
            },
            destination: Destination {
                id: policy.destination,
                tag: String::new(),
                protocol: policy.protocol.as_str().to_owned(),
                ports: Ports {
                    start: policy.ports.first.into(),
                    end: policy.ports.last.into(),
                },
            },
        })
        .collect();
    PolicyList {
        total_policies: policies.len(),
        policies,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(changed: &Value) -> String {
        let mut policy = json!({
            "source": { "id": "a" },
            "destination": { "id": "b", "protocol": "tcp", "ports": { "start": 80, "end": 81 } },
        });
        json_patch(&mut policy, changed);
        let body = json!({ "policies": [policy] }).to_string();
        parse(body.as_bytes()).map_or_else(|text| text, |found| format!("{found:?}"))
    }

    fn json_patch(to: &mut Value, from: &Value) {
        if let (Value::Object(to), Value::Object(from)) = (&mut *to, from) {
            for (name, value) in from {
                json_patch(to.entry(name).or_insert(Value::Null), value);
            }
        } else {
            to.clone_from(from);
        }
    }

    #[test]
    fn what_is_wrong_is_named_as_the_policy_server_does() {
        let ports = |start: i64, end: i64| {
            refusal(&json!({ "destination": { "ports": { "start": start, "end": end } } }))
        };
        for (said, text) in [
            (
                refusal(&json!({ "source": { "id": "" } })),
                "missing source id",
            ),
            (
                refusal(&json!({ "destination": { "id": "" } })),
                "missing destination id",
            ),
            (
                refusal(&json!({ "destination": { "protocol": "icmp" } })),
                "invalid destination protocol, specify either udp or tcp",
            ),
            (
                refusal(&json!({ "source": { "tag": "1" } })),
                "tags may not be specified",
            ),
            (
                ports(9, 8),
                "invalid port range 9-8, start must be less than or equal to end",
            ),
            (ports(0, 8), "missing start port"),
            (
                ports(-1, 8),
                "invalid start port -1, must be in range 1-65535",
            ),
            (
                ports(1, 65536),
                "invalid end port 65536, must be in range 1-65535",
            ),
        ] {
            assert_eq!(said, format!("mapper: validate policies: {text}"));
        }
        let none = parse(br#"{"policies":[]}"#).unwrap_err();
        assert_eq!(none, "mapper: validate policies: missing policies");
        assert!(
            parse(b"[")
                .unwrap_err()
                .starts_with("mapper: unmarshal json: ")
        );
        assert!(refusal(&json!({})).starts_with("[Policy {"), "a good one");
    }

    #[test]
    fn a_query_names_either_end_or_both() {
        let some = |guids: &[&str]| Some(guids.iter().map(|guid| (*guid).to_owned()).collect());
        let either = filter("source_id=c&id=a,b");
        assert_eq!((either.either, either.sources), (some(&["a", "b"]), None));
        let both = filter("source_id=c&dest_id=d");
        assert_eq!(
            (both.sources, both.destinations),
            (some(&["c"]), some(&["d"]))
        );
        assert_eq!(filter(""), Filter::default());
    }
}
