//! The consent page.

use askama::Template;

use super::{Frame, Page};

/// What a client asks the user for.
#[derive(Template)]
#[template(path = "uaa/approve.html")]
pub(crate) struct ApprovePage<'a> {
    pub(crate) frame: Frame,
    pub(crate) client: &'a str,
    pub(crate) user_name: &'a str,
    pub(crate) scopes: Vec<&'a str>,
    pub(crate) target: &'a str,
    pub(crate) request: &'a str,
    pub(crate) csrf: &'a str,
}

impl Page for ApprovePage<'_> {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}
