//! Requests to brokers, typed.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::Secret;

/// Where a broker is and how to sign in.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Without `/v2`.
    pub url: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret<String>,
    /// The version of the API it agreed to; `None` = the newest.
    pub version: Option<String>,
    /// Whether its host is of a domain of this platform.
    pub has_own_domain: bool,
}

impl Broker {
    /// The host of its URL.
    pub fn host(&self) -> String {
        host(&self.url)
    }
}

/// The host of a broker's URL.
pub fn host(url: &str) -> String {
    let url = url::Url::parse(url).ok();
    let host = url.as_ref().and_then(url::Url::host_str);
    host.unwrap_or_default().to_owned()
}

/// Where a service instance is, as brokers learn it.
#[derive(Debug, Clone, Serialize)]
pub struct Context {
    /// `cloudfoundry`.
    pub platform: &'static str,
    /// Guid.
    pub organization_guid: String,
    /// Guid.
    pub space_guid: String,
    /// Name.
    pub organization_name: String,
    /// Name.
    pub space_name: String,
    /// Only those with a prefix.
    pub organization_annotations: Map<String, Value>,
    /// Only those with a prefix.
    pub space_annotations: Map<String, Value>,
    /// Not of bindings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// Only of new instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_annotations: Option<Map<String, Value>>,
}

/// The broker's ids of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlanIds {
    /// Of the offering.
    pub service_id: String,
    /// Of the plan.
    pub plan_id: String,
}

/// The body of `PUT /v2/service_instances/:id`.
#[derive(Debug, Clone, Serialize)]
pub struct Provision {
    /// Which plan.
    #[serde(flatten)]
    pub ids: PlanIds,
    /// Guid.
    pub organization_guid: String,
    /// Guid.
    pub space_guid: String,
    /// Where.
    pub context: Context,
    /// The user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    /// The plan's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<Map<String, Value>>,
}

/// What was before an update.
#[derive(Debug, Clone, Serialize)]
pub struct PreviousValues {
    /// Which plan.
    #[serde(flatten)]
    pub ids: PlanIds,
    /// Guid.
    pub organization_id: String,
    /// Guid.
    pub space_id: String,
    /// The instance's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<Map<String, Value>>,
}

/// The body of `PATCH /v2/service_instances/:id`.
#[derive(Debug, Clone, Serialize)]
pub struct Update {
    /// The plan it is to have.
    #[serde(flatten)]
    pub ids: PlanIds,
    /// What was before.
    pub previous_values: PreviousValues,
    /// Where.
    pub context: Context,
    /// The user's; absent = they stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
    /// The version it is to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_info: Option<Map<String, Value>>,
}

/// What is bound.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum BindResource {
    /// An app.
    App {
        /// Guid.
        app_guid: String,
        /// Guid.
        space_guid: String,
        /// Only those with a prefix.
        app_annotations: Map<String, Value>,
    },
    /// A route.
    Route {
        /// `host.domain/path`.
        route: String,
    },
    /// Nothing: a key.
    Key {},
}

/// The body of `PUT /v2/service_instances/:id/service_bindings/:id`.
#[derive(Debug, Clone, Serialize)]
pub struct Bind {
    /// The instance's plan.
    #[serde(flatten)]
    pub ids: PlanIds,
    /// Of bindings to apps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_guid: Option<String>,
    /// What is bound.
    pub bind_resource: BindResource,
    /// Where the instance is.
    pub context: Context,
    /// The user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Map<String, Value>>,
}

/// What the offering says a binding may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Declared {
    /// `requires: syslog_drain`.
    pub syslog_drain: bool,
    /// `requires: volume_mount`.
    pub volume_mount: bool,
    /// `bindings_retrievable`.
    pub retrievable: bool,
}

/// Whether an operation deletes: then it is over when the broker knows nothing of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Creates or changes.
    Keep,
    /// Deletes.
    Delete,
}

/// One request.
#[derive(Debug, Clone)]
pub enum Request {
    /// The catalog.
    Catalog,
    /// Makes an instance.
    Provision {
        /// Guid.
        instance: String,
        /// The body.
        body: Box<Provision>,
    },
    /// Changes an instance.
    Update {
        /// Guid.
        instance: String,
        /// The body.
        body: Box<Update>,
    },
    /// Deletes an instance.
    Deprovision {
        /// Guid.
        instance: String,
        /// Its plan.
        ids: PlanIds,
    },
    /// Makes a binding.
    Bind {
        /// Guid.
        instance: String,
        /// Guid.
        binding: String,
        /// The body.
        body: Box<Bind>,
        /// What the answer may have.
        declared: Declared,
    },
    /// Deletes a binding.
    Unbind {
        /// Guid.
        instance: String,
        /// Guid.
        binding: String,
        /// The instance's plan.
        ids: PlanIds,
    },
    /// How far an operation on an instance or a binding is.
    LastOperation {
        /// Guid.
        instance: String,
        /// Guid, if it is about a binding.
        binding: Option<String>,
        /// The instance's plan.
        ids: PlanIds,
        /// The broker's name of the operation.
        operation: Option<String>,
        /// What the operation does.
        aim: Aim,
    },
    /// An instance.
    FetchInstance {
        /// Guid.
        instance: String,
    },
    /// A binding.
    FetchBinding {
        /// Guid.
        instance: String,
        /// Guid.
        binding: String,
        /// What the answer may have.
        declared: Declared,
    },
}

