//! Absolute URLs, built from scheme, host and port under which the caller asked.

use serde_json::{Value, json};

/// The caller's view of this server: `http://localhost:8080`.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    base: String,
}

impl Urls {
    /// From `scheme://authority` without trailing slash.
    pub(crate) fn new(base: impl Into<String>) -> Self {
        Self { base: base.into() }
    }

    /// `path` starts with `/`.
    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `{"href": …}`.
    pub(crate) fn link(&self, path: &str) -> Value {
        json!({ "href": self.to(path) })
    }

    /// `{"href": …, "method": …}`.
    pub(crate) fn action(&self, path: &str, method: &str) -> Value {
        json!({ "href": self.to(path), "method": method })
    }
}
