//! The names that are ours, as they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The domain of names that every platform has.
pub const OWN_DOMAIN: &str = "cflite.internal";
/// This machine, for containers and for itself.
pub const HOST_NAME: &str = "host.cflite.internal";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The address of the platform as the asker reaches it.
    pub platform: IpAddr,
}

/// An instance behind an internal route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// Its index.
    pub index: u32,
    /// The address of its container.
    pub address: Ipv4Addr,
}

/// An internal route with the instances that take traffic now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalRoute {
    /// Full host name.
    pub name: String,
    /// Instances of all apps that it leads to.
    pub instances: Vec<Instance>,
}

/// What a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The platform itself.
    Platform,
    /// Instances.
    Instances(Vec<Ipv4Addr>),
    /// A name of ours that does not exist.
    Nothing,
    /// Somebody else's.
    NotOurs,
}

/// All names of a platform. Names are lower case, without a dot at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    system_domain: String,
    internal_domains: BTreeSet<String>,
    internal: BTreeMap<String, BTreeSet<Instance>>,
    /// Hosts on other domains, `*.` in front of wildcards.
    public: BTreeSet<String>,
}

impl Names {
    /// Only the system domain and the platform's own names.
    pub fn new(system_domain: &str) -> Self {
        Self {
            system_domain: plain(system_domain),
            ..Self::default()
        }
    }

    /// Adds domains whose names are those of internal routes.
    pub fn add_internal_domains(&mut self, domains: impl IntoIterator<Item = String>) {
        let domains = domains.into_iter().map(|domain| plain(&domain));
        self.internal_domains.extend(domains);
    }

    /// Adds an internal route. Instances of routes with the same name are merged.
    pub fn add_internal_route(&mut self, route: InternalRoute) {
        let known = self.internal.entry(plain(&route.name)).or_default();
        known.extend(route.instances);
    }

    /// Adds hosts of public routes; those below the system domain are known without it.
    pub fn add_public_hosts(&mut self, hosts: impl IntoIterator<Item = String>) {
        let hosts = hosts.into_iter().map(|host| plain(&host));
        self.public.extend(hosts);
    }

    /// The hosts of public routes on other domains.
    pub fn public_hosts(&self) -> impl Iterator<Item = &str> {
        self.public.iter().map(String::as_str)
    }

    /// What a name is, in lower case and without a dot at its end.
    pub(super) fn find(&self, name: &str) -> Found {
        if name == HOST_NAME {
            return Found::Platform;
        }
        if is_below(name, OWN_DOMAIN) {
            return Found::Nothing;
        }
        if self.internal_domains.iter().any(|one| is_below(name, one)) {
            return self.find_internal(name);
        }
        if is_below(name, &self.system_domain) || self.is_public(name) {
            return Found::Platform;
        }
        Found::NotOurs
    }

    fn find_internal(&self, name: &str) -> Found {
        let addresses = |instances: &BTreeSet<Instance>, index: Option<u32>| {
            let wanted = instances
                .iter()
                .filter(|one| index.is_none_or(|index| index == one.index));
            // Two apps may have an instance of an index, but no two instances have an address.
            let addresses: BTreeSet<Ipv4Addr> = wanted.map(|one| one.address).collect();
            addresses.into_iter().collect::<Vec<_>>()
        };
        let found = match self.internal.get(name) {
            Some(instances) => addresses(instances, None),
            None => match indexed(name) {
                Some((index, host)) => self
                    .internal
                    .get(host)
                    .map(|instances| addresses(instances, Some(index)))
                    .unwrap_or_default(),
                None => Vec::new(),
            },
        };
        if found.is_empty() {
            Found::Nothing
        } else {
            Found::Instances(found)
        }
    }

    /// Whether a public route has this host, or a wildcard that covers it.
    fn is_public(&self, name: &str) -> bool {
        if self.public.contains(name) {
            return true;
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.public.contains(&format!("*.{parent}")) {
                return true;
            }
            rest = parent;
        }
        false
    }
}

