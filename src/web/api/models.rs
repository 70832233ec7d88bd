//! What pages read of the v3 API's resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Anything with a guid and, mostly, a name.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Named {
    pub(in crate::web) guid: String,
    #[serde(default)]
    pub(in crate::web) name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct ToOne {
    #[serde(default, deserialize_with = "reference")]
    pub(in crate::web) data: Option<Reference>,
}

/// What is not there is null, or an object without a guid, such as the droplet of a new app.
fn reference<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Reference>, D::Error> {
    #[derive(Deserialize)]
    struct Nullable {
        guid: Option<String>,
    }
    let found = Option::<Nullable>::deserialize(from)?;
    let guid = found.and_then(|one| one.guid);
    Ok(guid.map(|guid| Reference { guid }))
}

impl ToOne {
    /// The guid; empty when there is none.
    pub(in crate::web) fn guid(&self) -> &str {
        self.data.as_ref().map_or("", |data| &data.guid)
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Reference {
    pub(in crate::web) guid: String,
}

/// Labels.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Metadata {
    #[serde(default)]
    pub(in crate::web) labels: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Organization {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    #[serde(default)]
    pub(in crate::web) suspended: bool,
    #[serde(default)]
    pub(in crate::web) created_at: String,
    #[serde(default)]
    pub(in crate::web) relationships: OfQuota,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct OfQuota {
    #[serde(default)]
    pub(in crate::web) quota: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Space {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    #[serde(default)]
    pub(in crate::web) suspended: bool,
    #[serde(default)]
    pub(in crate::web) relationships: OfOrganization,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct OfOrganization {
    #[serde(default)]
    pub(in crate::web) organization: ToOne,
    #[serde(default)]
    pub(in crate::web) quota: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct App {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    pub(in crate::web) state: String,
    pub(in crate::web) created_at: String,
    pub(in crate::web) updated_at: String,
    pub(in crate::web) lifecycle: Lifecycle,
    pub(in crate::web) relationships: OfApp,
    #[serde(default)]
    pub(in crate::web) metadata: Metadata,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Lifecycle {
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    pub(in crate::web) data: LifecycleData,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct LifecycleData {
    #[serde(default)]
    pub(in crate::web) buildpacks: Vec<String>,
    #[serde(default)]
    pub(in crate::web) stack: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfApp {
    pub(in crate::web) space: ToOne,
    #[serde(default)]
    pub(in crate::web) current_droplet: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Process {
    pub(in crate::web) guid: String,
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    pub(in crate::web) command: Option<String>,
    pub(in crate::web) instances: u32,
    pub(in crate::web) memory_in_mb: u64,
    pub(in crate::web) disk_in_mb: u64,
    pub(in crate::web) health_check: Check,
    #[serde(default, rename = "process_instances")]
    pub(in crate::web) embedded: Vec<Embedded>,
    pub(in crate::web) relationships: OfProcess,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfProcess {
    pub(in crate::web) app: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Check {
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    pub(in crate::web) data: CheckData,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct CheckData {
    #[serde(default)]
    pub(in crate::web) timeout: Option<u64>,
    #[serde(default)]
    pub(in crate::web) invocation_timeout: Option<u64>,
    #[serde(default)]
    pub(in crate::web) endpoint: Option<String>,
}

/// An instance of a process, from its `stats`.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Instance {
    pub(in crate::web) index: u32,
    pub(in crate::web) state: String,
    #[serde(default)]
    pub(in crate::web) routable: Option<bool>,
    #[serde(default)]
    pub(in crate::web) uptime: Option<u64>,
    #[serde(default)]
    pub(in crate::web) usage: Usage,
    #[serde(default)]
    pub(in crate::web) mem_quota: Option<u64>,
    #[serde(default)]
    pub(in crate::web) disk_quota: Option<u64>,
    #[serde(default)]
    pub(in crate::web) details: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Usage {
    #[serde(default)]
    pub(in crate::web) cpu: Option<f64>,
    #[serde(default)]
    pub(in crate::web) mem: Option<u64>,
    #[serde(default)]
    pub(in crate::web) disk: Option<u64>,
}

/// `stats` of a process.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Stats {
    pub(in crate::web) resources: Vec<Instance>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Route {
    pub(in crate::web) guid: String,
    pub(in crate::web) url: String,
    pub(in crate::web) host: String,
    pub(in crate::web) path: String,
    pub(in crate::web) port: Option<u16>,
    pub(in crate::web) protocol: String,
    pub(in crate::web) destinations: Vec<Destination>,
    pub(in crate::web) relationships: OfRoute,
}

impl Route {
    /// As people write it: with its scheme where that is not one of browsers.
    pub(in crate::web) fn shown(&self) -> String {
        if self.protocol == "tcp" {
            format!("tcp://{}", self.url)
        } else {
            self.url.clone()
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfRoute {
    pub(in crate::web) space: ToOne,
    pub(in crate::web) domain: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Destination {
    #[serde(default)]
    pub(in crate::web) guid: Option<String>,
    pub(in crate::web) app: DestinationApp,
    #[serde(default)]
    pub(in crate::web) port: Option<u16>,
    #[serde(default)]
    pub(in crate::web) protocol: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct DestinationApp {
    pub(in crate::web) guid: String,
    pub(in crate::web) process: DestinationProcess,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct DestinationProcess {
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Event {
    pub(in crate::web) guid: String,
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    pub(in crate::web) created_at: String,
    pub(in crate::web) actor: EventParty,
    pub(in crate::web) target: EventParty,
    #[serde(default)]
    pub(in crate::web) data: Value,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct EventParty {
    pub(in crate::web) guid: String,
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    #[serde(default)]
    pub(in crate::web) name: String,
}

/// What a list brings with its resources.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Included {
    #[serde(default)]
    pub(in crate::web) spaces: Vec<Space>,
    #[serde(default)]
    pub(in crate::web) organizations: Vec<Organization>,
    #[serde(default)]
    pub(in crate::web) apps: Vec<Named>,
    #[serde(default)]
    pub(in crate::web) service_instances: Vec<Named>,
    #[serde(default)]
    pub(in crate::web) users: Vec<User>,
    #[serde(default)]
    pub(in crate::web) domains: Vec<IncludedDomain>,
    #[serde(default)]
    pub(in crate::web) service_plans: Vec<PlanName>,
    #[serde(default)]
    pub(in crate::web) service_offerings: Vec<Named>,
}

/// A domain, as routes bring it.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct IncludedDomain {
    pub(in crate::web) guid: String,
    #[serde(default)]
    pub(in crate::web) internal: bool,
}

/// A service plan, as instances bring it.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct PlanName {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    #[serde(default)]
    pub(in crate::web) relationships: OfPlanName,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct OfPlanName {
    #[serde(default)]
    pub(in crate::web) service_offering: ToOne,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct User {
    pub(in crate::web) guid: String,
    #[serde(default)]
    pub(in crate::web) username: Option<String>,
    #[serde(default)]
    pub(in crate::web) origin: Option<String>,
    #[serde(default)]
    pub(in crate::web) created_at: String,
}

impl User {
    /// The name, or the guid of a user that has none here.
    pub(in crate::web) fn label(&self) -> &str {
        self.username.as_deref().unwrap_or(&self.guid)
    }
}

impl Included {
    pub(in crate::web) fn append(&mut self, mut more: Self) {
        self.spaces.append(&mut more.spaces);
        self.organizations.append(&mut more.organizations);
        self.apps.append(&mut more.apps);
        self.service_instances.append(&mut more.service_instances);
        self.users.append(&mut more.users);
        self.domains.append(&mut more.domains);
        self.service_plans.append(&mut more.service_plans);
        self.service_offerings.append(&mut more.service_offerings);
    }
}

/// An instance of a process, as lists of processes embed it.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Embedded {
    pub(in crate::web) state: String,
}

impl Process {
    /// How many of its instances run.
    pub(in crate::web) fn running(&self) -> usize {
        let embedded = self.embedded.iter();
        embedded.filter(|one| one.state == "RUNNING").count()
    }
}

/// A role of a user in an organization or a space.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Role {
    pub(in crate::web) guid: String,
    #[serde(rename = "type")]
    pub(in crate::web) kind: String,
    pub(in crate::web) relationships: OfRole,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct OfRole {
    pub(in crate::web) user: ToOne,
    #[serde(default)]
    pub(in crate::web) organization: ToOne,
    #[serde(default)]
    pub(in crate::web) space: ToOne,
}

/// Whether one gets into an app's instances, and why not.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::web) struct Ssh {
    pub(in crate::web) enabled: bool,
    pub(in crate::web) reason: String,
}
