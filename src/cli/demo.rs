//! `cflite demo`: pushes a sample app through the public API, with the requests of `cf push`.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use include_dir::{Dir, include_dir};
use serde_json::json;

use super::client::{self, Client};
use super::push::{self, guid};
use super::{Session, block_on, credentials, process, show};
use crate::platform::Running;

static SAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/samples/static");

/// What to push.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Name of the app
    #[arg(long, default_value = "hello")]
    name: String,
    /// Organization to push to; created if missing
    #[arg(long, default_value = "demo")]
    org: String,
    /// Space to push to; created if missing
    #[arg(long, default_value = "dev")]
    space: String,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    let url = block_on(async {
        let client = Client::sign_in(&running, &password).await?;
        push(&client, &running, arguments).await
    })?;
    if session.json {
        show::json(&json!({
            "app": arguments.name,
            "url": url,
            "api": running.api_url(),
            "console": running.console_url(),
            "user": "admin",
            "password": password.expose(),
        }));
        return Ok(ExitCode::SUCCESS);
    }
    show::line("");
    show::line(&format!("App        {url}"));
    show::line(&format!("API        {}", running.api_url()));
    show::line(&format!("API (TLS)  {}", running.https_api_url()));
    show::line(&format!("Console    {}", running.console_url()));
    show::line("User       admin");
    show::line(&format!("Password   {}", password.expose()));
    show::line("");
    show::line("Target it with the cf CLI:");
    show::line(&format!("  cf api {}", running.resolvable_api_url()));
    show::line(&format!("  cf auth admin {}", password.expose()));
    show::line(&format!(
        "  cf target -o {} -s {}",
        arguments.org, arguments.space
    ));
    show::line(&format!("  cf app {}", arguments.name));
    Ok(ExitCode::SUCCESS)
}

async fn push(client: &Client, running: &Running, arguments: &Arguments) -> anyhow::Result<String> {
    let step = show::Step::begin("organization and space");
    let space = push::ensure_space(client, &arguments.org, &arguments.space).await?;
    step.done(&format!("{} / {}", arguments.org, arguments.space));

    let step = show::Step::begin("upload the sample app");
    let manifest = format!(
        "applications:\n- name: {}\n  memory: 64M\n  disk_quota: 256M\n  default-route: true\n",
        serde_json::to_string(&arguments.name)?
    );
    client.apply_manifest(&space, manifest).await?;
    let list = format!("/v3/apps?space_guids={space}&names={}", arguments.name);
    let app = client
        .first(&list)
        .await?
        .context("applying the manifest did not create the app")?;
    let app = guid(&app)?;
    let mut zip = tempfile::tempfile()?;
    write_zip(&SAMPLE, &mut zip)?;
    let package = push::upload(client, &app, zip).await?;
    step.done("");

    let step = show::Step::begin("stage");
    let droplet = push::stage(client, &package).await?;
    step.done("");

    let step = show::Step::begin("start");
    push::run(client, &app, &droplet).await?;
    let url = first_url(client, running, &app).await?;
    wait_for_response(running, &url).await?;
    step.done("");
    Ok(url)
}

async fn first_url(client: &Client, running: &Running, app: &str) -> anyhow::Result<String> {
    let route = client
        .first(&format!("/v3/apps/{app}/routes"))
        .await?
        .context("the app has no route")?;
    let host = route["url"].as_str().context("the route has no URL")?;
    Ok(running.app_url(host))
}

/// Requests the app from the router until it responds, whether or not its name resolves.
async fn wait_for_response(running: &Running, url: &str) -> anyhow::Result<()> {
    let host = url::Url::parse(url)?
        .host_str()
        .context("no host")?
        .to_owned();
    let http = client::plain()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = http
            .get(running.local_url())
            .header("host", &host)
            .send()
            .await?;
        if answer.status().is_success() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "the app still responds with {} after a minute; see `cf logs --recent`",
                answer.status()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn write_zip(folder: &Dir<'_>, out: &mut std::fs::File) -> anyhow::Result<()> {
    let mut zip = zip::ZipWriter::new(out);
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o644);
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for file in folder.files() {
            zip.start_file(file.path().to_string_lossy(), options)?;
            zip.write_all(file.contents())?;
        }
        folders.extend(folder.dirs());
    }
    zip.finish()?;
    Ok(())
}
