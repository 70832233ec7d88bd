//! A block of IP addresses, such as `10.0.0.0/8`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    /// How many bits are the same.
    prefix: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither an address nor a network such as 10.0.0.0/8")]
pub struct NoNetwork;

impl Network {
    /// Whether an address is in it. An IPv4 address that is mapped into IPv6 is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, address) = (self.first.to_canonical(), address.to_canonical());
        first.is_ipv4() == address.is_ipv4()
            && self.masked(bits(first)) == self.masked(bits(address))
    }

    fn masked(&self, bits: u128) -> u128 {
        // Nothing of an address is the same with a prefix of 0.
        bits.checked_shr(width(self.first) - self.prefix)
            .unwrap_or(0)
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let first: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let first = first.to_canonical();
        let prefix = match prefix {
            None => width(first),
            Some(prefix) => prefix.parse().map_err(|_| NoNetwork)?,
        };
        if prefix > width(first) {
            return Err(NoNetwork);
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_a_network_or_not() {
        for (network, address, is_in) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("169.254.169.254", "169.254.169.254", true),
            ("169.254.169.254", "169.254.169.253", false),
            ("169.254.169.254", "::ffff:169.254.169.254", true),
            ("::ffff:169.254.169.254", "169.254.169.254", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdab::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "fe80::1", true),
            ("::/0", "8.8.8.8", false),
        ] {
            let parsed: Network = network.parse().expect(network);
            let address: IpAddr = address.parse().expect(address);
            assert_eq!(parsed.contains(address), is_in, "{network} {address}");
        }
    }

    #[test]
    fn other_texts_are_no_networks() {
        for text in [
            "",
            "host",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0/8",
            "::/129",
            "1.2.3.4/",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
        let shown = |text: &str| text.parse::<Network>().expect(text).to_string();
        assert_eq!(shown(" 10.0.0.0/8 "), "10.0.0.0/8");
        assert_eq!(shown("::1"), "::1/128");
    }
}
