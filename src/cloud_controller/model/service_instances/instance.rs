//! A service instance.

use serde_json::{Map, Value};

use crate::base::Timestamp;
use crate::base::guid::{ServiceInstanceGuid, ServicePlanGuid, SpaceGuid};
use crate::cloud_controller::model::last_operations::{
    LastOperation, OperationState, OperationType,
};

/// A stored instance.
#[derive(Debug, Clone)]
pub(crate) struct ServiceInstance {
    pub guid: ServiceInstanceGuid,
    pub name: String,
    pub space_guid: SpaceGuid,
    /// Of a managed one; `None` = user-provided.
    pub plan_guid: Option<ServicePlanGuid>,
    pub tags: Vec<String>,
    pub syslog_drain_url: Option<String>,
    pub route_service_url: Option<String>,
    pub dashboard_url: Option<String>,
    pub maintenance_info: Option<Map<String, Value>>,
    pub broker_metadata: Option<Map<String, Value>>,
    pub last_operation: Option<LastOperation>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ServiceInstance {
    /// Made by a broker.
    pub(crate) fn is_managed(&self) -> bool {
        self.plan_guid.is_some()
    }

    /// `managed` or `user-provided`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_managed() {
            "managed"
        } else {
            "user-provided"
        }
    }

    /// Whether its last operation is this.
    pub(crate) fn is(&self, kind: OperationType, state: OperationState) -> bool {
        let last = self.last_operation.as_ref();
        last.is_some_and(|last| last.is(kind, state))
    }

    /// Whether something is being done with it; never with a user-provided one.
    pub(crate) fn is_busy(&self) -> bool {
        let last = self.last_operation.as_ref();
        self.is_managed() && last.is_some_and(LastOperation::is_open)
    }

    /// Whether it could not be made.
    pub(crate) fn create_failed(&self) -> bool {
        self.is(OperationType::Create, OperationState::Failed)
    }

    /// The version of what the broker maintains.
    pub(crate) fn version(&self) -> Option<&str> {
        self.maintenance_info.as_ref()?.get("version")?.as_str()
    }
}
