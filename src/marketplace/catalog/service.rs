//! One offering of a catalog.

use serde_json::{Map, Value};

use super::check::{Fields, Presence, inspect};
use super::{DashboardClient, Faults, Service, plan};

const LONGEST_TAGS: usize = 2048;
const REQUIRES: [&str; 3] = ["syslog_drain", "route_forwarding", "volume_mount"];

/// An offering as far as it could be read.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub name: String,
    pub faults: Faults,
    /// Ids and names of its plans.
    pub plan_ids: Vec<(String, String)>,
    pub client_id: Option<String>,
    /// `None` = there are faults.
    pub service: Option<Service>,
}

impl Draft {
    pub(super) fn read(given: &Value) -> Self {
        let empty = Map::new();
        let given = given.as_object().unwrap_or(&empty);
        let mut faults = Faults::default();
        let mut fields = Fields {
            given,
            faults: &mut faults,
        };
        let id = fields.string("id", "Service id", Presence::Required);
        let name = fields.string("name", "Service name", Presence::Required);
        let description = fields.description("Service description");
        let mut flag = |name: &str, presence| {
            let shown = format!("Service \"{name}\" field");
            fields.boolean(name, &shown, presence)
        };
        let bindable = flag("bindable", Presence::Required);
        let mut optional = |name: &str| flag(name, Presence::Optional).unwrap_or(false);
        let plan_updateable = optional("plan_updateable");
        let bindings_retrievable = optional("bindings_retrievable");
        let instances_retrievable = optional("instances_retrievable");
        let allow_context_updates = optional("allow_context_updates");
        let tags = tags(&mut fields, name.as_deref());
        let requires = fields.strings("requires", "Service \"requires\" field");
        let metadata = metadata(&mut fields);
        let client = dashboard_client(&mut fields);
        for odd in requires
            .iter()
            .filter(|one| !REQUIRES.contains(&one.as_str()))
        {
            fields.faults.add(format!(
                "Service \"requires\" field contains unsupported value \"{odd}\""
            ));
        }
        let shown = name.clone().unwrap_or_default();
        let plans = plan::read_all(&mut fields, &shown);
        let plan_ids = plans.ids;
        let service = faults.is_empty().then(|| Service {
            id: id.unwrap_or_default(),
            name: shown.clone(),
            description: description.unwrap_or_default(),
            bindable: bindable.unwrap_or_default(),
            plan_updateable,
            instances_retrievable,
            bindings_retrievable,
            allow_context_updates,
            tags,
            requires,
            metadata,
            dashboard_client: client.clone(),
            plans: plans.plans,
        });
        Self {
            name: shown,
            faults,
            plan_ids,
            client_id: client.map(|client| client.id),
            service,
        }
    }
}

fn tags(fields: &mut Fields<'_>, name: Option<&str>) -> Vec<String> {
    let tags = fields.strings("tags", "Service tags");
    if tags.concat().chars().count() > LONGEST_TAGS {
        fields.faults.add(format!(
            "Tags for the service {} must be {LONGEST_TAGS} characters or less.",
            name.unwrap_or_default()
        ));
    }
    tags
}

fn metadata(fields: &mut Fields<'_>) -> Option<Map<String, Value>> {
    let metadata = fields.object("metadata", "Service metadata")?;
    if let Some(value) = metadata.get("shareable")
        && !value.is_boolean()
        && !value.is_null()
    {
        fields.faults.add(format!(
            "Service metadata shareable must be a boolean, but has value {}",
            inspect(value)
        ));
    }
    Some(metadata)
}

fn dashboard_client(fields: &mut Fields<'_>) -> Option<DashboardClient> {
    let given = fields.object("dashboard_client", "Service dashboard client attributes")?;
    let mut fields = Fields {
        given: &given,
        faults: fields.faults,
    };
    let mut text = |name: &str| {
        let shown = format!("Service dashboard client {name}");
        fields.string(name, &shown, Presence::Required)
    };
    let (id, secret, redirect_uri) = (text("id"), text("secret"), text("redirect_uri"));
    Some(DashboardClient {
        id: id?,
        secret: secret?,
        redirect_uri: redirect_uri?,
    })
}
