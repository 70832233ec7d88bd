//! The JSON schemas of parameters, and whether parameters fit.

use serde_json::{Map, Value, json};

use super::own_image;
use super::parameter::Schema;
use super::size::Size;
use super::spec::Spec;
use crate::data_services::{dependents, schedule};

/// The secret that is the password of a service's administrator.
pub const ADMIN: &str = "admin";
/// The parameter that changes it.
pub const ROTATE_ADMIN: &str = "rotate_admin";

/// Parameters that every service has, each with its schema.
fn common(spec: &Spec) -> Vec<(&'static str, Value)> {
    let mut common = vec![
        (
            "memory",
            json!({ "type": "string", "description": "Memory limit, such as 512m" }),
        ),
        (
            "restart",
            json!({ "type": "boolean", "description": "Starts the service again" }),
        ),
        (
            "recreate",
            json!({ "type": "boolean", "description": "Makes a new container with the same data" }),
        ),
    ];
    common.push((
        dependents::DEPENDS_ON,
        json!({
            "type": "array", "items": { "type": "string" }, "uniqueItems": true,
            "description": "Data services of the same space after whose starts this one starts again",
        }),
    ));
    if spec.secrets.contains_key(ADMIN) {
        common.push((
            ROTATE_ADMIN,
            json!({
                "type": "boolean",
                "description": "Starts the service again with another password of its administrator; those of bindings stay",
            }),
        ));
    }
    if spec.storage.is_some() {
        common.push((
            "storage",
            json!({ "type": "string", "description": "Disk space, such as 2g" }),
        ));
    }
    if spec.backup.is_some() || spec.own_image.is_some() {
        common.extend([
            ("backup", json!({ "type": "string", "enum": ["now"], "description": "Makes a backup" })),
            (schedule::SCHEDULE, json!({ "type": "string", "description": "When backups are made, as cron writes it: \"0 3 * * *\" is every night at three in the time zone of this machine" })),
            (schedule::KEPT, json!({ "type": "integer", "minimum": 1, "maximum": 1000, "description": "How many backups of the schedule are kept, 7 without it" })),
            (spec.backup_tag(), json!({ "type": "string", "description": "A name for the backup" })),
            ("restore", json!({ "type": "string", "description": "Id of the backup that replaces all data" })),
            ("restore_from", json!({ "type": "string", "description": "Id of the backup that a new service begins with" })),
        ]);
    }
    common
}

/// The JSON schema of an instance's parameters.
pub(super) fn of_instance(spec: &Spec) -> Value {
    let own = spec.parameters.iter().map(|(name, parameter)| {
        let mut schema = parameter.schema.as_json();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("default".to_owned(), parameter.default.clone());
        }
        (name.clone(), schema)
    });
    let common = common(spec)
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema));
    json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": own.chain(common).collect::<Map<_, _>>(),
        "additionalProperties": false,
    })
}

/// The JSON schema of a binding's parameters.
pub(super) fn of_binding() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "object",
        "properties": { "via": {
            "type": "string", "enum": ["network", "host"],
            "description": "Whether the credentials name the service on the network of apps or on this machine",
        }, "credentials": {
            "type": "object", "additionalProperties": { "type": "string" },
            "description": "Templates of the credentials by their keys, with {{ host }}, {{ port.main }}, \
                            {{ bind.user }} and {{ bind.pass }}",
        } },
        "additionalProperties": false,
    })
}

/// Why parameters of a binding are not allowed.
pub fn binding_fault(parameters: &Map<String, Value>) -> Option<String> {
    for (name, value) in parameters {
        let fault = match name.as_str() {
            "via" if matches!(value.as_str(), Some("host" | "network")) => None,
            "via" => Some("parameter via has to be network or host".to_owned()),
            "credentials" => credentials_fault(value),
            _ => Some(format!(
                "parameter {name} is not known; there are via, credentials"
            )),
        };
        if fault.is_some() {
            return fault;
        }
    }
    None
}

/// The service's own secrets are not for its users.
fn credentials_fault(value: &Value) -> Option<String> {
    let Some(templates) = value.as_object() else {
        return Some("parameter credentials has to be an object".to_owned());
    };
    templates.iter().find_map(|(key, template)| {
        let is_plain = template
            .as_str()
            .is_some_and(|text| own_image::is_plain(text) && !text.contains("secret"));
        (!is_plain).then(|| {
            format!("parameter credentials: {key} has to be a text that names host, port, bind or the instance")
        })
    })
}

impl Spec {
    /// The parameter that names a backup: where users choose an image, `tag` is the image's.
    pub fn backup_tag(&self) -> &'static str {
        if self.own_image.is_some() {
            "backup_tag"
        } else {
            "tag"
        }
    }

    /// Why parameters are not allowed.
    pub fn parameter_fault(&self, parameters: &Map<String, Value>) -> Option<String> {
        for (name, value) in parameters {
            let fault = match self.parameters.get(name) {
                Some(parameter) => parameter.schema.fault(value),
                None => self.common_fault(name, value),
            };
            if let Some(fault) = fault {
                return Some(format!("parameter {name} {fault}"));
            }
        }
        None
    }

    fn common_fault(&self, name: &str, value: &Value) -> Option<String> {
        let common = common(self);
        let Some((_, schema)) = common.iter().find(|(known, _)| *known == name) else {
            if name == ROTATE_ADMIN {
                return Some(
                    "is not for this service: its administrator has no password".to_owned(),
                );
            }
            let own = self.parameters.keys().map(String::as_str);
            let known: Vec<&str> = own.chain(common.iter().map(|(name, _)| *name)).collect();
            return Some(format!("is not known; there are {}", known.join(", ")));
        };
        let schema: Schema = serde_json::from_value(schema.clone()).ok()?;
        if let Some(fault) = schema.fault(value) {
            return Some(fault);
        }
        if name == schedule::SCHEDULE {
            return value.as_str().and_then(schedule::fault);
        }
        let is_size = matches!(name, "memory" | "storage");
        let size = value.as_str().and_then(Size::parse);
        (is_size && size.is_none()).then(|| "has to be a size like 512m or 2g".to_owned())
    }
}
