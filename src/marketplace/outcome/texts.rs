//! Texts about answers, and what is wrong with their fields.

use serde_json::{Map, Value};

/// Longer texts are cut.
const LONGEST: usize = 1 << 14;
const KEPT: usize = 1 << 13;

/// `500 Internal Server Error`.
pub(super) fn status_text(status: u16) -> String {
    let reason = reason(status);
    if reason.is_empty() {
        status.to_string()
    } else {
        format!("{status} {reason}")
    }
}

/// `Internal Server Error`.
pub(super) fn reason(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}

/// Cuts a long text.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > LONGEST {
        let mut end = KEPT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text += "...This message has been truncated due to size. To read the full message, check the broker's logs";
    }
    text
}

/// `description`, if there is one.
pub(super) fn described(body: &Map<String, Value>) -> Option<String> {
    match body.get("description")? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(cut(text.clone())),
        Value::Null => None,
        other => Some(cut(other.to_string())),
    }
}

/// What is wrong with the answer to a new or changed instance.
pub(super) fn of_instance(body: &Map<String, Value>) -> Option<String> {
    let mut faults = Vec::new();
    property(&mut faults, body, "dashboard_url", &["string", "null"]);
    faults.extend(operation_text(body, 10_000));
    metadata(&mut faults, body);
    joined(faults)
}

/// What is wrong with an instance that was asked for.
pub(super) fn of_fetched_instance(body: &Map<String, Value>) -> Option<String> {
    let mut faults = Vec::new();
    for name in ["service_id", "plan_id", "dashboard_url"] {
        property(&mut faults, body, name, &["string"]);
    }
    property(&mut faults, body, "parameters", &["object"]);
    metadata(&mut faults, body);
    joined(faults)
}

/// What is wrong with the name of an operation.
pub(super) fn operation_fault(body: &Map<String, Value>, longest: usize) -> Option<String> {
    joined(operation_text(body, longest).into_iter().collect())
}

fn operation_text(body: &Map<String, Value>, longest: usize) -> Option<String> {
    match body.get("operation") {
        None => None,
        Some(Value::String(text)) if text.chars().count() <= longest => None,
        Some(Value::String(_)) => Some(format!(
            "The property '#/operation' was not of a maximum string length of {longest}"
        )),
        Some(other) => Some(mismatch("operation", other, &["string"])),
    }
}

fn metadata(faults: &mut Vec<String>, body: &Map<String, Value>) {
    property(faults, body, "metadata", &["object"]);
    let Some(Value::Object(metadata)) = body.get("metadata") else {
        return;
    };
    for name in ["labels", "attributes"] {
        if let Some(value) = metadata.get(name).filter(|value| !value.is_object()) {
            faults.push(mismatch(&format!("metadata/{name}"), value, &["object"]));
        }
    }
}

fn property(faults: &mut Vec<String>, body: &Map<String, Value>, name: &str, types: &[&str]) {
    if let Some(value) = body.get(name)
        && !types.contains(&kind(value))
    {
        faults.push(mismatch(name, value, types));
    }
}

/// As the JSON Schema library of Cloud Controller says it.
fn mismatch(path: &str, value: &Value, types: &[&str]) -> String {
    let which = match types {
        [_] => "the following type",
        _ => "one or more of the following types",
    };
    format!(
        "The property '#/{path}' of type {} did not match {which}: {}",
        kind(value),
        types.join(", ")
    )
}

/// The name of a JSON type.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn joined(faults: Vec<String>) -> Option<String> {
    (!faults.is_empty()).then(|| format!("\n{}", faults.join("\n")))
}

/// What is wrong with the URL of a route service.
pub(super) fn route_service_fault(given: &Value) -> Option<String> {
    let url = match given {
        Value::Null => return None,
        Value::String(url) if url.is_empty() => return None,
        Value::String(url) => url,
        other => return Some(mismatch("route_service_url", other, &["string"])),
    };
    let usable = url::Url::parse(url).is_ok_and(|url| {
        url.scheme() == "https" && url.host_str().is_some_and(|host| !host.is_empty())
    });
    (!usable).then(|| {
        "The service broker returned an invalid 'route_service_url' (expected an https URL with a host)"
            .to_owned()
    })
}
