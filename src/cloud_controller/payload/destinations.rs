//! Bodies of destinations.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::cloud_controller::body::{Body, Invalid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::destinations::{NewDestination, Protocol};

/// Whether a body adds destinations or replaces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Insert,
    Replace,
}

/// `POST` and `PATCH /v3/routes/:guid/destinations`.
pub(crate) fn destinations(mut body: Body, mode: Mode) -> Result<Vec<NewDestination>> {
    let least = usize::from(mode == Mode::Insert);
    let given = match body.fields.take("destinations") {
        Some(Value::Array(given)) if (least..=100).contains(&given.len()) => given,
        _ => {
            body.invalid.add(format!(
                "Destinations must be an array containing between {least} and 100 destination objects."
            ));
            Vec::new()
        }
    };
    let read = |(index, value): (usize, &Value)| one(index, value, mode, &mut body.invalid);
    let wanted: Vec<NewDestination> = given.iter().enumerate().filter_map(read).collect();
    check_ports(&given, &mut body.invalid);
    if body.invalid.is_empty() {
        check_weights(&wanted, &mut body.invalid);
    }
    body.finish()?;
    Ok(wanted)
}

/// `PATCH /v3/routes/:guid/destinations/:destination`; `None` = nothing to change.
pub(crate) fn update(mut body: Body) -> Result<Option<Protocol>> {
    let given = body.fields.nullable("protocol");
    let protocol = given
        .as_ref()
        .and_then(|value| Protocol::parse(value.as_str()?));
    if given.is_some() && protocol.is_none() {
        body.invalid
            .add("Destination protocol must be 'http1', 'http2' or 'tcp'.");
    }
    body.finish()?;
    Ok(protocol)
}

fn one(index: usize, value: &Value, mode: Mode, invalid: &mut Invalid) -> Option<NewDestination> {
    let mut fault = |text: &str| invalid.add(format!("Destinations[{index}]: {text}"));
    let Value::Object(fields) = value else {
        fault("must be an object.");
        return None;
    };
    if !fields.contains_key("app") {
        fault("must have an \"app\".");
        return None;
    }
    let known = ["app", "weight", "port", "protocol"];
    if fields.keys().any(|key| !known.contains(&key.as_str())) {
        fault("must have only \"app\" and optionally \"weight\", \"port\" or \"protocol\".");
        return None;
    }
    let app = app(fields.get("app"), &mut fault);
    let weight = given(fields, "weight").and_then(|value| weight(value, mode, &mut fault));
    let port = given(fields, "port").and_then(|value| {
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.filter(|port| *port >= 1024);
        if port.is_none() {
            fault("port must be a positive integer between 1024 and 65535 inclusive.");
        }
        port
    });
    let protocol = given(fields, "protocol").and_then(|value| {
        let protocol = value.as_str().and_then(Protocol::parse);
        if protocol.is_none() {
            fault("protocol must be 'http1', 'http2' or 'tcp'.");
        }
        protocol
    });
    let (app_guid, process_type) = app?;
    Some(NewDestination {
        app_guid: app_guid.into(),
        process_type,
        port,
        protocol,
        weight,
    })
}

fn given<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn app(value: Option<&Value>, fault: &mut impl FnMut(&str)) -> Option<(String, String)> {
    let fields = value.and_then(Value::as_object);
    let guid = fields.and_then(|fields| fields.get("guid")?.as_str());
    let Some((fields, guid)) = fields.zip(guid.filter(|guid| (1..200).contains(&guid.len())))
    else {
        fault("app must have the structure {\"guid\": \"app_guid\"}");
        return None;
    };
    let process_type = match given(fields, "process") {
        None => Some("web"),
        Some(process) => process
            .as_object()
            .filter(|process| process.len() == 1)
            .and_then(|process| process.get("type")?.as_str())
            .filter(|kind| !kind.is_empty()),
    };
    if process_type.is_none() {
        fault("process must have the structure {\"type\": \"process_type\"}");
    }
    Some((guid.to_owned(), process_type?.to_owned()))
}

fn weight(value: &Value, mode: Mode, fault: &mut impl FnMut(&str)) -> Option<i64> {
    if mode == Mode::Insert {
        fault("weighted destinations can only be used when replacing all destinations.");
        return None;
    }
    let weight = value.as_i64().filter(|weight| (1..=100).contains(weight));
    if weight.is_none() {
        fault("weight must be a positive integer between 1 and 100.");
    }
    weight
}

