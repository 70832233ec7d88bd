//! Audit events as sentences.

use super::api::models::Event;

/// A line of an activity feed.
pub(super) struct Line {
    pub(super) at: String,
    pub(super) actor: String,
    /// What happened, in words: `started the app`.
    pub(super) what: String,
    /// The type, such as `audit.app.start`.
    pub(super) kind: String,
    pub(super) target: String,
    /// The page of the target; empty when there is none.
    pub(super) link: String,
    /// `bad` for crashes.
    pub(super) tone: &'static str,
}

/// The lines of events. A crash is told by two, of which the one for the process says nothing more.
pub(super) fn lines(events: &[Event]) -> Vec<Line> {
    let told = events
        .iter()
        .filter(|event| event.kind != "audit.app.process.crash");
    told.map(Line::of).collect()
}

impl Line {
    pub(super) fn of(event: &Event) -> Self {
        let link = match event.target.kind.as_str() {
            "app" => format!("/console/apps/{}", event.target.guid),
            "service_instance" => format!("/console/services/{}", event.target.guid),
            "organization" => format!("/console/orgs/{}", event.target.guid),
            "space" => format!("/console/spaces/{}", event.target.guid),
            _ => String::new(),
        };
        let crash = matches!(event.kind.as_str(), "app.crash" | "audit.app.process.crash");
        let actor = if event.actor.kind == "process" || event.actor.name.is_empty() {
            "cflite".to_owned()
        } else {
            event.actor.name.clone()
        };
        let mut what = words(&event.kind);
        if crash && let Some(reason) = event.data["exit_description"].as_str() {
            what = format!("{what}: {reason}");
        }
        Self {
            at: event.created_at.clone(),
            actor,
            what,
            kind: event.kind.clone(),
            target: event.target.name.clone(),
            link,
            tone: if crash { "bad" } else { "" },
        }
    }
}

/// `audit.app.process.scale` → `app process scale`. The types are Cloud Foundry's vocabulary.
fn words(kind: &str) -> String {
    let kind = kind.strip_prefix("audit.").unwrap_or(kind);
    kind.replace(['.', '_', '-'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_become_words() {
        assert_eq!(words("audit.app.process.scale"), "app process scale");
        assert_eq!(words("app.crash"), "app crash");
        assert_eq!(words("audit.app.apply_manifest"), "app apply manifest");
    }
}
