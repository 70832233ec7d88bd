//! Data services on the real daemon: whatever happens, what was committed is there.

mod service;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::platform::Platform;

use service::{MARIADB, OBJECT_STORE, Offering, SOON, password};
pub(crate) use service::{
    POSTGRESQL, REDIS, Service, ask_redis, copy_redis, docker, until_redis_has,
};

/// The whole life of a service.
async fn lives(offering: &Offering) {
    let mut platform = Platform::start();
    let client = Client::of(&platform).await;
    let service = Service::create(&platform, &client, (offering.name, "data"), json!({})).await;
    let key = is_used(&service, offering).await;
    changes(&service, offering, &key).await;
    docker(&["kill", "--signal", "KILL", &service.container()]);
    service.until_read(offering, &key);
    let shown = platform.run(&["services", "show", "data"]);
    assert!(shown.contains("not running, starting it"), "{shown}");
    let (guid, container) = (service.guid.clone(), service.container());

    platform.kill();
    let state = docker(&["inspect", "--format", "{{.State.Running}}", &container]);
    assert_eq!(state.trim(), "true", "a service outlives its platform");
    platform.boot();
    let client = client.again(&platform).await;
    let service = Service {
        platform: &platform,
        client: &client,
        guid,
    };
    service.until_read(offering, &key);
    no_secret_is_shown(&service, &key);
    leaves(&service).await;
}

/// Two users share what is there, and one goes; the credentials of the other.
async fn is_used(service: &Service<'_>, offering: &Offering) -> Value {
    let (first, one) = service.key("one").await;
    let (_, two) = service.key("two").await;
    assert_ne!(password(&one), password(&two));
    service.client(offering.write, &one).expect("written");
    service.until_read(offering, &two);
    let path = format!("/v3/service_credential_bindings/{first}");
    service.delete(&path).await;
    let refused = service.client(offering.read, &one);
    assert!(refused.is_err(), "{refused:?}");
    service.until_read(offering, &two);
    two
}

/// Data outlive other limits, and come back from a backup.
async fn changes(service: &Service<'_>, offering: &Offering, key: &Value) {
    service
        .update(json!({ "memory": "320m", "storage": "2g" }))
        .await;
    service.until_read(offering, key);
    service
        .update(json!({ "backup": "now", "tag": "v1" }))
        .await;
    service.client(offering.remove, key).expect("removed");
    let backups = backups(service.platform);
    assert_eq!(backups[0]["tag"], "v1");
    service
        .update(json!({ "restore": backups[0]["guid"] }))
        .await;
    service.until_read(offering, key);
}

/// Deleting leaves nothing but backups.
async fn leaves(service: &Service<'_>) {
    let keys = service
        .client
        .admin
        .get("/v3/service_credential_bindings?names=two")
        .await;
    let guid = keys.expect("keys").text("/resources/0/guid").to_owned();
    service
        .delete(&format!("/v3/service_credential_bindings/{guid}"))
        .await;
    service.delete(&service.path()).await;
    let filter = format!("name={}", service.container());
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &filter]), "");
    assert_eq!(
        docker(&["volume", "ls", "--quiet", "--filter", &filter]),
        ""
    );
    let all = backups(service.platform);
    assert!(
        all.iter().any(|backup| backup["reason"] == "deleted"),
        "{all:?}"
    );
    assert!(
        all.iter().all(|backup| backup["expires_at"].is_string()),
        "{all:?}"
    );
}

