//! Names of apps and of the platform, over DNS, with Docker in memory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use cflite::network::dns::ask;
use cflite::testing::{TestApp, TestClient, related};
use serde_json::{Value, json};

use crate::binary::Commands;
use crate::tasks::runnable;

const LIMIT: Duration = Duration::from_secs(20);
/// This machine's address on every network of the daemon in memory.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 78, 0, 1);

/// Waits until a name has this many addresses.
async fn until(server: SocketAddr, name: &str, count: usize) -> Vec<IpAddr> {
    let deadline = Instant::now() + LIMIT;
    loop {
        // Nobody answers on the gateway before there is a network.
        let found = ask(server, name, Duration::from_secs(2)).await;
        if let Ok(found) = &found
            && found.len() == count
        {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "{name} on {server}: {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn done(client: &TestClient, path: &str, body: Value) -> Value {
    let answer = client.post(path, &body).await.unwrap();
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer.body
}

/// Maps `HOST.apps.internal` to an app.
async fn map(client: &TestClient, space: &str, host: &str, app: &str) {
    let domains = client.get("/v3/domains?names=apps.internal").await.unwrap();
    let mut relationships = related("space", space);
    relationships["domain"] = json!({ "data": { "guid": domains.text("/resources/0/guid") } });
    let body = json!({ "host": host, "relationships": relationships });
    let route = done(client, "/v3/routes", body).await;
    let path = format!(
        "/v3/routes/{}/destinations",
        route["guid"].as_str().unwrap()
    );
    let body = json!({ "destinations": [{ "app": { "guid": app } }] });
    done(client, &path, body).await;
}

#[tokio::test]
async fn an_internal_route_is_there_while_instances_run() {
    let (app, admin, guid, space) = runnable().await;
    let server = app.dns_address().unwrap();
    map(&admin, &space, "back-end", &guid).await;
    let name = "back-end.apps.internal";
    assert!(ask(server, name, LIMIT).await.unwrap().is_empty());
    let scale = format!("/v3/apps/{guid}/processes/web/actions/scale");
    done(&admin, &scale, json!({ "instances": 3 })).await;
    done(&admin, &format!("/v3/apps/{guid}/actions/start"), json!({})).await;
    let mut all = until(server, name, 3).await;
    let mut each = Vec::new();
    for index in 0..3 {
        each.extend(until(server, &format!("{index}.Back-End.APPS.internal"), 1).await);
    }
    all.sort();
    each.sort();
    assert_eq!(all, each);

    // Containers ask on their own network.
    let at_gateway = SocketAddr::from((GATEWAY, server.port()));
    assert_eq!(until(at_gateway, name, 3).await.len(), 3);

    done(&admin, &scale, json!({ "instances": 1 })).await;
    let left = until(server, name, 1).await;
    assert_eq!(until(server, &format!("0.{name}"), 1).await, left);
    until(server, &format!("2.{name}"), 0).await;
    done(&admin, &format!("/v3/apps/{guid}/actions/stop"), json!({})).await;
    until(server, name, 0).await;
}

#[tokio::test]
async fn containers_reach_the_platform_at_the_gateway_of_their_network() {
    let (app, admin, guid, _) = runnable().await;
    done(&admin, &format!("/v3/apps/{guid}/actions/start"), json!({})).await;
    let server = app.dns_address().unwrap();
    let at_gateway = SocketAddr::from((GATEWAY, server.port()));
    for name in [
        "api.cf.localhost",
        "web.cf.localhost",
        "host.cflite.internal",
    ] {
        assert_eq!(
            until(server, name, 1).await,
            [IpAddr::V4(Ipv4Addr::LOCALHOST)]
        );
        assert_eq!(until(at_gateway, name, 1).await, [IpAddr::V4(GATEWAY)]);
    }
    let port = app.url().rsplit_once(':').unwrap().1.to_owned();
    let url = format!("http://{GATEWAY}:{port}");
    let deadline = Instant::now() + LIMIT;
    loop {
        let answered = TestClient::anonymous(&url).get("/v3/info").await;
        if let Ok(answer) = answered {
            assert_eq!(answer.status, 200);
            break;
        }
        assert!(Instant::now() < deadline, "{answered:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let names = app.engine().container_names();
    let instance = names.iter().find(|name| !name.contains("staging")).unwrap();
    let spec = app.engine().spec(instance).unwrap();
    assert_eq!(spec.dns.first(), Some(&IpAddr::V4(GATEWAY)), "{names:?}");
    assert!(
        !spec.dns[1..].iter().any(IpAddr::is_loopback),
        "{:?}",
        spec.dns
    );
}

#[tokio::test]
async fn commands_let_the_machine_find_names_and_forget_them() {
    let app = TestApp::start().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    let hosts = folder.path().join("etc/hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();

    let installed = commands.json(&["dns", "install", "--root", root]).await;
    assert_eq!(installed["way"], "hosts-file");
    let text = std::fs::read_to_string(&hosts).unwrap();
    assert!(text.contains("\n127.0.0.1 api.cf.localhost\n"), "{text}");
    let again = commands.run(&["dns", "install", "--root", root]).await;
    assert!(again.out.contains("is up to date"), "{again:?}");

    let ended = commands
        .run(&["dns", "status", "--root", root, "--json"])
        .await;
    let status: Value = serde_json::from_str(&ended.out).expect("JSON");
    let server = app.dns_address().unwrap().to_string();
    assert_eq!(status["server"], server);
    assert_eq!(status["installed"], json!([hosts]));
    assert_eq!(status["names"][0]["name"], "api.cf.localhost");
    assert_eq!(status["names"][0]["platform"], json!(["127.0.0.1"]));
    let shown = commands.run(&["dns", "status", "--root", root]).await;
    assert!(shown.out.contains(&server), "{shown:?}");
    assert!(shown.err.contains("below localhost"), "{shown:?}");

    let removed = commands.json(&["dns", "remove", "--root", root]).await;
    assert_eq!(removed, json!({ "changed": [hosts] }));
    assert_eq!(
        std::fs::read_to_string(&hosts).unwrap(),
        "127.0.0.1 localhost\n"
    );
    let again = commands.run(&["dns", "remove", "--root", root]).await;
    assert_eq!(
        (again.code, again.out.as_str()),
        (0, "There is nothing of cflite to remove.\n")
    );
}

#[tokio::test]
async fn resolved_gets_the_port_and_the_domains() {
    let app = TestApp::start().await.unwrap();
    let commands = Commands::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("run/systemd/resolve")).unwrap();
    std::fs::create_dir(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
    let ended = commands
        .run(&["dns", "install", "--root", root.to_str().unwrap()])
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let path = root.join("etc/systemd/resolved.conf.d/cflite.conf");
    let text = std::fs::read_to_string(path).unwrap();
    let server = app.dns_address().unwrap();
    let expected = format!("DNS={server}\nDomains=~cf.localhost ~cflite.internal ~apps.internal\n");
    assert!(text.ends_with(&expected), "{text}");
}
