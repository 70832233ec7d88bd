//! Normalizes or rejects requests before routing, as UAA's server does.
//!
//! Spring's firewall rejects a path with doubled slashes, and UAA answers 400 with the text below
//! (`HomeController`, `/rejected`). Spring MVC 5 ignores one trailing slash.

use http::Uri;

use super::UaaError;
use crate::net::paths;

/// First segments of UAA's paths.
const ROOTS: [&str; 14] = [
    "Users",
    "Groups",
    "oauth",
    "login",
    "login.do",
    "logout.do",
    "passcode",
    "info",
    "token_key",
    "token_keys",
    "check_token",
    "introspect",
    "userinfo",
    ".well-known",
];

/// Normalizes the path of a request for UAA, or rejects it. Other requests are left unchanged.
pub fn screen(uri: &mut Uri) -> Result<(), UaaError> {
    let path = uri.path();
    if !paths::has_extra_slashes(path) || !ROOTS.contains(&paths::first_segment(path)) {
        return Ok(());
    }
    if path.contains("//") {
        return Err(UaaError::rejected());
    }
    let tidy = path.trim_end_matches('/').to_owned();
    paths::set_path(uri, &tidy);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_slash_is_ignored_and_doubled_slashes_are_refused() {
        let cases = [
            ("/Users/", Some("/Users")),
            ("/oauth/token/?a=b/", Some("/oauth/token?a=b/")),
            ("/oauth//token", None),
            ("//Users", None),
            ("/Users//", None),
            ("/v3//", Some("/v3//")),
            ("/users/", Some("/users/")),
        ];
        for (given, expected) in cases {
            let mut uri: Uri = given.parse().expect("a URI");
            let admitted = screen(&mut uri).ok().map(|()| uri.to_string());
            assert_eq!(admitted.as_deref(), expected, "{given}");
        }
    }
}
