//! A service on the real daemon, and clients of each offering.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::platform::Platform;

/// The first service of an offering waits for its image.
const LONG: Duration = Duration::from_secs(1200);
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// What a client of an offering does; `URI` stands for that of the credentials, `ARGUMENTS` for those
/// of MariaDB's client, `S3` for curl's and `OBJECT` for the address of an object.
pub(crate) struct Offering {
    pub(crate) name: &'static str,
    /// Writes the row `one`.
    pub(crate) write: &'static str,
    /// Says `one` when it is there.
    pub(crate) read: &'static str,
    /// Removes it.
    pub(crate) remove: &'static str,
}

pub(crate) const POSTGRESQL: Offering = Offering {
    name: "postgresql",
    write: "psql -X -q -v ON_ERROR_STOP=1 'URI' -c \"CREATE TABLE IF NOT EXISTS t (v text); INSERT INTO t VALUES ('one')\"",
    read: "psql -X -q -At 'URI' -c 'SELECT v FROM t'",
    remove: "psql -X -q -v ON_ERROR_STOP=1 'URI' -c 'DELETE FROM t'",
};
pub(crate) const MARIADB: Offering = Offering {
    name: "mariadb",
    write: "mariadb ARGUMENTS -e \"CREATE TABLE IF NOT EXISTS t (v varchar(9)); INSERT INTO t VALUES ('one')\"",
    read: "mariadb ARGUMENTS -N -e 'SELECT v FROM t'",
    remove: "mariadb ARGUMENTS -e 'DELETE FROM t'",
};
pub(crate) const REDIS: Offering = Offering {
    name: "redis",
    write: "redis-cli -u 'URI' SET v one",
    read: "redis-cli -u 'URI' GET v",
    remove: "redis-cli -u 'URI' DEL v",
};
pub(crate) const OBJECT_STORE: Offering = Offering {
    name: "objectstore",
    write: "curl S3 -X PUT --data-binary one OBJECT",
    read: "curl S3 OBJECT",
    remove: "curl S3 -X DELETE OBJECT",
};

/// A service and its space.
pub(crate) struct Service<'a> {
    pub(crate) platform: &'a Platform,
    pub(crate) client: &'a Client,
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

    /// Why an update failed.
    pub(crate) async fn fails(&self, parameters: Value) -> String {
        let body = json!({ "parameters": parameters });
        let asked = { self.client.admin.patch(&self.path(), &body).await }.expect("asked");
        assert_eq!(asked.status, 202, "{asked:?}");
        let deadline = Instant::now() + SOON;
        loop {
            let job = self.client.admin.job_of(&asked).await.expect("a job");
            match job.text("/state") {
                "FAILED" => return job.text("/errors/0/detail").to_owned(),
                "COMPLETE" => panic!("{job:?}"),
                _ => assert!(Instant::now() < deadline, "{job:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
    pub(crate) fn client(&self, command: &str, credentials: &Value) -> Result<String, String> {
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
        let object = format!("{}/{}/folder/v", text("endpoint"), text("bucket"));
        let s3 = format!(
            "-sS --fail-with-body --aws-sigv4 aws:amz:{}:s3 -H x-amz-content-sha256:UNSIGNED-PAYLOAD -u {}:{}",
            text("region"),
            text("access_key_id"),
            text("secret_access_key"),
        );
        let command = command.replace("URI", uri).replace("ARGUMENTS", &arguments);
        let command = command.replace("S3", &s3).replace("OBJECT", &object);
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

    pub(crate) fn until_read(&self, offering: &Offering, credentials: &Value) {
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

pub(crate) fn password(credentials: &Value) -> &str {
    let all = ["password", "secret_access_key"].iter();
    let mut found = all.filter_map(|name| credentials[*name].as_str());
    found.next().expect("a password")
}

/// What the server says to a command, after a user signed in; the protocol is lines.
pub(crate) fn ask_redis(credentials: &Value, command: &str) -> io::Result<String> {
    let text = |name: &str| credentials[name].as_str().unwrap_or_default();
    let port = credentials["port"].as_u64().expect("a port");
    let mut connection = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let sign_in = format!("AUTH {} {}", text("username"), text("password"));
    connection.write_all(format!("{sign_in}\r\n{command}\r\n").as_bytes())?;
    let mut lines = BufReader::new(connection).lines();
    let mut next = || lines.next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let admitted = next()?;
    if admitted != "+OK" {
        return Err(io::Error::other(admitted));
    }
    let said = next()?;
    // A length comes before a text.
    if said.starts_with('$') {
        next()
    } else {
        Ok(said)
    }
}

/// Waits until the value `v` is this.
pub(crate) fn until_redis_has(platform: &Platform, credentials: &Value, value: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = ask_redis(credentials, "GET v");
        if found.as_ref().is_ok_and(|found| found == value) {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}\n{}", platform.log());
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Gives another daemon, which reaches no network, the image of Redis.
pub(crate) async fn copy_redis(host: &str) {
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    let service = Service::create(&platform, &client, ("redis", "image"), json!({})).await;
    let format = "{{.Config.Image}}";
    let image = docker(&["inspect", "--format", format, &service.container()]);
    let copied = Command::new("sh")
        .args(["-c", "docker save \"$1\" | docker --host \"$2\" load", "sh"])
        .args([image.trim(), host])
        .status();
    assert!(copied.expect("docker runs").success());
}
