//! Where a browser finds what a route leads to.

use super::api::models::{Included, Route};
use crate::net::RequestBase;

/// The address of a route, under the scheme and port of this request, which lead to apps, too.
/// Empty for what no browser opens: TCP, wildcards, internal domains.
pub(super) fn of(route: &Route, is_internal: bool, base: &RequestBase) -> String {
    if route.protocol != "http" || is_internal || route.host == "*" {
        return String::new();
    }
    let (name, path) = route.url.split_once('/').unwrap_or((&route.url, ""));
    let port = base.authority.port_u16();
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let slash = if path.is_empty() { "" } else { "/" };
    format!("{}://{name}{port}{slash}{path}", base.scheme)
}

/// The same of a route in a list that includes domains.
pub(super) fn in_list(route: &Route, included: &Included, base: &RequestBase) -> String {
    let domain = route.relationships.domain.guid();
    let mut internal = included.domains.iter().filter(|one| one.internal);
    of(route, internal.any(|one| one.guid == domain), base)
}
