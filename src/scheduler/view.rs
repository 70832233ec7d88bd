//! A cached view of the daemon's containers.
//!
//! Listing all containers is the expensive part of a pass, so it is done only when something may
//! have changed: after a daemon event, at the slow tick, and when the connection to the daemon was
//! lost. The scheduler's own actions are patched in.
//!
//! The view also tracks which containers were seen running while the daemon's events are followed:
//! only for those it is certain that the daemon was up when they exited.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::docker::{Container, ContainerState, DockerError, Engine, Labels};

/// The daemon's containers as of the last listing.
#[derive(Default)]
pub(super) struct View(Mutex<State>);

#[derive(Default)]
struct State {
    containers: BTreeMap<String, Container>,
    /// False if the containers must be listed again.
    fresh: bool,
    /// Counts patches; those a listing may have missed are applied on top of it.
    epoch: u64,
    patches: BTreeMap<String, (u64, Option<Container>)>,
    following: bool,
    seen_running: BTreeSet<String>,
    /// Containers that exited according to the daemon's events, each with the epoch of that moment;
    /// a listing that began later shows it, too.
    ended: BTreeMap<String, u64>,
}

impl View {
    /// Lists the containers if anything may have changed.
    pub(super) async fn refresh(
        &self,
        engine: &dyn Engine,
        labels: &Labels,
    ) -> Result<(), DockerError> {
        let epoch = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.fresh, true) {
                return Ok(());
            }
            state.epoch
        };
        match engine.list(labels).await {
            Ok(containers) => {
                self.lock().replace(epoch, containers);
                Ok(())
            }
            Err(error) => {
                self.lock().fresh = false;
                Err(error)
            }
        }
    }

    /// Something may have changed.
    pub(super) fn invalidate(&self) {
        self.lock().fresh = false;
    }

    /// The daemon reported that the container exited.
    pub(super) fn ended(&self, id: &str) {
        let mut state = self.lock();
        state.fresh = false;
        state.epoch += 1;
        let epoch = state.epoch;
        state.ended.insert(id.to_owned(), epoch);
    }

    /// Whether the daemon reported that the container exited, and no later listing found it
    /// running.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.lock().ended.contains_key(id)
    }

    /// Sets whether the daemon's events are being followed.
    pub(super) fn follow(&self, following: bool) {
        let mut state = self.lock();
        state.fresh = false;
        state.following = following;
        state.seen_running.clear();
    }

    /// The scheduler just started the container.
    pub(super) fn started(&self, id: &str) {
        let mut state = self.lock();
        if state.following {
            state.seen_running.insert(id.to_owned());
        }
    }

    /// The container was inspected on its own; `None` = it is gone.
    pub(super) fn patch(&self, id: &str, container: Option<Container>) {
        let mut state = self.lock();
        state.epoch += 1;
        let patch = (state.epoch, container.clone());
        state.ended.remove(id);
        state.patches.insert(id.to_owned(), patch);
        state.put(id, container);
    }

    /// All containers, each with whether it was watched.
    pub(super) fn containers(&self) -> Vec<(Container, bool)> {
        let state = self.lock();
        let watched = |id: &String| state.seen_running.contains(id);
        state
            .containers
            .iter()
            .map(|(id, container)| (container.clone(), watched(id)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn replace(&mut self, epoch: u64, containers: Vec<Container>) {
        self.containers.clear();
        for container in containers {
            let id = container.id.clone();
            self.put(&id, Some(container));
        }
        self.patches.retain(|_, (at, _)| *at > epoch);
        self.ended.retain(|_, at| *at > epoch);
        for (id, (_, container)) in self.patches.clone() {
            self.put(&id, container);
        }
        self.seen_running
            .retain(|id| self.containers.contains_key(id));
    }

    fn put(&mut self, id: &str, container: Option<Container>) {
        let Some(container) = container else {
            self.containers.remove(id);
            return;
        };
        let running = matches!(container.state, ContainerState::Running { .. });
        if self.following && running {
            self.seen_running.insert(id.to_owned());
        }
        self.containers.insert(id.to_owned(), container);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    fn container(id: &str, state: ContainerState) -> Container {
        Container {
            id: id.to_owned(),
            name: id.to_owned(),
            labels: Labels::new(),
            image: String::new(),
            state,
            created_at: Timestamp::from_micros(0),
            ip: None,
            assigned: None,
            published: BTreeMap::new(),
            volumes: Vec::new(),
            frozen: false,
        }
    }

    fn running(id: &str) -> Container {
        let since = Timestamp::from_micros(1);
        container(id, ContainerState::Running { since })
    }

    fn shown(view: &View) -> Vec<(String, bool)> {
        let all = view.containers().into_iter();
        all.map(|(c, watched)| (c.id, watched)).collect()
    }

    #[test]
    fn patches_are_applied_over_an_older_listing() {
        let view = View::default();
        view.lock()
            .replace(0, vec![running("old"), running("gone")]);
        let epoch = view.lock().epoch;
        view.patch("gone", None);
        view.patch("new", Some(running("new")));
        view.lock()
            .replace(epoch, vec![running("old"), running("gone")]);
        assert_eq!(
            shown(&view),
            [("new".to_owned(), false), ("old".to_owned(), false)]
        );
        let epoch = view.lock().epoch;
        view.lock().replace(epoch, vec![running("old")]);
        assert_eq!(shown(&view), [("old".to_owned(), false)]);
    }

    #[test]
    fn an_exit_is_kept_until_a_later_listing() {
        let view = View::default();
        view.lock().replace(0, vec![running("a")]);
        let epoch = view.lock().epoch;
        view.ended("a");
        assert!(view.has_ended("a"));
        view.lock().replace(epoch, vec![running("a")]);
        assert!(view.has_ended("a"), "that listing began before");
        let epoch = view.lock().epoch;
        view.lock().replace(epoch, vec![running("a")]);
        assert!(!view.has_ended("a"), "it was started again");
        view.ended("a");
        view.patch("a", Some(running("a")));
        assert!(!view.has_ended("a"));
    }

    #[test]
    fn only_containers_seen_running_while_following_are_watched() {
        let view = View::default();
        view.lock().replace(0, vec![running("a")]);
        assert_eq!(shown(&view), [("a".to_owned(), false)]);
        view.follow(true);
        view.lock().replace(
            0,
            vec![running("a"), container("b", ContainerState::Created)],
        );
        assert_eq!(
            shown(&view),
            [("a".to_owned(), true), ("b".to_owned(), false)]
        );
        view.started("b");
        assert_eq!(shown(&view)[1], ("b".to_owned(), true));
        view.follow(false);
        view.follow(true);
        assert!(shown(&view).iter().all(|(_, watched)| !watched));
    }
}