impl Request {
    /// The guid of the instance it is about; `None` = it is about the broker.
    pub fn instance(&self) -> Option<&str> {
        match self {
            Self::Catalog => None,
            Self::Provision { instance, .. }
            | Self::Update { instance, .. }
            | Self::Deprovision { instance, .. }
            | Self::Bind { instance, .. }
            | Self::Unbind { instance, .. }
            | Self::LastOperation { instance, .. }
            | Self::FetchInstance { instance }
            | Self::FetchBinding { instance, .. } => Some(instance),
        }
    }
}

/// HTTP method, path with query, and body.
#[derive(Debug)]
pub struct Message {
    /// Method.
    pub method: http::Method,
    /// Starts with `/v2/`.
    pub path: String,
    /// JSON.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// As HTTP.
    pub fn message(&self) -> Result<Message, serde_json::Error> {
        let get = |path: String| Message {
            method: http::Method::GET,
            path,
            body: None,
        };
        let path = self.path();
        Ok(match self {
            Self::Provision { body, .. } => Message {
                method: http::Method::PUT,
                path,
                body: Some(serde_json::to_vec(body)?),
            },
            Self::Update { body, .. } => Message {
                method: http::Method::PATCH,
                path,
                body: Some(serde_json::to_vec(body)?),
            },
            Self::Bind { body, .. } => Message {
                method: http::Method::PUT,
                path,
                body: Some(serde_json::to_vec(body)?),
            },
            Self::Deprovision { .. } | Self::Unbind { .. } => Message {
                method: http::Method::DELETE,
                path,
                body: None,
            },
            Self::Catalog
            | Self::LastOperation { .. }
            | Self::FetchInstance { .. }
            | Self::FetchBinding { .. } => get(path),
        })
    }

    /// With its query.
    fn path(&self) -> String {
        let incomplete = "accepts_incomplete=true";
        match self {
            Self::Catalog => "/v2/catalog".to_owned(),
            Self::Provision { instance, .. } | Self::Update { instance, .. } => {
                format!("{}?{incomplete}", instance_path(instance))
            }
            Self::Bind {
                instance, binding, ..
            } => format!("{}?{incomplete}", binding_path(instance, binding)),
            Self::Deprovision { instance, ids } => {
                format!("{}?{incomplete}&{}", instance_path(instance), query(ids))
            }
            Self::Unbind {
                instance,
                binding,
                ids,
            } => format!(
                "{}?{incomplete}&{}",
                binding_path(instance, binding),
                query(ids)
            ),
            Self::LastOperation {
                instance,
                binding,
                ids,
                operation,
                ..
            } => {
                let of = match binding {
                    Some(binding) => binding_path(instance, binding),
                    None => instance_path(instance),
                };
                let mut path = format!("{of}/last_operation?{}", query(ids));
                if let Some(operation) = operation {
                    path += "&operation=";
                    path.extend(form(operation));
                }
                path
            }
            Self::FetchInstance { instance } => instance_path(instance),
            Self::FetchBinding {
                instance, binding, ..
            } => binding_path(instance, binding),
        }
    }
}

fn form(text: &str) -> url::form_urlencoded::ByteSerialize<'_> {
    url::form_urlencoded::byte_serialize(text.as_bytes())
}

fn instance_path(guid: &str) -> String {
    format!("/v2/service_instances/{guid}")
}

fn binding_path(instance: &str, binding: &str) -> String {
    format!("{}/service_bindings/{binding}", instance_path(instance))
}

fn query(ids: &PlanIds) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("service_id", &ids.service_id)
        .append_pair("plan_id", &ids.plan_id)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> PlanIds {
        PlanIds {
            service_id: "a b&c".to_owned(),
            plan_id: "p/1".to_owned(),
        }
    }

    #[test]
    fn ids_and_operations_are_encoded() {
        let unbind = Request::Unbind {
            instance: "i".to_owned(),
            binding: "b".to_owned(),
            ids: ids(),
        };
        let message = unbind.message().expect("a message");
        assert_eq!(message.method, http::Method::DELETE);
        assert_eq!(
            message.path,
            "/v2/service_instances/i/service_bindings/b?accepts_incomplete=true&service_id=a+b%26c&plan_id=p%2F1"
        );
        assert!(message.body.is_none());
        let poll = Request::LastOperation {
            instance: "i".to_owned(),
            binding: None,
            ids: ids(),
            operation: Some("task=7&x".to_owned()),
            aim: Aim::Keep,
        };
        assert_eq!(
            poll.message().expect("a message").path,
            "/v2/service_instances/i/last_operation?service_id=a+b%26c&plan_id=p%2F1&operation=task%3D7%26x"
        );
    }

    #[test]
    fn a_key_binds_nothing() {
        let key = serde_json::to_value(BindResource::Key {}).expect("JSON");
        assert_eq!(key, serde_json::json!({}));
    }
}
