//! Normalizes or rejects requests before routing, as Cloud Controller's servers do.
//!
//! - `/v3` is a Rails application behind `Rack::URLMap`: each run of slashes counts as one, and a
//!   slash at the end does not count (`ActionDispatch::Journey::Router::Utils.normalize_path`).
//! - `/` and `/v2` are Sinatra's: runs of slashes count as one (`Rack::Protection::PathTraversal`),
//!   but a slash at the end makes it another path.
//! - Puma accepts query strings of up to 10 KiB (`ext/puma_http11/puma_http11.c`) and answers 400
//!   to longer ones. The limit keeps filters small; here the response has the shape of other
//!   errors.

use http::Uri;

use crate::cloud_controller::error::{Error, Result};
use crate::net::paths;

/// Most bytes of a query string.
pub(crate) const LONGEST_QUERY: usize = 10 * 1024;

/// Normalizes the path of a request for the Cloud Controller and refuses a query that is too long.
/// Other requests are left unchanged.
pub(crate) fn screen(uri: &mut Uri) -> Result<()> {
    let path = uri.path();
    let first = paths::first_segment(path);
    if !matches!(first, "v3" | "v2" | "") {
        return Ok(());
    }
    if uri.query().is_some_and(|query| query.len() > LONGEST_QUERY) {
        return Err(Error::bad_query(format!(
            "Query string is longer than {LONGEST_QUERY} bytes"
        )));
    }
    if paths::has_extra_slashes(path) {
        let rails = first == "v3";
        let mut tidy = paths::collapse_slashes(path);
        if rails && tidy.ends_with('/') {
            tidy.pop();
        }
        paths::set_path(uri, &tidy);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_rails_and_sinatra_read_them() {
        let cases = [
            ("/", "/"),
            ("//", "/"),
            ("/v3", "/v3"),
            ("/v3/", "/v3"),
            ("//v3//", "/v3"),
            ("/v3/apps/", "/v3/apps"),
            ("//v3//apps///x//?a=//", "/v3/apps/x?a=//"),
            ("/v3/apps/%2F/", "/v3/apps/%2F"),
            ("//v2//info", "/v2/info"),
            ("/v2/info/", "/v2/info/"),
            ("/v3x/", "/v3x/"),
            ("/api//v1/", "/api//v1/"),
        ];
        for (given, tidy) in cases {
            let mut uri: Uri = given.parse().expect("a URI");
            screen(&mut uri).expect("admitted");
            assert_eq!(uri, tidy, "{given}");
        }
    }

    #[test]
    fn long_queries_are_refused() {
        let query = |length: usize| format!("/v3/apps?{}", "n".repeat(length));
        for (length, admitted) in [(LONGEST_QUERY, true), (LONGEST_QUERY + 1, false)] {
            let mut uri: Uri = query(length).parse().expect("a URI");
            assert_eq!(screen(&mut uri).is_ok(), admitted, "{length}");
        }
    }
}
