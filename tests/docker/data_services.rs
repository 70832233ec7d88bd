//! Data services on the real daemon: whatever happens, what was committed is there.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::platform::Platform;

/// The first service of an offering waits for its image.
const LONG: Duration = Duration::from_secs(600);
const SOON: Duration = Duration::from_secs(90);

/// What a client of an offering does; `URI` stands for that of the credentials, `ARGUMENTS` for those
/// of MariaDB's client.
struct Offering {
    name: &'static str,
    /// Writes the row `one`.
    write: &'static str,
    /// Says `one` when it is there.
    read: &'static str,
    /// Removes it.
    remove: &'static str,
}

const POSTGRESQL: Offering = Offering {
    name: "postgresql",
    write: "psql -X -q -v ON_ERROR_STOP=1 'URI' -c \"CREATE TABLE IF NOT EXISTS t (v text); INSERT INTO t VALUES ('one')\"",
    read: "psql -X -q -At 'URI' -c 'SELECT v FROM t'",
    remove: "psql -X -q -v ON_ERROR_STOP=1 'URI' -c 'DELETE FROM t'",
};
const MARIADB: Offering = Offering {
    name: "mariadb",
    write: "mariadb ARGUMENTS -e \"CREATE TABLE IF NOT EXISTS t (v varchar(9)); INSERT INTO t VALUES ('one')\"",
    read: "mariadb ARGUMENTS -N -e 'SELECT v FROM t'",
    remove: "mariadb ARGUMENTS -e 'DELETE FROM t'",
};
const REDIS: Offering = Offering {
    name: "redis",
    write: "redis-cli -u 'URI' SET v one",
    read: "redis-cli -u 'URI' GET v",
    remove: "redis-cli -u 'URI' DEL v",
};

/// A service and its space.
pub(crate) struct Service<'a> {
    platform: &'a Platform,
    client: &'a Client,
    pub(crate) guid: String,
}

async fn finished(client: &Client, path: &str, limit: Duration) -> Value {
    let deadline = Instant::now() + limit;
    loop {
        let found = client.admin.get(path).await.expect("an answer");
        let state = found.body["last_operation"]["state"]
            .as_str()
            .map(str::to_owned);
        match state.as_deref() {
            Some("succeeded") => return found.body,
            Some("failed") => panic!("{}", found.body["last_operation"]),
            _ => assert!(Instant::now() < deadline, "{:?}", found.body),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl<'a> Service<'a> {
    pub(crate) async fn create(
        platform: &'a Platform,
        client: &'a Client,
        (offering, name): (&str, &str),
        parameters: Value,
    ) -> Self {
        let plans = client
            .admin
            .get(&format!(
                "/v3/service_plans?service_offering_names={offering}&names=small,image"
            ))
            .await
            .expect("plans");
        let body = json!({
            "type": "managed", "name": name, "parameters": parameters,
            "relationships": {
                "space": { "data": { "guid": client.space } },
                "service_plan": { "data": { "guid": plans.text("/resources/0/guid") } },
            },
        });
        let asked = client
            .admin
            .post("/v3/service_instances", &body)
            .await
            .expect("asked");
        assert_eq!(asked.status, 202, "{asked:?}");
        let found = client
            .admin
            .get(&format!("/v3/service_instances?names={name}"))
            .await;
        let guid = found
            .expect("instances")
            .text("/resources/0/guid")
            .to_owned();
        let service = Self {
            platform,
            client,
            guid,
        };
        finished(client, &service.path(), LONG).await;
        service
    }

    pub(crate) fn path(&self) -> String {
        format!("/v3/service_instances/{}", self.guid)
    }

    pub(crate) async fn update(&self, parameters: Value) {
        let body = json!({ "parameters": parameters });
        let asked = self
            .client
            .admin
            .patch(&self.path(), &body)
            .await
            .expect("asked");
        assert_eq!(asked.status, 202, "{asked:?}");
        self.client.complete(&asked).await;
    }

    /// The guid and the credentials of a new key.
    pub(crate) async fn key(&self, name: &str) -> (String, Value) {
        let body = json!({
            "type": "key", "name": name,
            "relationships": { "service_instance": { "data": { "guid": self.guid } } },
        });
        let asked = self
            .client
            .admin
            .post("/v3/service_credential_bindings", &body)
            .await;
        assert_eq!(
            asked.as_ref().map(|asked| asked.status).ok(),
            Some(202),
            "{asked:?}"
        );
        let list = format!("/v3/service_credential_bindings?type=key&names={name}");
        let found = self.client.admin.get(&list).await.expect("keys");
        let guid = found.text("/resources/0/guid").to_owned();
        let path = format!("/v3/service_credential_bindings/{guid}");
        finished(self.client, &path, SOON).await;
        let details = self
            .client
            .admin
            .get(&format!("{path}/details"))
            .await
            .expect("details");
        (guid, details.body["credentials"].clone())
    }

    pub(crate) async fn delete(&self, path: &str) {
        let asked = self.client.admin.delete(path).await.expect("asked");
        assert_eq!(asked.status, 202, "{asked:?}");
        self.client.complete(&asked).await;
    }

    pub(crate) fn container(&self) -> String {
        format!("cflite-{}-service-{}", self.platform.id(), self.guid)
    }

    /// Runs a client in the network of this machine.
    fn client(&self, command: &str, credentials: &Value) -> Result<String, String> {
        let image = docker(&[
            "inspect",
            "--format",
            "{{.Config.Image}}",
            &self.container(),
        ]);
        let uri = credentials["uri"].as_str().expect("a URI");
        let text = |name: &str| credentials[name].as_str().unwrap_or_default();
        let arguments = format!(
            "-h 127.0.0.1 -P {} -u {} -p{} {}",
            credentials["port"],
            text("username"),
            text("password"),
            text("name")
        );
        let command = command.replace("URI", uri).replace("ARGUMENTS", &arguments);
        let label = format!("cflite.platform={}", self.platform.id());
        let out = Command::new("docker")
            .args([
                "run",
                "--rm",
                "--network",
                "host",
                "--label",
                &label,
                "--entrypoint",
                "sh",
            ])
            .args([image.trim(), "-c", &command])
            .output()
            .expect("docker runs");
        let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        // redis-cli reports failures in its output.
        if out.status.success() && !errors.contains("AUTH failed") && !said.contains("NOAUTH") {
            Ok(said)
        } else {
            Err(format!("{said}{errors}"))
        }
    }

    fn until_read(&self, offering: &Offering, credentials: &Value) {
        let deadline = Instant::now() + SOON;
        loop {
            let found = self.client(offering.read, credentials);
            if found.as_deref() == Ok("one") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{found:?}\n{}",
                self.platform.log()
            );
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    let out = Command::new("docker")
        .args(arguments)
        .output()
        .expect("docker runs");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

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
    assert_ne!(one["password"], two["password"]);
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
    let password = credentials["password"].as_str().expect("a password");
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
