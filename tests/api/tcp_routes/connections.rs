//! Connections through TCP routes, to backends of the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use cflite::config::Options;
use cflite::testing::{TestApp, app_in_space, organization_and_space};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{guid, make, tcp_domain, wanted};

/// Says its name to every client, then sends back what it gets.
async fn backend(tasks: &mut JoinSet<()>, name: &'static str) -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut client, _)) = socket.accept().await {
            clients.spawn(async move {
                client.write_all(name.as_bytes()).await.ok();
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
                to.shutdown().await.ok();
            });
        }
    });
    address
}

/// What answers at a port of this machine; `None` = nobody listens.
async fn answer(port: u16) -> Option<String> {
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    client.write_all(b" hears").await.ok()?;
    client.shutdown().await.ok()?;
    let mut said = String::new();
    client.read_to_string(&mut said).await.ok()?;
    Some(said)
}

async fn until(port: u16, expected: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = answer(port).await;
        if found.as_deref() == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "port {port}: {found:?}, not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test]
async fn connections_reach_apps_while_they_run_and_are_mapped() {
    let mut tasks = JoinSet::new();
    let (first, second) = (free_port().await, free_port().await);
    let app = TestApp::with_stack().await.unwrap();
    let ports = Options {
        tcp_ports: Some(format!("{first},{second}")),
        ..Options::default()
    };
    let app = app.restart_with(ports).await.unwrap();
    app.engine()
        .listen("", 8080, backend(&mut tasks, "web").await);
    app.engine()
        .listen("", 9000, backend(&mut tasks, "other").await);
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &web, json!({ "web": "run" }))
        .await
        .unwrap();
    let domain = tcp_domain(&admin).await;
    let route = make(&admin, &wanted(&space, guid(&domain), Some(first))).await;
    let map = format!("/v3/routes/{}/destinations", route.text("/guid"));
    let to = |port: u16| json!({ "destinations": [{ "app": { "guid": web }, "port": port }] });
    let mapped = admin.post(&map, &to(8080)).await.unwrap();
    assert_eq!(mapped.status, 200, "{mapped:?}");
    until(first, None).await;

    let start = format!("/v3/apps/{web}/actions/start");
    assert_eq!(admin.post(&start, &json!({})).await.unwrap().status, 200);
    until(first, Some("web hears")).await;
    let other = make(&admin, &wanted(&space, guid(&domain), Some(second))).await;
    let map_other = format!("/v3/routes/{}/destinations", other.text("/guid"));
    assert_eq!(admin.post(&map_other, &to(8080)).await.unwrap().status, 200);
    until(second, Some("web hears")).await;
    // A port that the instance was not started with is there after a restart.
    let body = to(9000);
    assert_eq!(admin.patch(&map_other, &body).await.unwrap().status, 200);
    until(second, None).await;
    let restart = format!("/v3/apps/{web}/actions/restart");
    assert_eq!(admin.post(&restart, &json!({})).await.unwrap().status, 200);
    until(second, Some("other hears")).await;
    until(first, Some("web hears")).await;

    let mut kept = TcpStream::connect((Ipv4Addr::LOCALHOST, first))
        .await
        .unwrap();
    let mut name = [0; 3];
    kept.read_exact(&mut name).await.unwrap();
    let health = app.anonymous().get("/healthz").await.unwrap();
    assert_eq!(health.body["counts"]["TCP ports"], 2);
    assert_eq!(health.body["unavailable_tcp_ports"], json!([]));
    let one = format!("{map}/{}", mapped.text("/destinations/0/guid"));
    assert_eq!(admin.delete(&one).await.unwrap().status, 204);
    until(first, None).await;
    kept.write_all(b"!").await.unwrap();
    kept.shutdown().await.unwrap();
    let mut rest = String::new();
    kept.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "!", "a connection outlives its route");
    let stop = format!("/v3/apps/{web}/actions/stop");
    assert_eq!(admin.post(&stop, &json!({})).await.unwrap().status, 200);
    until(second, None).await;
}
