//! The table of nftables that enforces what is allowed: a pure function of who has which address and what is
//! on record.
//!
//! A packet from one of the platform's bridges to anywhere but this machine comes to the chain of its bridge.
//! There its source address leads to the chain of its app, which has its policies and goes on to the chain of
//! its space, which has its security groups. What nothing accepts is rejected: clients see at once that a
//! connection is refused, as in Cloud Foundry.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::security::{Addresses, Rule, RuleProtocol};
use super::settings::Enforcement;
use super::wanted::{Policy, Wanted};
use crate::docker::NetworkAddresses;

/// What one table is made of.
#[derive(Clone, Debug)]
pub(super) struct Scene<'a> {
    /// Name of the table.
    pub(super) table: &'a str,
    /// The network of instances, tasks and services.
    pub(super) apps: &'a NetworkAddresses,
    /// That of builds, if there is one.
    pub(super) builds: Option<&'a NetworkAddresses>,
    /// The guid of the app that has an address.
    pub(super) instances: &'a BTreeMap<Ipv4Addr, String>,
    /// The addresses of data services.
    pub(super) services: &'a BTreeSet<Ipv4Addr>,
    /// The guid of the build that has an address.
    pub(super) building: &'a BTreeMap<Ipv4Addr, String>,
    /// What is allowed.
    pub(super) wanted: &'a Wanted,
    /// What all may reach, such as the machine's proxy.
    pub(super) always: &'a [SocketAddrV4],
    /// Port of the name server at the gateway.
    pub(super) names: Option<u16>,
    /// Whether anything is restricted.
    pub(super) enforcement: Enforcement,
}

/// What `nft -f` reads to remove a table, whether it is there or not.
pub(super) fn removal(table: &str) -> String {
    format!("table ip {table} {{ }}\ndelete table ip {table}\n")
}

impl Scene<'_> {
    /// What `nft -f` reads: it replaces the table at once or not at all.
    pub(super) fn text(&self) -> String {
        let mut text = removal(self.table);
        line(&mut text, 0, &format!("table ip {} {{", self.table));
        self.names(&mut text);
        if self.enforcement == Enforcement::Strict {
            self.forward(&mut text);
            self.from_apps(&mut text);
            self.from_builds(&mut text);
            self.apps(&mut text);
            self.spaces(&mut text);
            self.groups(&mut text);
            chain(&mut text, "refused", ["reject".to_owned()]);
        }
        line(&mut text, 0, "}");
        text
    }

    /// Name servers have one port, and only privileged programs may listen there.
    fn names(&self, text: &mut String) {
        let Some(port) = self.names else { return };
        let NetworkAddresses {
            bridge, gateway, ..
        } = self.apps;
        let hook = "type nat hook prerouting priority dstnat - 10; policy accept;".to_owned();
        let redirect = |protocol: &str| {
            format!(
                "iifname \"{bridge}\" ip daddr {gateway} {protocol} dport 53 redirect to :{port}"
            )
        };
        let rules = [hook, redirect("udp"), redirect("tcp")];
        chain(text, "names", rules);
    }

    fn forward(&self, text: &mut String) {
        // Before Docker's rules, which accept all that leaves a bridge.
        let hook = "type filter hook forward priority filter - 10; policy accept;".to_owned();
        let from = |network: &NetworkAddresses, to: &str| {
            format!("iifname \"{}\" jump {to}", network.bridge)
        };
        let apps = from(self.apps, "from-apps");
        let builds = self.builds.map(|network| from(network, "from-builds"));
        chain(text, "forward", [hook, apps].into_iter().chain(builds));
    }

    /// Services may connect to everything, and all may reach them: they have passwords. So may whatever else
    /// the machine's owner put on the network, which has one of the daemon's own addresses.
    fn from_apps(&self, text: &mut String) {
        let NetworkAddresses {
            assignable: owned,
            gateway,
            ..
        } = self.apps;
        let before = Ipv4Addr::from(u32::from(owned.first).saturating_sub(1));
        let mut rules = vec![
            "ct state established,related accept".to_owned(),
            format!("ip saddr != {}-{} accept", owned.first, owned.last),
            format!("ip daddr {gateway}-{before} accept"),
        ];
        if !self.services.is_empty() {
            let services = set(self.services);
            rules.push(format!("ip saddr {services} accept"));
            rules.push(format!("ip daddr {services} accept"));
        }
        rules.extend(self.always());
        let apps = self.instances.iter();
        let jumps = apps.map(|(address, app)| format!("{address} : goto app-{app}"));
        rules.extend(vmap(jumps.collect()));
        rules.push("goto refused".to_owned());
        chain(text, "from-apps", rules);
    }

    fn from_builds(&self, text: &mut String) {
        if self.builds.is_none() {
            return;
        }
        let mut rules = vec!["ct state established,related accept".to_owned()];
        rules.extend(self.always());
        let building = self.building.iter();
        let known = building.filter_map(|(address, build)| {
            let space = self.wanted.builds.get(build)?;
            self.wanted.spaces.get(space)?;
            Some(format!("{address} : jump staging-{space}"))
        });
        rules.extend(vmap(known.collect()));
        let everywhere = self.wanted.everywhere.staging.iter();
        rules.extend(everywhere.map(|group| format!("jump group-{group}")));
        rules.push("goto refused".to_owned());
        chain(text, "from-builds", rules);
    }

    fn always(&self) -> impl Iterator<Item = String> {
        let all = self.always.iter();
        all.map(|at| format!("ip daddr {} tcp dport {} accept", at.ip(), at.port()))
    }

    fn apps(&self, text: &mut String) {
        let mut apps: Vec<&String> = self.instances.values().collect();
        apps.sort_unstable();
        apps.dedup();
        let owned = &self.apps.assignable;
        for app in apps {
            let policies = self.wanted.policies.iter();
            let own = policies.filter(|policy| policy.source == *app);
            let mut rules: Vec<String> = own.filter_map(|policy| self.policy(policy)).collect();
            // Security groups say nothing of other apps.
            rules.push(format!(
                "ip daddr {}-{} goto refused",
                owned.first, owned.last
            ));
            let space = self.wanted.apps.get(app);
            let space = space.filter(|space| self.wanted.spaces.contains_key(*space));
            rules.extend(space.map(|space| format!("jump running-{space}")));
            let everywhere = self.wanted.everywhere.running.iter();
            // The app may be gone while its container still stops.
            let known = everywhere.filter(|_| self.wanted.apps.contains_key(app));
            rules.extend(known.map(|group| format!("jump group-{group}")));
            rules.push("goto refused".to_owned());
            chain(text, &format!("app-{app}"), rules);
        }
    }

    fn policy(&self, policy: &Policy) -> Option<String> {
        let instances = self.instances.iter();
        let reached = instances.filter(|(_, app)| **app == policy.destination);
        let to: Vec<Ipv4Addr> = reached.map(|(address, _)| *address).collect();
        let (to, ports) = ((!to.is_empty()).then(|| set(&to))?, set(&[policy.ports]));
        let protocol = policy.protocol.as_str();
        Some(format!("ip daddr {to} {protocol} dport {ports} accept"))
    }

    fn spaces(&self, text: &mut String) {
        for (space, groups) in &self.wanted.spaces {
            for (kind, groups) in [("running", &groups.running), ("staging", &groups.staging)] {
                let jumps = groups.iter().map(|group| format!("jump group-{group}"));
                chain(text, &format!("{kind}-{space}"), jumps);
            }
        }
    }

    fn groups(&self, text: &mut String) {
        for (group, rules) in &self.wanted.groups {
            let rules = rules.iter().flat_map(|found| rule(group, found));
            chain(text, &format!("group-{group}"), rules);
        }
    }
}

