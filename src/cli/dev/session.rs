//! One development session: the folder, the app, its containers, and what each of them has.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::app_folder::{AppFolder, Changes, Files};
use super::super::client::Client;
use super::super::{push, show};
use super::container::{self, Request};
use super::package;
use super::plan::{Action, Plan};
use super::target::App;
use crate::base::{Clock, SystemClock};
use crate::docker::Engine;

/// A session.
pub(super) struct Development {
    client: Client,
    engine: Arc<dyn Engine>,
    platform: String,
    app: App,
    folder: Arc<AppFolder>,
    droplet: Droplet,
    /// Containers and what they have; a container that is not among them is new.
    containers: BTreeMap<String, Files>,
    /// The number of the last request.
    requests: u64,
    /// The last failure that was shown, so that it is shown once.
    failure: Option<String>,
    pub(super) json: bool,
}

/// The droplet of new containers.
struct Droplet {
    guid: String,
    plan: Plan,
    /// The files it was staged from.
    files: Files,
}

impl Development {
    /// A session that has not begun.
    pub(super) async fn of(
        client: Client,
        engine: Arc<dyn Engine>,
        platform: String,
        app: App,
        folder: Arc<AppFolder>,
    ) -> anyhow::Result<Self> {
        let droplet = current_droplet(&client, &app, &folder).await?;
        Ok(Self {
            client,
            engine,
            platform,
            app,
            folder,
            droplet,
            containers: BTreeMap::new(),
            requests: 0,
            failure: None,
            json: false,
        })
    }

    /// The app's name.
    pub(super) fn app_name(&self) -> &str {
        &self.app.name
    }

    /// Begins the session, or tells the platform that it goes on.
    pub(super) async fn keep(&mut self) -> anyhow::Result<()> {
        self.client.put(&self.path()).await?;
        Ok(())
    }

    /// Ends it: the app goes back to its droplet.
    pub(super) async fn end(&self) -> anyhow::Result<()> {
        self.client.delete(&self.path()).await
    }

    fn path(&self) -> String {
        format!("/cflite/apps/{}/development_session", self.app.guid)
    }

    /// Says what is developed.
    pub(super) fn announce(&self) {
        if !self.json {
            show::line(&format!(
                "Developing {} in {} from {} ({}). Press Ctrl-C to end.",
                self.app.name,
                self.app.place,
                self.folder.root().display(),
                self.droplet.plan.buildpack
            ));
        }
    }

    /// Serves what was saved since the last list of files.
    pub(super) async fn serve_change(&mut self, since: Instant) -> anyhow::Result<()> {
        let files = self.files().await?;
        let missing = self
            .containers
            .values()
            .map(|has| Changes::between(has, &files));
        let Some(changes) =
            missing.max_by_key(|changes| changes.changed.len() + changes.deleted.len())
        else {
            return Ok(());
        };
        if changes.is_empty() {
            return Ok(());
        }
        let action = self.droplet.plan.action(&changes);
        if action == Action::Stage {
            return self.stage(files, &changes, since).await;
        }
        let ids: Vec<String> = self.containers.keys().cloned().collect();
        self.send(&ids, &files, since).await
    }

    /// Brings new containers up to date, and forgets those that ended.
    pub(super) async fn serve_new_containers(&mut self) -> anyhow::Result<()> {
        let found = container::developed(&*self.engine, &self.platform, &self.app.guid).await?;
        self.containers
            .retain(|id, _| found.iter().any(|(found, _)| found == id));
        let new: Vec<String> = found
            .into_iter()
            .filter(|(id, _)| !self.containers.contains_key(id))
            .map(|(id, state)| {
                self.requests = self.requests.max(state.number);
                id
            })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let since = Instant::now();
        let droplet = current_droplet_guid(&self.client, &self.app).await?;
        if droplet != self.droplet.guid {
            // Somebody pushed.
            self.droplet = current_droplet(&self.client, &self.app, &self.folder).await?;
        }
        for id in &new {
            self.containers
                .insert(id.clone(), self.droplet.files.clone());
        }
        let files = self.files().await?;
        let changes = Changes::between(&self.droplet.files, &files);
        if changes.is_empty() {
            return Ok(());
        }
        if self.droplet.plan.action(&changes) == Action::Stage {
            return self.stage(files, &changes, since).await;
        }
        self.send(&new, &files, since).await
    }

