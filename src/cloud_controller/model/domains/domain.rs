//! A domain and the rules of its name.

use crate::base::Timestamp;
use crate::base::guid::{DomainGuid, OrganizationGuid, RouterGroupGuid};
use crate::cloud_controller::body::Invalid;
use crate::cloud_controller::model::routes::RouteProtocol;
use crate::net::origin::PLATFORM_NAMES;

const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A stored domain.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    pub guid: DomainGuid,
    pub name: String,
    /// Its routes are reached by other apps only, not through the router.
    pub internal: bool,
    /// Its routes are TCP routes, with a port of this group.
    pub router_group_guid: Option<RouterGroupGuid>,
    /// Its owner; `None` = shared with all.
    pub organization_guid: Option<OrganizationGuid>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Domain {
    /// Has no owner and is usable by all.
    pub(crate) fn is_shared(&self) -> bool {
        self.organization_guid.is_none()
    }

    /// The protocol of its routes.
    pub(crate) fn protocol(&self) -> RouteProtocol {
        if self.router_group_guid.is_some() {
            RouteProtocol::Tcp
        } else {
            RouteProtocol::Http
        }
    }
}

/// Whether `host.domain` is one of the platform's own names.
pub(crate) fn is_platform_name(host: &str, domain: &str, system_domain: &str) -> bool {
    domain.eq_ignore_ascii_case(system_domain)
        && PLATFORM_NAMES
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host))
}

/// The name and its parents with at least two labels, shortest first.
pub(crate) fn with_parents(name: &str) -> Vec<&str> {
    let starts = name.match_indices('.').map(|(at, _)| at + 1);
    let mut all: Vec<&str> = std::iter::once(0)
        .chain(starts)
        .map(|start| &name[start..])
        .collect();
    all.pop();
    all.reverse();
    all
}

/// Adds the faults of a domain's name.
pub(crate) fn check_name(name: &str, invalid: &mut Invalid) {
    let length = name.chars().count();
    if length < 3 {
        invalid.field("name", "is too short (minimum is 3 characters)");
    }
    if length > LONGEST_NAME {
        invalid.field("name", "is too long (maximum is 253 characters)");
    }
    if !complies_with_rfc_1035(name) {
        invalid.field("name", "does not comply with RFC 1035 standards");
    }
    if !name.contains('.') {
        invalid.field("name", "must contain at least one \".\"");
    }
    if name
        .split('.')
        .any(|label| label.chars().count() > LONGEST_LABEL)
    {
        invalid.field("name", "subdomains must each be at most 63 characters");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if !name.chars().all(plain) {
        invalid.field(
            "name",
            "must consist of alphanumeric characters and hyphens",
        );
    }
}

fn complies_with_rfc_1035(name: &str) -> bool {
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.contains('.') && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_with_all_faults_named() {
        let long_label = format!("{}.com", "f".repeat(64));
        let long_name = format!("{}com", "abc.".repeat(63));
        let cases: [(&str, &[&str]); 8] = [
            ("example.com", &[]),
            ("Some-Thing.Example.com", &[]),
            (
                "x",
                &[
                    "Name is too short (minimum is 3 characters)",
                    "Name does not comply with RFC 1035 standards",
                    "Name must contain at least one \".\"",
                ],
            ),
            (
                "localhost",
                &[
                    "Name does not comply with RFC 1035 standards",
                    "Name must contain at least one \".\"",
                ],
            ),
            ("-a.com", &["Name does not comply with RFC 1035 standards"]),
            (
                "a_b.com",
                &[
                    "Name does not comply with RFC 1035 standards",
                    "Name must consist of alphanumeric characters and hyphens",
                ],
            ),
            (
                &long_label,
                &[
                    "Name does not comply with RFC 1035 standards",
                    "Name subdomains must each be at most 63 characters",
                ],
            ),
            (
                &long_name,
                &["Name is too long (maximum is 253 characters)"],
            ),
        ];
        for (name, faults) in cases {
            let mut invalid = Invalid::default();
            check_name(name, &mut invalid);
            assert_eq!(invalid.into_texts(), faults, "{name}");
        }
    }

    #[test]
    fn parents_have_two_labels_at_least() {
        assert_eq!(
            with_parents("a.b.example.com"),
            ["example.com", "b.example.com", "a.b.example.com"]
        );
        assert!(with_parents("localhost").is_empty());
    }

    #[test]
    fn only_the_system_domain_has_platform_names() {
        assert!(is_platform_name("API", "cf.localhost", "CF.localhost"));
        assert!(!is_platform_name("api", "example.com", "cf.localhost"));
        assert!(!is_platform_name("shop", "cf.localhost", "cf.localhost"));
    }
}
