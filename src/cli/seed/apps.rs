//! Apps of a file: their manifests, what their bits are, and pushing them.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::app_folder::AppFolder;
use super::super::client::{Client, encode};
use super::super::{push, show};
use super::file::{App, Source};
use super::plan::FoundApp;
use crate::base::yaml;

/// What the file wanted when the app was last pushed: digests of its manifest and of its bits.
const ANNOTATION: &str = "cflite.dev/seeded";
/// How long the first instance may take to start.
const START: Duration = Duration::from_secs(180);

/// The app as a manifest has it.
pub(super) fn manifest(app: &App) -> String {
    let mut entry = app.manifest.clone();
    entry.insert("name".to_owned(), json!(app.name));
    yaml::write(&json!({ "applications": [entry] }))
}

/// The annotation of an app that is as the file wants it.
pub(super) fn seeded(app: &App) -> anyhow::Result<String> {
    let of_manifest = hex::encode(Sha256::digest(manifest(app).as_bytes()));
    Ok(format!(
        "{}:{}",
        &of_manifest[..16],
        of_source(&app.source)?
    ))
}

/// A digest of the bits.
fn of_source(source: &Source) -> anyhow::Result<String> {
    let mut hash = Hash(Sha256::new());
    match source {
        Source::Image(reference, _) => hash.write_all(reference.as_bytes())?,
        Source::Path(path) if path.is_dir() => {
            let folder = AppFolder::open(path)?;
            for (name, entry) in &folder.files()? {
                write!(hash, "{name}\0{:o}\0", entry.mode)?;
                folder.read_into(name, entry, &mut hash)?;
            }
        }
        Source::Path(path) => {
            let file = File::open(path);
            let mut file = file.with_context(|| format!("cannot read {}", path.display()))?;
            io::copy(&mut file, &mut hash)?;
        }
    }
    Ok(hex::encode(hash.0.finalize())[..16].to_owned())
}

struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What of an app that exists differs from the file.
pub(super) async fn compare(
    client: &Client,
    space: &str,
    app: &App,
    existing: &Value,
) -> anyhow::Result<FoundApp> {
    let wanted = seeded(app)?;
    let was = existing["metadata"]["annotations"][ANNOTATION].as_str();
    let (of_manifest, of_source) = wanted.split_once(':').unwrap_or_default();
    let mut differences = Vec::new();
    match was.and_then(|was| was.split_once(':')) {
        None => differences.push("not pushed by this file yet".to_owned()),
        Some((manifest, source)) => {
            let name = if matches!(app.source, Source::Image(..)) {
                "image"
            } else {
                "files"
            };
            differences.extend((source != of_source).then(|| name.to_owned()));
            differences.extend((manifest != of_manifest).then(|| "manifest".to_owned()));
        }
    }
    let diff = client.manifest_diff(space, manifest(app)).await?;
    differences.extend(drift(&diff));
    Ok(FoundApp { differences })
}

/// The keys of a manifest that an app has otherwise. Three of them say how to make it, and are no
/// state of it; parameters of bindings are not told.
fn drift(diff: &Value) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for change in diff["diff"].as_array().into_iter().flatten() {
        if change["op"] == "remove" {
            continue;
        }
        let path = change["path"].as_str().unwrap_or_default();
        let key = path.splitn(4, '/').nth(3).unwrap_or(path).replace('/', ".");
        let first = key.split('.').next().unwrap_or_default();
        let is_how = ["default-route", "no-route", "random-route"].contains(&first);
        let is_parameter = first == "services" && key.ends_with("parameters");
        let is_state = !is_how && !is_parameter;
        if is_state && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Whether an app that exists is as it was wanted when it was last pushed.
pub(in crate::cli) fn is_seeded(existing: &Value, app: &App) -> anyhow::Result<bool> {
    let was = existing["metadata"]["annotations"][ANNOTATION].as_str();
    Ok(was == Some(seeded(app)?.as_str()))
}

/// Makes an app what the file wants; the guid of its droplet. `made` is a droplet of another app from the
/// same bits, which needs no staging. The annotation comes last, so that a push that was interrupted is
/// done again.
pub(in crate::cli) async fn apply(
    client: &Client,
    space: &str,
    (app, made): (&App, Option<&str>),
    step: &show::Step,
) -> anyhow::Result<String> {
    let wanted = seeded(app)?;
    client.apply_manifest(space, manifest(app)).await?;
    let list = format!("/v3/apps?space_guids={space}&names={}", encode(&app.name));
    let existing = client.first(&list).await?;
    let existing = existing.context("applying the manifest did not create the app")?;
    let guid = push::guid(&existing)?;
    let was = existing["metadata"]["annotations"][ANNOTATION].as_str();
    let has_bits = was.and_then(|was| was.split(':').nth(1)) == wanted.split(':').nth(1);
    let current = existing.pointer("/relationships/current_droplet/data/guid");
    let current = current.and_then(Value::as_str).filter(|_| has_bits);
    let droplet = match (current, made, &app.source) {
        (Some(current), ..) => current.to_owned(),
        (None, Some(made), Source::Path(_)) => push::copy(client, made, &guid).await?,
        _ => {
            let package = package(client, &guid, &app.source).await?;
            step.progress("staging");
            push::stage(client, &package).await?
        }
    };
    step.progress("starting");
    push::run(client, &guid, &droplet).await?;
    push::wait_until_running(client, &guid, START).await?;
    let annotations = Map::from_iter([(ANNOTATION.to_owned(), json!(wanted))]);
    let body = json!({ "metadata": { "annotations": annotations } });
    client.patch(&format!("/v3/apps/{guid}"), &body).await?;
    Ok(droplet)
}

/// A package of the bits, ready to be staged.
async fn package(client: &Client, app: &str, source: &Source) -> anyhow::Result<String> {
    match source {
        Source::Image(image, user) => {
            push::docker_package(client, app, image, user.as_deref()).await
        }
        Source::Path(path) if path.is_dir() => {
            let folder = AppFolder::open(path)?;
            let files = folder.files()?;
            let mut zip = tempfile::tempfile()?;
            folder.write_zip(&files, &mut zip)?;
            push::upload(client, app, zip).await
        }
        Source::Path(path) => push::upload(client, app, File::open(path)?).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_mode_or_setting_is_another_digest() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |text: &str| std::fs::write(folder.path().join("a"), text).expect("written");
        write("1");
        let mut app = App {
            name: "web".to_owned(),
            source: Source::Path(folder.path().to_owned()),
            manifest: Map::new(),
        };
        let digest = |app: &App| seeded(app).expect("readable");
        let first = digest(&app);
        assert_eq!(digest(&app), first);
        write("2");
        let second = digest(&app);
        assert_ne!(first, second);
        assert_eq!(first.split(':').next(), second.split(':').next());
        app.manifest.insert("memory".to_owned(), json!("64M"));
        let third = digest(&app);
        assert_eq!(second.split(':').nth(1), third.split(':').nth(1));
        assert_ne!(second, third);
    }

    #[test]
    fn only_state_that_differs_is_drift() {
        let change = |op: &str, path: &str| json!({ "op": op, "path": path });
        let diff = json!({ "diff": [
            change("add", "/applications/0/default-route"),
            change("remove", "/applications/0/env/OLD"),
            change("replace", "/applications/0/env/NEW"),
            change("replace", "/applications/0/processes/0/memory"),
            change("add", "/applications/0/services/0/parameters"),
        ] });
        assert_eq!(drift(&diff), ["env.NEW", "processes.0.memory"]);
    }
}
