//! The decision: how many instances each web process is to have next. Pure.
//!
//! As on Cloud Controller: new instances start, so many at once as the deployment allows, while none
//! of them is unhealthy; for each that takes traffic one of the old ones goes.

use crate::cloud_controller::model::deployments::Goal;

/// The instances of the new process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// That are wanted.
    pub wanted: i64,
    /// That start, or run and take no traffic.
    pub starting: i64,
    /// That take traffic.
    pub routable: i64,
    /// That crashed or cannot be placed.
    pub unhealthy: i64,
}

/// What is to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Instances the other web processes are to have, in their order.
    pub old: Vec<i64>,
    /// Instances the new process is to have.
    pub new: i64,
    /// The goal is reached.
    pub finished: bool,
}

/// The next step; `None` = there is nothing to do yet. `old` are the wanted instances of the
/// other web processes, in the order in which they go.
pub(crate) fn next(goal: Goal, new: Counts, old: &[i64]) -> Option<Step> {
    let can_grow = new.starting < goal.max_in_flight
        && new.unhealthy == 0
        && new.routable >= new.wanted.saturating_sub(goal.max_in_flight);
    let keep = (goal.total - new.routable).max(0);
    let surplus = old.iter().sum::<i64>() - keep;
    if !can_grow && surplus <= 0 {
        return None;
    }
    let finished = new.wanted >= goal.new && new.routable >= goal.new;
    let step = Step {
        old: reduced(old, surplus),
        new: if can_grow && !finished {
            new.routable
                .saturating_add(goal.max_in_flight)
                .min(goal.new)
        } else {
            new.wanted
        },
        finished,
    };
    let changes = step.finished || step.new != new.wanted || step.old != old;
    changes.then_some(step)
}

fn reduced(old: &[i64], mut surplus: i64) -> Vec<i64> {
    let mut all = old.to_vec();
    for instances in &mut all {
        let fewer = surplus.clamp(0, *instances);
        *instances -= fewer;
        surplus -= fewer;
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(wanted: i64, starting: i64, routable: i64, unhealthy: i64) -> Counts {
        Counts {
            wanted,
            starting,
            routable,
            unhealthy,
        }
    }

    fn goal(new: i64, total: i64, max_in_flight: i64) -> Goal {
        Goal {
            new,
            total,
            max_in_flight,
        }
    }

    /// New instances, old ones, and whether it is the end.
    fn step(new: i64, old: &[i64], finished: bool) -> Step {
        Step {
            old: old.to_vec(),
            new,
            finished,
        }
    }

    #[test]
    fn one_after_the_other() {
        let decided = |new, old: &[i64]| next(goal(2, 2, 1), new, old);
        let starts = decided(counts(1, 1, 0, 0), &[2]);
        assert_eq!(starts, None);
        let first_runs = decided(counts(1, 0, 1, 0), &[2]);
        assert_eq!(first_runs, Some(step(2, &[1], false)));
        let second_starts = decided(counts(2, 1, 1, 0), &[1]);
        assert_eq!(second_starts, None);
        let both_run = decided(counts(2, 0, 2, 0), &[1]);
        assert_eq!(both_run, Some(step(2, &[0], true)));
        let crashes = decided(counts(1, 0, 0, 1), &[2]);
        assert_eq!(crashes, None);
    }

    #[test]
    fn several_at_once_beside_others_and_with_faults() {
        let several = next(goal(5, 5, 3), counts(3, 0, 3, 0), &[5]);
        assert_eq!(several, Some(step(5, &[2], false)));
        let one_of_three_crashes = next(goal(3, 3, 1), counts(3, 0, 2, 1), &[3]);
        assert_eq!(one_of_three_crashes, Some(step(3, &[1], false)));
        let in_their_order = next(goal(3, 3, 1), counts(1, 0, 1, 0), &[2, 1]);
        assert_eq!(in_their_order, Some(step(2, &[1, 1], false)));
        let canary_beside_all = next(goal(1, 5, 1), counts(1, 0, 1, 0), &[4]);
        assert_eq!(canary_beside_all, Some(step(1, &[4], true)));
        let not_seen_by_the_scheduler_yet = next(goal(5, 5, 1), counts(3, 0, 1, 0), &[4]);
        assert_eq!(not_seen_by_the_scheduler_yet, None);
    }

    proptest! {
        /// Whatever was wanted before: instances that become healthy one by one lead to the end,
        /// and there are never fewer than before, or than wanted, that take traffic or may.
        #[test]
        fn every_rollout_ends_without_a_gap(
            original in 1_i64..12, wanted in 1_i64..12, max_in_flight in 1_i64..15, split in 0_i64..12,
        ) {
            let goal = goal(wanted, wanted, max_in_flight);
            let mut old = vec![original.min(split), original - original.min(split)];
            let mut new = counts(max_in_flight.min(wanted), 0, 0, 0);
            let mut finished = false;
            for _ in 0..200 {
                new.starting = new.wanted - new.routable;
                match next(goal, new, &old) {
                    Some(step) => {
                        prop_assert!(step.new <= wanted && step.new >= new.wanted);
                        prop_assert!(step.new - new.routable <= max_in_flight);
                        new.wanted = step.new;
                        old = step.old;
                        finished = step.finished;
                    }
                    None => new.routable = (new.routable + 1).min(new.wanted),
                }
                let taking = new.routable + old.iter().sum::<i64>();
                prop_assert!(taking >= original.min(wanted), "{new:?} {old:?}");
                if finished {
                    break;
                }
            }
            prop_assert!(finished);
            prop_assert_eq!((new.routable, old.iter().sum::<i64>()), (wanted, 0));
        }
    }
}
