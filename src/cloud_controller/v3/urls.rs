//! Absolute URLs, built from scheme, host and port of the caller's request.

use serde::Serialize;
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
        json!(Link::to(self.to(path)))
    }

    /// `{"href": …, "method": …}`.
    pub(crate) fn action(&self, path: &str, method: &'static str) -> Value {
        json!(Link::to(self.to(path)).by(method))
    }
}

/// `{"href": …}`, or `{"href": …, "method": …}`.
#[derive(Serialize)]
pub(crate) struct Link {
    href: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
}

impl Link {
    /// To an absolute URL.
    pub(crate) fn to(href: String) -> Self {
        Self { href, method: None }
    }

    /// Sets the method for the URL.
    pub(crate) fn by(self, method: &'static str) -> Self {
        Self {
            method: Some(method),
            ..self
        }
    }
}
