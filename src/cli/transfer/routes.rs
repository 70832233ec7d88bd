//! Which route stands for a route of another platform.

/// Domains of both platforms.
#[derive(Debug, Default)]
pub(super) struct Domains {
    /// Those of the platform that the app goes to.
    pub(super) there: Vec<String>,
    /// Those of the platform that it comes from.
    pub(super) here: Vec<String>,
    /// The domain that routes get there.
    pub(super) usual: Option<String>,
    /// The one that the user chose instead.
    pub(super) chosen: Option<String>,
}

impl Domains {
    /// The route there: under the same domain where there is one, else under the chosen or usual one. A
    /// route with a port needs its own domain.
    pub(super) fn mapped(&self, route: &str) -> Option<String> {
        let (host, rest) = split(route);
        let is_there = self.there.iter().any(|domain| is_below(host, domain));
        if self.chosen.is_none() && is_there {
            return Some(route.to_owned());
        }
        if rest.starts_with(':') {
            return None;
        }
        let domain = self.chosen.as_ref().or(self.usual.as_ref())?;
        let own = self.here.iter().filter(|domain| is_below(host, domain));
        let front = match own.map(String::len).max() {
            Some(length) => host[..host.len() - length].trim_end_matches('.'),
            None => host.split('.').next().unwrap_or(host),
        };
        let front = if front.is_empty() {
            host.split('.').next()?
        } else {
            front
        };
        Some(format!("{}.{domain}{rest}", front.replace('.', "-")))
    }
}

/// Host, and path or port.
pub(super) fn split(route: &str) -> (&str, &str) {
    route.split_at(route.find(['/', ':']).unwrap_or(route.len()))
}

/// Whether a host is a domain, or a name below it.
pub(super) fn is_below(host: &str, domain: &str) -> bool {
    let front = host.strip_suffix(domain);
    front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_move_to_a_domain_of_the_other_platform() {
        let mut domains = Domains {
            there: vec!["apps.example.com".to_owned(), "apps.internal".to_owned()],
            here: vec!["cf.localhost".to_owned()],
            usual: Some("apps.example.com".to_owned()),
            chosen: None,
        };
        for (route, chosen, expected) in [
            ("web.cf.localhost", None, Some("web.apps.example.com")),
            ("a.b.cf.localhost/p", None, Some("a-b.apps.example.com/p")),
            ("web.apps.example.com", None, Some("web.apps.example.com")),
            ("web.apps.internal", None, Some("web.apps.internal")),
            ("www.private.org", None, Some("www.apps.example.com")),
            ("web.cf.localhost", Some("x.org"), Some("web.x.org")),
            ("tcp.cf.localhost:1024", None, None),
            ("cf.localhost", None, Some("cf.apps.example.com")),
        ] {
            domains.chosen = chosen.map(str::to_owned);
            assert_eq!(domains.mapped(route).as_deref(), expected, "{route}");
        }
        domains.chosen = None;
        domains.usual = None;
        assert_eq!(domains.mapped("web.cf.localhost"), None);
    }
}
