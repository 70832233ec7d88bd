//! Networks whose owner assigns the addresses of its containers.
//!
//! The daemon assigns the lowest free address of a network, so that the address of a container that
//! ended goes to the next one that starts, within milliseconds. A client that still uses the old
//! address then talks to the new container. A network created here reserves a small range for the
//! daemon and leaves all other addresses to its owner ([`AddressRange`]).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::Labels;

/// Longest prefix of a network that is large enough for both ranges.
const LONGEST_PREFIX: u32 = 26;

/// An IPv4 network as it is written: `172.18.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    prefix: u32,
}

/// Addresses that the daemon never assigns by itself, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Lowest.
    pub first: Ipv4Addr,
    /// Highest.
    pub last: Ipv4Addr,
}

/// A bridge network to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Whether its containers reach nothing but each other and this machine.
    pub internal: bool,
}

/// The addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkAddresses {
    /// The interface that the daemon's machine has for it.
    pub bridge: String,
    /// Those that its owner may assign.
    pub assignable: AddressRange,
    /// This machine's own, where the daemon runs on it.
    pub gateway: Ipv4Addr,
}

/// Text that is not an IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSubnet;

impl FromStr for Subnet {
    type Err = InvalidSubnet;

    fn from_str(text: &str) -> Result<Self, InvalidSubnet> {
        let (address, prefix) = text.split_once('/').ok_or(InvalidSubnet)?;
        let address: Ipv4Addr = address.parse().map_err(|_| InvalidSubnet)?;
        let prefix: u32 = prefix.parse().map_err(|_| InvalidSubnet)?;
        let mask = u32::MAX
            .checked_shl(32_u32.checked_sub(prefix).ok_or(InvalidSubnet)?)
            .unwrap_or(0);
        let base = u32::from(address) & mask;
        Ok(Self { base, prefix })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl Subnet {
    /// The range of the daemon: the lowest addresses, gateway included. `None` when the network is
    /// too small to be shared.
    pub fn for_daemon(self) -> Option<Self> {
        let prefix = match self.prefix {
            0..=20 => 24,
            21..=LONGEST_PREFIX => self.prefix + 4,
            _ => return None,
        };
        let base = self.base;
        Some(Self { base, prefix })
    }

    /// The addresses outside the daemon's range; `None` when there are none.
    pub fn without(self, daemon: Self) -> Option<AddressRange> {
        let first = daemon.last().checked_add(1)?;
        // The highest one is the broadcast address.
        let last = self.last().checked_sub(1)?;
        let inside = daemon.base == self.base && first <= last;
        inside.then(|| AddressRange {
            first: first.into(),
            last: last.into(),
        })
    }

    /// The lowest address of a host.
    pub fn first_host(self) -> Ipv4Addr {
        self.base.saturating_add(1).into()
    }

    fn last(self) -> u32 {
        let hosts = u32::MAX.checked_shr(self.prefix).unwrap_or(0);
        self.base | hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a network")
    }

    #[test]
    fn a_network_is_shared_between_the_daemon_and_its_owner() {
        let table = [
            (
                "172.18.0.0/16",
                "172.18.0.0/24",
                "172.18.1.0",
                "172.18.255.254",
            ),
            (
                "192.168.48.0/20",
                "192.168.48.0/24",
                "192.168.49.0",
                "192.168.63.254",
            ),
            ("10.9.8.0/24", "10.9.8.0/28", "10.9.8.16", "10.9.8.254"),
            ("10.9.8.64/26", "10.9.8.64/30", "10.9.8.68", "10.9.8.126"),
        ];
        for (whole, daemon, first, last) in table {
            let found = subnet(whole).for_daemon().expect("room");
            assert_eq!(found.to_string(), daemon);
            let range = subnet(whole).without(found).expect("room");
            assert_eq!(range.first.to_string(), first, "{whole}");
            assert_eq!(range.last.to_string(), last, "{whole}");
        }
        assert_eq!(subnet("10.0.0.0/27").for_daemon(), None);
        let gateway = subnet("172.18.0.0/16").first_host();
        assert_eq!(gateway.to_string(), "172.18.0.1");
    }

    #[test]
    fn a_network_that_is_the_daemons_range_has_no_other_addresses() {
        let whole = subnet("172.18.0.0/16");
        assert_eq!(whole.without(whole), None);
        assert_eq!(whole.without(subnet("10.0.0.0/24")), None);
    }

    #[test]
    fn only_networks_are_parsed() {
        assert_eq!(subnet("172.18.5.9/16").to_string(), "172.18.0.0/16");
        assert_eq!(subnet("0.0.0.0/0").to_string(), "0.0.0.0/0");
        for text in ["", "172.18.0.0", "172.18.0.0/33", "fd00::/8", "a/b"] {
            assert_eq!(text.parse::<Subnet>(), Err(InvalidSubnet), "{text}");
        }
    }
}
