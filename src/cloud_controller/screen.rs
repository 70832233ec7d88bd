//! What Cloud Controller's servers do with a request before it is routed.
//!
//! Puma takes query strings of up to 10 KiB (`ext/puma_http11/puma_http11.c`) and answers 400 to longer
//! ones. The bound keeps filters small; here the answer has the shape of other errors.

use http::Uri;

use super::v3::{ApiError, ApiResult};

/// Bytes of a query string at most.
const LONGEST_QUERY: usize = 10 * 1024;

/// Refuses a query to the Cloud Controller that is too long.
pub fn screen(uri: &mut Uri) -> ApiResult<()> {
    let path = uri.path();
    let ours = path == "/" || path.starts_with("/v3") || path.starts_with("/v2");
    if ours && uri.query().is_some_and(|query| query.len() > LONGEST_QUERY) {
        return Err(ApiError::bad_query(format!(
            "Query string is longer than {LONGEST_QUERY} bytes"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_queries_are_refused() {
        let query = |length: usize| format!("/v3/apps?{}", "n".repeat(length));
        for (length, admitted) in [(LONGEST_QUERY, true), (LONGEST_QUERY + 1, false)] {
            let mut uri: Uri = query(length).parse().expect("a URI");
            assert_eq!(screen(&mut uri).is_ok(), admitted, "{length}");
        }
    }
}
