//! Buildpacks: how apps become droplets. Built-in ones are part of the binary and show under the
//! official names, in Cloud Foundry's default order; admins add others as zips, or replace the
//! files of built-in ones.
//!
//! States: `AWAITING_UPLOAD` → (upload) → `READY`. Staging uses those that are ready; an app that
//! names none is tried with the enabled ones in the order of their positions. Positions count from
//! 1 without gaps, for each lifecycle on its own.
//!
//! Invariants: name, stack and lifecycle together are unique (an index decides races); a stack once
//! set is never changed; a built-in buildpack that an admin deleted stays deleted.

mod actions;
mod handlers;
mod payload;
mod presenter;
pub(crate) mod store;
mod upload;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

pub(crate) use store::Buildpack;

use super::CloudController;

/// `/v3/buildpacks`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new()
        .route("/v3/buildpacks", get(handlers::list).post(handlers::create))
        .route(
            "/v3/buildpacks/{guid}",
            get(handlers::show)
                .patch(handlers::update)
                .delete(handlers::delete),
        )
        .route(
            "/v3/buildpacks/{guid}/upload",
            post(upload::upload).layer(DefaultBodyLimit::disable()),
        )
}

/// Whether a buildpack is named by URL.
pub(crate) fn is_url(name: &str) -> bool {
    name.contains("://") || (name.starts_with("git@") && name.contains(':'))
}

/// A buildpack's name or URL without the user info of the URL.
pub(crate) fn without_credentials(name: &str) -> String {
    match url::Url::parse(name) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let hidden = url.set_username("***").is_ok() && url.set_password(Some("***")).is_ok();
            if hidden {
                url.to_string()
            } else {
                "***".to_owned()
            }
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_urls_are_hidden() {
        let cases = [
            ("python_buildpack", "python_buildpack"),
            ("https://example.com/b.zip", "https://example.com/b.zip"),
            (
                "https://me:geheim@example.com/b.git#v1",
                "https://***:***@example.com/b.git#v1",
            ),
        ];
        for (name, shown) in cases {
            assert_eq!(without_credentials(name), shown);
        }
    }

    #[test]
    fn urls_are_told_from_names() {
        for name in ["https://x/y", "git@example.com:a/b.git", "ssh://x/y"] {
            assert!(is_url(name), "{name}");
        }
        assert!(!is_url("python_buildpack"));
    }
}
