//! The planner: decides the next action for each task from its record and its container. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{OpenTask, TaskEnd, TaskState};
use crate::base::Timestamp;
use crate::base::guid::TaskGuid;
use crate::docker::{Container, ContainerState};
use crate::scheduler::crash;

/// How long a task may wait for an unreachable daemon.
const PLACEMENT_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Create and start its container, or start an existing one.
    Launch(Option<String>),
    /// Record that it was started.
    Started,
    /// Record how it ended, then remove its container.
    Finish(String, TaskEnd),
    /// Stop it, record that it was canceled, then remove its container.
    Stop(String),
    /// Record how it ended; there is no container.
    End(TaskEnd),
    /// Stop and remove a container without a task.
    Discard(String),
}

/// The observed state.
#[derive(Clone, Debug, Default)]
pub(super) struct Observation {
    /// Tasks that have not ended.
    pub(super) open: Vec<OpenTask>,
    /// Tasks that are left alone.
    pub(super) unreadable: BTreeSet<TaskGuid>,
    /// Containers by task guid.
    pub(super) containers: BTreeMap<TaskGuid, Container>,
    /// Tasks with an action in progress.
    pub(super) busy: BTreeSet<TaskGuid>,
    /// Tasks whose last attempt failed, with the time of the next one.
    pub(super) paused: BTreeMap<TaskGuid, Timestamp>,
}

/// The actions for one observation, and when the next one is due even if nothing changes.
pub(super) fn plan(
    observation: &Observation,
    now: Timestamp,
) -> (BTreeMap<TaskGuid, Action>, Option<Timestamp>) {
    let tasks = observation.open.iter().filter_map(|task| {
        let container = observation.containers.get(&task.guid);
        Some((&task.guid, of_task(task, container, now)?))
    });
    let known: BTreeSet<_> = observation.open.iter().map(|task| &task.guid).collect();
    let strays = observation.containers.iter();
    let strays = strays
        .filter(|(guid, _)| !known.contains(guid) && !observation.unreadable.contains(*guid))
        .map(|(guid, container)| (guid, Action::Discard(container.id.clone())));
    let (mut actions, mut next_check) = (BTreeMap::new(), None);
    for (guid, action) in tasks.chain(strays) {
        if observation.busy.contains(guid) {
            continue;
        }
        match observation.paused.get(guid) {
            Some(until) if *until > now => {
                next_check = Some(next_check.map_or(*until, |at: Timestamp| at.min(*until)));
            }
            _ => drop(actions.insert(guid.clone(), action)),
        }
    }
    (actions, next_check)
}

/// `None`: there is nothing to do.
fn of_task(task: &OpenTask, container: Option<&Container>, now: Timestamp) -> Option<Action> {
    let Some(container) = container else {
        return Some(match task.state {
            TaskState::Pending if is_expired(task, now) => Action::End(expired()),
            TaskState::Pending => Action::Launch(None),
            TaskState::Running => failed("cell disappeared before completion"),
            TaskState::Canceling => Action::End(canceled()),
        });
    };
    let id = container.id.clone();
    Some(match (task.state, &container.state) {
        (TaskState::Canceling, _) => Action::Stop(id),
        // It has not run yet.
        (_, ContainerState::Created) => Action::Launch(Some(id)),
        (TaskState::Pending, _) => Action::Started,
        // Its exit wakes the next pass.
        (TaskState::Running, ContainerState::Running { .. }) => return None,
        (
            TaskState::Running,
            ContainerState::Exited {
                code,
                out_of_memory,
                ..
            },
        ) => Action::Finish(id, exit(&task.name, *code, *out_of_memory)),
    })
}

/// Whether a task waited too long to be started.
pub(super) fn is_expired(task: &OpenTask, now: Timestamp) -> bool {
    task.state == TaskState::Pending && now.since(task.created_at) >= PLACEMENT_TIMEOUT
}

/// The result of a task that was not started in time.
pub(super) fn expired() -> TaskEnd {
    TaskEnd::Failed("not started within time limit".to_owned())
}

/// The result of a canceled task.
pub(super) fn canceled() -> TaskEnd {
    TaskEnd::Failed("task was cancelled".to_owned())
}

fn failed(reason: &str) -> Action {
    Action::End(TaskEnd::Failed(reason.to_owned()))
}

