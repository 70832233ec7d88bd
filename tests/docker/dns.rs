//! Names of apps and of the platform, as the containers of the real daemon find them.
//!
//! The system domain is not below `localhost`: curl and some resolvers take such names for the
//! container itself, whatever DNS says.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use cflite::testing::{TestClient, related};
use serde_json::{Value, json};

use crate::platform::Platform;
use crate::survival::admin_token;

const SOON: Duration = Duration::from_secs(60);

/// What Docker says, trimmed.
fn docker(arguments: &[&str]) -> String {
    crate::data_services::docker(arguments).trim().to_owned()
}

/// The output of a command in a container.
fn inside(container: &str, words: &[&str]) -> String {
    docker(&[&["exec", container], words].concat())
}

/// Waits until a command in a container has this output.
fn until(container: &str, words: &[&str], expected: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = inside(container, words);
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{words:?}: {found:?}, not {expected:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The containers of an app, by index.
fn containers(app: &str) -> Vec<String> {
    let filter = format!("label=cflite.log.source_id={app}");
    let format = "{{.Label \"cflite.log.instance_id\"}} {{.ID}}";
    let listed = docker(&["ps", "--filter", &filter, "--format", format]);
    let mut all: Vec<&str> = listed.lines().collect();
    all.sort_unstable();
    let id = |line: &str| {
        line.split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned()
    };
    all.into_iter().map(id).collect()
}

fn address(container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    docker(&["inspect", "--format", format, container])
}

/// A platform with two apps; `other` has two instances and a route on `apps.internal`.
struct Pair {
    platform: Platform,
    admin: TestClient,
    front: String,
    other: String,
    gateway: String,
    dns_port: String,
}

impl Pair {
    async fn start() -> Self {
        let platform = Platform::start_with(&["--domain", "cf.example"]);
        for name in ["front", "other"] {
            let host = platform.push_sample(name);
            assert_eq!(host, format!("{name}.cf.example"));
            platform.wait_for(&host, SOON);
        }
        let token = admin_token(&platform).await;
        let admin = TestClient::anonymous(&platform.url()).with_token(&token);
        let guid = |name: &'static str| {
            let admin = admin.clone();
            async move {
                let apps = admin.get(&format!("/v3/apps?names={name}")).await;
                apps.expect("apps").text("/resources/0/guid").to_owned()
            }
        };
        let (front, other) = (guid("front").await, guid("other").await);
        let status: Value =
            serde_json::from_str(&platform.run(&["status", "--json"])).expect("JSON");
        let network = format!("cflite-{}", platform.id());
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        let pair = Self {
            gateway: docker(&["network", "inspect", "--format", format, &network]),
            dns_port: status["platform"]["dns_port"].to_string(),
            platform,
            admin,
            front,
            other,
        };
        pair.map().await;
        pair.scale(2).await;
        pair
    }

    async fn map(&self) {
        let domains = self.admin.get("/v3/domains?names=apps.internal").await;
        let app = self
            .admin
            .get(&format!("/v3/apps/{}", self.other))
            .await
            .expect("app");
        let mut relationships = related("space", app.text("/relationships/space/data/guid"));
        let domain = domains
            .expect("domains")
            .text("/resources/0/guid")
            .to_owned();
        relationships["domain"] = json!({ "data": { "guid": domain } });
        let body = json!({ "host": "other", "relationships": relationships });
        let route = self.admin.post("/v3/routes", &body).await.expect("a route");
        let path = format!("/v3/routes/{}/destinations", route.text("/guid"));
        let body = json!({ "destinations": [{ "app": { "guid": self.other } }] });
        let mapped = self.admin.post(&path, &body).await.expect("mapped");
        assert_eq!(mapped.status, 200, "{mapped:?}");
    }

    async fn scale(&self, instances: u32) {
        let path = format!("/v3/apps/{}/processes/web/actions/scale", self.other);
        let body = json!({ "instances": instances });
        let scaled = self.admin.post(&path, &body).await.expect("scaled");
        assert_eq!(scaled.status, 202, "{scaled:?}");
    }

    /// Asks the DNS server from a container.
    fn dig(&self, further: &[&str]) -> Vec<String> {
        let server = format!("@{}", self.gateway);
        let asked = ["dig", "+short", "-p", &self.dns_port, &server];
        let container = containers(&self.front).remove(0);
        let found = inside(&container, &[&asked[..], further].concat());
        let mut lines: Vec<String> = found.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn until_dig(&self, further: &[&str], expected: &[String]) {
        let deadline = Instant::now() + SOON;
        loop {
            let found = self.dig(further);
            if found == expected {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{further:?}: {found:?}, not {expected:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_find_apps_the_platform_and_this_machine() {
    let pair = Pair::start().await;
    let deadline = Instant::now() + SOON;
    while containers(&pair.other).len() < 2 {
        assert!(Instant::now() < deadline, "{}", pair.platform.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let instances = containers(&pair.other);
    let each: Vec<String> = instances.iter().map(|id| address(id)).collect();
    let mut all = each.clone();
    all.sort();
    pair.until_dig(&["other.apps.internal"], &all);
    pair.until_dig(&["+tcp", "OTHER.Apps.Internal"], &all);
    pair.until_dig(&["1.other.apps.internal"], &each[1..]);
    pair.until_dig(&["gone.apps.internal"], &[]);
    pair.until_dig(&["other.apps.internal", "AAAA"], &[]);
    let gateway = [pair.gateway.clone()];
    for name in ["api.cf.example", "other.cf.example", "host.cflite.internal"] {
        pair.until_dig(&[name], &gateway);
    }

    let front = containers(&pair.front).remove(0);
    let servers = docker(&["inspect", "--format", "{{json .HostConfig.Dns}}", &front]);
    let servers: Vec<String> = serde_json::from_str(&servers).expect("JSON");
    assert_eq!(servers.first(), Some(&pair.gateway), "{servers:?}");
    assert!(
        !servers.iter().any(|one| one.starts_with("127.")),
        "{servers:?}"
    );

    // The platform and the other app's public route, at the address that their names have here.
    // Over HTTPS containers trust the platform's certificates.
    let (http, https) = (pair.platform.port(), pair.platform.https_port());
    for (scheme, port, name) in [
        ("http", http, "other.cf.example"),
        ("http", http, "api.cf.example"),
        ("https", https, "other.cf.example"),
        ("https", https, "api.cf.example"),
    ] {
        let url = format!("{scheme}://{name}:{port}/");
        let at = format!("{name}:{port}:{}", pair.gateway);
        let code = [
            "curl",
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--max-time",
            "5",
        ];
        until(
            &front,
            &[&code[..], &["--resolve", &at, &url]].concat(),
            "200",
        );
        until(&front, &[&code[..], &[&url]].concat(), "200");
    }
    let found = inside(&front, &["getent", "ahostsv4", "other.apps.internal"]);
    assert!(each.iter().all(|one| found.contains(one)), "{found}");
    let found = inside(&front, &["getent", "hosts", "0.other.apps.internal"]);
    assert!(found.starts_with(&each[0]), "{found}");

    pair.scale(1).await;
    pair.until_dig(&["other.apps.internal"], &each[..1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_again_after_a_kill_and_on_this_machine_by_loopback() {
    let mut pair = Pair::start().await;
    let found = |pair: &Pair| {
        let server = format!("127.0.0.1:{}", pair.dns_port)
            .parse()
            .expect("address");
        async move {
            let limit = Duration::from_secs(5);
            cflite::network::dns::ask(server, "api.cf.example", limit).await
        }
    };
    let loopback = [std::net::IpAddr::V4(Ipv4Addr::LOCALHOST)];
    assert_eq!(found(&pair).await.expect("asked"), loopback);
    pair.platform.kill();
    found(&pair).await.expect_err("nobody answers");
    let port = pair.dns_port.clone();
    // The same port, as a platform with a configured one has.
    pair.platform.add_option(&format!("--dns-port={port}"));
    pair.platform.boot();
    assert_eq!(found(&pair).await.expect("asked"), loopback);
    let gateway = [pair.gateway.clone()];
    pair.until_dig(&["api.cf.example"], &gateway);
}
