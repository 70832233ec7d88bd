//! A Docker daemon in memory with containers, images, networks, volumes and logs, that can crash,
//! stall and fail.
//!
//! What a container does is scripted before it is created: [`FakeEngine::script`] assigns a
//! [`Behaviour`] to a part of the image's name or of the command. Without a script a container
//! runs until it is stopped and obeys SIGTERM. Time passes on Tokio's clock, so a paused test clock
//! runs scripts at once; timestamps come from the injected clock.
//!
//! A container gets its own loopback address on every start and nothing listens there, so that a
//! probe is refused; [`FakeEngine::listen`] maps a port to a listener of the test. All state
//! survives [`FakeEngine::restart_daemon`], as it does on a real daemon.

mod behaviour;
mod command;
mod engine;
mod enter;
mod exec;
mod files;
mod images;
mod state;
mod streams;
mod volumes;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use self::behaviour::{OnStop, Step};
use self::state::{Death, State};
use super::{ContainerChange, ContainerSpec, DockerError, Image, Labels, LogStream, Usage};
use crate::base::{Clock, Supervisor};

pub use self::behaviour::Behaviour;
pub use self::files::FakeFile;

/// A method of the engine that a test can let fail or stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "named after the methods of Engine")]
pub enum Verb {
    Info,
    Create,
    Upload,
    Download,
    Start,
    Stop,
    Remove,
    Kill,
    Freeze,
    Limit,
    Exec,
    Wait,
    Inspect,
    List,
    Logs,
    Usage,
    WritableSize,
    Changes,
    Image,
    Images,
    Pull,
    Import,
    Build,
    Save,
    Tag,
    RemoveImage,
    EnsureNetwork,
    Network,
    RemoveNetwork,
    EnsureVolume,
    Volume,
    VolumeNames,
    RemoveVolume,
}

/// The engine; clones share one daemon.
#[derive(Clone)]
pub struct FakeEngine {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
    /// Incremented with every change of state; waiters check again.
    tick: watch::Sender<u64>,
    /// Each change with the labels of its container, which may be removed when it is read.
    changes: broadcast::Sender<(ContainerChange, Labels)>,
    background: Supervisor,
}

