//! Whether a route may exist: the rules of host, path and port, of what is taken, and of quotas.
//! The order of the checks decides which fault is named.

use crate::cloud_controller::actions::routes::NewRoute;
use crate::cloud_controller::actions::routes_ports::{self, GroupPorts};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::domains::{Domain, is_platform_name};
use crate::cloud_controller::model::routes::RouteProtocol;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::{model, payload};
use crate::db::ReadTx;

const LONGEST_NAME: usize = 253;
const LONGEST_PATH: usize = 128;

/// The port that the route gets (0 = none), or 422 with the first fault.
pub(crate) fn check(tx: &ReadTx<'_>, new: &NewRoute<'_>, system_domain: &str) -> Result<u16> {
    let (space, domain) = (new.space, new.domain);
    let refuse = |text: String| Err(Error::unprocessable(text));
    let ports = match &domain.router_group_guid {
        Some(group) => Some(GroupPorts::of(tx, group)?),
        None => None,
    };
    let port = routes_ports::assigned(new.port, ports.as_ref())?;
    if !model::domains::usable_by(tx, domain, &space.organization_guid)? {
        return refuse(format!(
            "Invalid domain. Domain '{}' is not available in organization '{}'.",
            domain.name, space.organization_name
        ));
    }
    check_quotas(tx, space, port)?;
    if !new.host.is_empty() {
        let fqdn = format!("{}.{}", new.host, domain.name);
        if model::domains::find_by_name(tx, &fqdn)?.is_some() {
            return refuse(format!("Route conflicts with domain '{fqdn}'."));
        }
    }
    if let Some(fault) = host_fault(&new.host, domain, system_domain) {
        return refuse(fault.to_owned());
    }
    if let Some(ports) = ports {
        routes_ports::check(tx, new, port, &ports)?;
        return Ok(port);
    }
    check_unique(tx, new)?;
    if let Some(fault) = path_fault(&new.path, domain) {
        return refuse(fault.to_owned());
    }
    if port != 0 {
        return refuse("Routes with protocol 'http' do not support ports.".to_owned());
    }
    Ok(port)
}

fn check_quotas(tx: &ReadTx<'_>, space: &Space, port: u16) -> Result<()> {
    let counts = model::routes::counts(tx, &space.guid)?;
    let has_port = port != 0;
    let (name, organization) = (&space.name, &space.organization_name);
    let full = [
        (counts.space.is_full(), "Routes", "space", name),
        (
            has_port && counts.space_ports.is_full(),
            "Reserved route ports",
            "space",
            name,
        ),
        (
            counts.organization.is_full(),
            "Routes",
            "organization",
            organization,
        ),
        (
            has_port && counts.organization_ports.is_full(),
            "Reserved route ports",
            "organization",
            organization,
        ),
    ];
    match full.into_iter().find(|(is_full, ..)| *is_full) {
        Some((_, what, of, name)) => Err(Error::unprocessable(format!(
            "{what} quota exceeded for {of} '{name}'."
        ))),
        None => Ok(()),
    }
}

fn check_unique(tx: &ReadTx<'_>, new: &NewRoute<'_>) -> Result<()> {
    let (host, path, domain) = (&new.host, &new.path, &new.domain.name);
    if model::routes::is_reserved(tx, &new.domain.guid, new.place(0))? {
        return Err(Error::unprocessable(taken(host, path, domain)));
    }
    if new.domain.is_shared()
        && model::routes::is_host_in_other_space(tx, &new.domain.guid, host, &new.space.guid)?
    {
        return Err(Error::unprocessable(format!(
            "Routes of host '{host}' and domain '{domain}' belong to another space, and all their paths must stay in it."
        )));
    }
    Ok(())
}

/// Why a new route cannot have this place.
pub(crate) fn taken(host: &str, path: &str, domain: &str) -> String {
    match (host.is_empty(), path.is_empty()) {
        (true, true) => format!("Route already exists for domain '{domain}'."),
        (false, true) => format!("Route already exists with host '{host}' for domain '{domain}'."),
        (true, false) => format!("Route already exists with path '{path}' for domain '{domain}'."),
        (false, false) => format!(
            "Route already exists with host '{host}' and path '{path}' for domain '{domain}'."
        ),
    }
}

