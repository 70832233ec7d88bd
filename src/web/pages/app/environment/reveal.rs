//! Values, shown once and only to whom the API shows them.

use std::collections::BTreeMap;

use axum::extract::Path;
use serde_json::Value;

use super::{Variables, deployed, group};
use crate::web::api::{Api, Failure};
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::app::named;
use crate::web::show::Refused;

/// `what` is a variable by its `name`, all variables, what the platform adds, a group, or what
/// differs from the variables of the revision that runs.
pub(super) async fn reveal(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let api = &change.visitor.api;
    let fields = &change.fields;
    let environment = format!("/v3/apps/{}/env", app.guid);
    let text = match fields.required("what", "What")? {
        "variable" => {
            let name = fields.required("name", "Name")?;
            let mut all = variables(api, &app.guid).await?;
            let value = all.remove(name).ok_or_else(Refused::not_found)?;
            plain(&value)
        }
        "variables" => fmt::json(&serde_json::json!(variables(api, &app.guid).await?)),
        "platform" => {
            let all: Value = api.get(&environment).await?;
            let mut parts = all["system_env_json"].clone();
            parts["VCAP_APPLICATION"] = all["application_env_json"]["VCAP_APPLICATION"].clone();
            fmt::json(&parts)
        }
        name @ ("running" | "staging") => {
            fmt::json(&serde_json::json!(group(api, name).await?.var))
        }
        "difference" => difference(api, &app.guid).await?,
        _ => return Err(Refused::not_found()),
    };
    let next = format!("/console/apps/{}/env", app.guid);
    let command = format!("cf env {}", fmt::word(&app.name));
    Ok(change
        .done("Shown once", next)
        .command(command)
        .reveal(text))
}

/// The user's variables; reading them is an audit event.
pub(super) async fn variables(api: &Api, app: &str) -> Result<BTreeMap<String, Value>, Failure> {
    let path = format!("/v3/apps/{app}/environment_variables");
    Ok(api.get::<Variables>(&path).await?.var)
}

/// What will be different after a restart, by names.
async fn difference(api: &Api, app: &str) -> Result<String, Failure> {
    let Some(revision) = deployed(api, app).await? else {
        let text = "No revision of this app runs, so there is nothing to compare with. Revisions \
                    are kept while the feature is on (Settings).";
        return Ok(text.to_owned());
    };
    let path = format!("/v3/revisions/{revision}/environment_variables");
    let runs = api.get::<Variables>(&path).await?.var;
    let now = variables(api, app).await?;
    let lines = compare(&runs, &now);
    if lines.is_empty() {
        return Ok("The processes run with these variables; nothing differs.".to_owned());
    }
    Ok(lines.join("\n"))
}

/// A line for each variable that is not the same: `+` new, `-` gone, `~` another value.
pub(in crate::web::pages::app) fn compare(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in after {
        match before.get(name) {
            None => lines.push(format!("+ {name} is new")),
            Some(old) if old != value => lines.push(format!("~ {name} has another value")),
            Some(_) => {}
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    lines.extend(gone.map(|name| format!("- {name} is gone")));
    lines
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| fmt::json(value), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_name_without_values() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
                .collect::<BTreeMap<_, _>>()
        };
        let before = of(&[("A", "1"), ("B", "secret"), ("C", "3")]);
        let after = of(&[("A", "1"), ("B", "hidden"), ("D", "4")]);
        let lines = compare(&before, &after);
        assert_eq!(
            lines,
            ["~ B has another value", "+ D is new", "- C is gone"]
        );
        assert!(compare(&before, &before).is_empty());
    }
}
