//! Waits until a service works.

use std::time::Duration;

use serde_json::Map;
use tokio::time::Instant;

use super::catalog::Hook;
use super::failure::Failure;
use super::hooks::Hooks;
use super::redact::Secrets;
use super::store::Binding;
use super::{Inner, Service};
use crate::db::ReadTx;
use crate::docker::{ContainerState, LogReading};

/// Between two questions, at first; later ones are rarer.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);
/// Lines of its log that explain why a container ended.
const LINES: usize = 5;

impl Inner {
    /// Waits until the service in a container answers, or its time is over.
    pub(super) async fn wait_ready(&self, service: &Service<'_>, id: &str) -> Result<(), Failure> {
        let health = &service.plan.spec.health;
        let deadline = Instant::now() + Duration::from_secs(health.start_seconds);
        let mut pause = FIRST;
        loop {
            let asked = self.hook(service, id, &health.ready).await;
            let Err(error) = asked else { return Ok(()) };
            match self
                .engine
                .inspect(id)
                .await?
                .map(|container| container.state)
            {
                Some(ContainerState::Running { .. }) => {}
                Some(ContainerState::Exited {
                    code,
                    out_of_memory,
                    ..
                }) => {
                    let why = if out_of_memory {
                        "ran out of memory".to_owned()
                    } else {
                        format!("ended with status {code}")
                    };
                    let lines = self.last_lines(service, id).await;
                    return Err(Failure::new(format!("the service {why}{lines}")));
                }
                _ => return Err(Failure::new("the container of the service was removed")),
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!(
                    "the service does not answer within {} s: {error}",
                    health.start_seconds
                )));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST);
        }
    }

    /// Does one thing in a container.
    pub(super) async fn hook(
        &self,
        service: &Service<'_>,
        id: &str,
        hook: &Hook,
    ) -> Result<(), Failure> {
        self.hooks(service, id, std::slice::from_ref(hook)).await
    }

    /// Does things that are about no binding.
    pub(super) async fn hooks(
        &self,
        service: &Service<'_>,
        id: &str,
        hooks: &[Hook],
    ) -> Result<(), Failure> {
        let variables = service.variables(&self.users(&service.instance.guid).await?);
        self.with_hooks(service, id, &variables).run(hooks).await
    }

    pub(super) fn with_hooks<'a>(
        &'a self,
        service: &'a Service<'_>,
        id: &'a str,
        variables: &'a Map<String, serde_json::Value>,
    ) -> Hooks<'a> {
        Hooks {
            engine: &*self.engine,
            container: id,
            spec: &service.plan.spec,
            variables,
            secrets: Secrets::of(service.instance, None),
        }
    }

    /// The bindings of an instance.
    pub(super) async fn users(&self, guid: &str) -> Result<Vec<Binding>, Failure> {
        let (store, guid) = (self.store.clone(), guid.to_owned());
        let read = self
            .db
            .read(move |tx: &ReadTx<'_>| store.bindings(tx, &guid));
        Ok(read.await?)
    }

    async fn last_lines(&self, service: &Service<'_>, id: &str) -> String {
        use futures_util::StreamExt;
        let Ok(mut frames) = self.engine.logs(id, 0, LogReading::Once).await else {
            return String::new();
        };
        let mut lines = std::collections::VecDeque::new();
        while let Some(Ok(frame)) = frames.next().await {
            let line = String::from_utf8_lossy(&frame.data).trim().to_owned();
            if !line.is_empty() {
                lines.push_back(line);
            }
            if lines.len() > LINES {
                lines.pop_front();
            }
        }
        let text: Vec<String> = lines.into();
        let text = Secrets::of(service.instance, None).redact(&text.join(" | "));
        if text.is_empty() {
            text
        } else {
            format!(": {text}")
        }
    }
}