fn host_fault(host: &str, domain: &Domain, system_domain: &str) -> Option<&'static str> {
    if is_platform_name(host, &domain.name, system_domain) {
        return Some("Route conflicts with a reserved system route.");
    }
    if !host.is_empty() && !payload::routes::is_host(host) {
        return Some("Host format is invalid.");
    }
    if domain.internal && host == "*" {
        return Some("Wildcard hosts are not supported for internal domains.");
    }
    let is_tcp = domain.protocol() == RouteProtocol::Tcp;
    if domain.is_shared() && !is_tcp && host.trim().is_empty() {
        return Some("Missing host. Routes in shared domains must have a host defined.");
    }
    let length = if host.is_empty() { 0 } else { host.len() + 1 } + domain.name.len();
    if length > LONGEST_NAME {
        return Some("Host combined with domain name must be no more than 253 characters.");
    }
    None
}

fn path_fault(path: &str, domain: &Domain) -> Option<&'static str> {
    if path.is_empty() {
        return None;
    }
    if domain.internal {
        return Some("Paths are not supported for internal domains.");
    }
    if !is_path(path) {
        return Some("Path is invalid.");
    }
    (path.chars().count() > LONGEST_PATH).then_some("Path exceeds 128 characters.")
}

/// Characters of a URI's path, other ones percent-encoded.
fn is_path(path: &str) -> bool {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|b| b.is_some_and(|b| b.is_ascii_hexdigit())),
            other => other.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&other),
        };
        if !fine {
            return false;
        }
    }
    path.starts_with('/') && path != "/"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn domain(name: &str, internal: bool, owner: Option<&str>) -> Domain {
        Domain {
            guid: "d".into(),
            name: name.to_owned(),
            internal,
            router_group_guid: None,
            organization_guid: owner.map(Into::into),
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn hosts() {
        let long = "a".repeat(200);
        let shared = domain("cf.localhost", false, None);
        let private = domain("example.com", false, Some("o"));
        let internal = domain("apps.internal", true, None);
        let endless = domain(&format!("{}.com", "abc.".repeat(60)), false, Some("o"));
        let cases = [
            ("shop", &shared, None),
            ("*", &shared, None),
            ("my_app-1", &shared, None),
            ("", &private, None),
            ("api", &private, None),
            ("backend", &internal, None),
            (
                "LOGIN",
                &shared,
                Some("Route conflicts with a reserved system route."),
            ),
            ("a.b", &shared, Some("Host format is invalid.")),
            ("a*", &shared, Some("Host format is invalid.")),
            (&long, &shared, Some("Host format is invalid.")),
            (
                "*",
                &internal,
                Some("Wildcard hosts are not supported for internal domains."),
            ),
            (
                "",
                &shared,
                Some("Missing host. Routes in shared domains must have a host defined."),
            ),
            (
                "abcdefghijkl",
                &endless,
                Some("Host combined with domain name must be no more than 253 characters."),
            ),
        ];
        for (host, domain, fault) in cases {
            assert_eq!(
                host_fault(host, domain, "cf.localhost"),
                fault,
                "{host}.{}",
                domain.name
            );
        }
    }

    #[test]
    fn paths() {
        let long = format!("/{}", "a".repeat(128));
        let shared = domain("cf.localhost", false, None);
        let internal = domain("apps.internal", true, None);
        let cases = [
            ("", &shared, None),
            ("/v1/things", &shared, None),
            ("/a%20b", &shared, None),
            (
                "/a",
                &internal,
                Some("Paths are not supported for internal domains."),
            ),
            ("/a b", &shared, Some("Path is invalid.")),
            ("/a%2", &shared, Some("Path is invalid.")),
            ("a", &shared, Some("Path is invalid.")),
            ("/", &shared, Some("Path is invalid.")),
            ("/a?b", &shared, Some("Path is invalid.")),
            (&long, &shared, Some("Path exceeds 128 characters.")),
        ];
        for (path, domain, fault) in cases {
            assert_eq!(path_fault(path, domain), fault, "{path}");
        }
    }

    #[test]
    fn what_is_taken_is_named() {
        let d = "example.com";
        assert_eq!(
            taken("", "", d),
            "Route already exists for domain 'example.com'."
        );
        assert_eq!(
            taken("a", "", d),
            "Route already exists with host 'a' for domain 'example.com'."
        );
        assert_eq!(
            taken("", "/p", d),
            "Route already exists with path '/p' for domain 'example.com'."
        );
        assert_eq!(
            taken("a", "/p", d),
            "Route already exists with host 'a' and path '/p' for domain 'example.com'."
        );
    }
}
