//! The ports of TCP routes: which one a new route gets, and whether it may have it.

use std::collections::BTreeSet;

use rand::seq::IteratorRandom;

use crate::base::guid::RouterGroupGuid;
use crate::cloud_controller::actions::routes::NewRoute;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::routes::RoutePlace;
use crate::cloud_controller::payload::routes::RequestedPort;
use crate::db::ReadTx;
use crate::net::PortRanges;

/// The ports of a router group, and those that routes have, whatever their domain.
pub(crate) struct GroupPorts {
    reservable: PortRanges,
    taken: BTreeSet<u16>,
}

impl GroupPorts {
    pub(crate) fn of(tx: &ReadTx<'_>, group: &RouterGroupGuid) -> Result<Self> {
        let found = model::router_groups::find(tx, group)?.ok_or_else(|| {
            Error::unprocessable(
                "Route could not be created because the specified domain does not have a valid router group.",
            )
        })?;
        Ok(Self {
            reservable: found.reservable_ports,
            taken: model::routes::ports_of_group(tx, group)?,
        })
    }

    /// One that no route has.
    fn any(&self) -> Option<u16> {
        let free = { self.reservable.iter() }.filter(|port| !self.taken.contains(port));
        free.choose(&mut rand::rng())
    }
}

/// The port that is asked for, or a free one; 0 = none.
pub(crate) fn assigned(asked: RequestedPort, ports: Option<&GroupPorts>) -> Result<u16> {
    match (asked, ports) {
        (RequestedPort::Exactly(port), _) => Ok(port),
        (RequestedPort::Any, None) => Ok(0),
        (RequestedPort::Any, Some(ports)) => ports.any().ok_or_else(|| {
            Error::unprocessable("There are no more ports available for this domain.")
        }),
    }
}

/// The rules of a route that is told from others by its port alone.
pub(crate) fn check(
    tx: &ReadTx<'_>,
    new: &NewRoute<'_>,
    port: u16,
    ports: &GroupPorts,
) -> Result<()> {
    let is_here = model::routes::is_reserved(tx, &new.domain.guid, new.place(port))?;
    match fault(new.place(port), &new.domain.name, ports, is_here) {
        Some(fault) => Err(Error::unprocessable(fault)),
        None => Ok(()),
    }
}

/// `is_here`: a route of the same domain has the port, host and path.
fn fault(place: RoutePlace<'_>, domain: &str, ports: &GroupPorts, is_here: bool) -> Option<String> {
    let port = place.port;
    let unavailable = || {
        format!("Port '{port}' is not available. Try a different port or use a different domain.")
    };
    if !place.host.is_empty() {
        return Some("Hosts are not supported for TCP routes.".to_owned());
    }
    if !place.path.is_empty() {
        return Some("Paths are not supported for TCP routes.".to_owned());
    }
    if port == 0 {
        return Some("Routes with protocol 'tcp' must specify a port.".to_owned());
    }
    if !ports.reservable.contains(port) {
        return Some(unavailable());
    }
    if is_here {
        return Some(format!(
            "Route already exists with port '{port}' for domain '{domain}'."
        ));
    }
    ports.taken.contains(&port).then(unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(reservable: &str, taken: &[u16]) -> GroupPorts {
        GroupPorts {
            reservable: PortRanges::parse(reservable).expect(reservable),
            taken: taken.iter().copied().collect(),
        }
    }

    #[test]
    fn a_free_port_is_found_while_there_is_one() {
        let some = ports("61001-61003,62000", &[61001, 61003, 61004]);
        for _ in 0..50 {
            let port = assigned(RequestedPort::Any, Some(&some)).expect("free");
            assert!([61002, 62000].contains(&port), "{port}");
        }
        let none = ports("61001-61002", &[61001, 61002]);
        let refused = assigned(RequestedPort::Any, Some(&none)).expect_err("all are taken");
        assert_eq!(
            refused.detail(),
            "There are no more ports available for this domain."
        );
        let exactly = RequestedPort::Exactly(61001);
        assert_eq!(assigned(exactly, Some(&none)).expect("as asked"), 61001);
        assert_eq!(assigned(RequestedPort::Any, None).expect("none"), 0);
    }

    #[test]
    fn faults_of_a_tcp_route() {
        const UNAVAILABLE: &str =
            "Port 'N' is not available. Try a different port or use a different domain.";
        let group = ports("61001-61003", &[61002, 61003]);
        let cases = [
            ("", "", 61001, false, None),
            (
                "a",
                "",
                61001,
                false,
                Some("Hosts are not supported for TCP routes."),
            ),
            (
                "",
                "/a",
                61001,
                false,
                Some("Paths are not supported for TCP routes."),
            ),
            (
                "a",
                "/a",
                0,
                false,
                Some("Hosts are not supported for TCP routes."),
            ),
            (
                "",
                "",
                0,
                false,
                Some("Routes with protocol 'tcp' must specify a port."),
            ),
            ("", "", 61004, false, Some(UNAVAILABLE)),
            ("", "", 61002, false, Some(UNAVAILABLE)),
            (
                "",
                "",
                61003,
                true,
                Some("Route already exists with port 'N' for domain 'tcp.example.com'."),
            ),
        ];
        for (host, path, port, is_here, expected) in cases {
            let place = RoutePlace { host, path, port };
            let found = fault(place, "tcp.example.com", &group, is_here);
            let expected = expected.map(|text| text.replace('N', &port.to_string()));
            assert_eq!(found, expected, "{place:?}");
        }
    }
}