/// The index and the rest of a name such as `0.shop.apps.internal`.
fn indexed(name: &str) -> Option<(u32, &str)> {
    let (index, host) = name.split_once('.')?;
    let number: u32 = index.parse().ok()?;
    // Not `00` or `+0`.
    (number.to_string() == index).then_some((number, host))
}

fn is_below(name: &str, domain: &str) -> bool {
    let Some(before) = name.strip_suffix(domain) else {
        return false;
    };
    !domain.is_empty() && (before.is_empty() || before.ends_with('.'))
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::new("CF.Example");
        names.add_internal_domains(["apps.internal".to_owned(), "mesh.internal.".to_owned()]);
        let instance = |index, last| Instance {
            index,
            address: Ipv4Addr::new(172, 18, 1, last),
        };
        for (name, instances) in [
            ("Shop.apps.internal", vec![instance(0, 10), instance(1, 11)]),
            // Another app with the same route.
            ("shop.apps.internal", vec![instance(0, 20)]),
            ("7.odd.apps.internal", vec![instance(3, 30)]),
            ("odd.apps.internal", vec![instance(7, 31), instance(0, 32)]),
            ("asleep.apps.internal", vec![]),
        ] {
            names.add_internal_route(InternalRoute {
                name: name.to_owned(),
                instances,
            });
        }
        let hosts = ["shop.example.org", "*.wild.example.org", "bare.example"];
        names.add_public_hosts(hosts.map(str::to_owned));
        names
    }

    fn found(name: &str) -> Found {
        names().find(name)
    }

    fn instances(last: &[u8]) -> Found {
        let address = |last: &u8| Ipv4Addr::new(172, 18, 1, *last);
        Found::Instances(last.iter().map(address).collect())
    }

    #[test]
    fn an_internal_name_is_all_instances_of_all_apps_mapped_to_it() {
        assert_eq!(found("shop.apps.internal"), instances(&[10, 11, 20]));
        assert_eq!(found("0.shop.apps.internal"), instances(&[10, 20]));
        assert_eq!(found("1.shop.apps.internal"), instances(&[11]));
    }

    #[test]
    fn a_route_that_looks_like_an_index_is_a_route() {
        assert_eq!(found("7.odd.apps.internal"), instances(&[30]));
        assert_eq!(found("0.odd.apps.internal"), instances(&[32]));
    }

    #[test]
    fn what_does_not_exist_below_our_domains_is_still_ours() {
        for name in [
            "apps.internal",
            "mesh.internal",
            "gone.apps.internal",
            "asleep.apps.internal",
            "0.asleep.apps.internal",
            "2.shop.apps.internal",
            "00.shop.apps.internal",
            "+0.shop.apps.internal",
            "4294967296.shop.apps.internal",
            "a.b.shop.apps.internal",
            "cflite.internal",
            "other.cflite.internal",
        ] {
            assert_eq!(found(name), Found::Nothing, "{name}");
        }
    }

    #[test]
    fn the_system_domain_and_public_routes_lead_to_the_platform() {
        for name in [
            "cf.example",
            "api.cf.example",
            "a.b.cf.example",
            "shop.example.org",
            "a.wild.example.org",
            "a.b.wild.example.org",
            "bare.example",
            HOST_NAME,
        ] {
            assert_eq!(found(name), Found::Platform, "{name}");
        }
    }

    #[test]
    fn other_names_are_somebody_elses() {
        for name in [
            "",
            "example",
            "internal",
            "xcf.example",
            "cf.example.org",
            "example.org",
            "wild.example.org",
            "www.shop.example.org",
            "xapps.internal",
            "a.bare.example",
        ] {
            assert_eq!(found(name), Found::NotOurs, "{name}");
        }
        assert_eq!(Names::default().find("a.b"), Found::NotOurs);
    }
}
