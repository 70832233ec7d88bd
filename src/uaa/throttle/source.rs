//! Where an attempt comes from: the address of the connection. `X-Forwarded-For` is not trusted, as
//! the client can set it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::net::RequestBase;
use crate::uaa::Uaa;

/// A caller's address; a network of IPv6 addresses is one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source(Option<IpAddr>);

impl Source {
    /// The platform itself.
    pub(crate) const PLATFORM: Self = Self(None);

    /// A caller at this address.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self(Some(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }))
    }
}

impl FromRequestParts<Uaa> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Uaa) -> Result<Self, Infallible> {
        let base = parts.extensions.get::<RequestBase>();
        Ok(base.map_or(Self::PLATFORM, |base| Self::at(base.client.ip())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_addresses_is_one_source() {
        let at = |text: &str| Source::at(text.parse().unwrap());
        assert_eq!(at("10.0.0.1"), at("::ffff:10.0.0.1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
        assert_eq!(at("2001:db8:1:2::3"), at("2001:db8:1:2:ffff::4"));
        assert_ne!(at("2001:db8:1:2::3"), at("2001:db8:1:3::3"));
    }
}
