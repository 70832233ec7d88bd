//! Which addresses and hosts may be asked: names that others choose must not lead to services of this
//! machine, of its link, or to the metadata service of a cloud.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// What may be asked besides public addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Whether addresses of private networks may.
    private: bool,
    /// Why an address of this machine may not: it can name an option that allows it.
    own: &'static str,
}

impl Reach {
    /// All but this machine and its link.
    pub const fn elsewhere(why_not_here: &'static str) -> Self {
        Self {
            private: true,
            own: why_not_here,
        }
    }

    /// Public addresses only.
    pub const PUBLIC: Self = Self {
        private: false,
        own: "an address of this machine",
    };

    /// Why an address must not be asked.
    pub fn forbids(self, address: IpAddr) -> Option<&'static str> {
        match address {
            IpAddr::V4(v4) => self.forbids_v4(v4),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => self.forbids_v4(v4),
                None => self.forbids_v6(v6),
            },
        }
    }

    fn forbids_v4(self, address: Ipv4Addr) -> Option<&'static str> {
        // 100.64.0.0/10 is shared by the customers of a provider.
        let [first, second, ..] = address.octets();
        let shared = first == 100 && (64..128).contains(&second);
        if address.is_loopback() || first == 0 {
            Some(self.own)
        } else if address.is_link_local() || address.is_multicast() || address.is_broadcast() {
            Some("a link-local address")
        } else if !self.private && (address.is_private() || shared) {
            Some("an address of a private network")
        } else {
            None
        }
    }

    fn forbids_v6(self, address: Ipv6Addr) -> Option<&'static str> {
        if address.is_loopback() || address.is_unspecified() {
            Some(self.own)
        } else if address.is_unicast_link_local() || address.is_multicast() {
            Some("a link-local address")
        } else if !self.private && address.is_unique_local() {
            Some("an address of a private network")
        } else {
            None
        }
    }

    /// Why a URL must not be asked, as far as its text says.
    pub fn forbids_url(self, url: &Url) -> Option<&'static str> {
        if url.scheme() != "https" {
            return Some("only HTTPS is used");
        }
        match url.host() {
            Some(Host::Ipv4(v4)) => self.forbids(v4.into()),
            Some(Host::Ipv6(v6)) => self.forbids(v6.into()),
            Some(Host::Domain(_)) => None,
            None => Some("it has no host"),
        }
    }
}

/// Resolves names; addresses that must not be asked are left out.
#[derive(Debug, Clone)]
pub(super) struct GuardedResolver {
    pub(super) reach: Reach,
    /// The host that the configuration names: it may be anywhere.
    pub(super) exempt: Option<String>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        let exempt = self.exempt.as_deref() == Some(name.as_str());
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let mut refusal = "it has no address";
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| match reach.forbids(address.ip()) {
                    Some(why) if !exempt => {
                        refusal = why;
                        false
                    }
                    _ => true,
                })
                .collect();
            if allowed.is_empty() {
                let text = format!("{} is refused: {refusal}", name.as_str());
                return Err(text.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_its_link_are_forbidden() {
        let reach = Reach::elsewhere("here");
        for bad in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
        ] {
            assert!(reach.forbids(bad.parse().expect(bad)).is_some(), "{bad}");
        }
        for good in ["10.1.2.3", "192.168.1.5", "93.184.216.34", "2606:4700::1"] {
            assert_eq!(reach.forbids(good.parse().expect(good)), None, "{good}");
        }
        for private in [
            "10.1.2.3",
            "192.168.1.5",
            "172.20.0.1",
            "100.64.0.1",
            "fd00::1",
        ] {
            let address = private.parse().expect(private);
            assert!(Reach::PUBLIC.forbids(address).is_some(), "{private}");
        }
    }

    #[test]
    fn only_https_urls_are_asked() {
        let reach = Reach::elsewhere("here");
        let refused = |text: &str| reach.forbids_url(&Url::parse(text).expect(text)).is_some();
        assert!(refused("http://registry.example.com/v2/"));
        assert!(refused("https://127.0.0.1/v2/"));
        assert!(refused("https://[::1]:5000/v2/"));
        assert!(!refused("https://registry.example.com/v2/"));
    }
}
