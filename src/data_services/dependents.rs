//! Services that depend on others start again after those did, in order.
//!
//! `depends_on` names services of the same space. A new container of one restarts those that depend on it
//! directly; theirs follow when they are ready. Each starts once, so a chain ends whatever it looks like.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;

use super::Inner;
use super::failure::Failure;
use super::store::{Instance, Parameters};
use crate::db::ReadTx;

/// How long a dependent service that is busy is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The parameter with the names.
pub(super) const DEPENDS_ON: &str = "depends_on";

fn names(parameters: &Parameters) -> impl Iterator<Item = &str> {
    let all = parameters.get(DEPENDS_ON).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_str)
}

/// Why a service must not depend on what its parameters name: it is not there, or depends on the service.
fn fault(all: &[Instance], space: &str, name: &str, parameters: &Parameters) -> Option<String> {
    let here = all.iter().filter(|instance| instance.space_guid == space);
    let by_name: HashMap<&str, &Instance> = here
        .map(|instance| (instance.name.as_str(), instance))
        .collect();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = names(parameters).collect();
    for wanted in &open {
        if *wanted != name && !by_name.contains_key(wanted) {
            return Some(format!(
                "parameter {DEPENDS_ON}: there is no data service {wanted} in this space"
            ));
        }
    }
    while let Some(next) = open.pop() {
        if next == name {
            return Some(format!(
                "parameter {DEPENDS_ON}: {name} would depend on itself"
            ));
        }
        if seen.insert(next)
            && let Some(found) = by_name.get(next)
        {
            open.extend(names(&found.parameters));
        }
    }
    None
}

impl Inner {
    /// Why a service with these parameters is refused for what it depends on.
    pub(super) async fn dependency_fault(
        &self,
        (space, name): (&str, &str),
        parameters: &Parameters,
    ) -> Result<Option<String>, Failure> {
        if names(parameters).next().is_none() {
            return Ok(None);
        }
        let store = self.store.clone();
        let all = self.db.read(move |tx: &ReadTx<'_>| store.all(tx)).await?;
        Ok(fault(&all, space, name, parameters))
    }

    /// Starts what depends on a service again that did so itself, and what depends on that. A failure is
    /// told to the developers of the dependent one; the supervisor tries further.
    pub(super) async fn restart_dependents(&self, of: &Instance) {
        let mut open = vec![of.clone()];
        let mut seen = BTreeSet::from([of.guid.clone()]);
        while let Some(of) = open.pop() {
            let store = self.store.clone();
            let all = self.db.read(move |tx: &ReadTx<'_>| store.all(tx)).await;
            for dependent in all.unwrap_or_default() {
                let depends = dependent.space_guid == of.space_guid
                    && names(&dependent.parameters).any(|name| name == of.name);
                if !depends || !seen.insert(dependent.guid.clone()) {
                    continue;
                }
                match self.restart_after(&dependent.guid, &of.name).await {
                    Ok(true) => open.push(dependent),
                    Ok(false) => {}
                    Err(error) => {
                        let guid = &dependent.guid;
                        let text = format!("does not start again after {}: {error}", of.name);
                        if let Err(error) = self.note(guid, text).await {
                            tracing::warn!(service_instance = guid, %error, "cannot note that a service does not start");
                        }
                    }
                }
            }
        }
    }

    /// Starts one again; false when it does not run, or something else is done with it for long.
    async fn restart_after(&self, guid: &str, other: &str) -> Result<bool, Failure> {
        let Ok(_lock) = tokio::time::timeout(PATIENCE, self.locks.lock(guid)).await else {
            return Ok(false);
        };
        let found = self.find(guid).await?;
        let Some(instance) = found.filter(Instance::is_at_rest) else {
            return Ok(false);
        };
        // The supervisor starts one that ended.
        if self.running(guid).await?.is_none() {
            return Ok(false);
        }
        self.note(guid, format!("starting again after {other}"))
            .await?;
        let service = self.service(&instance)?;
        let id = self.start_anew(&service).await?;
        self.wait_ready(&service, &id).await?;
        self.note(guid, "running again").await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_services::store::sample;
    use serde_json::json;

    #[test]
    fn nothing_depends_on_itself_or_on_what_is_not_there() {
        let on = |names: Value| Parameters::from_iter([(DEPENDS_ON.to_owned(), names)]);
        let mut a = sample("a");
        a.parameters = on(json!(["b"]));
        let mut elsewhere = sample("c");
        "other".clone_into(&mut elsewhere.space_guid);
        let all = [a, sample("b"), elsewhere];
        let fault = |name: &str, names: Value| fault(&all, "space", name, &on(names));
        assert_eq!(fault("new", json!(["a", "b"])), None);
        let circle = fault("b", json!(["a"])).expect("refused");
        assert!(circle.contains("b would depend on itself"), "{circle}");
        let own = fault("new", json!(["new"])).expect("refused");
        assert!(own.contains("depend on itself"), "{own}");
        let missing = fault("new", json!(["c"])).expect("refused");
        assert!(
            missing.contains("no data service c in this space"),
            "{missing}"
        );
    }
}
