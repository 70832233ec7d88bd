//! Setting, removing and replacing variables.

use std::collections::BTreeMap;

use axum::extract::Path;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Variables;
use super::reveal::variables;
use crate::web::api::models::Named;
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::pages::app::named;
use crate::web::show::Refused;

/// Sets one variable; its value is taken as it is, with all blanks.
pub(super) async fn set(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let name = change.fields.required("name", "Name")?;
    let value = change.fields.get("value").unwrap_or_default();
    patch(&change, &app, json!({ name: value })).await?;
    let command = format!(
        "cf set-env {} {} VALUE",
        fmt::word(&app.name),
        fmt::word(name)
    );
    Ok(done(&change, &app, &format!("{name} is set")).command(command))
}

/// Removes one variable.
pub(super) async fn unset(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let name = change.fields.required("name", "Name")?;
    patch(&change, &app, json!({ name: null })).await?;
    let command = format!("cf unset-env {} {}", fmt::word(&app.name), fmt::word(name));
    Ok(done(&change, &app, &format!("{name} is removed")).command(command))
}

/// Replaces all variables by those of a text. `before` is what the person saw: if that changed
/// since, nothing is replaced.
pub(super) async fn replace(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let app = named(&change, &guid).await?;
    let wanted = read(change.fields.get("raw").unwrap_or_default())
        .map_err(|fault| Refused::field("raw", &fault))?;
    let before = change.fields.text("before").unwrap_or_default();
    let before: BTreeMap<String, Value> = serde_json::from_str(before)
        .map_err(|_| Refused::field("raw", "Load the variables first, then edit them"))?;
    let now = variables(&change.visitor.api, &app.guid).await?;
    if before != now {
        return Err(outdated());
    }
    let mut part = Map::new();
    for name in now.keys().filter(|name| !wanted.contains_key(*name)) {
        part.insert(name.clone(), Value::Null);
    }
    for (name, value) in &wanted {
        if now.get(name) != Some(value) {
            part.insert(name.clone(), value.clone());
        }
    }
    let count = part.len();
    if count > 0 {
        let after = patch(&change, &app, Value::Object(part)).await?;
        if after.var != wanted {
            return Err(outdated());
        }
    }
    let text = match count {
        0 => "Nothing differs; nothing was changed".to_owned(),
        1 => "1 variable was changed".to_owned(),
        count => format!("{count} variables were changed"),
    };
    Ok(done(&change, &app, &text))
}

fn outdated() -> Refused {
    let text = "Somebody else changed the variables since you loaded them. Load them again.";
    Refused::of(StatusCode::CONFLICT, "Not accepted", text)
}

async fn patch(change: &Change, app: &Named, part: Value) -> Result<Variables, Refused> {
    let path = format!("/v3/apps/{}/environment_variables", app.guid);
    let body = json!({ "var": part });
    Ok(change.visitor.api.patch(&path, body).await?.json()?)
}

fn done(change: &Change, app: &Named, text: &str) -> Outcome {
    let text = format!("{text}. Processes get it when the app restarts.");
    change.done(text, format!("/console/apps/{}/env", app.guid))
}

/// Variables of a text: a JSON object of texts, or lines of `NAME=value`. In lines, blank ones and
/// those with `#` in front are skipped, and quotes around a value are no part of it.
fn read(text: &str) -> Result<BTreeMap<String, Value>, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("This is no JSON: {error}"));
    }
    let mut all = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let number = at + 1;
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("Line {number} is not NAME=value"))?;
        let (name, value) = (name.trim(), value.trim());
        let quoted = ['"', '\''].iter().find_map(|quote| {
            let inner = value.strip_prefix(*quote)?;
            inner.strip_suffix(*quote)
        });
        let value = Value::from(quoted.unwrap_or(value));
        if all.insert(name.to_owned(), value).is_some() {
            return Err(format!("Line {number} has {name} again"));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_json_or_lines() {
        let lines = read("# shop\nA=1\n\nexport B = \"x y\"\nC=a=b\nD=\n").unwrap();
        assert_eq!(
            json!(lines),
            json!({ "A": "1", "B": "x y", "C": "a=b", "D": "" })
        );
        let json = read(" {\"A\": \"two\\nlines\"}").unwrap();
        assert_eq!(json["A"], "two\nlines");
        assert!(read("").unwrap().is_empty());
        assert_eq!(
            read("A=1\nnothing"),
            Err("Line 2 is not NAME=value".to_owned())
        );
        assert_eq!(read("A=1\nA=2"), Err("Line 2 has A again".to_owned()));
        assert!(
            read("{\"A\": }")
                .unwrap_err()
                .starts_with("This is no JSON")
        );
    }
}