pub(crate) fn backups(platform: &Platform) -> Vec<Value> {
    let listed = platform.run(&["services", "backups", "data", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    listed["backups"].as_array().expect("backups").clone()
}

/// Passwords are in no label, environment, process list, log or file of the platform.
fn no_secret_is_shown(service: &Service<'_>, credentials: &Value) {
    let password = password(credentials);
    let inspected = docker(&["inspect", &service.container()]);
    assert!(
        !inspected.contains(password),
        "docker inspect shows a password"
    );
    let processes = docker(&["top", &service.container(), "-ef"]);
    assert!(
        !processes.contains(password),
        "the process list shows a password"
    );
    assert!(
        !service.platform.log().contains(password),
        "the log shows a password"
    );
    let files = crate::client::files_with(service.platform.data_dir(), password);
    assert!(files.is_empty(), "{files:?}");
    let logs = docker(&["logs", &service.container()]);
    assert!(
        !logs.contains(password),
        "the service's log shows a password"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_keeps_what_was_committed() {
    lives(&POSTGRESQL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_what_was_committed() {
    lives(&REDIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_keeps_what_was_committed() {
    lives(&MARIADB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_keeps_what_was_accepted() {
    lives(&OBJECT_STORE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_an_object_store_that_fails_leaves_its_objects() {
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    let offering = (OBJECT_STORE.name, "data");
    let service = Service::create(&platform, &client, offering, json!({})).await;
    let (_, key) = service.key("one").await;
    service.update(json!({ "backup": "now" })).await;
    let backup = backups(&platform)[0]["guid"].clone();
    service.client(OBJECT_STORE.write, &key).expect("written");
    // The bucket is replaced before its policy, which the server refuses.
    let spoil = "cd /etc/objectstore && cp policy.json kept && echo Statement > policy.json";
    docker(&["exec", &service.container(), "sh", "-c", spoil]);
    let fault = service.fails(json!({ "restore": backup })).await;
    assert!(fault.contains("MalformedPolicy"), "{fault}");
    service.until_read(&OBJECT_STORE, &key);
    let left = ["exec", &service.container(), "ls", "/data"];
    assert_eq!(docker(&left).trim(), "store");

    let mend = "mv /etc/objectstore/kept /etc/objectstore/policy.json";
    docker(&["exec", &service.container(), "sh", "-c", mend]);
    service.update(json!({ "restore": backup })).await;
    let gone = service.client(OBJECT_STORE.read, &key);
    assert!(gone.is_err_and(|text| text.contains("NoSuchKey")));
}

/// An app without any library: the protocol of Redis is lines.
const APP: &str = r#"
import json, os, socket
from http.server import BaseHTTPRequestHandler, HTTPServer
service = json.loads(os.environ["VCAP_SERVICES"])["redis"][0]["credentials"]
def ask(*commands):
    with socket.create_connection((service["host"], service["port"])) as connection:
        lines = connection.makefile("rwb")
        for command in [("AUTH", service["username"], service["password"]), *commands]:
            lines.write(b"*%d\r\n" % len(command))
            for word in command:
                lines.write(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
            lines.flush()
            answer = lines.readline().strip().decode()
    return answer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        text = ask(("INCR", "visits"))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
HTTPServer(("", int(os.environ["PORT"])), Page).serve_forever()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_app_uses_the_service_it_is_bound_to() {
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    Service::create(&platform, &client, ("redis", "counter"), json!({})).await;
    client
        .apply(
            "applications:\n- name: web\n  memory: 64M\n  services: [counter]\n  \
             routes: [{route: web.cf.localhost}]\n",
        )
        .await;
    let app = client.guid("web").await;
    let files = [
        ("requirements.txt", ""),
        ("Procfile", "web: python app.py\n"),
        ("app.py", APP),
    ];
    let package = client.package(&app, crate::cnb::zip_of(&files)).await;
    let droplet = client.build(&package).await.expect("staged");
    client.run(&app, &droplet).await;
    let deadline = Instant::now() + SOON;
    while crate::client::page(&platform, "web") != ":1" {
        assert!(
            Instant::now() < deadline,
            "{}\n{}",
            client.log(&app).await,
            platform.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(crate::client::page(&platform, "web"), ":2");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_containers_never_have_one_volume() {
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    let service = Service::create(&platform, &client, ("redis", "data"), json!({})).await;
    let (_, key) = service.key("one").await;
    service.client(REDIS.write, &key).expect("written");

    // A second one that starts as the first one does is refused by the lock.
    let image = docker(&[
        "inspect",
        "--format",
        "{{.Config.Image}}",
        &service.container(),
    ]);
    let label = format!("cflite.platform={}", platform.id());
    let volume = format!("{}:/data", service.container());
    let script = "exec {l}< /data; flock -n \"$l\" && echo locked || echo refused";
    let run = [
        "run",
        "--rm",
        "--label",
        &label,
        "-v",
        &volume,
        image.trim(),
        "bash",
        "-c",
        script,
    ];
    assert_eq!(docker(&run).trim(), "refused");

    // A stranger that has the volume while the service is down is ended before it starts.
    let stranger = docker(&[
        "run",
        "-d",
        "--label",
        &label,
        "-v",
        &volume,
        image.trim(),
        "sleep",
        "600",
    ]);
    docker(&["kill", &service.container()]);
    service.until_read(&REDIS, &key);
    let running = docker(&["inspect", "--format", "{{.State.Running}}", stranger.trim()]);
    assert_eq!(running.trim(), "false");
    let shown = platform.run(&["services", "show", "data"]);
    assert!(shown.contains("has the volume: stopping it"), "{shown}");
}
