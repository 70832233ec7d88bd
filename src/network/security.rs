//! The rules of security groups, read from the JSON that the API stores.

use std::fmt;
use std::net::Ipv4Addr;

use serde_json::Value;

/// Ports or addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range<T> {
    /// Lowest.
    pub first: T,
    /// Highest.
    pub last: T,
}

/// Ports.
pub type PortRange = Range<u16>;

pub(super) type Addresses = Range<Ipv4Addr>;

/// As nftables writes it.
impl<T: fmt::Display + PartialEq> fmt::Display for Range<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last {
            write!(f, "{first}")
        } else {
            write!(f, "{first}-{last}")
        }
    }
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleProtocol {
    /// TCP to these ports, which do not overlap.
    Tcp(Vec<PortRange>),
    /// UDP to these ports, which do not overlap.
    Udp(Vec<PortRange>),
    /// ICMP messages; `None` = any.
    Icmp {
        /// Type.
        kind: Option<u8>,
        /// Code.
        code: Option<u8>,
    },
    /// Everything.
    All,
}

/// Where containers may connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What.
    pub protocol: RuleProtocol,
    /// Where; they do not overlap.
    pub(super) destinations: Vec<Addresses>,
    /// Whether the machine's log tells of new connections.
    pub log: bool,
}

impl Rule {
    /// The rules of a JSON array, in the form of the API (CC `docs/v3`, "The security group rule object").
    /// One that means nothing here, such as one of IPv6, is left out.
    pub fn parse_all(rules: &Value) -> Vec<Self> {
        let rules = rules.as_array().map(Vec::as_slice).unwrap_or_default();
        rules.iter().filter_map(Self::parse).collect()
    }

    fn parse(rule: &Value) -> Option<Self> {
        let text = |name: &str| rule.get(name).and_then(Value::as_str);
        let number = |name: &str| {
            let value = rule.get(name).and_then(Value::as_i64)?;
            u8::try_from(value).ok()
        };
        let protocol = match text("protocol")? {
            "tcp" => RuleProtocol::Tcp(ports(text("ports")?)?),
            "udp" => RuleProtocol::Udp(ports(text("ports")?)?),
            "icmp" => RuleProtocol::Icmp {
                kind: number("type"),
                code: number("code"),
            },
            "all" => RuleProtocol::All,
            _ => return None,
        };
        let destinations = text("destination")?.split(',').filter_map(destination);
        let next = |address: Ipv4Addr| u32::from(address).saturating_add(1).into();
        let destinations = merge(destinations.collect(), next);
        (!destinations.is_empty()).then(|| Self {
            protocol,
            destinations,
            log: rule.get("log").and_then(Value::as_bool).unwrap_or_default(),
        })
    }
}

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1-10.0.0.9`.
fn destination(text: &str) -> Option<Addresses> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        return (first <= last).then_some(Addresses { first, last });
    }
    let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
    let address: u32 = address.parse::<Ipv4Addr>().ok()?.into();
    let mask = match prefix.parse::<u32>() {
        Ok(length) if length <= 32 => u32::MAX.checked_shl(32 - length).unwrap_or_default(),
        Ok(_) => return None,
        Err(_) => prefix.parse::<Ipv4Addr>().ok()?.into(),
    };
    Some(Addresses {
        first: (address & mask).into(),
        last: (address | !mask).into(),
    })
}

/// `80`, `80,443`, `8000-9000`.
fn ports(text: &str) -> Option<Vec<PortRange>> {
    let port = |text: &str| text.trim().parse::<u16>().ok();
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        (first <= last).then_some(PortRange { first, last })
    };
    let given = text.split(',').filter(|part| !part.trim().is_empty());
    let all: Vec<PortRange> = given.map(range).collect::<Option<_>>()?;
    let merged = merge(all, |port| port.saturating_add(1));
    (!merged.is_empty()).then_some(merged)
}

/// A set of nftables takes no ranges that overlap. `after` is what follows a value.
fn merge<T: Ord + Copy>(mut all: Vec<Range<T>>, after: impl Fn(T) -> T) -> Vec<Range<T>> {
    all.sort_unstable();
    let mut merged: Vec<Range<T>> = Vec::new();
    for range in all {
        match merged.last_mut() {
            Some(before) if range.first <= after(before.last) => {
                before.last = before.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn destinations(text: &str) -> Vec<String> {
        let rule = json!([{ "protocol": "all", "destination": text }]);
        let rules = Rule::parse_all(&rule);
        let all = rules.iter().flat_map(|rule| &rule.destinations);
        all.map(ToString::to_string).collect()
    }

    #[test]
    fn destinations_are_ranges_that_do_not_overlap() {
        assert_eq!(destinations("10.0.0.1"), ["10.0.0.1"]);
        assert_eq!(destinations("10.1.2.3/8"), ["10.0.0.0-10.255.255.255"]);
        assert_eq!(
            destinations("10.0.0.0/255.255.0.0"),
            ["10.0.0.0-10.0.255.255"]
        );
        assert_eq!(destinations("0.0.0.0/0"), ["0.0.0.0-255.255.255.255"]);
        assert_eq!(
            destinations("10.0.0.5-10.0.0.9,10.0.0.1-10.0.0.6,10.0.0.10,10.0.1.0/31"),
            ["10.0.0.1-10.0.0.10", "10.0.1.0-10.0.1.1"]
        );
        assert_eq!(
            destinations("255.255.255.255,255.255.255.0/24"),
            ["255.255.255.0-255.255.255.255"]
        );
        for nothing in ["2001:db8::1", "", "10.0.0.9-10.0.0.1", "10.0.0.0/33"] {
            assert_eq!(destinations(nothing), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn ports_are_ranges_that_do_not_overlap() {
        let range = |first, last| PortRange { first, last };
        assert_eq!(ports("80"), Some(vec![range(80, 80)]));
        assert_eq!(
            ports("443, 80,81,"),
            Some(vec![range(80, 81), range(443, 443)])
        );
        assert_eq!(ports("8000-9000"), Some(vec![range(8000, 9000)]));
        assert_eq!(ports("65535,1-65535"), Some(vec![range(1, 65535)]));
        for nothing in ["", "a", "9-1", "65536"] {
            assert_eq!(ports(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_means_nothing_here_is_left_out() {
        let rules = json!([
            { "protocol": "icmp", "destination": "1.2.3.4", "type": 8, "code": -1, "log": true },
            { "protocol": "icmpv6", "destination": "1.2.3.4", "type": 8, "code": 0 },
            { "protocol": "tcp", "destination": "1.2.3.4" },
            { "protocol": "all", "destination": "2001:db8::/32" },
            7,
        ]);
        let found = Rule::parse_all(&rules);
        assert_eq!(found.len(), 1, "{found:?}");
        let any_code = RuleProtocol::Icmp {
            kind: Some(8),
            code: None,
        };
        assert_eq!((&found[0].protocol, found[0].log), (&any_code, true));
        assert_eq!(Rule::parse_all(&json!({})), Vec::new());
    }
}
