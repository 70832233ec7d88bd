//! `cflite connect`: credentials of a service for a client on this machine, as long as it runs.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::client::{Client, encode, included};
use super::{Session, block_on, credentials, process, push, show};
use crate::base::GuidSource;

/// How long the credentials are waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);
/// The most connections at once.
const CONNECTIONS: usize = 256;

/// What to connect to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Makes a service key, shows the address, the credentials and the command of a client, and removes the
key when it is ended with Ctrl-C.")]
pub(super) struct Arguments {
    /// Name of a service instance
    service: String,
    /// Port of this machine to listen on, instead of the service's own
    #[arg(long)]
    port: Option<u16>,
    /// Organization of the service, when its name is not enough
    #[arg(long)]
    org: Option<String>,
    /// Space of the service, when its name is not enough
    #[arg(long)]
    space: Option<String>,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    block_on(async {
        let client = Client::sign_in(&running, &password).await?;
        let instance = find(&client, arguments).await?;
        let name = format!("cflite-connect-{}", &GuidSource::random().next()[..8]);
        let key = make_key(&client, &instance, &name).await?;
        let served = serve(&client, &key, arguments, session.json).await;
        client
            .delete(&format!("/v3/service_credential_bindings/{key}"))
            .await
            .with_context(|| format!("the service key {name} was not removed"))?;
        served
    })
}

async fn find(client: &Client, arguments: &Arguments) -> anyhow::Result<String> {
    let encoded = encode(&arguments.service);
    let fields =
        "fields[space]=guid,name,relationships.organization&fields[space.organization]=guid,name";
    let list = client
        .get(&format!(
            "/v3/service_instances?names={encoded}&type=managed&{fields}&per_page=100"
        ))
        .await?;
    let mut found = Vec::new();
    for instance in list["resources"].as_array().into_iter().flatten() {
        let space = included(
            &list,
            "spaces",
            &instance["relationships"]["space"]["data"]["guid"],
        );
        let space = space.context("a service without its space")?;
        let org = included(
            &list,
            "organizations",
            &space["relationships"]["organization"]["data"]["guid"],
        );
        let org = org.context("a space without its organization")?;
        let fits = |wanted: &Option<String>, name: &Value| {
            wanted.as_ref().is_none_or(|wanted| name == wanted)
        };
        if fits(&arguments.org, &org["name"]) && fits(&arguments.space, &space["name"]) {
            found.push(push::guid(instance)?);
        }
    }
    match found.len() {
        0 => bail!("there is no service instance {}", arguments.service),
        1 => Ok(found.remove(0)),
        _ => bail!(
            "several service instances are called {}: name one with --org and --space",
            arguments.service
        ),
    }
}

async fn make_key(client: &Client, instance: &str, name: &str) -> anyhow::Result<String> {
    let body = json!({
        "type": "key", "name": name,
        "relationships": { "service_instance": { "data": { "guid": instance } } },
    });
    client
        .post("/v3/service_credential_bindings", &body)
        .await?;
    let path = format!(
        "/v3/service_credential_bindings?type=key&names={name}&service_instance_guids={instance}"
    );
    let wait = async {
        loop {
            if let Some(key) = client.first(&path).await? {
                let operation = &key["last_operation"];
                match operation["state"].as_str() {
                    Some("succeeded") => return push::guid(&key),
                    Some("failed") => {
                        let text = operation["description"].as_str().unwrap_or_default();
                        bail!("the service gave no credentials: {text}")
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(POLL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(made) => made,
        Err(_) => bail!(
            "the service gave no credentials within {} s",
            PATIENCE.as_secs()
        ),
    }
}

async fn serve(
    client: &Client,
    key: &str,
    arguments: &Arguments,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let details = client
        .get(&format!("/v3/service_credential_bindings/{key}/details"))
        .await?;
    let mut given = details["credentials"].clone();
    let port = given["port"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok());
    let port = port.context("the credentials of this service have no port")?;
    let listener = match arguments.port {
        Some(own) => {
            let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, own)).await;
            move_port(&mut given, port, own);
            Some(bound.with_context(|| format!("cannot listen on port {own}"))?)
        }
        None => None,
    };
    if as_json {
        show::line(&given.to_string());
    } else {
        for (name, value) in given.as_object().into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            show::line(&format!("{name:<10} {text}"));
        }
        if let Some(command) = command(&given) {
            show::line("");
            show::line(&format!("  {command}"));
        }
        show::line("");
        show::line("Press Ctrl-C to end; then these credentials end, too.");
    }
    let forwarding = async {
        match listener {
            Some(listener) => forward(&listener, port).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        ended = forwarding => ended?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces a port wherever credentials have it.
fn move_port(credentials: &mut Value, from: u16, to: u16) {
    for (_, value) in credentials.as_object_mut().into_iter().flatten() {
        match value {
            Value::Number(number) if number.as_u64() == Some(from.into()) => *value = to.into(),
            Value::String(text) => *text = text.replace(&format!(":{from}"), &format!(":{to}")),
            _ => {}
        }
    }
}

async fn forward(listener: &TcpListener, port: u16) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                let (mut near, _) = accepted?;
                connections.spawn(async move {
                    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
                    if let Ok(mut far) = far {
                        // Either side may end it.
                        drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// The command of the usual client.
fn command(credentials: &Value) -> Option<String> {
    let uri = credentials["uri"].as_str()?;
    let text = |name: &str| credentials[name].as_str().unwrap_or_default();
    let port = &credentials["port"];
    match uri.split_once("://")?.0 {
        "postgres" | "postgresql" => Some(format!("psql '{uri}'")),
        "redis" => Some(format!("redis-cli -u '{uri}'")),
        "mysql" => Some(format!(
            "mariadb -h {} -P {port} -u {} -p'{}' {}",
            text("hostname"),
            text("username"),
            text("password"),
            text("name")
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_port_is_shown_everywhere() {
        let mut credentials = json!({
            "uri": "redis://u:p@127.0.0.1:61200", "port": 61200, "host": "127.0.0.1",
        });
        move_port(&mut credentials, 61200, 7000);
        let expected =
            json!({ "uri": "redis://u:p@127.0.0.1:7000", "port": 7000, "host": "127.0.0.1" });
        assert_eq!(credentials, expected);
        assert_eq!(
            command(&credentials).as_deref(),
            Some("redis-cli -u 'redis://u:p@127.0.0.1:7000'")
        );
    }
}
