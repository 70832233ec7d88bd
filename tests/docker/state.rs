//! The whole platform kept and put back: snapshots, backups and pauses, on the real daemon.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::cnb::zip_of;
use crate::data_services::{REDIS, Service, docker};
use crate::platform::Platform;

const SOON: Duration = Duration::from_secs(90);
const PASSPHRASE: &str = "correct horse battery staple";

async fn delete_app(client: &Client, name: &str) {
    let guid = client.guid(name).await;
    let asked = client.admin.delete(&format!("/v3/apps/{guid}")).await;
    client.complete(&asked.expect("asked")).await;
}

/// Containers and volumes through which a platform opened volumes.
fn left_over(platform: &Platform) -> String {
    let filter = format!("name=cflite-{}-volume-", platform.id());
    docker(&["ps", "--all", "--quiet", "--filter", &filter])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_destroyed_comes_back_with_a_rewind() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let mut platform = Platform::start();
    let client = Client::of(&platform).await;
    let service = Service::create(&platform, &client, ("redis", "data"), json!({})).await;
    let (_, key) = service.key("one").await;
    service.client(REDIS.write, &key).expect("written");
    let kept = platform.push_sample("kept");
    let made: Value =
        serde_json::from_str(&platform.run(&["snapshot", "one", "--json"])).expect("JSON");
    assert_eq!(made["services"], 1, "{made}");
    let container = service.container();
    let paused = docker(&["inspect", "--format", "{{.State.Paused}}", &container]);
    assert_eq!(paused.trim(), "false", "the service goes on");
    assert_eq!(left_over(&platform), "");
    platform.run(&["snapshot", "verify", "one"]);
    let listed = platform.run(&["snapshot", "list"]);
    assert!(listed.contains("one"), "{listed}");
    let twice = platform.fail(&["snapshot", "one"]);
    assert!(twice.contains("there is a snapshot one already"), "{twice}");

    let lost = platform.push_sample("lost");
    service.client(REDIS.remove, &key).expect("removed");
    let other = Service::create(&platform, &client, ("redis", "later"), json!({})).await;
    let later = other.container();
    let guid = service.guid.clone();
    delete_app(&client, "kept").await;
    let refused = platform.fail(&["rewind", "one"]);
    assert!(refused.contains("Refusing without --yes"), "{refused}");

    platform.kill();
    platform.run(&["rewind", "one", "--yes"]);
    platform.boot();
    platform.wait_for(&kept, SOON);
    assert_eq!(platform.status_of(&lost), 404);
    let client = client.again(&platform).await;
    let service = Service {
        platform: &platform,
        client: &client,
        guid,
    };
    service.until_read(&REDIS, &key);
    assert_eq!(left_over(&platform), "");
    let filter = format!("name={later}");
    assert_eq!(
        docker(&["volume", "ls", "--quiet", "--filter", &filter]),
        ""
    );

    let missing = platform.fail(&["rewind", "none", "--yes"]);
    assert!(missing.contains("there is no snapshot none"), "{missing}");
    platform.run(&["snapshot", "remove", "one", "--yes"]);
    let listed = platform.run(&["snapshot", "list", "--json"]);
    assert_eq!(
        listed.replace(char::is_whitespace, ""),
        r#"{"snapshots":[]}"#
    );
}

/// What the platform was that is backed up.
struct Lost {
    id: String,
    password: String,
    space: String,
    guid: String,
    key: Value,
}

/// A platform with a service and its data, backed up into a file, verified, and removed.
async fn backed_up(path: &str, secret: &[&str; 2]) -> Lost {
    let first = Platform::start();
    let client = Client::of(&first).await;
    let service = Service::create(&first, &client, ("redis", "data"), json!({})).await;
    let (_, key) = service.key("one").await;
    service.client(REDIS.write, &key).expect("written");
    // More than is encrypted as one part.
    let related = cflite::testing::related("space", &client.space);
    let app = json!({ "name": "noise", "relationships": related });
    let app = client.admin.post("/v3/apps", &app).await.expect("an app");
    let app = app.text("/guid").to_owned();
    client.package(&app, zip_of(&[("noise", &noise())])).await;
    first.run(&["backup", path, secret[0], secret[1]]);
    let left: Value =
        serde_json::from_str(&first.run(&["snapshot", "list", "--json"])).expect("JSON");
    assert_eq!(
        left["snapshots"],
        json!([]),
        "nothing stays in the data dir"
    );
    first.run(&["backup", "verify", path, secret[0], secret[1]]);
    let bytes = std::fs::read(path).expect("read");
    let password = first.password();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(
        !holds(&password) && !holds("backup.json"),
        "it is encrypted"
    );
    let nobody = first.fail(&["backup", "verify", path]);
    assert!(nobody.contains("there is no passphrase"), "{nobody}");
    let occupied = first.fail(&["restore", path, secret[0], secret[1]]);
    assert!(occupied.contains("another cflite"), "{occupied}");
    Lost {
        id: first.id(),
        password,
        space: client.space.clone(),
        guid: service.guid.clone(),
        key,
    }
}

