//! What templates know.

use serde_json::{Map, Value, json};

use super::Service;
use super::catalog::{Parameter, Size};
use super::failure::Failure;
use super::store::{Binding, BindingState, Parameters};
use super::template::render;
use crate::base::Megabytes;

/// Where users of a binding find the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// On the network of apps.
    Network,
    /// At a port of this machine.
    Host,
}

impl Service<'_> {
    /// What is left of the guid in names.
    pub(super) fn short(&self) -> &str {
        short(&self.instance.guid)
    }

    /// The memory limit.
    pub(super) fn memory(&self) -> Megabytes {
        chosen_size(&self.instance.parameters, "memory")
            .unwrap_or(self.plan.spec.limits.memory)
            .0
    }

    /// How much may be stored; `None` when nothing is.
    pub(super) fn storage_size(&self) -> Option<Size> {
        let storage = self.plan.spec.storage.as_ref()?;
        Some(chosen_size(&self.instance.parameters, "storage").unwrap_or(storage.size))
    }

    /// What the user chose for a parameter of the plan.
    pub(super) fn chosen(&self, name: &str, parameter: &Parameter) -> Value {
        let chosen = self.instance.parameters.get(name);
        chosen.unwrap_or(&parameter.default).clone()
    }

    /// Variables of everything about the instance; `bindings` are its users.
    pub(super) fn variables(&self, bindings: &[Binding]) -> Map<String, Value> {
        let spec = &self.plan.spec;
        let parameters = spec.parameters.iter();
        let parameters: Map<String, Value> = parameters
            .map(|(name, parameter)| (name.clone(), self.chosen(name, parameter)))
            .collect();
        let users = bindings
            .iter()
            .filter(|binding| binding.state != BindingState::Deleting);
        let users: Vec<Value> = users.map(user).collect();
        let ports: Map<String, Value> = { spec.ports.iter() }
            .map(|(name, port)| (name.clone(), port.port.into()))
            .collect();
        let all = json!({
            "guid": self.instance.guid,
            "short": self.short(),
            "name": self.instance.name,
            "space": self.instance.space_guid,
            "org": self.instance.organization_guid,
            "plan": self.plan.name,
            "host": host_name(&self.instance.guid),
            "port": ports,
            "secret": self.instance.secrets.expose(),
            "param": parameters,
            "mem_mb": self.memory().0,
            "size_mb": self.storage_size().map_or(0, Size::megabytes),
            "bindings": users,
        });
        match all {
            Value::Object(all) => all,
            _ => Map::new(),
        }
    }

    /// The same for one user, who reaches the service in its way.
    pub(super) fn variables_for(
        &self,
        bindings: &[Binding],
        binding: &Binding,
        via: Via,
    ) -> Map<String, Value> {
        let mut variables = self.variables(bindings);
        variables.insert("bind".to_owned(), user(binding));
        if via == Via::Host {
            self.from_host(&mut variables);
        }
        variables
    }

    /// The address becomes that on this machine.
    fn from_host(&self, variables: &mut Map<String, Value>) {
        variables.insert("host".to_owned(), "127.0.0.1".into());
        let ports = self.instance.ports.iter();
        let ports = ports.map(|(name, port)| (name.clone(), (*port).into()));
        variables.insert("port".to_owned(), ports.collect::<Map<_, _>>().into());
    }

    /// Where a browser on this machine finds a page about the instance, if there is one.
    pub(super) fn dashboard_url(&self) -> Result<Option<String>, Failure> {
        let Some(template) = &self.plan.spec.dashboard else {
            return Ok(None);
        };
        let mut variables = self.variables(&[]);
        self.from_host(&mut variables);
        Ok(Some(render(template, &variables)?))
    }
}

fn user(binding: &Binding) -> Value {
    json!({
        "guid": binding.guid, "user": binding.username, "pass": binding.password.expose(),
    })
}

fn short(guid: &str) -> &str {
    guid.get(..8).unwrap_or(guid)
}

/// The name of a service on the network of apps.
pub(super) fn host_name(guid: &str) -> String {
    format!("{}.svc.internal", short(guid))
}

fn chosen_size(parameters: &Parameters, name: &str) -> Option<Size> {
    parameters.get(name)?.as_str().and_then(Size::parse)
}
