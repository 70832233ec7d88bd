//! Starting, continuing and canceling deployments.

use std::collections::BTreeMap;

use axum::extract::Path;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Revision, revisions};
use crate::web::api::models::{Named, ToOne};
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::app::environment;
use crate::web::pages::app::named;
use crate::web::show::Refused;

fn page(app: &Named) -> String {
    format!("/console/apps/{}/deployments", app.guid)
}

/// The revision of an app with the number in a field.
async fn revision(change: &Change, app: &Named, field: &str) -> Result<Option<Revision>, Refused> {
    let Some(version) = change.fields.number(field, "Revision")? else {
        return Ok(None);
    };
    let all = revisions(&change.visitor.api, &app.guid).await?;
    let found = all.into_iter().find(|one| one.version == version);
    let missing = || Refused::field(field, "Revision is not kept any more");
    found.ok_or_else(missing).map(Some)
}

/// Deploys what the app has now, or a revision: rolling, or in the steps of a canary.
pub(super) async fn start(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let fields = &change.fields;
    let strategy = fields.text("strategy").unwrap_or("rolling");
    let mut body = json!({
        "strategy": strategy,
        "relationships": { "app": { "data": { "guid": app.guid } } },
    });
    let mut flags = format!("--strategy {}", fmt::word(strategy));
    if let Some(count) = fields.number("max_in_flight", "Max in flight")? {
        body["options"]["max_in_flight"] = json!(count);
        flags = format!("{flags} --max-in-flight {count}");
    }
    if strategy == "canary"
        && let Some(text) = fields.text("steps")
    {
        let weights = weights(text).map_err(|fault| Refused::field("steps", &fault))?;
        let steps = weights
            .iter()
            .map(|weight| json!({ "instance_weight": weight }));
        body["options"]["canary"]["steps"] = steps.collect();
        let weights: Vec<String> = weights.iter().map(ToString::to_string).collect();
        flags = format!("{flags} --instance-steps {}", weights.join(","));
    }
    let word = fmt::word(&app.name);
    let mut command = format!("cf restart {word} {flags}");
    let mut text = "The deployment started".to_owned();
    if let Some(revision) = revision(&change, &app, "version").await? {
        body["revision"] = json!({ "guid": revision.guid });
        command = format!("cf rollback {word} --version {} {flags}", revision.version);
        text = format!("Going to revision {}", revision.version);
    }
    change.visitor.api.post("/v3/deployments", body).await?;
    Ok(change.done(text, page(&app)).command(command))
}

/// `20, 50` as numbers.
fn weights(text: &str) -> Result<Vec<u32>, String> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let weights: Result<Vec<u32>, _> = parts.map(str::parse).collect();
    weights.map_err(|_| "Steps must be whole numbers with commas, such as 20, 50".to_owned())
}

/// Continues or cancels a deployment of the app.
pub(super) async fn act(
    Path((guid, deployment, action)): Path<(String, String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    #[derive(Deserialize)]
    struct Found {
        guid: String,
        relationships: OfFound,
    }
    #[derive(Deserialize)]
    struct OfFound {
        app: ToOne,
    }
    let (text, verb) = match action.as_str() {
        "continue" => ("The deployment goes on", "continue-deployment"),
        "cancel" => ("The deployment is being canceled", "cancel-deployment"),
        _ => return Err(Refused::not_found()),
    };
    let app = named(&change, &guid).await?;
    let api = &change.visitor.api;
    let path = format!("/v3/deployments/{}", fmt::segment(&deployment));
    let found: Found = api.get(&path).await?;
    if found.relationships.app.guid() != app.guid {
        return Err(Refused::not_found());
    }
    let path = format!("/v3/deployments/{}/actions/{action}", found.guid);
    api.post(&path, json!({})).await?;
    let command = format!("cf {verb} {}", fmt::word(&app.name));
    Ok(change.done(text, page(&app)).command(command))
}

/// Which variables differ between two revisions, by name.
pub(super) async fn compare(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    #[derive(Deserialize)]
    struct Variables {
        var: BTreeMap<String, Value>,
    }
    let app = named(&change, &guid).await?;
    let mut both = Vec::new();
    for field in ["from", "to"] {
        let revision = revision(&change, &app, field).await?;
        let revision = revision.ok_or_else(|| Refused::field(field, "Revision can't be blank"))?;
        let path = format!("/v3/revisions/{}/environment_variables", revision.guid);
        let variables: Variables = change.visitor.api.get(&path).await?;
        both.push(variables.var);
    }
    let lines = environment::compare(&both[0], &both[1]);
    let text = if lines.is_empty() {
        "The variables are the same.".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(change.done("Compared", page(&app)).reveal(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbers_with_commas() {
        assert_eq!(weights("20, 50,80"), Ok(vec![20, 50, 80]));
        assert_eq!(weights("20,"), Ok(vec![20]));
        assert!(weights("20%, 50%").is_err());
    }
}
