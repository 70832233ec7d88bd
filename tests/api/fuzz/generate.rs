//! What the requests are made of: known names in unknown places, and nonsense.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// Where requests are aimed.
pub(crate) struct Pool {
    /// Method and path, with names as `:guid`.
    pub(crate) routes: Vec<(String, String)>,
    /// Guids of things that are there.
    pub(crate) guids: Vec<String>,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
}

const KEYS: &[&str] = &[
    "name",
    "guid",
    "data",
    "type",
    "relationships",
    "space",
    "organization",
    "app",
    "user",
    "domain",
    "metadata",
    "labels",
    "annotations",
    "lifecycle",
    "buildpacks",
    "stack",
    "environment_variables",
    "var",
    "enabled",
    "rules",
    "protocol",
    "destination",
    "ports",
    "apps",
    "services",
    "routes",
    "domains",
    "total_memory_in_mb",
    "instances",
    "memory_in_mb",
    "disk_in_mb",
    "health_check",
    "readiness_health_check",
    "endpoint",
    "timeout",
    "invocation_timeout",
    "interval",
    "command",
    "strategy",
    "droplet",
    "package",
    "revision",
    "resources",
    "checksum",
    "value",
    "size_in_bytes",
    "applications",
    "processes",
    "process_types",
    "sidecars",
    "env",
    "memory",
    "host",
    "path",
    "port",
    "options",
    "loadbalancing",
    "destinations",
    "weight",
    "position",
    "locked",
    "state",
    "state_reason",
    "suspended",
    "globally_enabled",
    "running",
    "staging",
    "username",
    "origin",
    "custom_error_message",
    "userName",
    "emails",
    "password",
    "oldPassword",
    "schemas",
    "quota",
    "per_process_memory_in_mb",
    "log_rate_limit_in_bytes_per_second",
    "internal",
    "router_group",
    "image",
    "mode",
    "services",
    "docker",
    "no-route",
    "random-route",
    "default-route",
    "description",
];

const PARAMETERS: &[&str] = &[
    "names",
    "guids",
    "page",
    "per_page",
    "order_by",
    "include",
    "label_selector",
    "created_ats",
    "created_ats[gt]",
    "updated_ats[lte]",
    "space_guids",
    "organization_guids",
    "app_guids",
    "types",
    "states",
    "hosts",
    "paths",
    "ports",
    "domain_guids",
    "target_guids",
    "versions",
    "stacks",
    "fields[space]",
    "embed",
    "source_guid",
    "unmapped",
    "purge",
    "lifecycle_type",
    "usernames",
    "origins",
    "partial_usernames",
    "user_guids",
    "host",
    "path",
    "port",
    "after_guid",
    "filter",
    "startIndex",
    "count",
    "limit",
    "start_time",
    "envelope_types",
    "grant_type",
    "client_id",
    "response_type",
    "globally_enabled_running",
    "running_space_guids",
    "deployable",
    "droplet_guids",
];

fn text(guids: Vec<String>) -> BoxedStrategy<String> {
    let odd: Vec<String> = [
        "",
        " ",
        "0",
        "-1",
        "true",
        "null",
        "a,b",
        ",",
        "%",
        "%2C",
        "*",
        "../..",
        "created_at",
        "-name",
        "space.organization",
        "9999999999999999999999",
        "1e400",
        "2020-01-01T00:00:00Z",
        "tier=gold",
        "!tier",
        "tier in (a,b)",
        "tier notin (",
        "web",
        "started",
        "STAGED",
        "\u{0}",
        "\u{202e}x",
        "ß",
        "'; drop table apps; --",
        "{{",
        "$HOME",
        "password",
        "refresh_token",
        "userName eq \"x\"",
        "userName eq",
        "id pr and",
        "https://example.com/x.git",
        "10.0.0.0/8",
        "0.0.0.0-255.255.255.255",
        "1-65536",
        "64M",
        "-5G",
        "http1",
        "x.example.com",
        "*.example.com",
        "/a/b",
        "/",
    ]
    .map(str::to_owned)
    .into();
    prop_oneof![
        3 => select(guids),
        4 => select(odd),
        2 => "[a-z][a-z0-9-]{0,12}",
        1 => any::<String>(),
        1 => (200_usize..5000).prop_map(|length| "x".repeat(length)),
    ]
    .boxed()
}

fn json_value(guids: Vec<String>) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-3_i64..200).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        4 => text(guids.clone()).prop_map(Value::from),
        2 => select(guids).prop_map(|guid| json!({ "data": { "guid": guid } })),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![
            9 => select(KEYS).prop_map(str::to_owned),
            1 => "[a-zA-Z_.]{0,8}",
        ];
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => vec((key, inner), 0..6).prop_map(|pairs| {
                Value::from(pairs.into_iter().collect::<Map<String, Value>>())
            }),
        ]
    })
    .boxed()
}

fn body(guids: Vec<String>) -> BoxedStrategy<(&'static str, String)> {
    let json = || prop_oneof![9 => Just("application/json"), 1 => Just("application/x-yaml")];
    prop_oneof![
        8 => (json(), json_value(guids.clone())).prop_map(|(kind, value)| (kind, value.to_string())),
        // A body as it should be, but for one value.
        4 => (json(), json_value(guids.clone()), select(KEYS)).prop_map(|(kind, value, key)| {
            let mut body = json!({ "name": "fuzz", "relationships": { "space": value.clone() } });
            body[key] = value;
            (kind, body.to_string())
        }),
        1 => (json(), any::<String>()),
        1 => Just(("application/json", String::new())),
        1 => Just(("application/json", format!("{}{}", "[".repeat(5000), "]".repeat(5000)))),
        1 => text(guids).prop_map(|text| ("multipart/form-data; boundary=b", format!("--b\r\n{text}\r\n--b--"))),
        1 => vec(("[a-z_]{1,12}", "[a-z0-9]{0,9}"), 0..4).prop_map(|pairs| {
            let pairs: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            ("application/x-www-form-urlencoded", pairs.join("&"))
        }),
    ]
    .boxed()
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

fn query(guids: Vec<String>) -> BoxedStrategy<String> {
    let name = prop_oneof![
        9 => select(PARAMETERS).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    vec((name, text(guids)), 0..4)
        .prop_map(|pairs| {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            if pairs.is_empty() {
                String::new()
            } else {
                format!("?{}", pairs.join("&"))
            }
        })
        .boxed()
}

/// Any request.
pub(crate) fn request(pool: &Pool) -> impl Strategy<Value = Asked> + use<> {
    let guids = pool.guids.clone();
    let method = prop_oneof![
        9 => Just(None),
        1 => select(vec!["GET", "POST", "PATCH", "PUT", "DELETE"]).prop_map(|m| Some(m.to_owned())),
    ];
    let word = prop_oneof![
        5 => select(guids.clone()),
        1 => text(guids.clone()),
    ];
    (
        select(pool.routes.clone()),
        method,
        vec(word, 3),
        query(guids.clone()),
        body(guids),
    )
        .prop_map(|((method, path), other, words, query, (kind, body))| {
            let mut words = words.iter();
            let path: Vec<String> = path
                .split('/')
                .map(
                    |part| match part.strip_prefix(':').and_then(|_| words.next()) {
                        Some(word) => encode(word),
                        None => part.to_owned(),
                    },
                )
                .collect();
            let method = other.unwrap_or(method);
            let body = if method == "GET" { String::new() } else { body };
            Asked {
                method,
                path: format!("{}{query}", path.join("/")),
                kind,
                body,
            }
        })
}