/// Text that is not made much smaller.
fn noise() -> String {
    let mut state = 1_u64;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'!' + u8::try_from(state >> 58).expect("six bits"))
    };
    (0..300_000).map(|_| letter()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_becomes_a_platform_with_another_domain() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("temporary folder");
    let file = place.path().join("backup");
    let path = file.to_str().expect("UTF-8");
    let secret = place.path().join("passphrase");
    std::fs::write(&secret, PASSPHRASE).expect("written");
    let secret = ["--passphrase-file", secret.to_str().expect("UTF-8")];
    let lost = backed_up(path, &secret).await;

    let domain = ["--domain", "other.localhost"];
    let mut second = Platform::stopped(&domain);
    cut_off(&second, &file, &secret);
    let ports = ["--http-port=0", "--https-port=0", "--registry-port=0"];
    let half = second.fail(&["up", "--foreground", ports[0], ports[1], ports[2]]);
    let says = half.contains("a restore into") && half.contains("was cut off");
    assert!(says, "{half}");
    let restored = second.run(&["restore", path, secret[0], secret[1], domain[0], domain[1]]);
    let says = restored.contains("Its domain cf.localhost is other.localhost now");
    assert!(says, "{restored}");
    assert_ne!(second.id(), lost.id, "it can stand beside the other one");
    second.boot();
    assert_eq!(second.password(), lost.password);
    let client = Client::in_space(&second, lost.space).await;
    let domains = client
        .admin
        .get("/v3/domains?names=cf.localhost,other.localhost")
        .await;
    let domains = domains.expect("domains");
    assert_eq!(domains.body["pagination"]["total_results"], 1);
    assert_eq!(domains.text("/resources/0/name"), "other.localhost");
    let service = Service {
        platform: &second,
        client: &client,
        guid: lost.guid,
    };
    service.until_read(&REDIS, &lost.key);
    assert_eq!(left_over(&second), "");
}

/// Restores a backup without its end.
fn cut_off(platform: &Platform, file: &std::path::Path, secret: &[&str; 2]) {
    let bytes = std::fs::read(file).expect("read");
    let half = file.with_extension("half");
    // Behind its first part, which says what it holds: until that is read nothing changes.
    std::fs::write(&half, &bytes[..bytes.len() - 1]).expect("written");
    let half = half.to_str().expect("UTF-8");
    let failed = platform.fail(&["restore", half, secret[0], secret[1]]);
    assert!(failed.contains("cut off"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_platform_uses_nothing_and_goes_on_as_it_was() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let platform = Detached::start();
    let host = platform.push_sample("kept");
    let before: Value = serde_json::from_str(&platform.run(&["status", "--json"])).expect("JSON");
    let paused: Value = serde_json::from_str(&platform.run(&["pause", "--json"])).expect("JSON");
    assert_eq!(paused["instances"], 1, "{paused}");
    assert!(
        paused["memory"].as_u64().is_some_and(|bytes| bytes > 0),
        "{paused}"
    );
    assert_eq!(platform.instances(), Vec::<String>::new());
    let twice = platform.fail(&["pause"]);
    assert!(twice.contains("is paused since"), "{twice}");
    platform.run(&["resume"]);
    let after: Value = serde_json::from_str(&platform.run(&["status", "--json"])).expect("JSON");
    for port in ["http_port", "https_port", "registry_port"] {
        assert_eq!(before["platform"][port], after["platform"][port], "{port}");
    }
    platform.wait_for(&host, SOON);
    let again = platform.fail(&["resume"]);
    assert!(again.contains("running already"), "{again}");
}

/// A platform in the background, as users start it; it is stopped when it is dropped.
struct Detached(Platform);

impl Detached {
    fn start() -> Self {
        let detached = Self(Platform::stopped(&[]));
        let free = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
        let ports = free.map(|listener| listener.local_addr().expect("bound").port());
        let [http, https, registry] = ports.map(|port| port.to_string());
        detached.run(&[
            "up",
            "--http-port",
            &http,
            "--https-port",
            &https,
            "--registry-port",
            &registry,
        ]);
        detached
    }
}

impl std::ops::Deref for Detached {
    type Target = Platform;
    fn deref(&self) -> &Platform {
        &self.0
    }
}
