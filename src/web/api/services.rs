//! What pages read of service brokers, offerings, plans, instances and bindings.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::models::ToOne;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct ServiceInstance {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    /// `managed` or `user-provided`.
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    #[serde(default)]
    pub(in crate::web) tags: Vec<String>,
    pub(in crate::web) created_at: String,
    pub(in crate::web) updated_at: String,
    #[serde(default)]
    pub(in crate::web) last_operation: Option<Operation>,
    #[serde(default)]
    pub(in crate::web) upgrade_available: Option<bool>,
    #[serde(default)]
    pub(in crate::web) maintenance_info: Maintenance,
    #[serde(default)]
    pub(in crate::web) dashboard_url: Option<String>,
    #[serde(default)]
    pub(in crate::web) syslog_drain_url: Option<String>,
    #[serde(default)]
    pub(in crate::web) route_service_url: Option<String>,
    pub(in crate::web) relationships: OfInstance,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfInstance {
    pub(in crate::web) space: ToOne,
    #[serde(default)]
    pub(in crate::web) service_plan: ToOne,
}

/// The last thing that was done to an instance or binding.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Operation {
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    pub(in crate::web) state: String,
    #[serde(default)]
    pub(in crate::web) description: Option<String>,
    pub(in crate::web) updated_at: String,
}

impl Operation {
    /// `create in progress`.
    pub(in crate::web) fn words(&self) -> String {
        format!("{} {}", self.kind, self.state)
    }

    pub(in crate::web) fn tone(&self) -> &'static str {
        match self.state.as_str() {
            "succeeded" => "good",
            "failed" => "bad",
            _ => "warn",
        }
    }

    /// Whether it is over.
    pub(in crate::web) fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed")
    }

    /// What the broker says.
    pub(in crate::web) fn text(&self) -> &str {
        self.description.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Maintenance {
    #[serde(default)]
    pub(in crate::web) version: Option<String>,
    #[serde(default)]
    pub(in crate::web) description: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Plan {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    #[serde(default)]
    pub(in crate::web) description: Option<String>,
    pub(in crate::web) visibility_type: String,
    pub(in crate::web) available: bool,
    pub(in crate::web) free: bool,
    #[serde(default)]
    pub(in crate::web) costs: Vec<Cost>,
    #[serde(default)]
    pub(in crate::web) maintenance_info: Maintenance,
    pub(in crate::web) broker_catalog: PlanCatalog,
    pub(in crate::web) schemas: Schemas,
    pub(in crate::web) relationships: OfPlan,
}

impl Plan {
    /// What it costs, in words.
    pub(in crate::web) fn price(&self) -> String {
        if self.costs.is_empty() {
            return if self.free { "free" } else { "not free" }.to_owned();
        }
        let costs = self.costs.iter();
        let costs: Vec<String> = costs
            .map(|cost| {
                format!(
                    "{} {} {}",
                    cost.amount,
                    cost.currency,
                    cost.unit.to_lowercase()
                )
            })
            .collect();
        costs.join(" + ")
    }

    /// What the broker tells people about it.
    pub(in crate::web) fn bullets(&self) -> Vec<&str> {
        let bullets = self.broker_catalog.metadata.get("bullets");
        let bullets = bullets.and_then(Value::as_array).into_iter().flatten();
        bullets.filter_map(Value::as_str).collect()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Cost {
    pub(in crate::web) amount: f64,
    pub(in crate::web) currency: String,
    pub(in crate::web) unit: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct PlanCatalog {
    #[serde(default)]
    pub(in crate::web) metadata: Map<String, Value>,
    pub(in crate::web) features: Features,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Features {
    #[serde(default)]
    pub(in crate::web) bindable: bool,
    #[serde(default)]
    pub(in crate::web) plan_updateable: bool,
    #[serde(default)]
    pub(in crate::web) instances_retrievable: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Schemas {
    pub(in crate::web) service_instance: InstanceSchemas,
    pub(in crate::web) service_binding: BindingSchemas,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct InstanceSchemas {
    pub(in crate::web) create: Schema,
    pub(in crate::web) update: Schema,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct BindingSchemas {
    pub(in crate::web) create: Schema,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Schema {
    pub(in crate::web) parameters: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfPlan {
    pub(in crate::web) service_offering: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Offering {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    #[serde(default)]
    pub(in crate::web) description: Option<String>,
    #[serde(default)]
    pub(in crate::web) available: bool,
    #[serde(default)]
    pub(in crate::web) tags: Vec<String>,
    #[serde(default)]
    pub(in crate::web) shareable: bool,
    #[serde(default)]
    pub(in crate::web) documentation_url: Option<String>,
    pub(in crate::web) broker_catalog: OfferingCatalog,
    pub(in crate::web) relationships: OfOffering,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfferingCatalog {
    pub(in crate::web) features: Features,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfOffering {
    pub(in crate::web) service_broker: ToOne,
}

/// A binding to an app, or a key.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Binding {
    pub(in crate::web) guid: String,
    #[serde(default)]
    pub(in crate::web) name: Option<String>,
    /// `app` or `key`.
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    pub(in crate::web) created_at: String,
    #[serde(default)]
    pub(in crate::web) last_operation: Option<Operation>,
    pub(in crate::web) relationships: OfBinding,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfBinding {
    pub(in crate::web) service_instance: ToOne,
    #[serde(default)]
    pub(in crate::web) app: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Broker {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    pub(in crate::web) url: String,
    pub(in crate::web) created_at: String,
    pub(in crate::web) relationships: OfBroker,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfBroker {
    #[serde(default)]
    pub(in crate::web) space: ToOne,
}
