//! The last look at the daemon's containers.
//!
//! Listing all containers is the costly part of a pass, so it is done only when something may have
//! changed: after a change the daemon told of, at the slow tick, and when the connection to the
//! daemon was lost. What the scheduler itself did is patched in.
//!
//! The view also knows which containers were seen running since the daemon's changes are being
//! followed: only of those it is certain that the daemon was up when they ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::docker::{Container, ContainerState, DockerError, Engine, Labels};

/// What the daemon's containers were at the last look.
#[derive(Default)]
pub(super) struct View(Mutex<State>);

#[derive(Default)]
struct State {
    containers: BTreeMap<String, Container>,
    /// The containers must be listed again.
    fresh: bool,
    /// Counts patches; those a listing may have missed are put over it.
    epoch: u64,
    patches: BTreeMap<String, (u64, Option<Container>)>,
    following: bool,
    seen_running: BTreeSet<String>,
    /// Containers the daemon told to have ended, each with the patch count of that moment; a
    /// listing that began later knows it, too.
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

    /// The daemon told that the container ended.
    pub(super) fn ended(&self, id: &str) {
        let mut state = self.lock();
        state.fresh = false;
        state.epoch += 1;
        let epoch = state.epoch;
        state.ended.insert(id.to_owned(), epoch);
    }

    /// Whether the daemon told that the container ended, and no later look found it running.
    pub(super) fn has_ended(&self, id: &str) -> bool {
        self.lock().ended.contains_key(id)
    }

    /// The daemon's changes are being followed from now on, or not any more.
    pub(super) fn follow(&self, following: bool) {
        let mut state = self.lock();
        state.fresh = false;
        state.following = following;
        state.seen_running.clear();
    }

    /// The container was started by us just now.
    pub(super) fn started(&self, id: &str) {
        let mut state = self.lock();
        if state.following {
            state.seen_running.insert(id.to_owned());
        }
    }

    /// The container was looked at on its own; `None` = it is gone.
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
    fn what_a_listing_missed_is_put_over_it() {
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
    fn what_ended_stays_ended_until_a_later_look() {
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
    fn only_what_runs_while_changes_are_followed_is_watched() {
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
