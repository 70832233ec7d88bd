//! A certificate with the names that it is for.

use std::sync::Arc;

use rustls::sign::CertifiedKey;

/// A certificate and the names it is for.
#[derive(Debug)]
pub(super) struct Named {
    /// Host names, lower case, or `*.` and one.
    pub(super) names: Vec<String>,
    pub(super) key: Arc<CertifiedKey>,
}

/// How well a name is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Match {
    Wildcard,
    Exact,
}

/// Whether one of the names covers a name.
pub(super) fn matching(names: &[String], name: &str) -> Option<Match> {
    let covers = |pattern: &String| match pattern.strip_prefix("*.") {
        Some(parent) => {
            let found = name.split_once('.').is_some_and(|(_, rest)| rest == parent);
            found.then_some(Match::Wildcard)
        }
        None => (pattern == name).then_some(Match::Exact),
    };
    names.iter().filter_map(covers).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_covered_exactly_or_by_a_wildcard_of_one_level() {
        let names = ["shop.example", "*.shop.example"].map(str::to_owned);
        assert_eq!(matching(&names, "shop.example"), Some(Match::Exact));
        assert_eq!(matching(&names, "a.shop.example"), Some(Match::Wildcard));
        assert_eq!(matching(&names, "a.b.shop.example"), None);
        assert_eq!(matching(&names, "example"), None);
    }
}
