//! Streams of the daemon in memory: output of containers, and changes.

use std::collections::VecDeque;

use super::FakeEngine;
use crate::docker::{ContainerChange, ContainerState, DockerError, Labels, LogFrame};

impl FakeEngine {
    /// Available frames from the `next`th on, and whether more may follow.
    fn frames(&self, id: &str, next: usize, since: i64) -> Option<(Vec<LogFrame>, usize, bool)> {
        let state = self.state();
        let container = state.find(id)?;
        let new = container.logs.iter().skip(next);
        let frames = new.filter(|frame| frame.nanos >= since).cloned().collect();
        let running = matches!(container.state, ContainerState::Running { .. });
        Some((frames, container.logs.len(), running))
    }
}

pub(super) struct Follower {
    pub(super) engine: FakeEngine,
    pub(super) ticks: tokio::sync::watch::Receiver<u64>,
    pub(super) id: String,
    pub(super) next: usize,
    pub(super) since: i64,
    pub(super) follow: bool,
    pub(super) generation: u64,
    pub(super) number: u64,
    pub(super) ready: VecDeque<LogFrame>,
    pub(super) ended: bool,
}

impl Follower {
    pub(super) async fn next(mut self) -> Option<(Result<LogFrame, DockerError>, Self)> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some((Ok(frame), self));
            }
            if self.ended {
                return None;
            }
            if self.follow && self.engine.state().silent_follows >= self.number {
                std::future::pending::<()>().await;
            }
            self.ticks.mark_unchanged();
            let (frames, next, running) = self
                .engine
                .frames(&self.id, self.next, self.since)
                .unwrap_or((Vec::new(), self.next, false));
            self.ready.extend(frames);
            self.next = next;
            let broken = self.engine.state().generation != self.generation;
            self.ended = !self.follow || !running || broken;
            if self.ready.is_empty() && !self.ended && self.ticks.changed().await.is_err() {
                return None;
            }
        }
    }
}

pub(super) struct Watcher {
    pub(super) engine: FakeEngine,
    pub(super) changes: tokio::sync::broadcast::Receiver<(ContainerChange, Labels)>,
    pub(super) ticks: tokio::sync::watch::Receiver<u64>,
    pub(super) labels: Labels,
    pub(super) generation: u64,
    pub(super) broken: bool,
}

impl Watcher {
    pub(super) async fn next(mut self) -> Option<(Result<ContainerChange, DockerError>, Self)> {
        if self.broken {
            return None;
        }
        loop {
            self.ticks.mark_unchanged();
            if self.engine.state().generation != self.generation {
                // The break is the last item.
                self.broken = true;
                let error = DockerError::Unreachable("the daemon went away".into());
                return Some((Err(error), self));
            }
            tokio::select! {
                biased;
                change = self.changes.recv() => {
                    let wanted = |labels: &Labels| {
                        self.labels.iter().all(|(n, v)| labels.get(n) == Some(v))
                    };
                    if let Some((change, _)) = change.ok().filter(|(_, l)| wanted(l)) {
                        return Some((Ok(change), self));
                    }
                }
                ticked = self.ticks.changed() => ticked.ok()?,
            }
        }
    }
}
