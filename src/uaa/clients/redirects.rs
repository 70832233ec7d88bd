//! Where codes may be sent: only to addresses the client registered.
//!
//! A registered address matches literally, with these exceptions: the first label of its host may
//! be `*`, and in its path `*` stands for a segment and `**` for any rest. Scheme and port must
//! always match; a user name or fragment is never allowed.

use url::Url;

use crate::net::origin::PLATFORM_NAMES;
use crate::uaa::error::{UaaError, UaaResult};

/// Registered by the console: any page of the platform's console as the caller sees it.
pub(crate) const CONSOLE: &str = "platform:console";

/// Checks an address that a client wants to register.
pub(crate) fn validate(address: &str) -> UaaResult<()> {
    let refused = |reason: &str| {
        let text = format!("One of the redirect_uri is invalid: {address}: {reason}");
        UaaError::invalid_client(text)
    };
    if address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(refused("it holds blanks"));
    }
    let url = Url::parse(&address.replacen("://*.", "://any.", 1))
        .map_err(|error| refused(&error.to_string()))?;
    if url.host_str().is_none_or(|host| host.contains('*')) {
        return Err(refused(
            "it needs a host, of which only the first label may be *",
        ));
    }
    if url.fragment().is_some() {
        return Err(refused("it has a fragment"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds credentials"));
    }
    Ok(())
}

/// Whether a code may be sent to `asked`. `base` is this server as the caller sees it.
pub(crate) fn matches(registered: &[String], asked: &str, base: &str) -> bool {
    let Ok(url) = Url::parse(asked) else {
        return false;
    };
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return false;
    }
    registered.iter().any(|known| {
        if known == CONSOLE {
            is_console(&url, base)
        } else {
            known == asked || covers(known, &url)
        }
    })
}

/// The console is served under this server's own address, and under the name `console` where the
/// platform is addressed by name.
fn is_console(url: &Url, base: &str) -> bool {
    let Ok(base) = Url::parse(base) else {
        return false;
    };
    if url.scheme() != base.scheme() || url.port_or_known_default() != base.port_or_known_default()
    {
        return false;
    }
    let (Some(host), Some(own)) = (url.host_str(), base.host_str()) else {
        return false;
    };
    let sibling = own
        .split_once('.')
        .filter(|(name, _)| PLATFORM_NAMES.contains(name))
        .map(|(_, domain)| format!("console.{domain}"));
    host == own || sibling.as_deref() == Some(host)
}

fn covers(known: &str, asked: &Url) -> bool {
    if !known.contains('*') {
        return false;
    }
    let any_label = known.contains("://*.");
    let Ok(known) = Url::parse(&known.replacen("://*.", "://any.", 1)) else {
        return false;
    };
    known.scheme() == asked.scheme()
        && known.port_or_known_default() == asked.port_or_known_default()
        && host_covers(&known, asked, any_label)
        && path_covers(known.path(), asked.path())
        && (known.query().is_none() || known.query() == asked.query())
}

fn host_covers(known: &Url, asked: &Url, any_label: bool) -> bool {
    let (Some(known), Some(asked)) = (known.host_str(), asked.host_str()) else {
        return false;
    };
    if !any_label {
        return known == asked;
    }
    let rest = |host: &str| host.split_once('.').map(|(_, rest)| rest.to_owned());
    rest(known).is_some() && rest(known) == rest(asked)
}

fn path_covers(pattern: &str, path: &str) -> bool {
    let mut path = path.split('/');
    for part in pattern.split('/') {
        if part == "**" {
            return true;
        }
        match path.next() {
            Some(segment) if part == "*" || part == segment => {}
            _ => return false,
        }
    }
    path.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(registered: &str, asked: &str) -> bool {
        let base = "http://login.cf.localhost:8080";
        matches(&[registered.to_owned()], asked, base)
    }

    #[test]
    fn codes_go_to_registered_addresses_only() {
        let exact = "https://app.example.com/callback";
        assert!(fits(exact, exact));
        for other in [
            "https://app.example.com/callback/",
            "https://app.example.com/callback?x=1",
            "http://app.example.com/callback",
            "https://app.example.com:444/callback",
            "https://app.example.com.evil.example/callback",
            "https://app.example.com/callback#x",
            "not an address",
            "",
        ] {
            assert!(!fits(exact, other), "{other}");
        }
    }

    #[test]
    fn stars_stand_for_one_label_one_segment_or_the_rest_of_a_path() {
        let cases = [
            ("https://a.example/**", "https://a.example/", true),
            ("https://a.example/**", "https://a.example/x/y?z=1", true),
            ("https://a.example/**", "https://b.example/x", false),
            ("https://a.example/**", "https://user@a.example/x", false),
            ("https://a.example/*/back", "https://a.example/x/back", true),
            (
                "https://a.example/*/back",
                "https://a.example/x/y/back",
                false,
            ),
            ("https://*.example.com/x", "https://a.example.com/x", true),
            (
                "https://*.example.com/x",
                "https://a.b.example.com/x",
                false,
            ),
            ("https://*.example.com/x", "https://evil.com/x", false),
            ("http://localhost:3000/**", "http://localhost:3001/", false),
        ];
        for (registered, asked, fine) in cases {
            assert_eq!(fits(registered, asked), fine, "{registered} {asked}");
        }
    }

    #[test]
    fn the_console_is_the_platform_itself() {
        for own in [
            "http://login.cf.localhost:8080/console/callback",
            "http://console.cf.localhost:8080/callback",
        ] {
            assert!(fits(CONSOLE, own), "{own}");
        }
        for foreign in [
            "https://console.cf.localhost:8080/callback",
            "http://console.cf.localhost:8081/callback",
            "http://shop.cf.localhost:8080/callback",
            "http://console.evil.example:8080/callback",
            CONSOLE,
        ] {
            assert!(!fits(CONSOLE, foreign), "{foreign}");
        }
        let console = "http://localhost:8080/console";
        let registered = [CONSOLE.to_owned()];
        assert!(matches(&registered, console, "http://localhost:8080"));
        let foreign = "http://console.localhost:8080/console";
        assert!(!matches(&registered, foreign, "http://localhost:8080"));
    }

    #[test]
    fn invalid_addresses_cannot_be_registered() {
        for fine in [
            "https://a.example/x",
            "http://*.a.example/**",
            "app://back/x",
        ] {
            assert!(validate(fine).is_ok(), "{fine}");
        }
        for broken in [
            "",
            "/callback",
            "a.example",
            "https://a.example/ x",
            "https://a.example/#x",
            "https://user:pw@a.example/",
            "https://*/x",
            "https://a.*.example/x",
            CONSOLE,
        ] {
            assert!(validate(broken).is_err(), "{broken}");
        }
    }
}
