//! Revisions and the differences between them: pure types and rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::Timestamp;
use crate::base::guid::{AppGuid, DropletGuid, RevisionGuid};
use crate::cloud_controller::model::apps::Variables;

/// Versions count up to this one and start again.
const LAST_VERSION: i64 = 9999;

/// A stored revision, without its environment.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub guid: RevisionGuid,
    pub app_guid: AppGuid,
    pub version: i64,
    pub droplet_guid: DropletGuid,
    pub commands: Commands,
    pub sidecars: Vec<RevisionSidecar>,
    pub description: String,
    /// Whether its droplet can run.
    pub deployable: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Revision {
    /// The command that users had set for a type, if any; `None` = it had no such type.
    pub(crate) fn command(&self, kind: &str) -> Option<Option<String>> {
        self.commands.get(kind).cloned()
    }
}

/// Process type → the command that users set, if any.
pub(crate) type Commands = BTreeMap<String, Option<String>>;

/// A sidecar of a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RevisionSidecar {
    pub name: String,
    pub command: String,
    pub process_types: Vec<String>,
    pub memory_in_mb: Option<i64>,
}

/// The content that revisions are compared by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    pub droplet_guid: DropletGuid,
    pub environment: Variables,
    pub commands: Commands,
    pub sidecars: Vec<RevisionSidecar>,
}

/// The next version.
pub(crate) fn next_version(latest: Option<i64>) -> i64 {
    match latest {
        Some(version) if version < LAST_VERSION => version + 1,
        _ => 1,
    }
}

/// The changes of a new revision, in CC's words and order; none = no new revision.
pub(crate) fn reasons(latest: &Content, next: &Content) -> Vec<String> {
    let mut reasons = Vec::new();
    if latest.droplet_guid != next.droplet_guid {
        reasons.push("New droplet deployed.".to_owned());
    }
    if latest.environment != next.environment {
        reasons.push("New environment variables deployed.".to_owned());
    }
    let kinds = latest.commands.keys().chain(next.commands.keys());
    let kinds: std::collections::BTreeSet<&String> = kinds.collect();
    for kind in kinds {
        let (was, is) = (latest.commands.get(kind), next.commands.get(kind));
        reasons.extend(command_reason(kind, was, is));
    }
    let sorted = |content: &Content| {
        let mut sidecars = content.sidecars.clone();
        sidecars.sort();
        sidecars
    };
    if sorted(latest) != sorted(next) {
        reasons.push("Sidecars updated.".to_owned());
    }
    reasons.sort();
    reasons
}

fn command_reason(
    kind: &str,
    was: Option<&Option<String>>,
    is: Option<&Option<String>>,
) -> Option<String> {
    let action = match (was, is) {
        (None, Some(_)) => return Some(format!("New process type '{kind}' added.")),
        (Some(_), None) => return Some(format!("Process type '{kind}' removed.")),
        (Some(was), Some(is)) if was != is => match (was, is) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "updated",
        },
        _ => return None,
    };
    Some(format!(
        "Custom start command {action} for '{kind}' process."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content() -> Content {
        Content {
            droplet_guid: "d1".into(),
            environment: Variables::new(),
            commands: BTreeMap::from([
                ("web".to_owned(), None),
                ("worker".to_owned(), Some("work".to_owned())),
            ]),
            sidecars: vec![sidecar("a"), sidecar("b")],
        }
    }

    fn sidecar(name: &str) -> RevisionSidecar {
        RevisionSidecar {
            name: name.to_owned(),
            command: "run".to_owned(),
            process_types: vec!["web".to_owned()],
            memory_in_mb: None,
        }
    }

    fn changed(change: impl Fn(&mut Content)) -> Vec<String> {
        let mut next = content();
        change(&mut next);
        reasons(&content(), &next)
    }

    type Change = fn(&mut Content);

    #[test]
    fn every_kind_of_change_is_reported() {
        assert!(changed(|_| {}).is_empty());
        assert!(changed(|c| c.sidecars.reverse()).is_empty());
        let cases: [(Change, &str); 8] = [
            (|c| c.droplet_guid = "d2".into(), "New droplet deployed."),
            (
                |c| {
                    c.environment.insert("A".to_owned(), json!("1"));
                },
                "New environment variables deployed.",
            ),
            (
                |c| {
                    c.commands.insert("clock".to_owned(), None);
                },
                "New process type 'clock' added.",
            ),
            (
                |c| {
                    c.commands.remove("worker");
                },
                "Process type 'worker' removed.",
            ),
            (
                |c| {
                    c.commands.insert("web".to_owned(), Some("x".to_owned()));
                },
                "Custom start command added for 'web' process.",
            ),
            (
                |c| {
                    c.commands.insert("worker".to_owned(), None);
                },
                "Custom start command removed for 'worker' process.",
            ),
            (
                |c| {
                    c.commands.insert("worker".to_owned(), Some("x".to_owned()));
                },
                "Custom start command updated for 'worker' process.",
            ),
            (
                |c| c.sidecars[0].memory_in_mb = Some(1),
                "Sidecars updated.",
            ),
        ];
        for (change, reason) in cases {
            assert_eq!(changed(change), [reason]);
        }
    }

    #[test]
    fn several_changes_are_reported_in_order() {
        let reported = changed(|c| {
            c.sidecars.clear();
            c.droplet_guid = "d2".into();
            c.commands.insert("web".to_owned(), Some("x".to_owned()));
        });
        assert_eq!(
            reported,
            [
                "Custom start command added for 'web' process.",
                "New droplet deployed.",
                "Sidecars updated.",
            ]
        );
    }

    #[test]
    fn versions_start_again_after_the_last() {
        assert_eq!(next_version(None), 1);
        assert_eq!(next_version(Some(1)), 2);
        assert_eq!(next_version(Some(9998)), 9999);
        assert_eq!(next_version(Some(9999)), 1);
    }
}
