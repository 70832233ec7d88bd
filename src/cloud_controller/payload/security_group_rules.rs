//! Validation of a security group's rules.
//!
//! Texts and cases: CC `app/messages/validators/security_group_rule_validator.rb`, with lists of
//! destinations enabled and IPv6 disabled.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use crate::cloud_controller::body::Invalid;

const FIELDS: &[&str] = &[
    "code",
    "description",
    "destination",
    "log",
    "ports",
    "protocol",
    "type",
];
const PROTOCOLS: &[&str] = &["tcp", "udp", "icmp", "icmpv6", "all"];
const MOST_DESTINATIONS: usize = 6000;
const NOT_A_DESTINATION: &str =
    "destination must contain valid CIDR(s), IP address(es), or IP address range(s)";

/// Adds the faults of `rules`.
pub(crate) fn check(rules: &Value, invalid: &mut Invalid) {
    let Value::Array(rules) = rules else {
        invalid.field("rules", "must be an array");
        return;
    };
    for (i, rule) in rules.iter().enumerate() {
        let faults = match rule {
            Value::Object(rule) => faults(rule),
            _ => vec!["must be an object".to_owned()],
        };
        for fault in faults {
            invalid.add(format!("Rules[{i}]: {fault}"));
        }
    }
}

fn faults(rule: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let unknown: Vec<&String> = rule
        .keys()
        .filter(|key| !FIELDS.contains(&key.as_str()))
        .collect();
    if !unknown.is_empty() {
        faults.push(format!("unknown field(s): {unknown:?}"));
    }
    let given = |name: &str| rule.get(name).filter(|value| !value.is_null());
    let protocol = given("protocol")
        .and_then(Value::as_str)
        .filter(|protocol| PROTOCOLS.contains(protocol));
    if protocol.is_none() {
        faults.push("protocol must be 'tcp', 'udp', 'icmp', 'icmpv6' or 'all'".to_owned());
    }
    check_destination(given("destination"), &mut faults);
    let mut add = |fault: &str| faults.push(fault.to_owned());
    if given("description").is_some_and(|value| !value.is_string()) {
        add("description must be a string");
    }
    if given("log").is_some_and(|value| !value.is_boolean()) {
        add("log must be a boolean");
    }
    check_protocol(rule, protocol, &mut faults);
    faults
}

/// The fields that a protocol needs: ports, or type and code.
fn check_protocol(rule: &Map<String, Value>, protocol: Option<&str>, faults: &mut Vec<String>) {
    let given = |name: &str| rule.get(name).filter(|value| !value.is_null());
    match protocol {
        Some("tcp" | "udp") => check_ports(given("ports"), faults),
        Some(protocol @ ("icmp" | "icmpv6")) => check_icmp(rule, protocol, faults),
        Some(_) if given("ports").is_some() => {
            faults.push("ports are not allowed for protocols of type all".to_owned());
        }
        _ => {}
    }
}

fn check_ports(ports: Option<&Value>, faults: &mut Vec<String>) {
    let mut add = |fault: &str| faults.push(fault.to_owned());
    if ports.is_none() {
        add("ports are required for protocols of type TCP and UDP");
    }
    if !ports.and_then(Value::as_str).is_some_and(are_ports) {
        add(
            "ports must be a valid single port, comma separated list of ports, or range or ports, formatted \
             as a string",
        );
    }
}

fn check_icmp(rule: &Map<String, Value>, protocol: &str, faults: &mut Vec<String>) {
    let mut add = |fault: &str| faults.push(fault.to_owned());
    if protocol == "icmpv6" {
        add("icmpv6 cannot be used if enable_ipv6 is false");
    }
    for name in ["code", "type"] {
        let value = rule.get(name).filter(|value| !value.is_null());
        if value.is_none() {
            add(&format!("{name} is required for protocols of type ICMP"));
        }
        let number = value.and_then(Value::as_i64);
        if !number.is_some_and(|number| (-1..=255).contains(&number)) {
            add(&format!(
                "{name} must be an integer between -1 and 255 (inclusive)"
            ));
        }
    }
}

