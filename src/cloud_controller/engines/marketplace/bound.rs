//! Bindings of either kind, as brokers see them: to apps and routes, and keys.

use serde_json::{Value, json};

use super::turn::Turn;
use crate::base::guid::{AppGuid, CredentialBindingGuid, RouteBindingGuid, ServiceInstanceGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::ResourceType;
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::last_operations::{
    LastOperation, OperationState, OperationType,
};
use crate::cloud_controller::model::service_credential_bindings::{CredentialBinding, Secrets};
use crate::cloud_controller::model::service_operations::{Operation, Work};
use crate::cloud_controller::model::service_route_bindings::RouteBinding;
use crate::cloud_controller::{actions, model};
use crate::marketplace::Answer;
use crate::marketplace::request::BindResource;

/// What the last operation of a new binding is.
const CREATED: (OperationType, OperationState) = (OperationType::Create, OperationState::Succeeded);

/// A binding.
pub(super) enum Bound {
    Credential(CredentialBinding),
    Route(RouteBinding),
}

impl Bound {
    /// The binding an operation is about.
    pub(super) fn find(turn: &Turn<'_>, operation: &Operation) -> Result<Option<Self>> {
        let guid = operation.resource.as_str();
        Ok(match operation.work {
            Work::BindRoute | Work::UnbindRoute => {
                let guid = RouteBindingGuid::from(guid);
                model::service_route_bindings::find(turn.tx, &guid)?.map(Self::Route)
            }
            _ => {
                let guid = CredentialBindingGuid::from(guid);
                model::service_credential_bindings::find(turn.tx, &guid)?.map(Self::Credential)
            }
        })
    }

    pub(super) fn guid(&self) -> &str {
        match self {
            Self::Credential(binding) => binding.guid.as_str(),
            Self::Route(binding) => binding.guid.as_str(),
        }
    }

    pub(super) fn instance(&self) -> &ServiceInstanceGuid {
        match self {
            Self::Credential(binding) => &binding.instance_guid,
            Self::Route(binding) => &binding.instance_guid,
        }
    }

    pub(super) fn instance_name(&self) -> &str {
        match self {
            Self::Credential(binding) => &binding.instance_name,
            Self::Route(binding) => &binding.instance_name,
        }
    }

    pub(super) fn app(&self) -> Option<&AppGuid> {
        match self {
            Self::Credential(binding) => binding.app_guid.as_ref(),
            Self::Route(_) => None,
        }
    }

    pub(super) fn last_operation(&self) -> Option<&LastOperation> {
        match self {
            Self::Credential(binding) => binding.last_operation.as_ref(),
            Self::Route(binding) => binding.last_operation.as_ref(),
        }
    }

    pub(super) fn set_operation(&self, turn: &Turn<'_>, operation: LastOperation) -> Result<()> {
        match self {
            Self::Credential(binding) => {
                actions::service_bindings::set_operation(turn.tx, binding, operation)
            }
            Self::Route(binding) => {
                actions::service_route_bindings::set_operation(turn.tx, binding, operation)
            }
        }
    }

    /// What is bound, for the broker.
    pub(super) fn resource(&self, turn: &Turn<'_>) -> Result<BindResource> {
        match self {
            Self::Credential(binding) => match &binding.app_guid {
                None => Ok(BindResource::Key {}),
                Some(app) => Ok(BindResource::App {
                    app_guid: app.to_string(),
                    space_guid: binding.space_guid.to_string(),
                    app_annotations: super::requests::public_annotations(
                        turn.tx,
                        ResourceType::App,
                        app.as_str(),
                    )?,
                }),
            },
            Self::Route(binding) => {
                let route = model::routes::find(turn.tx, &binding.route_guid)?;
                let route = route.ok_or_else(|| Error::internal("a binding without its route"))?;
                Ok(BindResource::Route { route: route.url() })
            }
        }
    }

    /// Stores what a new binding gives.
    pub(super) fn complete(
        &self,
        turn: &Turn<'_>,
        answer: &Answer,
        description: Option<&str>,
    ) -> Result<()> {
        match self {
            Self::Credential(binding) => {
                let is_app = binding.app_guid.is_some();
                let mounts = answer.body.get("volume_mounts").and_then(Value::as_array);
                let secrets = Secrets {
                    credentials: answer.object("credentials").cloned(),
                    volume_mounts: mounts.filter(|_| is_app).cloned(),
                };
                let drain = answer.text("syslog_drain_url");
                let drain = drain.filter(|url| is_app && !url.is_empty());
                actions::service_bindings::complete(
                    turn.tx,
                    &turn.by,
                    turn.vault,
                    binding,
                    (drain, &secrets),
                    description,
                )
                .map(drop)
            }
            Self::Route(binding) => {
                let url = answer
                    .text("route_service_url")
                    .filter(|url| !url.is_empty());
                model::service_route_bindings::set_url(turn.tx, &binding.guid, url, turn.now())?;
                let (create, done) = CREATED;
                let mut operation = LastOperation::new(create, done, turn.now());
                operation.description = description.map(str::to_owned);
                self.set_operation(turn, operation)
            }
        }
    }

    /// Writes `create` or `start_create`.
    pub(super) fn record_created(
        &self,
        turn: &Turn<'_>,
        what: &str,
        operation: &Operation,
    ) -> Result<()> {
        let request = &operation.input.request;
        match self {
            Self::Credential(binding) => actions::service_bindings::record_created(
                turn.tx,
                &turn.by,
                what,
                binding,
                request,
                operation.input.cause.unwrap_or(Cause::Request),
            ),
            Self::Route(binding) => {
                let data = json!({ "request": request });
                actions::service_events::of_route_binding(turn.tx, &turn.by, what, binding, &data)
            }
        }
    }

    /// Writes `start_delete`.
    pub(super) fn record_deletion(&self, turn: &Turn<'_>) -> Result<()> {
        let what = "start_delete";
        match self {
            Self::Credential(binding) => {
                let data = actions::service_events::deleted(binding);
                actions::service_events::of_binding(turn.tx, &turn.by, what, binding, &data)
            }
            Self::Route(binding) => {
                let data = actions::service_events::route_deleted(binding);
                actions::service_events::of_route_binding(turn.tx, &turn.by, what, binding, &data)
            }
        }
    }

    /// Deletes it.
    pub(super) fn delete(&self, turn: &Turn<'_>) -> Result<()> {
        match self {
            Self::Credential(binding) => {
                actions::service_bindings::delete(turn.tx, &turn.by, binding)
            }
            Self::Route(binding) => {
                actions::service_route_bindings::delete(turn.tx, &turn.by, binding)
            }
        }
    }

    /// It may be left behind at its broker.
    pub(super) fn mitigate(&self, turn: &Turn<'_>) -> Result<()> {
        match self {
            Self::Credential(binding) => {
                actions::service_operations::mitigate_binding(turn.tx, &turn.by, binding)
            }
            Self::Route(binding) => {
                actions::service_operations::mitigate_route_binding(turn.tx, &turn.by, binding)
            }
        }
    }
}