    async fn files(&self) -> anyhow::Result<Files> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || folder.files()).await?
    }

    /// Copies into containers what they lack.
    async fn send(&mut self, ids: &[String], files: &Files, since: Instant) -> anyhow::Result<()> {
        for id in ids {
            let Some(has) = self.containers.get(id) else {
                continue;
            };
            let changes = Changes::between(has, files);
            if changes.is_empty() {
                continue;
            }
            self.requests += 1;
            let plan = &self.droplet.plan;
            let action = plan.action(&changes);
            let request = Request {
                number: self.requests,
                action,
                changed: changes
                    .changed
                    .iter()
                    .filter_map(|path| {
                        Some((path.clone(), files.get(path)?.clone(), plan.place(path)?))
                    })
                    .collect(),
                deleted: changes
                    .deleted
                    .iter()
                    .filter_map(|path| plan.place(path))
                    .collect(),
            };
            match container::send(&*self.engine, id, &self.folder, request).await? {
                Some(condition) => {
                    self.containers.insert(id.clone(), files.clone());
                    self.report(&changes, action, &condition, since);
                }
                // The next look finds its successor.
                None => {
                    self.containers.remove(id);
                }
            }
        }
        Ok(())
    }

    /// Stages the folder, and starts the new droplet. If that fails, containers lack the same files as
    /// before, and the next save stages again.
    async fn stage(
        &mut self,
        files: Files,
        changes: &Changes,
        since: Instant,
    ) -> anyhow::Result<()> {
        let (folder, listed) = (self.folder.clone(), files.clone());
        let zip = tokio::task::spawn_blocking(move || {
            let mut zip = tempfile::tempfile()?;
            folder.write_zip(&listed, &mut zip)?;
            Ok::<_, anyhow::Error>(zip)
        });
        let package = push::upload(&self.client, &self.app.guid, zip.await??).await?;
        let droplet = push::stage(&self.client, &package).await?;
        push::run(&self.client, &self.app.guid, &droplet).await?;
        self.droplet = Droplet {
            plan: Plan::new(&self.droplet.plan.buildpack, &self.folder, &files),
            guid: droplet,
            files,
        };
        self.containers.clear();
        self.report(changes, Action::Stage, "starting", since);
        Ok(())
    }

    fn report(&mut self, changes: &Changes, action: Action, condition: &str, since: Instant) {
        self.failure = None;
        let seconds = since.elapsed().as_secs_f64();
        if self.json {
            let report = json!({
                "changed": changes.changed, "deleted": changes.deleted, "action": action.done(),
                "condition": condition, "seconds": (seconds * 1000.0).round() / 1000.0,
            });
            show::line(&report.to_string());
            return;
        }
        let clock = show::time_of_day(SystemClock.now());
        let files = describe(changes);
        let end = match condition.strip_prefix("exited ") {
            Some(status) => format!(
                "; the app ended with status {status}, see `cf logs {} --recent`",
                self.app.name
            ),
            None => String::new(),
        };
        show::line(&format!(
            "{clock}  {files}: {} in {seconds:.2} s{end}",
            action.done()
        ));
    }

    /// Shows a failure once.
    pub(super) fn failed(&mut self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        if self.failure.as_ref() == Some(&text) {
            return;
        }
        if self.json {
            show::line(&json!({ "error": text }).to_string());
        } else {
            show::error(&text);
        }
        self.failure = Some(text);
    }
}

/// `app.py`, or numbers when there are many.
fn describe(changes: &Changes) -> String {
    let (changed, deleted) = (changes.changed.len(), changes.deleted.len());
    let files = |count: usize| if count == 1 { "file" } else { "files" };
    match (&changes.changed[..], &changes.deleted[..]) {
        ([one], []) => one.clone(),
        ([], [one]) => format!("{one} deleted"),
        (_, []) => format!("{changed} files"),
        ([], _) => format!("{deleted} files deleted"),
        _ => format!("{changed} {}, {deleted} deleted", files(changed)),
    }
}

async fn current_droplet_guid(client: &Client, app: &App) -> anyhow::Result<String> {
    push::guid(
        &client
            .get(&format!("/v3/apps/{}/droplets/current", app.guid))
            .await?,
    )
}

/// The app's current droplet, compared with the folder.
async fn current_droplet(
    client: &Client,
    app: &App,
    folder: &Arc<AppFolder>,
) -> anyhow::Result<Droplet> {
    let droplet = client
        .get(&format!("/v3/apps/{}/droplets/current", app.guid))
        .await?;
    let buildpack = droplet["buildpacks"]
        .as_array()
        .and_then(|all| all.last())
        .context("only an app that was staged with buildpacks can be developed in place")?;
    let named = buildpack["buildpack_name"]
        .as_str()
        .or(buildpack["name"].as_str());
    let buildpack = named.unwrap_or_default().to_owned();
    let link = droplet
        .pointer("/links/package/href")
        .and_then(Value::as_str);
    let package = link.and_then(|link| link.rsplit('/').next());
    let package = match package {
        Some(package) => Some(
            client
                .download(&format!("/v3/packages/{package}/download"))
                .await?,
        ),
        None => None,
    };
    let guid = push::guid(&droplet)?;
    let folder = folder.clone();
    tokio::task::spawn_blocking(move || {
        let files = folder.files()?;
        let plan = Plan::new(&buildpack, &folder, &files);
        let files = match package {
            Some(package) => package::files(package, &folder, &files)?,
            // An uploaded droplet: everything may differ.
            None => Files::new(),
        };
        Ok(Droplet { guid, plan, files })
    })
    .await?
}