/// One rule; it tells of a connection before it accepts it.
fn rule(group: &str, rule: &Rule) -> Vec<String> {
    let mut matches = Vec::new();
    if let Some(to) = destinations(&rule.destinations) {
        matches.push(to);
    }
    match &rule.protocol {
        RuleProtocol::Tcp(all) => matches.push(format!("tcp dport {}", set(all))),
        RuleProtocol::Udp(all) => matches.push(format!("udp dport {}", set(all))),
        RuleProtocol::Icmp { kind, code } => {
            matches.push("ip protocol icmp".to_owned());
            matches.extend(kind.map(|kind| format!("icmp type {kind}")));
            matches.extend(code.map(|code| format!("icmp code {code}")));
        }
        RuleProtocol::All => {}
    }
    let matches = matches.join(" ");
    let mut rules = Vec::new();
    if rule.log {
        let short = group.get(..8).unwrap_or(group);
        rules.push(format!(
            "{matches} ct state new limit rate 100/second log prefix \"cflite OK_{short} \""
        ));
    }
    rules.push(format!("{matches} accept"));
    for rule in &mut rules {
        *rule = rule.trim_start().to_owned();
    }
    rules
}

/// `None` = everywhere.
fn destinations(all: &[Addresses]) -> Option<String> {
    let whole = |range: &Addresses| {
        range.first == Ipv4Addr::UNSPECIFIED && range.last == Ipv4Addr::BROADCAST
    };
    if all.iter().any(whole) {
        return None;
    }
    Some(format!("ip daddr {}", set(all)))
}

/// An anonymous set of nftables; it must not be empty.
fn set<'a, T: Display + 'a>(all: impl IntoIterator<Item = &'a T>) -> String {
    let texts: Vec<String> = all.into_iter().map(ToString::to_string).collect();
    format!("{{ {} }}", texts.join(", "))
}

/// Nothing for an empty map, which nftables does not take.
fn vmap(jumps: Vec<String>) -> Option<String> {
    (!jumps.is_empty()).then(|| format!("ip saddr vmap {{ {} }}", jumps.join(", ")))
}

fn chain(text: &mut String, name: &str, rules: impl IntoIterator<Item = String>) {
    line(text, 1, &format!("chain {name} {{"));
    for rule in rules {
        line(text, 2, &rule);
    }
    line(text, 1, "}");
}

fn line(text: &mut String, depth: usize, words: &str) {
    text.extend(std::iter::repeat_n("  ", depth));
    text.push_str(words);
    text.push('\n');
}