fn check_destination(destination: Option<&Value>, faults: &mut Vec<String>) {
    let mut add = |fault: &str| faults.push(fault.to_owned());
    let list = match destination {
        None => {
            add(
                "nil destination; destination must be a comma-delimited list of valid CIDRs, IP addresses, or IP \
                 address ranges",
            );
            return;
        }
        Some(Value::String(list)) => list,
        Some(_) => {
            add("destination must be a string");
            return;
        }
    };
    if list.contains(char::is_whitespace) {
        add("destination must not contain whitespace");
        return;
    }
    let all: Vec<&str> = list.split(',').collect();
    if all.len() > MOST_DESTINATIONS {
        add(&format!(
            "maximum destinations per rule exceeded - must be under {MOST_DESTINATIONS}"
        ));
        return;
    }
    for one in all {
        for fault in destination_faults(one) {
            add(fault);
        }
    }
}

fn destination_faults(text: &str) -> Vec<&'static str> {
    if text.is_empty() {
        return vec![
            "empty destination specified in comma-delimited list",
            NOT_A_DESTINATION,
        ];
    }
    let parts: Vec<&str> = text.split('-').collect();
    let mut faults = Vec::new();
    let zeros = parts.iter().any(|part| has_leading_zeros(part));
    if zeros {
        faults.push("destination octets cannot contain leading zeros");
    }
    match parts[..] {
        [one] if !zeros && !is_network(one) => faults.push(NOT_A_DESTINATION),
        [_] => {}
        [from, to] => match (from.parse::<Ipv4Addr>(), to.parse::<Ipv4Addr>()) {
            (Ok(from), Ok(to)) if from > to => faults.push(
                "beginning of IP address range is numerically greater than the end of its range (range endpoints \
                 are inverted)",
            ),
            (Ok(_), Ok(_)) => {}
            _ => faults.push("destination IP address range is invalid"),
        },
        _ => faults.push(NOT_A_DESTINATION),
    }
    faults
}

/// An octet like `010`, which some parsers read as eight.
fn has_leading_zeros(address: &str) -> bool {
    address.contains('.')
        && address.split('.').any(|octet| {
            let octet = octet.split('/').next().unwrap_or_default();
            octet.len() > 1 && octet.starts_with('0')
        })
}

/// An address, or one with the length of a prefix or a mask.
fn is_network(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let is_prefix = |prefix: &str| {
        let length = prefix.parse::<u8>().is_ok_and(|length| length <= 32)
            && prefix.bytes().all(|b| b.is_ascii_digit());
        let mask = prefix.parse::<Ipv4Addr>().is_ok_and(|mask| {
            let bits = u32::from(mask);
            bits.leading_ones() + bits.trailing_zeros() == 32
        });
        length || mask
    };
    address.parse::<Ipv4Addr>().is_ok() && prefix.is_none_or(is_prefix)
}

