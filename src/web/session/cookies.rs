//! The console's cookies. Ports do not separate cookies, so that their names have the platform's id.

use http::{HeaderMap, HeaderValue};

use crate::base::Secret;
use crate::net::RequestBase;
use crate::net::cookies::{CookieJar, SameSite};
use crate::web::Console;

/// What a cookie is for.
#[derive(Clone, Copy)]
pub(crate) enum Cookie {
    /// The secret of a session.
    Session,
    /// A sign-in in progress.
    SignIn,
}

/// The cookies of one platform at one origin.
pub(crate) struct Jar<'a> {
    cookies: CookieJar,
    platform_id: &'a str,
}

impl<'a> Jar<'a> {
    fn new(base: &RequestBase, platform_id: &'a str) -> Self {
        Self {
            cookies: CookieJar::of(&base.origin()),
            platform_id,
        }
    }

    fn name(&self, cookie: Cookie) -> String {
        let kind = match cookie {
            Cookie::Session => "cflite-console",
            Cookie::SignIn => "cflite-console-sign-in",
        };
        let id: String = self.platform_id.chars().take(8).collect();
        format!("{kind}-{id}")
    }

    /// The value that the browser sent; `None` when there is none or more than one.
    pub(crate) fn read(&self, cookie: Cookie, headers: &HeaderMap) -> Option<Secret<String>> {
        self.cookies.read(&self.name(cookie), headers)
    }

    /// The header that stores it for this long.
    pub(crate) fn store(&self, cookie: Cookie, value: &str, seconds: u64) -> Option<HeaderValue> {
        // A sign-in ends with a redirect that may have begun on another site.
        let same_site = match cookie {
            Cookie::Session => SameSite::Strict,
            Cookie::SignIn => SameSite::Lax,
        };
        let name = self.name(cookie);
        self.cookies.store(&name, value, (seconds, same_site))
    }

    /// The header that removes it.
    pub(crate) fn remove(&self, cookie: Cookie) -> Option<HeaderValue> {
        self.store(cookie, "", 0)
    }
}

impl Console {
    /// The cookies of the console at this origin.
    pub(in crate::web) fn jar(&self, base: &RequestBase) -> Jar<'_> {
        Jar::new(base, &self.parts().platform_id)
    }
}
