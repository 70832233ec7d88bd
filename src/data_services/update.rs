//! Changes instances: what can be changed while the service runs is, anything else needs a new
//! container over the same volume.

use super::catalog::{ADMIN, Applies};
use super::failure::Failure;
use super::random::random_text;
use super::store::Instance;
use super::{Inner, Service};
use crate::base::{Megabytes, Secret};
use crate::db::WriteTx;

/// What a change needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nothing,
    Limits,
    Container,
}

impl Inner {
    /// Carries an update out.
    pub(super) async fn update(&self, mut old: Instance) -> Result<(), Failure> {
        let wanted = old.operation.request.clone();
        if wanted.act.rotate_admin {
            self.rotate_admin(&mut old).await?;
        }
        let mut new = old.clone();
        new.plan_id.clone_from(&wanted.plan_id);
        new.version.clone_from(&wanted.version);
        new.parameters.clone_from(&wanted.parameters);
        if let Some(name) = &wanted.name {
            new.name.clone_from(name);
        }
        let (was, is) = (self.service(&old)?, self.service(&new)?);
        let act = &wanted.act;
        if let Some(tag) = &act.backup {
            self.back_up(&was, tag, "asked for").await?;
        }
        if let Some(backup) = &act.restore {
            self.restore(&was, backup).await?;
        }
        let needs = if act.restart || act.recreate {
            Needs::Container
        } else {
            needs(&was, &is)
        };
        let changed = match needs {
            Needs::Nothing => Ok(()),
            Needs::Limits => self.change_limits(&was, &is).await,
            Needs::Container => self.change_container(&was, &is).await,
        };
        if let Err(error) = changed {
            self.go_back(&was).await;
            return Err(error);
        }
        self.note(&old.guid, "updated").await?;
        let text = match (&act.backup, &act.restore) {
            (_, Some(backup)) => format!("restored the backup {backup}"),
            (Some(_), None) => "made a backup".to_owned(),
            (None, None) if act.rotate_admin => {
                "gave the administrator another password".to_owned()
            }
            (None, None) => "updated".to_owned(),
        };
        self.succeed(new, &text).await
    }

    /// Starts a service with another password of its administrator. It is on record before the service
    /// gets it, so that whoever starts the service next, after a kill too, starts it with that one.
    async fn rotate_admin(&self, instance: &mut Instance) -> Result<(), Failure> {
        let service = self.service(instance)?;
        let secret = service.plan.spec.secrets.get(ADMIN);
        let secret = secret
            .ok_or_else(|| Failure::new("the administrator of this service has no password"))?;
        let mut secrets = instance.secrets.expose().clone();
        secrets.insert(ADMIN.to_owned(), random_text(secret.length));
        let step = "giving the administrator another password";
        self.step(&instance.guid, step).await?;
        self.stop(&service).await?;
        instance.secrets = Secret::new(secrets);
        let (store, changed) = (self.store.clone(), instance.clone());
        let set = move |tx: &WriteTx<'_>| store.set_secrets(tx, &changed);
        self.db.write(set).await?;
        let service = self.service(instance)?;
        let id = self.start_anew(&service).await?;
        self.wait_ready(&service, &id).await?;
        self.note(&instance.guid, "gave the administrator another password")
            .await?;
        self.restart_dependents(instance).await;
        Ok(())
    }

    /// Memory, CPU time and parameters with hooks, while the service runs.
    async fn change_limits(&self, was: &Service<'_>, is: &Service<'_>) -> Result<(), Failure> {
        let guid = &is.instance.guid;
        let Some(id) = self.running(guid).await? else {
            return self.change_container(was, is).await;
        };
        self.step(guid, "changing limits").await?;
        let live = &is.plan.spec.limits.live;
        let cpu_limit = Some(self.cpu_limit(is).await?);
        // A service that gets less gives up what it has before it must.
        if is.memory() < was.memory() {
            self.hooks(is, &id, live).await?;
            self.check_memory(is, &id).await?;
        }
        self.engine.limit(&id, is.memory(), cpu_limit).await?;
        if is.memory() > was.memory() {
            self.hooks(is, &id, live).await?;
        }
        for (name, parameter) in &is.plan.spec.parameters {
            let before = was
                .plan
                .spec
                .parameters
                .get(name)
                .map(|old| was.chosen(name, old));
            if before.as_ref() != Some(&is.chosen(name, parameter)) {
                self.hooks(is, &id, &parameter.live).await?;
            }
        }
        Ok(())
    }

    async fn check_memory(&self, is: &Service<'_>, id: &str) -> Result<(), Failure> {
        let Some(usage) = self.engine.usage(id).await? else {
            return Ok(());
        };
        let used = Megabytes(i64::try_from(usage.memory >> 20).unwrap_or(i64::MAX));
        if used < is.memory() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the service uses {} MB of memory, more than the new limit of {} MB",
            used.0,
            is.memory().0
        )))
    }

    async fn change_container(&self, was: &Service<'_>, is: &Service<'_>) -> Result<(), Failure> {
        let guid = &is.instance.guid;
        if was.plan.spec.version != is.plan.spec.version && was.plan.spec.backup.is_some() {
            // What a new version does to data cannot be undone.
            self.back_up(was, "", "before the upgrade").await?;
        }
        if is.instance.operation.request.act.recreate {
            self.renew_image(is).await?;
        }
        self.image(is).await?;
        self.step(guid, "starting again").await?;
        self.stop(was).await?;
        let id = self.start_anew(is).await?;
        self.wait_ready(is, &id).await?;
        self.restart_dependents(is.instance).await;
        Ok(())
    }

    /// After a failed change the service runs as before, if it can.
    async fn go_back(&self, was: &Service<'_>) {
        let again = async {
            let id = self.start_anew(was).await?;
            self.wait_ready(was, &id).await
        };
        if let Err(error) = again.await {
            let guid = &was.instance.guid;
            tracing::warn!(service_instance = guid, %error, "a service does not run as before its failed update; retrying");
        }
    }
}

/// What makes of one service the other.
fn needs(was: &Service<'_>, is: &Service<'_>) -> Needs {
    let (old, new) = (&was.plan.spec, &is.plan.spec);
    let mut needs = Needs::Nothing;
    if was.memory() != is.memory() || old.limits.cpu_limit() != new.limits.cpu_limit() {
        needs = Needs::Limits;
    }
    // What the script and files say may depend on the size of things.
    let depends = |variable: &str| {
        let texts = new.files.values().chain(new.environment.values());
        texts
            .chain([&new.entry])
            .any(|text| text.contains(variable))
    };
    let is_resized = was.storage_size() != is.storage_size();
    let is_told = !new.limits.live.is_empty();
    if (was.memory() != is.memory() && depends("mem_mb") && !is_told)
        || (is_resized && depends("size_mb"))
    {
        needs = Needs::Container;
    }
    for (name, parameter) in &new.parameters {
        let before = old.parameters.get(name).map(|old| was.chosen(name, old));
        if before.as_ref() != Some(&is.chosen(name, parameter)) {
            let needed = match parameter.applies {
                Applies::Live => Needs::Limits,
                Applies::Restart | Applies::Recreate => Needs::Container,
            };
            needs = needs.max(needed);
        }
    }
    let same = old.image == new.image
        && old.own == new.own
        && old.limits.cpu_limit() == new.limits.cpu_limit()
        && old.version == new.version
        && old.entry == new.entry
        && old.environment == new.environment
        && old.files == new.files;
    if same { needs } else { Needs::Container }
}