/// `80`, `80,443`, `8000-9000`.
fn are_ports(text: &str) -> bool {
    let port = |text: &str| {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<u16>().ok()?;
        (digits && number > 0).then_some(number)
    };
    match text.split_once('-') {
        Some((from, to)) => matches!((port(from), port(to)), (Some(from), Some(to)) if from < to),
        None => {
            let list = text.trim_end_matches(',');
            !list.is_empty() && list.split(',').all(|one| port(one).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(rules: &Value) -> Vec<String> {
        let mut invalid = Invalid::default();
        check(rules, &mut invalid);
        invalid.into_texts()
    }

    #[test]
    fn good_rules() {
        let rules = json!([
            { "protocol": "all", "destination": "0.0.0.0/0" },
            { "protocol": "tcp", "destination": "10.0.11.0/24,192.168.0.1,1.1.1.1-2.2.2.2", "ports": "80,443",
              "log": true, "description": "web" },
            { "protocol": "udp", "destination": "10.0.0.0/255.0.0.0", "ports": "8000-9000" },
            { "protocol": "icmp", "destination": "10.10.10.10", "type": 8, "code": -1 },
        ]);
        assert_eq!(texts(&rules), Vec::<String>::new());
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn bad_rules_are_named_with_their_place() {
        let all = |destination: Value| json!([{ "protocol": "all", "destination": destination }]);
        let tcp =
            |ports: Value| json!([{ "protocol": "tcp", "destination": "1.1.1.1", "ports": ports }]);
        let ports = "ports must be a valid single port, comma separated list of ports, or range or ports, formatted \
                     as a string";
        let cases = [
            (json!("x"), vec!["Rules must be an array"]),
            (json!([1]), vec!["Rules[0]: must be an object"]),
            (
                json!([{ "protocol": "all", "destination": "1.1.1.1", "x": 1, "y": 2 }]),
                vec!["Rules[0]: unknown field(s): [\"x\", \"y\"]"],
            ),
            (
                json!([{ "protocol": "arp", "destination": "1.1.1.1" }]),
                vec!["Rules[0]: protocol must be 'tcp', 'udp', 'icmp', 'icmpv6' or 'all'"],
            ),
            (
                json!([{ "protocol": "all" }]),
                vec![
                    "Rules[0]: nil destination; destination must be a comma-delimited list of valid CIDRs, IP \
                      addresses, or IP address ranges",
                ],
            ),
            (
                all(json!(7)),
                vec!["Rules[0]: destination must be a string"],
            ),
            (
                all(json!("1.1.1.1, 2.2.2.2")),
                vec!["Rules[0]: destination must not contain whitespace"],
            ),
            (all(json!("10.0.0.0/33")), vec![NOT_A_DESTINATION]),
            (all(json!("10.0.0.0/255.0.255.0")), vec![NOT_A_DESTINATION]),
            (all(json!("1-2-3")), vec![NOT_A_DESTINATION]),
            (
                all(json!("010.0.0.1")),
                vec!["Rules[0]: destination octets cannot contain leading zeros"],
            ),
            (
                all(json!("1.1.1.1-x")),
                vec!["Rules[0]: destination IP address range is invalid"],
            ),
            (
                all(json!("2.2.2.2-1.1.1.1")),
                vec![
                    "Rules[0]: beginning of IP address range is numerically greater than the end of its range \
                      (range endpoints are inverted)",
                ],
            ),
            (
                all(json!("1.1.1.1,")),
                vec![
                    "Rules[0]: empty destination specified in comma-delimited list",
                    NOT_A_DESTINATION,
                ],
            ),
            (
                tcp(Value::Null),
                vec![
                    "Rules[0]: ports are required for protocols of type TCP and UDP",
                    ports,
                ],
            ),
            (tcp(json!(80)), vec![ports]),
            (tcp(json!("0")), vec![ports]),
            (tcp(json!("65536")), vec![ports]),
            (tcp(json!("90-80")), vec![ports]),
            (tcp(json!("80,90-100")), vec![ports]),
            (
                json!([{ "protocol": "all", "destination": "1.1.1.1", "ports": "80" }]),
                vec!["Rules[0]: ports are not allowed for protocols of type all"],
            ),
            (
                json!([{ "protocol": "icmp", "destination": "1.1.1.1", "type": 256 }]),
                vec![
                    "Rules[0]: code is required for protocols of type ICMP",
                    "Rules[0]: code must be an integer between -1 and 255 (inclusive)",
                    "Rules[0]: type must be an integer between -1 and 255 (inclusive)",
                ],
            ),
            (
                json!([{ "protocol": "all", "destination": "1.1.1.1", "log": "yes", "description": 1 }]),
                vec![
                    "Rules[0]: description must be a string",
                    "Rules[0]: log must be a boolean",
                ],
            ),
        ];
        for (rules, faults) in cases {
            let expected: Vec<String> = faults
                .iter()
                .map(|fault| match fault.strip_prefix("Rules") {
                    Some(_) => (*fault).to_owned(),
                    None => format!("Rules[0]: {fault}"),
                })
                .collect();
            assert_eq!(texts(&rules), expected, "{rules}");
        }
    }

    #[test]
    fn destinations_are_bounded() {
        let many = vec!["1.1.1.1"; MOST_DESTINATIONS + 1].join(",");
        assert_eq!(
            texts(&json!([{ "protocol": "all", "destination": many }])),
            ["Rules[0]: maximum destinations per rule exceeded - must be under 6000"]
        );
    }
}
