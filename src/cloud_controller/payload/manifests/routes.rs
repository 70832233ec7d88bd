//! The routes of an app in a manifest.

use crate::cloud_controller::payload;
use crate::cloud_controller::payload::route_options::Hashing;
use serde_json::{Map, Value};

/// The requested routes of an app.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestedRoutes {
    /// `no-route: true`: remove all.
    pub none: bool,
    /// `random-route: true`: create one, if there is none.
    pub random: bool,
    /// `default-route: true`: create one with the app's name, if there is none.
    pub default: bool,
    /// `routes`; an empty list requests none, not even a default.
    pub listed: Option<Vec<RequestedRoute>>,
}

/// One entry of `routes`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RequestedRoute {
    /// The text in the manifest.
    pub text: String,
    /// The full host name.
    pub host: String,
    /// Empty or with its slash.
    pub path: String,
    /// 0 = none.
    pub port: u16,
    /// `http1` or `http2`, if given.
    pub protocol: Option<String>,
    pub options: Map<String, Value>,
}

/// Reads the routes; faults are added to `faults`.
pub(crate) fn read(
    app: &mut Map<String, Value>,
    hashing: Hashing,
    faults: &mut Vec<String>,
) -> RequestedRoutes {
    let mut requested = RequestedRoutes {
        none: switch(app, "no-route", faults),
        random: switch(app, "random-route", faults),
        default: switch(app, "default-route", faults),
        listed: None,
    };
    if requested.random && requested.default {
        faults.push("Random-route and default-route may not be used together".to_owned());
    }
    match app.shift_remove("routes") {
        None => {}
        Some(Value::Array(values)) => {
            let mut listed = Vec::new();
            for value in &values {
                match entry(value, hashing) {
                    Ok(route) => listed.push(route),
                    Err(found) => faults.extend(found),
                }
            }
            faults.dedup();
            requested.listed = Some(listed);
        }
        Some(_) => faults.push("Routes must be a list of route objects".to_owned()),
    }
    requested
}

fn switch(app: &mut Map<String, Value>, key: &str, faults: &mut Vec<String>) -> bool {
    match app.shift_remove(key) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(on)) => on,
        Some(_) => {
            faults.push(format!(
                "{} must be a boolean",
                payload::manifests::shown(key)
            ));
            false
        }
    }
}

fn entry(value: &Value, hashing: Hashing) -> Result<RequestedRoute, Vec<String>> {
    let one = |fault: &str| vec![fault.to_owned()];
    let text = value
        .get("route")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if text.is_empty() {
        return Err(one("Routes must be a list of route objects"));
    }
    let mut route = parse(text)
        .ok_or_else(|| vec![format!("The route '{text}' is not a properly formed URL")])?;
    match value.get("protocol") {
        None | Some(Value::Null) => {}
        Some(Value::String(protocol)) if matches!(protocol.as_str(), "http1" | "http2" | "tcp") => {
            route.protocol = Some(protocol.clone());
        }
        Some(_) => return Err(one("Route protocol must be 'http1', 'http2' or 'tcp'.")),
    }
    match value.get("options") {
        None | Some(Value::Null) => {}
        Some(Value::Object(options)) => {
            let faults = option_faults(text, options, hashing);
            if !faults.is_empty() {
                return Err(faults);
            }
            route.options = options.clone();
        }
        Some(_) => return Err(vec![format!("Route '{text}': options must be an object")]),
    }
    Ok(route)
}

/// The faults of options that CC checks before the routes; creating the routes checks the rest.
fn option_faults(route: &str, options: &Map<String, Value>, hashing: Hashing) -> Vec<String> {
    let (keys, algorithms): (&[&str], &[&str]) = if hashing == Hashing::On {
        (
            &["loadbalancing", "hash_header", "hash_balance"],
            &["round-robin", "least-connection", "hash"],
        )
    } else {
        (&["loadbalancing"], &["round-robin", "least-connection"])
    };
    let unknown = options.keys().filter(|key| !keys.contains(&key.as_str()));
    let mut faults: Vec<String> = unknown
        .map(|key| {
            format!(
                "Route '{route}' contains invalid route option '{key}'. Valid keys: '{}'",
                keys.join(", ")
            )
        })
        .collect();
    let valid = algorithms.join(", ");
    match options.get("loadbalancing") {
        None => {}
        Some(Value::String(name)) if algorithms.contains(&name.as_str()) => {}
        Some(Value::String(name)) => faults.push(format!(
            "Cannot use loadbalancing value '{name}' for Route '{route}'; Valid values are: '{valid}'"
        )),
        Some(_) => faults.push(format!(
            "Invalid value for 'loadbalancing' for Route '{route}'; Valid values are: '{valid}'"
        )),
    }
    faults
}

fn parse(text: &str) -> Option<RequestedRoute> {
    let rest = ["http://", "https://", "tcp://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text);
    if rest.contains("://") || rest.contains(char::is_whitespace) {
        return None;
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, 0),
    };
    let shaped = host.contains('.') && !host.split('.').any(str::is_empty);
    shaped.then(|| RequestedRoute {
        text: text.to_owned(),
        host: host.to_ascii_lowercase(),
        path: if path == "/" {
            String::new()
        } else {
            path.to_owned()
        },
        port,
        protocol: None,
        options: Map::new(),
    })
}

impl RequestedRoute {
    /// A generated route, not from the manifest.
    pub(crate) fn derived(host: &str, domain: &str) -> Self {
        let full = format!("{host}.{domain}");
        Self {
            text: full.clone(),
            host: full,
            path: String::new(),
            port: 0,
            protocol: None,
            options: Map::new(),
        }
    }

    /// Possible splits into host and domain: the whole name as domain first, then the name behind
    /// the first dot.
    pub(crate) fn candidates(&self) -> Vec<(&str, &str)> {
        let mut all = Vec::new();
        if !self.host.starts_with('*') {
            all.push(("", self.host.as_str()));
        }
        all.extend(self.host.split_once('.'));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_parsed() {
        let route = parse("https://A.b.example.com:1024/path").expect("valid");
        assert_eq!(
            (route.host.as_str(), route.port, route.path.as_str()),
            ("a.b.example.com", 1024, "/path")
        );
        assert_eq!(
            route.candidates(),
            [("", "a.b.example.com"), ("a", "b.example.com")]
        );
        assert_eq!(
            parse("*.example.com").expect("valid").candidates(),
            [("*", "example.com")]
        );
        for text in ["ftp://a.b", "nodots", "a..b", "a b.c", "a.b:x"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