fn exit(name: &str, code: i64, out_of_memory: bool) -> TaskEnd {
    if code == 0 {
        return TaskEnd::Succeeded;
    }
    let cause = crash::cause(out_of_memory);
    TaskEnd::Failed(format!("APP/TASK/{name}: Exited with status {code}{cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000_000;

    fn at(seconds_ago: i64) -> Timestamp {
        Timestamp::from_micros(NOW - seconds_ago * 1_000_000)
    }

    fn task(state: TaskState, age: i64) -> OpenTask {
        OpenTask {
            guid: "t".into(),
            app_guid: "a".into(),
            name: "migrate".to_owned(),
            state,
            created_at: at(age),
        }
    }

    fn container(state: ContainerState) -> Container {
        Container {
            id: "c".to_owned(),
            name: "cflite-task".to_owned(),
            labels: BTreeMap::new(),
            image: "image".to_owned(),
            state,
            created_at: at(1),
            ip: None,
            assigned: None,
            published: BTreeMap::new(),
            volumes: Vec::new(),
            frozen: false,
        }
    }

    fn exited(code: i64, out_of_memory: bool) -> ContainerState {
        ContainerState::Exited {
            code,
            out_of_memory,
            at: at(0),
        }
    }

    fn observation(open: Option<OpenTask>, state: Option<ContainerState>) -> Observation {
        let held = state.map(|state| ("t".into(), container(state)));
        Observation {
            open: open.into_iter().collect(),
            containers: held.into_iter().collect(),
            ..Observation::default()
        }
    }

    fn decided(open: Option<(TaskState, i64)>, state: Option<ContainerState>) -> Action {
        let observation = observation(open.map(|(state, age)| task(state, age)), state);
        let (mut actions, next) = plan(&observation, at(0));
        assert_eq!(next, None);
        let action = actions.remove(&TaskGuid::from("t"));
        assert!(actions.is_empty(), "{actions:?}");
        action.expect("something to do")
    }

    fn fails(reason: &str) -> TaskEnd {
        TaskEnd::Failed(reason.to_owned())
    }

    fn id() -> String {
        "c".to_owned()
    }

    #[test]
    fn without_a_container() {
        use TaskState::{Canceling, Pending, Running};
        let table = [
            ((Pending, 5), Action::Launch(None)),
            (
                (Pending, 1800),
                Action::End(fails("not started within time limit")),
            ),
            (
                (Running, 5),
                Action::End(fails("cell disappeared before completion")),
            ),
            ((Canceling, 5), Action::End(fails("task was cancelled"))),
        ];
        for (open, expected) in table {
            assert_eq!(decided(Some(open), None), expected, "{open:?}");
        }
    }

    #[test]
    fn with_a_container() {
        use ContainerState::Created;
        use TaskState::{Canceling, Pending, Running};
        let running = || ContainerState::Running { since: at(1) };
        let status = fails("APP/TASK/migrate: Exited with status 3");
        let memory = fails("APP/TASK/migrate: Exited with status 137 (out of memory)");
        let finish = |end| Action::Finish(id(), end);
        let table = [
            (Pending, Created, Action::Launch(Some(id()))),
            (Pending, running(), Action::Started),
            (Pending, exited(0, false), Action::Started),
            (Running, Created, Action::Launch(Some(id()))),
            (Running, exited(0, false), finish(TaskEnd::Succeeded)),
            (Running, exited(3, false), finish(status)),
            (Running, exited(137, true), finish(memory)),
            (Canceling, running(), Action::Stop(id())),
            (Canceling, exited(0, false), Action::Stop(id())),
        ];
        for (open, state, expected) in table {
            let shown = format!("{open:?} {state:?}");
            let open = Some((open, 5));
            assert_eq!(decided(open, Some(state)), expected, "{shown}");
        }
        let started = observation(Some(task(Running, 5)), Some(running()));
        assert_eq!(plan(&started, at(0)), (BTreeMap::new(), None), "it runs");
        for stray in [running(), exited(0, false), Created] {
            assert_eq!(decided(None, Some(stray)), Action::Discard(id()));
        }
    }

    #[test]
    fn busy_paused_and_unreadable_tasks_are_left_alone() {
        let mut waiting = observation(Some(task(TaskState::Pending, 5)), None);
        waiting.paused = [("t".into(), at(-7))].into();
        assert_eq!(plan(&waiting, at(0)), (BTreeMap::new(), Some(at(-7))));
        assert_eq!(plan(&waiting, at(-7)).0.len(), 1);
        let mut unreadable = observation(None, Some(ContainerState::Created));
        unreadable.unreadable = ["t".into()].into();
        assert_eq!(plan(&unreadable, at(0)), (BTreeMap::new(), None));
        waiting.busy = ["t".into()].into();
        assert_eq!(plan(&waiting, at(-7)), (BTreeMap::new(), None));
    }
}
