//! Sticky sessions: cookies bind a session to an instance.
//!
//! If an app sets a session cookie, the router adds `__VCAP_ID__`, which names the instance and has
//! the attributes of the session cookie, and `__VCAP_ID_META__`, which repeats those attributes as
//! text. A request with a session cookie and `__VCAP_ID__` goes to that instance; if it is gone,
//! another one answers and `__VCAP_ID__` is set again, with the attributes from `__VCAP_ID_META__`.
//! If an app sets `__VCAP_ID__` itself, the router adds no cookies.
//!
//! A request or response without cookies costs one header lookup.

use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;

use crate::base::Timestamp;

use super::endpoint::EndpointState;
use super::table::Pool;

const VCAP_ID: &str = "__VCAP_ID__";
const VCAP_ID_META: &str = "__VCAP_ID_META__";
/// Names of session cookies, also with [`HOST_PREFIX`].
const SESSION_COOKIES: [&str; 1] = ["JSESSIONID"];
const HOST_PREFIX: &str = "__Host-";

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The sticky session of a request, from its cookies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Affinity {
    /// The instance of the session.
    pub(crate) instance: String,
    /// Value of `__VCAP_ID_META__`.
    meta: Option<String>,
}

impl Affinity {
    /// `None` unless the request has both a session cookie and `__VCAP_ID__`.
    pub(crate) fn of_request(headers: &HeaderMap) -> Option<Box<Self>> {
        let mut in_session = false;
        let mut instance = None;
        let mut meta = None;
        let pieces = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        for (name, value) in pieces.filter_map(name_and_value) {
            match name {
                VCAP_ID => instance = instance.or(Some(value)),
                VCAP_ID_META => meta = meta.or(Some(value)),
                name => in_session = in_session || is_session_cookie(name),
            }
        }
        let instance = instance.filter(|instance| in_session && !instance.is_empty())?;
        Some(Box::new(Self {
            instance: instance.to_owned(),
            meta: meta.map(str::to_owned),
        }))
    }
}

/// Adds the cookies that bind a session to the instance that answered, if needed.
pub(crate) fn add_cookies(
    headers: &mut HeaderMap,
    affinity: Option<&Affinity>,
    pool: &Pool,
    state: &EndpointState,
    now: Timestamp,
) {
    let instance = state.endpoint.instance_guid.as_str();
    let moved = affinity.filter(|affinity| affinity.instance != instance);
    if (moved.is_none() && !headers.contains_key(SET_COOKIE)) || instance.is_empty() {
        return;
    }
    let mut sessions = Vec::new();
    for line in headers.get_all(SET_COOKIE) {
        let mut parts = line.as_bytes().split(|byte| *byte == b';');
        let Some((name, _)) = parts.next().and_then(name_and_value) else {
            continue;
        };
        if name == VCAP_ID {
            return;
        }
        if is_session_cookie(name) {
            sessions.push(Attributes::of_cookie(parts));
        }
    }
    let mut add = |name: &str, value: &str, attributes: &Attributes| {
        let cookie = attributes.cookie(name, value, &pool.context_path);
        match HeaderValue::from_str(&cookie) {
            Ok(cookie) => {
                headers.append(SET_COOKIE, cookie);
            }
            Err(error) => tracing::warn!(error = %error, "setting session cookie failed"),
        }
    };
    for attributes in &sessions {
        add(VCAP_ID, instance, attributes);
        add(VCAP_ID_META, &attributes.to_meta(now), attributes);
    }
    if let Some(affinity) = moved
        && sessions.is_empty()
    {
        let meta = affinity.meta.as_deref();
        let attributes = meta.map(|meta| Attributes::of_meta(meta, now));
        add(VCAP_ID, instance, &attributes.unwrap_or_default());
    }
}

fn is_session_cookie(name: &str) -> bool {
    SESSION_COOKIES.contains(&name.strip_prefix(HOST_PREFIX).unwrap_or(name))
}

/// `name=value`, without surrounding spaces and quotes.
fn name_and_value(piece: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = str::from_utf8(piece).ok()?.split_once('=')?;
    let value = value.trim();
    let unquoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    Some((name.trim(), unquoted.unwrap_or(value)))
}

