//! The steps of a push through the public API, as `cf push` does them.

use std::io::Seek;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::client::{Client, encode};

/// How long the platform may take to read a package.
const PROCESSING: Duration = Duration::from_secs(300);
/// A bit more than the platform's own limit for staging.
const STAGING: Duration = Duration::from_secs(930);
/// Delay between two questions.
const POLL: Duration = Duration::from_millis(50);

/// Creates a package of a zip and waits until it is ready; returns its guid.
pub(super) async fn upload(
    client: &Client,
    app: &str,
    mut zip: std::fs::File,
) -> anyhow::Result<String> {
    zip.rewind()?;
    let relationship =
        json!({ "type": "bits", "relationships": { "app": { "data": { "guid": app } } } });
    let package = guid(&client.post("/v3/packages", &relationship).await?)?;
    client.upload(&package, zip).await?;
    wait(
        client,
        &format!("/v3/packages/{package}"),
        "READY",
        PROCESSING,
    )
    .await?;
    Ok(package)
}

/// Makes a package of a Docker image. The password of the user who pulls it is in `CF_DOCKER_PASSWORD`, as
/// the cf CLI has it.
pub(super) async fn docker_package(
    client: &Client,
    app: &str,
    image: &str,
    user: Option<&str>,
) -> anyhow::Result<String> {
    let mut data = json!({ "image": image });
    if let Some(user) = user {
        let password = std::env::var("CF_DOCKER_PASSWORD").with_context(|| {
            format!("the image {image} is pulled by {user}: set the password as CF_DOCKER_PASSWORD")
        })?;
        data["username"] = json!(user);
        data["password"] = json!(password);
    }
    let body = json!({
        "type": "docker",
        "data": data,
        "relationships": { "app": { "data": { "guid": app } } },
    });
    guid(&client.post("/v3/packages", &body).await?)
}

/// Stages a package; returns the droplet's guid.
pub(super) async fn stage(client: &Client, package: &str) -> anyhow::Result<String> {
    let build = json!({ "package": { "guid": package } });
    let build = guid(&client.post("/v3/builds", &build).await?)?;
    let built = wait(client, &format!("/v3/builds/{build}"), "STAGED", STAGING).await?;
    let droplet = built.pointer("/droplet/guid").and_then(Value::as_str);
    Ok(droplet.context("the build has no droplet")?.to_owned())
}

/// Copies a droplet to another app; returns the copy's guid.
pub(super) async fn copy(client: &Client, droplet: &str, app: &str) -> anyhow::Result<String> {
    let path = format!("/v3/droplets?source_guid={droplet}");
    let body = json!({ "relationships": { "app": { "data": { "guid": app } } } });
    let copy = guid(&client.post(&path, &body).await?)?;
    wait_for_droplet(client, &copy).await?;
    Ok(copy)
}

/// Waits until a droplet that was copied or uploaded can be used.
pub(super) async fn wait_for_droplet(client: &Client, droplet: &str) -> anyhow::Result<()> {
    let path = format!("/v3/droplets/{droplet}");
    wait(client, &path, "STAGED", PROCESSING).await?;
    Ok(())
}

/// Makes a droplet the current one.
pub(super) async fn assign(client: &Client, app: &str, droplet: &str) -> anyhow::Result<()> {
    let current = format!("/v3/apps/{app}/relationships/current_droplet");
    let droplet = json!({ "data": { "guid": droplet } });
    client.patch(&current, &droplet).await?;
    Ok(())
}

/// Makes a droplet the current one and restarts the app.
pub(super) async fn run(client: &Client, app: &str, droplet: &str) -> anyhow::Result<()> {
    assign(client, app, droplet).await?;
    client
        .post(&format!("/v3/apps/{app}/actions/restart"), &json!({}))
        .await?;
    Ok(())
}

/// Waits for a state; fails at once on `FAILED`.
async fn wait(client: &Client, path: &str, state: &str, limit: Duration) -> anyhow::Result<Value> {
    let deadline = Instant::now() + limit;
    loop {
        let found = client.get(path).await?;
        match found["state"].as_str() {
            Some(now) if now == state => return Ok(found),
            Some("FAILED") => bail!("{}", found["error"].as_str().unwrap_or("state FAILED")),
            _ if Instant::now() > deadline => {
                bail!("{path} is not {state} after {} s", limit.as_secs())
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// Waits until an instance of the app's web process runs. An app without one does not run anything.
pub(super) async fn wait_until_running(
    client: &Client,
    app: &str,
    limit: Duration,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    let path = format!("/v3/apps/{app}/processes/web/stats");
    loop {
        let stats = client.find(&path).await?.unwrap_or_default();
        let states: Vec<&str> = { stats["resources"].as_array().into_iter().flatten() }
            .filter_map(|instance| instance["state"].as_str())
            .collect();
        if states.is_empty() || states.contains(&"RUNNING") {
            return Ok(());
        }
        if states.iter().all(|state| *state == "CRASHED") {
            bail!("every instance crashed; `cflite explain` and `cf logs --recent` say why");
        }
        if Instant::now() > deadline {
            bail!("no instance runs after {} s", limit.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The guid of a space, which is made with its organization where they are missing.
pub(super) async fn ensure_space(
    client: &Client,
    org: &str,
    space: &str,
) -> anyhow::Result<String> {
    let list = format!("/v3/organizations?names={}", encode(org));
    let body = json!({ "name": org });
    let organization = guid(&client.ensure(&list, "/v3/organizations", &body).await?)?;
    let list = format!(
        "/v3/spaces?names={}&organization_guids={organization}",
        encode(space)
    );
    let body = json!({
        "name": space,
        "relationships": { "organization": { "data": { "guid": organization } } },
    });
    guid(&client.ensure(&list, "/v3/spaces", &body).await?)
}

/// The guid of a resource.
pub(super) fn guid(resource: &Value) -> anyhow::Result<String> {
    let guid = resource["guid"].as_str();
    Ok(guid.context("the response has no guid")?.to_owned())
}
