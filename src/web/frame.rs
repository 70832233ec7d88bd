//! What all pages have around their content.

use super::assets;
use super::visitor::Visitor;
use crate::net::Scheme;

/// The head, the navigation and the user of a page.
pub(super) struct Frame {
    /// The part of the navigation that is current.
    pub(super) section: &'static str,
    pub(super) user_name: String,
    pub(super) is_admin: bool,
    pub(super) sees_all: bool,
    pub(super) form_token: String,
    /// `dark`, `light`, or empty: as the system has it.
    pub(super) theme: &'static str,
    pub(super) script: String,
    pub(super) style: String,
    /// What `cf api` takes: `http://api.cf.localhost:8080`, with an option over HTTPS.
    pub(super) api: String,
    /// Commits before this page was made, counted as the stream of changes counts them.
    pub(super) sequence: u64,
    /// Path and query of this page.
    pub(super) page: String,
    /// Seconds after which a page with measurements is read again; 0 = only after changes.
    pub(super) refresh: u32,
}

impl Frame {
    /// The frame of a page in a part of the navigation.
    pub(super) fn new(visitor: &Visitor, section: &'static str) -> Self {
        let base = visitor.base();
        Self {
            section,
            user_name: visitor.user_name().to_owned(),
            is_admin: visitor.is_admin(),
            sees_all: visitor.sees_all(),
            form_token: visitor.session.form_token(),
            theme: visitor.theme,
            script: assets::path("console.js"),
            style: assets::path("console.css"),
            api: {
                let origin = base.origin_of("api", &visitor.console.parts().domain);
                match base.scheme {
                    Scheme::Https => format!("{origin} --skip-ssl-validation"),
                    Scheme::Http => origin,
                }
            },
            sequence: visitor.sequence,
            page: visitor.page.clone(),
            refresh: 0,
        }
    }

    /// With measurements that change by themselves.
    pub(super) fn refreshed(mut self, seconds: u32) -> Self {
        self.refresh = seconds;
        self
    }
}