/// The attributes of a cookie.
#[derive(Debug, Default, PartialEq, Eq)]
struct Attributes {
    secure: bool,
    same_site: Option<SameSite>,
    partitioned: bool,
    /// Seconds; negative to have the cookie deleted.
    max_age: Option<i64>,
    /// Seconds since 1970.
    expires: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    None,
    Lax,
    Strict,
}

impl SameSite {
    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Lax, Self::Strict]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(text))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Lax => "Lax",
            Self::Strict => "Strict",
        }
    }
}

impl Attributes {
    /// From the attributes in `Set-Cookie`; invalid ones are ignored.
    fn of_cookie<'c>(parts: impl Iterator<Item = &'c [u8]>) -> Self {
        let mut found = Self::default();
        for part in parts.filter_map(|part| str::from_utf8(part).ok()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "secure" => found.secure = true,
                "partitioned" => found.partitioned = true,
                "samesite" => found.same_site = SameSite::parse(value),
                "max-age" => {
                    let seconds: Option<i64> = value.parse().ok();
                    let seconds = seconds.map(|seconds| if seconds <= 0 { -1 } else { seconds });
                    found.max_age = seconds.or(found.max_age);
                }
                "expires" => found.expires = parse_date(value).or(found.expires),
                _ => {}
            }
        }
        found
    }

    /// From the value of `__VCAP_ID_META__`.
    fn of_meta(text: &str, now: Timestamp) -> Self {
        let mut found = Self::default();
        for part in text.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let seconds = || value.parse::<i64>().ok().filter(|seconds| *seconds != 0);
            match name {
                "secure" => found.secure = true,
                "partitioned" => found.partitioned = true,
                "samesite" => found.same_site = SameSite::parse(value),
                "maxage" => {
                    found.max_age = seconds().map(|end| {
                        let left = end.saturating_sub(now.as_seconds());
                        if left > 0 { left } else { -1 }
                    });
                }
                "expires" => found.expires = seconds(),
                _ => {}
            }
        }
        found
    }

    /// The value of `__VCAP_ID_META__`.
    fn to_meta(&self, now: Timestamp) -> String {
        let mut parts = Vec::new();
        if self.secure {
            parts.push("secure".to_owned());
        }
        if self.partitioned {
            parts.push("partitioned".to_owned());
        }
        if let Some(expires) = self.expires {
            parts.push(format!("expires={expires}"));
        }
        if let Some(seconds) = self.max_age {
            let end = match seconds {
                ..0 => -1,
                seconds => now.as_seconds().saturating_add(seconds),
            };
            parts.push(format!("maxage={end}"));
        }
        if let Some(same_site) = self.same_site {
            let same_site = same_site.as_str().to_ascii_lowercase();
            parts.push(format!("samesite={same_site}"));
        }
        parts.join("&")
    }

    /// A line for `Set-Cookie`.
    fn cookie(&self, name: &str, value: &str, path: &str) -> String {
        let mut attributes = vec![format!("{name}={value}"), format!("Path={path}")];
        if let Some(date) = self.expires.and_then(show_date) {
            attributes.push(format!("Expires={date}"));
        }
        if let Some(seconds) = self.max_age {
            attributes.push(format!("Max-Age={}", seconds.max(0)));
        }
        attributes.push("HttpOnly".to_owned());
        if self.secure {
            attributes.push("Secure".to_owned());
        }
        if let Some(same_site) = self.same_site {
            attributes.push(format!("SameSite={}", same_site.as_str()));
        }
        if self.partitioned {
            attributes.push("Partitioned".to_owned());
        }
        attributes.join("; ")
    }
}

/// Seconds since 1970 of `Wed, 21 Oct 2015 07:28:00 GMT`, also with `-` between day and year.
fn parse_date(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(',')?;
    let mut words = rest.split([' ', '-']).filter(|word| !word.is_empty());
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS
        .iter()
        .position(|known| known.eq_ignore_ascii_case(month))?;
    let year = words.next().filter(|year| year.len() == 4)?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|part| part.parse().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let month = i8::try_from(month + 1).ok()?;
    let date = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let moment = TimeZone::UTC.to_timestamp(date).ok()?;
    Some(moment.as_second())
}

fn show_date(seconds: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_second(seconds).ok()?;
    let printer = DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&moment).ok()
}

#[cfg(test)]
mod tests;
