//! Paths with repeated slashes or a trailing slash, which servers normalize before routing.

use http::Uri;
use http::uri::PathAndQuery;

/// Whether a path has repeated slashes or a trailing one. Few paths do; this allocates nothing.
pub fn has_extra_slashes(path: &str) -> bool {
    path.len() > 1 && (path.ends_with('/') || path.contains("//"))
}

/// The text between the first slashes.
pub fn first_segment(path: &str) -> &str {
    let rest = path.trim_start_matches('/');
    rest.split_once('/').map_or(rest, |(first, _)| first)
}

/// The path with each run of slashes replaced by one.
pub fn collapse_slashes(path: &str) -> String {
    let mut collapsed = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !collapsed.ends_with('/') {
            collapsed.push(c);
        }
    }
    collapsed
}

/// Replaces the URI's path and keeps its query. An invalid path changes nothing.
pub fn set_path(uri: &mut Uri, path: &str) {
    let both = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    if let Ok(both) = PathAndQuery::try_from(both) {
        parts.path_and_query = Some(both);
        if let Ok(changed) = Uri::from_parts(parts) {
            *uri = changed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_slashes_are_detected() {
        for path in ["/", "", "/v3", "/v3/apps", "*"] {
            assert!(!has_extra_slashes(path), "{path}");
        }
        for path in ["//", "/v3/", "//v3", "/v3//apps"] {
            assert!(has_extra_slashes(path), "{path}");
        }
    }

    #[test]
    fn a_new_path_keeps_query_and_authority() {
        let mut uri: Uri = "http://api.cf.localhost//v3//apps/?names=a//b"
            .parse()
            .expect("a URI");
        let path = collapse_slashes(uri.path());
        set_path(&mut uri, &path);
        assert_eq!(uri, "http://api.cf.localhost/v3/apps/?names=a//b");
        assert_eq!(first_segment("//v3//apps"), "v3");
        assert_eq!(first_segment("//"), "");
    }
}