fn check_ports(given: &[Value], invalid: &mut Invalid) {
    let mut ports: HashMap<String, usize> = HashMap::new();
    for app in given.iter().filter_map(|value| value.get("app")) {
        *ports.entry(app.to_string()).or_default() += 1;
    }
    if ports.values().any(|count| *count > 10) {
        invalid.add("Process must have at most 10 exposed ports.");
    }
}

fn check_weights(wanted: &[NewDestination], invalid: &mut Invalid) {
    let weights: Vec<i64> = wanted.iter().filter_map(|new| new.weight).collect();
    if weights.is_empty() {
        return;
    }
    if weights.len() < wanted.len() {
        invalid.add("Destinations cannot contain both weighted and unweighted destinations.");
    } else if weights.iter().sum::<i64>() != 100 {
        invalid.add("Destinations must have weights that sum to 100.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value, mode: Mode) -> Result<Vec<NewDestination>, String> {
        let Value::Object(map) = body else {
            panic!("no object");
        };
        destinations(Body::new(map), mode).map_err(|error| error.detail().to_owned())
    }

    #[test]
    fn a_replacement_without_destinations_is_refused() {
        let cases = [
            (
                json!({ "protocol": "http2" }),
                "Unknown field(s): 'protocol', Destinations must be an array containing between 0 and 100 destination objects.",
            ),
            (
                json!({ "destinations": null }),
                "Destinations must be an array containing between 0 and 100 destination objects.",
            ),
        ];
        for (body, fault) in cases {
            assert_eq!(read(body, Mode::Replace).expect_err("refused"), fault);
        }
        assert!(read(json!({ "destinations": [] }), Mode::Replace).is_ok());
        assert!(read(json!({ "destinations": [] }), Mode::Insert).is_err());
    }

    #[test]
    fn faults_name_the_destination() {
        let cases = [
            (json!(1), "must be an object."),
            (json!({}), "must have an \"app\"."),
            (
                json!({ "app": { "guid": "a" }, "x": 1 }),
                "must have only \"app\" and optionally \"weight\", \"port\" or \"protocol\".",
            ),
            (
                json!({ "app": { "guid": 1 } }),
                "app must have the structure {\"guid\": \"app_guid\"}",
            ),
            (
                json!({ "app": { "guid": "a", "process": { "type": "" } } }),
                "process must have the structure {\"type\": \"process_type\"}",
            ),
            (
                json!({ "app": { "guid": "a" }, "port": 80 }),
                "port must be a positive integer between 1024 and 65535 inclusive.",
            ),
            (
                json!({ "app": { "guid": "a" }, "protocol": "smtp" }),
                "protocol must be 'http1', 'http2' or 'tcp'.",
            ),
            (
                json!({ "app": { "guid": "a" }, "weight": 50 }),
                "weighted destinations can only be used when replacing all destinations.",
            ),
        ];
        for (destination, fault) in cases {
            let body = json!({ "destinations": [{ "app": { "guid": "a" } }, destination] });
            let refusal = read(body, Mode::Insert).expect_err(fault);
            assert_eq!(refusal, format!("Destinations[1]: {fault}"));
        }
    }

    #[test]
    fn weights_sum_to_a_hundred() {
        let weighted = |a: Value, b: Value| {
            let of =
                |guid: &str, weight: Value| json!({ "app": { "guid": guid }, "weight": weight });
            read(
                json!({ "destinations": [of("a", a), of("b", b)] }),
                Mode::Replace,
            )
        };
        assert!(weighted(json!(30), json!(70)).is_ok());
        assert_eq!(
            weighted(json!(30), json!(71)).expect_err("sum"),
            "Destinations must have weights that sum to 100."
        );
        assert_eq!(
            weighted(json!(30), Value::Null).expect_err("mixed"),
            "Destinations cannot contain both weighted and unweighted destinations."
        );
    }

    #[test]
    fn defaults_are_the_web_process_and_no_port() {
        let body = json!({ "destinations": [{ "app": { "guid": "a" } }] });
        let wanted = read(body, Mode::Insert).expect("valid");
        assert_eq!(wanted[0].process_type, "web");
        assert_eq!((wanted[0].port, wanted[0].protocol), (None, None));
    }
}