impl FakeEngine {
    /// A daemon without containers and images.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Arc::default(),
            tick: watch::Sender::new(0),
            changes: broadcast::Sender::new(1024),
            background: Supervisor::new(),
        }
    }

    /// Scripts containers whose image or command (words joined by blanks) contains `part`; the
    /// latest matching script wins.
    pub fn script(&self, part: &str, behaviour: Behaviour) {
        self.state().scripts.push((part.to_owned(), behaviour));
    }

    /// Adds an image of one small layer.
    pub fn add_image(&self, reference: &str) -> Image {
        let image = images::FakeImage::small(reference);
        let shown = image.image.clone();
        self.state().images.push(image);
        shown
    }

    /// Adds an image as given; missing id and layers are generated.
    pub fn add_image_like(&self, image: Image) {
        self.state().images.push(images::FakeImage::like(image));
    }

    /// Makes an image pullable under `reference`.
    pub fn offer(&self, reference: &str) {
        let image = images::FakeImage::small(reference);
        self.state().offered.push(image);
    }

    /// Makes everything pullable whose reference starts with `prefix`.
    pub fn offer_all(&self, prefix: &str) {
        self.state().offered_prefixes.push(prefix.to_owned());
    }

    /// Makes an image pullable as given.
    pub fn offer_like(&self, reference: &str, mut image: Image) {
        image.tags = vec![reference.to_owned()];
        self.state().offered.push(images::FakeImage::like(image));
    }

    /// References pulled so far.
    pub fn pulled(&self) -> Vec<String> {
        self.state().pulled.clone()
    }

    /// Fails the next call of `verb`.
    pub fn fail_next(&self, verb: Verb, error: DockerError) {
        self.state().fail_once.entry(verb).or_default().push(error);
    }

    /// Fails every call of `verb` until [`FakeEngine::heal`].
    pub fn fail(&self, verb: Verb, error: DockerError) {
        self.state().fail_always.insert(verb, error);
    }

    /// Stalls calls of `verb` until [`FakeEngine::heal`].
    pub fn stall(&self, verb: Verb) {
        self.state().stalled.insert(verb);
    }

    /// Ends all failures and stalls.
    pub fn heal(&self) {
        let mut state = self.state();
        state.fail_once.clear();
        state.fail_always.clear();
        state.stalled.clear();
        state.away = false;
        drop(state);
        self.wake();
    }

    /// Silences the log follows that are open now, as a daemon does that lost its position in a
    /// rotated file; later ones work.
    pub fn silence_follows(&self) {
        let mut state = self.state();
        state.silent_follows = state.follows;
    }

    /// Sets whether the daemon answers at all. `false` breaks every open stream.
    pub fn set_reachable(&self, reachable: bool) {
        let mut state = self.state();
        state.away = !reachable;
        if state.away {
            state.generation += 1;
        }
        drop(state);
        self.wake();
    }

    /// Restarts the daemon: running containers end with `exit_code`, streams break, all else is
    /// kept.
    pub fn restart_daemon(&self, exit_code: i64) {
        let now = self.clock.now();
        let mut state = self.state();
        state.generation += 1;
        for container in &mut state.containers {
            container.end(Death::Exit(exit_code), now);
        }
        drop(state);
        self.wake();
    }

    /// Ends a running container from inside, as a crash does.
    pub fn exit(&self, container: &str, code: i64) {
        self.end(container, Death::Exit(code));
    }

    /// Kills a running container for its memory, as the kernel does.
    pub fn run_out_of_memory(&self, container: &str) {
        self.end(container, Death::OutOfMemory);
    }

    /// Writes to a container's output, as if the container did.
    pub fn print(&self, container: &str, stream: LogStream, text: impl Into<Bytes>) {
        let now = self.clock.now();
        if let Some(found) = self.state().find_mut(container) {
            found.print(stream, &text.into(), now);
        }
        self.wake();
    }

    /// Sets what [`super::Engine::usage`] returns.
    pub fn set_usage(&self, container: &str, usage: Usage) {
        if let Some(found) = self.state().find_mut(container) {
            found.usage = usage;
        }
    }

    /// Maps `port` of containers whose name contains `name` to a listener of the test.
    pub fn listen(&self, name: &str, port: u16, listener: SocketAddr) {
        self.state()
            .listeners
            .push((name.to_owned(), port, listener));
    }

    /// The specification a container was created with.
    pub fn spec(&self, container: &str) -> Option<ContainerSpec> {
        self.state().find(container).map(|c| c.spec.clone())
    }

    /// A file inside a container or its volumes.
    pub fn file(&self, container: &str, path: &str) -> Option<FakeFile> {
        self.state().files(container)?.get(path).cloned()
    }

    /// Paths of all files that were uploaded or written.
    pub fn paths(&self, container: &str) -> Vec<String> {
        let found = self.state().files(container);
        found.map_or_else(Vec::new, |files| files.paths())
    }

    /// Names of all containers, oldest first.
    pub fn container_names(&self) -> Vec<String> {
        let state = self.state();
        state
            .containers
            .iter()
            .map(|c| c.spec.name.clone())
            .collect()
    }

    /// Networks created so far.
    pub fn networks(&self) -> Vec<String> {
        self.state().networks.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.tick.send_modify(|n| *n += 1);
    }

    fn notify(&self, id: &str, labels: &Labels, action: &str) {
        let change = ContainerChange {
            id: id.to_owned(),
            action: action.to_owned(),
        };
        // There may be no receiver.
        drop(self.changes.send((change, labels.clone())));
        self.wake();
    }

    /// Ends the container unless it ended before, and notifies followers.
    fn end(&self, container: &str, death: Death) {
        let now = self.clock.now();
        let ended = {
            let mut state = self.state();
            let found = state.find_mut(container);
            found.and_then(|c| c.end(death, now).then(|| c.identity()))
        };
        if let Some((id, labels)) = ended {
            if death == Death::OutOfMemory {
                self.notify(&id, &labels, "oom");
            }
            self.notify(&id, &labels, "die");
        }
    }

    /// Runs a script for one start of a container.
    async fn play(self, id: String, start: u64, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Wait(time) => tokio::time::sleep(time).await,
                Step::WaitForever => return,
                other => {
                    if !self.act(&id, start, other) {
                        return;
                    }
                }
            }
        }
    }

    /// Runs one step; false when the container is no longer in the same run.
    fn act(&self, id: &str, start: u64, step: Step) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(container) = state.find_mut(id).filter(|c| c.runs_since(start)) else {
            return false;
        };
        match step {
            Step::Print(stream, text) => container.print(stream, &text, now),
            Step::Write(path, file) => container.files.put(&path, file),
            Step::Do(work) => work(&mut container.files),
            Step::Grow(bytes) => container.extra_bytes += bytes,
            Step::Exit(code) => {
                drop(state);
                self.end(id, Death::Exit(code));
                return false;
            }
            Step::OutOfMemory => {
                drop(state);
                self.end(id, Death::OutOfMemory);
                return false;
            }
            Step::Wait(_) | Step::WaitForever => {}
        }
        drop(state);
        self.wake();
        true
    }

    /// What the daemon does on SIGTERM and, after `grace`, on SIGKILL.
    async fn terminate(&self, id: &str, grace: Duration) {
        let on_stop = self.state().find(id).map(|c| c.behaviour.on_stop.clone());
        let (after, death) = match on_stop {
            Some(OnStop::Exit { after, code }) if after <= grace => (after, Death::Exit(code)),
            _ => (grace, Death::Killed),
        };
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.end(id, death);
    }
}
