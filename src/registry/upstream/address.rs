//! Which addresses and hosts may be asked: those that users name must not lead to services of this
//! machine, of its link, or to the metadata service of a cloud.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why an address must not be asked.
pub(super) fn forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => forbidden_v4(v4),
            None => forbidden_v6(v6),
        },
    }
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    let local = address.is_loopback() || address.is_unspecified() || address.octets()[0] == 0;
    if local {
        Some("an address of this machine; the option registry-upstream allows it")
    } else if address.is_link_local() || address.is_multicast() || address.is_broadcast() {
        Some("a link-local address")
    } else {
        None
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_loopback() || address.is_unspecified() {
        Some("an address of this machine; the option registry-upstream allows it")
    } else if address.is_unicast_link_local() || address.is_multicast() {
        Some("a link-local address")
    } else {
        None
    }
}

/// Why a URL must not be asked, as far as its text says.
pub(super) fn forbidden_url(url: &Url) -> Option<&'static str> {
    if url.scheme() != "https" {
        return Some("only HTTPS is used");
    }
    match url.host() {
        Some(Host::Ipv4(v4)) => forbidden(v4.into()),
        Some(Host::Ipv6(v6)) => forbidden(v6.into()),
        Some(Host::Domain(_)) => None,
        None => Some("it has no host"),
    }
}

/// Resolves names; addresses that must not be asked are left out.
#[derive(Debug, Clone, Default)]
pub(super) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let mut refusal = "it has no address";
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| match forbidden(address.ip()) {
                    Some(why) => {
                        refusal = why;
                        false
                    }
                    None => true,
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

/// The resolver in the form that clients take.
pub(super) fn resolver() -> Arc<GuardedResolver> {
    Arc::new(GuardedResolver)
}

/// Whether a token service may see the credentials for a registry: the same host, one above or
/// below it, or one beside it under a domain that is not a public suffix of two short labels
/// (`co.uk`).
pub(super) fn belongs_to(realm: &str, registry: &str) -> bool {
    let below = |host: &str, above: &str| {
        host.strip_suffix(above)
            .is_some_and(|rest| rest.ends_with('.'))
            && above.contains('.')
    };
    if realm == registry || below(realm, registry) || below(registry, realm) {
        return true;
    }
    if registry.ends_with("docker.io") && realm == "auth.docker.io" {
        return true;
    }
    let parent = |host: &str| host.split_once('.').map(|(_, parent)| parent.to_owned());
    match (parent(realm), parent(registry)) {
        (Some(one), Some(other)) if one == other => match one.rsplit_once('.') {
            Some((before, last)) => before.contains('.') || last.len() > 2,
            None => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_its_link_are_forbidden() {
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
            assert!(forbidden(bad.parse().expect(bad)).is_some(), "{bad}");
        }
        for good in ["10.1.2.3", "192.168.1.5", "93.184.216.34", "2606:4700::1"] {
            assert_eq!(forbidden(good.parse().expect(good)), None, "{good}");
        }
    }

    #[test]
    fn only_https_urls_are_asked() {
        let refused = |text: &str| forbidden_url(&Url::parse(text).expect(text)).is_some();
        assert!(refused("http://registry.example.com/v2/"));
        assert!(refused("https://127.0.0.1/v2/"));
        assert!(refused("https://[::1]:5000/v2/"));
        assert!(!refused("https://registry.example.com/v2/"));
    }

    #[test]
    fn credentials_go_only_to_the_registrys_own_token_service() {
        for (realm, registry) in [
            ("ghcr.io", "ghcr.io"),
            ("auth.docker.io", "registry-1.docker.io"),
            ("gitlab.example.com", "registry.example.com"),
            ("example.com", "registry.example.com"),
            ("auth.registry.example.co.uk", "registry.example.co.uk"),
            ("gitlab.example.co.uk", "registry.example.co.uk"),
        ] {
            assert!(belongs_to(realm, registry), "{realm} {registry}");
        }
        for (realm, registry) in [
            ("evil.com", "registry.example.com"),
            ("evil.co.uk", "registry.co.uk"),
            ("evilexample.com", "example.com"),
            ("com", "example.com"),
            ("localhost", "registry.localhost"),
        ] {
            assert!(!belongs_to(realm, registry), "{realm} {registry}");
        }
    }
}
