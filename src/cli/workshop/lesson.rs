//! The apps of a lesson, as each participant gets them.
//!
//! The folder has a `manifest.yml`, or is an app itself. `((user))` in the manifest is the participant's
//! name. An app without routes gets one of its own, as host names are for the whole domain.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::seed::{App, Source, app_of};
use crate::base::yaml;

/// The apps of the lesson for one participant.
pub(super) fn apps(folder: &Path, user: &str, domain: &str) -> anyhow::Result<Vec<App>> {
    let manifest = ["manifest.yml", "manifest.yaml"].map(|name| folder.join(name));
    let mut apps = match manifest.iter().find(|path| path.is_file()) {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            of_manifest(&text.replace("((user))", user), folder)
                .with_context(|| path.display().to_string())?
        }
        None => vec![of_folder(folder)?],
    };
    for app in &mut apps {
        route(app, user, domain);
    }
    Ok(apps)
}

fn of_manifest(text: &str, folder: &Path) -> anyhow::Result<Vec<App>> {
    let mut all = Fields::of(yaml::read(text)?, "the manifest")?;
    drop(all.take("version"));
    let nodes = all.list("applications")?;
    all.finish()?;
    if nodes.is_empty() {
        bail!("it has no applications");
    }
    let apps = nodes.into_iter().map(|mut node| {
        let is_image = node.get("docker").is_some();
        if !is_image
            && node.get("path").is_none()
            && let yaml::Value::Map(pairs) = &mut node.value
        {
            let text = |text: &str| yaml::Node {
                value: yaml::Value::Text(text.to_owned()),
                line: node.line,
            };
            pairs.push((text("path"), text(".")));
        }
        app_of(node, folder)
    });
    apps.collect()
}

fn of_folder(folder: &Path) -> anyhow::Result<App> {
    let path = folder.canonicalize();
    let path: PathBuf = path.with_context(|| format!("cannot read {}", folder.display()))?;
    if !path.is_dir() {
        bail!("{} is not a folder", folder.display());
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no name for an app", folder.display()))?;
    Ok(App {
        name: name.to_owned(),
        source: Source::Path(path.clone()),
        manifest: serde_json::Map::new(),
    })
}

fn route(app: &mut App, user: &str, domain: &str) {
    let has = ["routes", "no-route"]
        .iter()
        .any(|key| app.manifest.contains_key(*key));
    if !has {
        app.manifest.remove("default-route");
        let host = format!("{}-{user}", app.name).to_lowercase();
        let host = host.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let route = json!([{ "route": format!("{host}.{domain}") }]);
        app.manifest.insert("routes".to_owned(), route);
    }
}

/// The first URL of an app, without its scheme.
pub(super) fn url(app: &App) -> Option<&str> {
    let route = app.manifest.get("routes").and_then(|routes| routes.get(0));
    route.and_then(|route: &Value| route["route"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_participant_has_apps_with_routes_of_their_own() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let lesson = folder.path().join("My_App");
        std::fs::create_dir(&lesson).expect("created");
        let found = apps(&lesson, "student-01", "cf.localhost").expect("an app");
        assert_eq!(found[0].name, "My_App");
        assert_eq!(url(&found[0]), Some("my-app-student-01.cf.localhost"));

        let text = "applications:\n- name: web\n  memory: 64M\n- name: ui\n  docker: {image: a}\n  routes: [{route: ((user)).x.y}]\n- {name: job, no-route: true}\n";
        std::fs::write(lesson.join("manifest.yml"), text).expect("written");
        let found = apps(&lesson, "student-02", "cf.localhost").expect("apps");
        let urls: Vec<Option<&str>> = found.iter().map(url).collect();
        assert_eq!(
            urls,
            [
                Some("web-student-02.cf.localhost"),
                Some("student-02.x.y"),
                None
            ]
        );
        assert_eq!(found[0].source, Source::Path(lesson.join(".")));
        std::fs::write(lesson.join("manifest.yml"), "applications: []").expect("written");
        apps(&lesson, "a", "b").expect_err("nothing in it");
    }
}
