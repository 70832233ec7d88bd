//! Users of services: made for a binding, removed with it.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::failure::Failure;
use super::redact::Secrets;
use super::store::{self, Binding, BindingState, Instance};
use super::template::render;
use super::variables::Via;
use super::{Inner, Service};
use crate::db::WriteTx;

/// For how long a daemon that does not answer is asked again: platforms wait for 60 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before that.
const PAUSE: Duration = Duration::from_secs(1);

impl Inner {
    /// Makes the user of a binding that is on record. One that was begun before is removed first.
    ///
    /// A binding that a busy daemon did not let through stays on record, so that its user, who may be
    /// there, can be removed.
    pub(super) async fn make_user(
        &self,
        instance: &Instance,
        binding: &Binding,
        mut again: bool,
    ) -> Result<(), Failure> {
        let service = self.service(instance)?;
        let begun = Instant::now();
        loop {
            let made = self.try_user(&service, binding, again).await;
            let Err(error) = made else { break };
            if !error.is_passing() {
                self.forget(binding).await?;
                return Err(error);
            }
            again_later(instance, begun, error).await?;
            again = true;
        }
        let guid = binding.guid.clone();
        let ready =
            move |tx: &WriteTx<'_>| store::set_binding_state(tx, &guid, BindingState::Ready);
        Ok(self.db.write(ready).await?)
    }

    async fn try_user(
        &self,
        service: &Service<'_>,
        binding: &Binding,
        again: bool,
    ) -> Result<(), Failure> {
        let id = self.reachable(service).await?;
        if again {
            // It may not be there.
            drop(self.for_user(service, &id, binding, What::Unbind).await);
        }
        let made = self.for_user(service, &id, binding, What::Bind).await;
        if made.as_ref().is_err_and(|error| !error.is_passing()) {
            drop(self.for_user(service, &id, binding, What::Unbind).await);
        }
        made
    }

    /// Removes the user of a binding, and then the binding. Hooks bear that the user is not there, since
    /// an earlier try may have removed it: one that fails leaves a user, so the binding stays on record.
    pub(super) async fn remove_user(
        &self,
        instance: &Instance,
        binding: &Binding,
    ) -> Result<(), Failure> {
        let service = self.service(instance)?;
        let guid = binding.guid.clone();
        let deleting =
            move |tx: &WriteTx<'_>| store::set_binding_state(tx, &guid, BindingState::Deleting);
        self.db.write(deleting).await?;
        let begun = Instant::now();
        loop {
            let removed = async {
                let id = self.reachable(&service).await?;
                self.for_user(&service, &id, binding, What::Unbind).await
            };
            match removed.await {
                Ok(()) => break,
                Err(error) if error.is_passing() => again_later(instance, begun, error).await?,
                Err(error) => return Err(error),
            }
        }
        self.forget(binding).await
    }

    async fn forget(&self, binding: &Binding) -> Result<(), Failure> {
        let guid = binding.guid.clone();
        let remove = move |tx: &WriteTx<'_>| store::remove_binding(tx, &guid);
        Ok(self.db.write(remove).await?)
    }

    /// The container of a service that works.
    pub(super) async fn reachable(&self, service: &Service<'_>) -> Result<String, Failure> {
        let guid = &service.instance.guid;
        if let Some(id) = self.awake(guid).await? {
            return Ok(id);
        }
        let id = match self.container(guid).await? {
            Some(found) => {
                self.start(service, &found.id).await?;
                found.id
            }
            None => self.start_anew(service).await?,
        };
        self.wait_ready(service, &id).await?;
        Ok(id)
    }

    async fn for_user(
        &self,
        service: &Service<'_>,
        id: &str,
        binding: &Binding,
        what: What,
    ) -> Result<(), Failure> {
        let credentials = &service.plan.spec.credentials;
        let mut users = self.users(&service.instance.guid).await?;
        let hooks = match what {
            What::Bind => &credentials.bind,
            What::Unbind => {
                users.retain(|user| user.guid != binding.guid);
                &credentials.unbind
            }
        };
        let variables = service.variables_for(&users, binding, Via::Network);
        let mut hooked = self.with_hooks(service, id, &variables);
        hooked.secrets = Secrets::of(service.instance, Some(binding));
        hooked.run(hooks).await
    }
}

/// Waits before the daemon is asked again; the error once that took too long.
async fn again_later(instance: &Instance, begun: Instant, error: Failure) -> Result<(), Failure> {
    if begun.elapsed() >= PATIENCE {
        return Err(error);
    }
    tracing::warn!(service_instance = instance.guid, %error, "a binding of a data service did not get through; trying again");
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Bind,
    Unbind,
}

/// What an app gets for a binding.
pub(super) fn credentials(
    service: &Service<'_>,
    binding: &Binding,
) -> Result<Map<String, Value>, Failure> {
    let via = via(&binding.request);
    let variables = service.variables_for(&[], binding, via);
    let mut credentials = Map::new();
    // Whoever binds may want other keys, as for a service that this one stands in for.
    let wanted = binding.request.pointer("/parameters/credentials");
    let wanted = wanted.and_then(Value::as_object);
    let templates: Vec<(&String, &str)> = match wanted.filter(|wanted| !wanted.is_empty()) {
        Some(wanted) => { wanted.iter() }
            .filter_map(|(key, template)| Some((key, template.as_str()?)))
            .collect(),
        None => { service.plan.spec.credentials.template.iter() }
            .map(|(key, template)| (key, template.as_str()))
            .collect(),
    };
    for (key, template) in templates {
        let text = render(template, &variables)?;
        // Ports are numbers where they are all there is.
        let is_number = template.trim().starts_with("{{") && !text.starts_with('0');
        let number = text
            .parse::<u16>()
            .ok()
            .filter(|_| is_number && key.contains("port"));
        let value = number.map_or_else(|| Value::from(text), Value::from);
        credentials.insert(key.clone(), value);
    }
    Ok(credentials)
}

/// Apps are on the service's network; who holds a key is on this machine.
pub(super) fn via(request: &Value) -> Via {
    match request.pointer("/parameters/via").and_then(Value::as_str) {
        Some("host") => Via::Host,
        Some(_) => Via::Network,
        None if request["app"] == Value::Bool(true) => Via::Network,
        None => Via::Host,
    }
}
