//! The methods of the daemon in memory.

use std::io::Cursor;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;

use super::enter::{no_container, no_image};
use super::files::Files;
use super::images::{FakeImage, empty, full_name};
use super::state::Death;
use super::streams::{Follower, Watcher};
use super::{FakeEngine, Verb};
use crate::base::Megabytes;
use crate::docker::{
    Attached, BuildSpec, ByteReader, Container, ContainerChange, ContainerSpec, ContainerState,
    DaemonFacts, DaemonInfo, DockerError, Engine, EngineStream, ExecSpec, Executing, Freeze, Image,
    Labels, LogFrame, LogReading, NetworkAddresses, NetworkSpec, Progress, RegistryAuth,
    TerminalSize, Upload, Usage, Volume,
};

#[async_trait]
impl Engine for FakeEngine {
    async fn info(&self) -> Result<DaemonInfo, DockerError> {
        self.enter(Verb::Info).await?;
        Ok(DaemonInfo {
            version: "20.10.24".into(),
            architecture: "linux/amd64".into(),
            containers_routable: true,
            cpus: 2,
            memory: 8 << 30,
            facts: DaemonFacts::default(),
        })
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String, DockerError> {
        self.enter(Verb::Create).await?;
        let now = self.clock.now();
        let id = {
            let mut state = self.state();
            if state.find_image(&spec.image).is_none() {
                return Err(no_image(&spec.image));
            }
            if state.find(&spec.name).is_some() {
                let text = format!("the container name {} is already in use", spec.name);
                return Err(DockerError::Conflict(text));
            }
            for mount in &spec.volumes {
                state.ensure_volume(&mount.volume, &Labels::new());
            }
            state.add(spec.clone(), now)
        };
        self.notify(&id, &spec.labels, "create");
        Ok(id)
    }

    async fn upload(&self, id: &str, upload: Upload) -> Result<(), DockerError> {
        self.enter(Verb::Upload).await?;
        let tar = Self::read(upload.tar).await?;
        let mut files = Files::default();
        files.unpack(&upload.folder, &tar)?;
        let mut state = self.state();
        state.find(id).ok_or_else(|| no_container(id))?;
        state.put_files(id, files)
    }

    async fn download(&self, id: &str, path: &str) -> Result<ByteReader, DockerError> {
        self.enter(Verb::Download).await?;
        let state = self.state();
        let files = state.files(id).ok_or_else(|| no_container(id))?;
        match files.pack(path)? {
            Some(tar) => Ok(Box::pin(Cursor::new(tar))),
            None if state.is_mounted(id, path) => Ok(Box::pin(Cursor::new(Files::empty_folder()))),
            None => Err(DockerError::NotFound(format!("{path} in container {id}"))),
        }
    }

    async fn start(&self, id: &str) -> Result<(), DockerError> {
        self.enter(Verb::Start).await?;
        let now = self.clock.now();
        let (id, labels, start, steps) = {
            let mut state = self.state();
            let found = state.find(id).ok_or_else(|| no_container(id))?;
            let network = found.spec.network.clone().unwrap_or_default();
            let known = ["", "bridge", "host", "none"].contains(&network.as_str());
            if !known && !state.networks.contains_key(&network) {
                return Err(DockerError::NotFound(format!("network {network}")));
            }
            if state.address_is_taken(found) {
                return Err(DockerError::Failed("Address already in use".into()));
            }
            let steps = found.behaviour.steps.clone();
            let (id, labels) = found.identity();
            let Some(start) = state.start(&id, now) else {
                return Ok(());
            };
            (id, labels, start, steps)
        };
        self.notify(&id, &labels, "start");
        self.background.once(self.clone().play(id, start, steps));
        Ok(())
    }

    async fn stop(&self, id: &str, grace: Duration) -> Result<(), DockerError> {
        self.enter(Verb::Stop).await?;
        let found = {
            let state = self.state();
            let container = state.find(id);
            container
                .filter(|c| matches!(c.state, ContainerState::Running { .. }))
                .map(super::state::FakeContainer::identity)
        };
        if let Some((id, labels)) = found {
            self.terminate(&id, grace).await;
            self.notify(&id, &labels, "stop");
        }
        Ok(())
    }

    async fn remove(&self, id: &str) -> Result<(), DockerError> {
        self.enter(Verb::Remove).await?;
        self.end(id, Death::Killed);
        let removed = {
            let mut state = self.state();
            let identity = state.find(id).map(super::state::FakeContainer::identity);
            if let Some((id, _)) = &identity {
                state.containers.retain(|c| c.id != *id);
            }
            identity
        };
        if let Some((id, labels)) = removed {
            self.notify(&id, &labels, "destroy");
        }
        Ok(())
    }

    async fn kill(&self, id: &str, signal: &str) -> Result<(), DockerError> {
        self.enter(Verb::Kill).await?;
        self.signal(id, signal)
    }

    async fn freeze(&self, id: &str, freeze: Freeze) -> Result<(), DockerError> {
        self.enter(Verb::Freeze).await?;
        self.set_frozen(id, freeze)
    }

    async fn limit(
        &self,
        id: &str,
        memory: Megabytes,
        cpu_limit: Option<u32>,
    ) -> Result<(), DockerError> {
        self.enter(Verb::Limit).await?;
        let mut state = self.state();
        let found = state.find_mut(id).ok_or_else(|| no_container(id))?;
        found.spec.memory = Some(memory);
        found.spec.cpu_limit = cpu_limit;
        Ok(())
    }

    async fn exec(&self, id: &str, spec: &ExecSpec) -> Result<Executing, DockerError> {
        self.enter(Verb::Exec).await?;
        self.execute(id, spec)
    }

    async fn exec_status(&self, exec: &str) -> Result<i64, DockerError> {
        self.status_of_exec(exec)
    }

    async fn resize_exec(&self, exec: &str, size: TerminalSize) -> Result<(), DockerError> {
        self.resize_terminal(exec, size)
    }

    /// Input goes nowhere; output is that of the log.
    async fn attach(&self, id: &str) -> Result<Attached, DockerError> {
        let frames = self.logs(id, 0, LogReading::Follow).await?;
        let output = frames.map(|frame| frame.map(|frame| (frame.stream, frame.data)));
        Ok(Attached {
            input: Box::pin(tokio::io::sink()),
            output: Box::pin(output),
        })
    }

    async fn resize(&self, id: &str, _rows: u16, _columns: u16) -> Result<(), DockerError> {
        let state = self.state();
        let found = state.find(id).map(|_| ());
        found.ok_or_else(|| no_container(id))
    }

    async fn wait(&self, id: &str) -> Result<i64, DockerError> {
        self.enter(Verb::Wait).await?;
        let mut ticks = self.tick.subscribe();
        let generation = self.state().generation;
        loop {
            ticks.mark_unchanged();
            {
                let state = self.state();
                let container = state.find(id).ok_or_else(|| no_container(id))?;
                match container.state {
                    ContainerState::Exited { code, .. } => return Ok(code),
                    ContainerState::Created => {
                        let text = format!("container {id} was not started");
                        return Err(DockerError::Conflict(text));
                    }
                    ContainerState::Running { .. } => {}
                }
                if state.generation != generation {
                    return Err(DockerError::Unreachable("the daemon went away".into()));
                }
            }
            if ticks.changed().await.is_err() {
                return Err(DockerError::Unreachable("the daemon went away".into()));
            }
        }
    }

    async fn inspect(&self, id: &str) -> Result<Option<Container>, DockerError> {
        self.enter(Verb::Inspect).await?;
        let state = self.state();
        Ok(state.find(id).map(|container| state.show(container)))
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<Container>, DockerError> {
        self.enter(Verb::List).await?;
        let state = self.state();
        let found = state.containers.iter().filter(|c| c.has_labels(labels));
        // The daemon lists the newest first.
        Ok(found.rev().map(|c| state.show(c)).collect())
    }

    async fn list_by_volume(&self, volume: &str) -> Result<Vec<Container>, DockerError> {
        self.enter(Verb::List).await?;
        let state = self.state();
        let uses = |spec: &ContainerSpec| spec.volumes.iter().any(|mount| mount.volume == volume);
        let found = state.containers.iter().filter(|c| uses(&c.spec));
        Ok(found.map(|c| state.show(c)).collect())
    }

    async fn logs(
        &self,
        id: &str,
        since_nanos: i64,
        reading: LogReading,
    ) -> Result<EngineStream<LogFrame>, DockerError> {
        self.enter(Verb::Logs).await?;
        let (generation, number) = {
            let mut state = self.state();
            state.find(id).ok_or_else(|| no_container(id))?;
            state.follows += 1;
            (state.generation, state.follows)
        };
        let follower = Follower {
            number,
            engine: self.clone(),
            ticks: self.tick.subscribe(),
            id: id.to_owned(),
            next: 0,
            // Whole seconds, as in the real one.
            since: since_nanos.div_euclid(1_000_000_000) * 1_000_000_000,
            follow: reading == LogReading::Follow,
            generation,
            ready: std::collections::VecDeque::new(),
            ended: false,
        };
        Ok(Box::pin(futures_util::stream::unfold(
            follower,
            Follower::next,
        )))
    }

    async fn usage(&self, id: &str) -> Result<Option<Usage>, DockerError> {
        self.enter(Verb::Usage).await?;
        let state = self.state();
        let running = state
            .find(id)
            .filter(|c| matches!(c.state, ContainerState::Running { .. }));
        Ok(running.map(|c| c.usage))
    }

    async fn writable_size(&self, id: &str) -> Result<u64, DockerError> {
        self.enter(Verb::WritableSize).await?;
        let state = self.state();
        let container = state.find(id).ok_or_else(|| no_container(id))?;
        Ok(container.files.size() + container.extra_bytes)
    }

    async fn changes(&self, labels: &Labels) -> Result<EngineStream<ContainerChange>, DockerError> {
        self.enter(Verb::Changes).await?;
        let generation = self.state().generation;
        let watcher = Watcher {
            engine: self.clone(),
            changes: self.changes.subscribe(),
            ticks: self.tick.subscribe(),
            labels: labels.clone(),
            generation,
            broken: false,
        };
        Ok(Box::pin(futures_util::stream::unfold(
            watcher,
            Watcher::next,
        )))
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, DockerError> {
        self.enter(Verb::Image).await?;
        let state = self.state();
        Ok(state.find_image(reference).map(|held| held.image.clone()))
    }

    async fn images(&self, labels: &Labels) -> Result<Vec<Image>, DockerError> {
        self.enter(Verb::Images).await?;
        let state = self.state();
        let all = state.images.iter().map(|held| &held.image);
        let fits = |image: &&Image| labels.iter().all(|(n, v)| image.labels.get(n) == Some(v));
        Ok(all.filter(fits).cloned().collect())
    }

    async fn image_names(&self, prefix: &str) -> Result<Vec<String>, DockerError> {
        self.enter(Verb::Images).await?;
        let state = self.state();
        let images = state.images.iter().map(|held| &held.image);
        let names = images.flat_map(|image| image.tags.iter().chain(&image.digests));
        Ok(names
            .filter(|name| name.starts_with(prefix))
            .cloned()
            .collect())
    }

    async fn pull(
        &self,
        reference: &str,
        _auth: Option<RegistryAuth>,
        progress: Progress,
    ) -> Result<(), DockerError> {
        self.enter(Verb::Pull).await?;
        let mut state = self.state();
        let offered = state.offered.iter().rev();
        let found = { offered }
            .find(|image| image.answers_to(reference))
            .cloned();
        let any = state
            .offered_prefixes
            .iter()
            .any(|p| reference.starts_with(p));
        let found = found.or_else(|| any.then(|| FakeImage::small(reference)));
        let image = found.ok_or_else(|| no_image(reference))?;
        state.untag(reference);
        state.images.push(image);
        state.pulled.push(reference.to_owned());
        // The receiver may be gone.
        drop(progress.send(format!("Pulled {reference}")));
        Ok(())
    }

    async fn import(&self, reference: &str, tar: ByteReader) -> Result<(), DockerError> {
        self.enter(Verb::Import).await?;
        let tar = Self::read(tar).await?;
        let mut state = self.state();
        state.untag(reference);
        state.images.push(FakeImage::imported(reference, tar));
        Ok(())
    }

    async fn build(
        &self,
        build: BuildSpec,
        context: ByteReader,
        progress: Progress,
    ) -> Result<(), DockerError> {
        self.enter(Verb::Build).await?;
        let context = Self::read(context).await?;
        let mut files = Files::default();
        files.unpack("", &context)?;
        let recipe = files
            .get(&format!("/{}", build.dockerfile))
            .ok_or_else(|| {
                DockerError::Failed(format!("no {} in the context", build.dockerfile))
            })?;
        let recipe = String::from_utf8_lossy(&recipe.content).into_owned();
        let mut state = self.state();
        let base = build
            .arguments
            .values()
            .find_map(|value| state.find_image(value).cloned());
        let base = base.unwrap_or_else(|| FakeImage::small("scratch"));
        let image = Image {
            tags: vec![full_name(&build.reference)],
            labels: build.labels,
            ..empty()
        };
        let made = base.extended(image, &recipe);
        state.untag(&build.reference);
        state.images.push(made);
        // The receiver may be gone.
        drop(progress.send(format!("Successfully tagged {}", build.reference)));
        Ok(())
    }

    async fn save(&self, reference: &str) -> Result<ByteReader, DockerError> {
        self.enter(Verb::Save).await?;
        let state = self.state();
        let image = state
            .find_image(reference)
            .ok_or_else(|| no_image(reference))?;
        Ok(Box::pin(Cursor::new(image.save()?)))
    }

    async fn tag(&self, reference: &str, new_reference: &str) -> Result<(), DockerError> {
        self.enter(Verb::Tag).await?;
        let mut state = self.state();
        let found = state
            .find_image(reference)
            .map(|held| held.image.id.clone());
        let id = found.ok_or_else(|| no_image(reference))?;
        state.untag(new_reference);
        for held in &mut state.images {
            if held.image.id == id {
                held.image.tags.push(full_name(new_reference));
                break;
            }
        }
        Ok(())
    }

    async fn remove_image(&self, reference: &str) -> Result<(), DockerError> {
        self.enter(Verb::RemoveImage).await?;
        let mut state = self.state();
        let Some(found) = state.find_image(reference).map(|held| held.image.clone()) else {
            return Ok(());
        };
        let used = |c: &super::state::FakeContainer| {
            c.spec.image == found.id || found.tags.contains(&full_name(&c.spec.image))
        };
        if found.tags.len() <= 1 && state.containers.iter().any(used) {
            let text = format!("image {reference} is used by a container");
            return Err(DockerError::Conflict(text));
        }
        let tagged = found.tags.contains(&full_name(reference));
        if tagged {
            state.untag(reference);
        }
        let by_name = tagged || found.digests.iter().any(|digest| digest == reference);
        for held in &mut state.images {
            held.image.digests.retain(|digest| digest != reference);
        }
        let is_named = |image: &Image| !image.tags.is_empty() || !image.digests.is_empty();
        state
            .images
            .retain(|held| held.image.id != found.id || (by_name && is_named(&held.image)));
        Ok(())
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<NetworkAddresses, DockerError> {
        self.enter(Verb::EnsureNetwork).await?;
        Ok(self.state().ensure_network(network))
    }

    async fn network(&self, name: &str) -> Result<Option<NetworkAddresses>, DockerError> {
        self.enter(Verb::Network).await?;
        Ok(self.state().network(name))
    }

    async fn remove_network(&self, name: &str) -> Result<(), DockerError> {
        self.enter(Verb::RemoveNetwork).await?;
        self.state().networks.remove(name);
        Ok(())
    }

    async fn ensure_volume(&self, name: &str, labels: &Labels) -> Result<(), DockerError> {
        self.enter(Verb::EnsureVolume).await?;
        self.state().ensure_volume(name, labels);
        Ok(())
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>, DockerError> {
        self.enter(Verb::Volume).await?;
        Ok(self.state().volume(name))
    }

    async fn volume_names(&self, prefix: &str) -> Result<Vec<String>, DockerError> {
        self.enter(Verb::VolumeNames).await?;
        let names = self.state().volumes.keys().cloned().collect::<Vec<_>>();
        Ok(names
            .into_iter()
            .filter(|n| n.starts_with(prefix))
            .collect())
    }

    async fn remove_volume(&self, name: &str) -> Result<(), DockerError> {
        self.enter(Verb::RemoveVolume).await?;
        self.state().remove_volume(name)
    }
}
