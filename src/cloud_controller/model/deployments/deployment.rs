//! A deployment and its goal.

use serde_json::Value;

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DeploymentGuid, DropletGuid, ProcessGuid, RevisionGuid};
use crate::cloud_controller::model::states::states;

states! {
    /// How far a deployment is.
    DeploymentState {
        /// On the way to its goal.
        Deploying = "DEPLOYING",
        /// On the way to a canary step.
        Prepaused = "PREPAUSED",
        /// At a canary step, waiting to be continued.
        Paused = "PAUSED",
        /// On the way back.
        Canceling = "CANCELING",
        /// At its goal, or superseded on the way to it.
        Deployed = "DEPLOYED",
        /// Back where it came from, or superseded.
        Canceled = "CANCELED",
    }
}

states! {
    /// Whether a deployment is under way.
    DeploymentStatus {
        /// It is.
        Active = "ACTIVE",
        /// It is over.
        Finalized = "FINALIZED",
    }
}

states! {
    /// Why a deployment has its status.
    StatusReason {
        /// It moves on.
        Deploying = "DEPLOYING",
        /// It waits to be continued.
        Paused = "PAUSED",
        /// It moves back.
        Canceling = "CANCELING",
        /// It reached its goal.
        Deployed = "DEPLOYED",
        /// It moved back.
        Canceled = "CANCELED",
        /// Another one took its place.
        Superseded = "SUPERSEDED",
    }
}

/// A stored deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub guid: DeploymentGuid,
    pub app_guid: AppGuid,
    pub state: DeploymentState,
    pub status_value: DeploymentStatus,
    pub status_reason: StatusReason,
    pub strategy: String,
    /// A JSON object, as shown.
    pub options: Value,
    pub droplet_guid: Option<DropletGuid>,
    pub previous_droplet_guid: Option<DropletGuid>,
    pub revision_guid: Option<RevisionGuid>,
    pub revision_version: Option<i64>,
    pub canary_current_step: Option<i64>,
    pub error: Option<String>,
    pub last_healthy_at: Option<Timestamp>,
    pub status_updated_at: Timestamp,
    /// The process that replaces the web process; `None` for a stopped app.
    pub process_guid: Option<ProcessGuid>,
    /// Instances of the previous web process.
    pub original_instances: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The numbers of instances at the end of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Goal {
    /// Of the new process.
    pub new: i64,
    /// Of all web processes that take traffic.
    pub total: i64,
    /// How many of the new process may start at once.
    pub max_in_flight: i64,
}

impl Deployment {
    /// Whether it is in progress.
    pub(crate) fn is_cancelable(&self) -> bool {
        match self.state {
            DeploymentState::Deploying
            | DeploymentState::Prepaused
            | DeploymentState::Paused
            | DeploymentState::Canceling => true,
            DeploymentState::Deployed | DeploymentState::Canceled => false,
        }
    }

    /// Whether it waits for a `continue` request.
    pub(crate) fn is_continuable(&self) -> bool {
        self.state == DeploymentState::Paused
    }

    /// Steps of a canary deployment.
    pub(crate) fn canary_steps(&self) -> i64 {
        let number = self.weights().map_or(1, |weights| weights.len());
        i64::try_from(number).unwrap_or(1)
    }

    /// The goal of the current step.
    pub(crate) fn goal(&self) -> Goal {
        let max_in_flight = self.option("max_in_flight").unwrap_or(1);
        let (new, old) = if self.state == DeploymentState::Prepaused {
            self.canary_step()
        } else {
            (self.desired_instances(), 0)
        };
        Goal {
            new,
            total: new.saturating_add(old),
            max_in_flight,
        }
    }

    /// Instances the new process starts with.
    pub(crate) fn first_instances(&self) -> i64 {
        let goal = self.goal();
        goal.max_in_flight.min(goal.new)
    }

    fn desired_instances(&self) -> i64 {
        self.option("web_instances")
            .unwrap_or(self.original_instances)
    }

    /// Instances of the new process and of the previous ones in the current step: one canary beside
    /// all others, or by weight. While there is a canary there is one extra instance.
    fn canary_step(&self) -> (i64, i64) {
        let Some(weights) = self.weights() else {
            return (1, self.original_instances);
        };
        let step = usize::try_from(self.canary_current_step.unwrap_or(1) - 1).unwrap_or(0);
        let weight = weights.get(step).copied().unwrap_or(100);
        let all = self.desired_instances().min(self.original_instances);
        let new = ((all.saturating_mul(weight) + 50) / 100).max(1);
        let old = if weight == 100 { 0 } else { all - new + 1 };
        (new, old)
    }

    fn weights(&self) -> Option<Vec<i64>> {
        let steps = self.options.pointer("/canary/steps")?.as_array()?;
        let weight = |step: &Value| step.get("instance_weight")?.as_i64();
        let weights: Vec<i64> = steps.iter().filter_map(weight).collect();
        Some(weights).filter(|weights| !weights.is_empty())
    }

    fn option(&self, name: &str) -> Option<i64> {
        self.options.get(name)?.as_i64()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn deployment(
        (strategy, state): (&str, DeploymentState),
        options: Value,
        original_instances: i64,
    ) -> Deployment {
        let now = Timestamp::from_micros(0);
        Deployment {
            guid: "d".into(),
            app_guid: "a".into(),
            state,
            status_value: DeploymentStatus::Active,
            status_reason: StatusReason::Deploying,
            strategy: strategy.to_owned(),
            options,
            droplet_guid: None,
            previous_droplet_guid: None,
            revision_guid: None,
            revision_version: None,
            canary_current_step: (strategy == "canary").then_some(1),
            error: None,
            last_healthy_at: None,
            status_updated_at: now,
            process_guid: Some("new".into()),
            original_instances,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn goals_follow_the_options() {
        let rolling =
            |options: Value| deployment(("rolling", DeploymentState::Deploying), options, 4).goal();
        let goal = |new, total, max_in_flight| Goal {
            new,
            total,
            max_in_flight,
        };
        assert_eq!(rolling(json!({ "max_in_flight": 1 })), goal(4, 4, 1));
        assert_eq!(
            rolling(json!({ "max_in_flight": 3, "web_instances": 2 })),
            goal(2, 2, 3)
        );
        let canary = |step, options: Value| {
            let mut canary = deployment(("canary", DeploymentState::Prepaused), options, 10);
            canary.canary_current_step = Some(step);
            canary.goal()
        };
        assert_eq!(canary(1, json!({})), goal(1, 11, 1));
        let weights = json!({ "max_in_flight": 2, "canary": { "steps": [
            { "instance_weight": 1 }, { "instance_weight": 25 }, { "instance_weight": 100 },
        ] } });
        assert_eq!(canary(1, weights.clone()), goal(1, 11, 2));
        assert_eq!(canary(2, weights.clone()), goal(3, 11, 2));
        assert_eq!(canary(3, weights.clone()), goal(10, 10, 2));
        let mut last = deployment(("canary", DeploymentState::Deploying), weights, 10);
        assert_eq!((last.goal(), last.canary_steps()), (goal(10, 10, 2), 3));
        assert_eq!(last.first_instances(), 2);
        last.options = json!({ "max_in_flight": 50 });
        assert_eq!((last.first_instances(), last.canary_steps()), (10, 1));
    }
}
