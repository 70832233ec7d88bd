//! The sidecars and services of an app in a manifest.

use serde_json::{Map, Value};

use crate::cloud_controller::body::Whole;
use crate::cloud_controller::payload;
use crate::cloud_controller::payload::manifests::shown;
use crate::cloud_controller::payload::sidecars::NewSidecar;

/// Hides what services of an app are given.
pub(super) fn hide_parameters(app: &mut Map<String, Value>) {
    let services = app.get_mut("services").and_then(Value::as_array_mut);
    for service in services.into_iter().flatten() {
        if let Some(parameters) = service.get_mut("parameters") {
            *parameters = Value::from("[PRIVATE DATA HIDDEN]");
        }
    }
}

/// Sidecars to create or change; faults are added to `faults`.
pub(crate) fn sidecars(app: &mut Map<String, Value>, faults: &mut Vec<String>) -> Vec<NewSidecar> {
    let values = match app.shift_remove("sidecars") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(values)) => values,
        Some(_) => {
            faults.push("Sidecars must be an array of sidecar configurations".to_owned());
            return Vec::new();
        }
    };
    values
        .iter()
        .filter_map(|value| sidecar(value, faults))
        .collect()
}

fn sidecar(value: &Value, faults: &mut Vec<String>) -> Option<NewSidecar> {
    let mut found = Vec::new();
    let mut text = |key: &str| match value.get(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
        None | Some(Value::Null | Value::String(_)) => {
            found.push(format!("{} can't be blank", shown(key)));
            None
        }
        Some(_) => {
            found.push(format!("{} must be a string", shown(key)));
            None
        }
    };
    let (name, command) = (text("name"), text("command"));
    let process_types = match value.get("process_types") {
        Some(Value::Array(types)) if types.is_empty() => {
            found.push("Process types must have at least 1 process_type".to_owned());
            None
        }
        Some(Value::Array(types)) => {
            let texts = types.iter().map(|kind| kind.as_str().map(str::to_owned));
            let texts: Option<Vec<String>> = texts.collect();
            if texts.is_none() {
                found.push("Process types must be a list of strings".to_owned());
            }
            texts
        }
        _ => {
            found.push("Process types must be an array".to_owned());
            None
        }
    };
    let memory = value.get("memory").filter(|memory| !memory.is_null());
    let memory = memory.and_then(|memory| {
        // A value without a unit is in MB.
        let size = memory
            .as_str()
            .and_then(|text| payload::manifests::sizes::megabytes(text).ok());
        let number = size.map_or_else(|| memory.clone(), Value::from);
        let read = Whole::above(0).read(&number);
        read.map_err(|fault| found.push(format!("Memory in mb {fault}")))
            .ok()
    });
    faults.extend(found.into_iter().map(|fault| match &name {
        Some(name) => format!("Sidecar \"{name}\": {fault}"),
        None => format!("Sidecar {}", fault.to_lowercase()),
    }));
    Some(NewSidecar {
        name: name?,
        command: command?,
        process_types: process_types?,
        memory,
        origin: "user",
    })
}

/// A service instance to bind an app to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RequestedService {
    pub name: String,
    pub parameters: Option<Map<String, Value>>,
    pub binding_name: Option<String>,
}

/// Service instances to bind; faults are added to `faults`.
pub(crate) fn services(
    app: &mut Map<String, Value>,
    faults: &mut Vec<String>,
) -> Vec<RequestedService> {
    let values = match app.shift_remove("services") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(values)) => values,
        Some(_) => {
            faults.push("Services must be a list of service instances".to_owned());
            return Vec::new();
        }
    };
    let service = |value: &Value| {
        let Value::Object(service) = value else {
            let name = value.as_str()?.to_owned();
            return Some(RequestedService {
                name,
                parameters: None,
                binding_name: None,
            });
        };
        let valid = service.iter().all(|(key, value)| match key.as_str() {
            "name" | "binding_name" => value.is_string(),
            "parameters" => value.is_object() || value.is_null(),
            _ => false,
        });
        let name = service.get("name").filter(|_| valid)?.as_str()?;
        let binding_name = service.get("binding_name").and_then(Value::as_str);
        Some(RequestedService {
            name: name.to_owned(),
            parameters: service
                .get("parameters")
                .and_then(Value::as_object)
                .cloned(),
            binding_name: binding_name.map(str::to_owned),
        })
    };
    let services: Option<Vec<RequestedService>> = values.iter().map(service).collect();
    services.unwrap_or_else(|| {
        faults.push("Services must be a list of service instances".to_owned());
        Vec::new()
    })
}
