//! Network policies and security groups from inside containers.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, SOON};
use crate::data_services::docker;
use crate::platform::Platform;

/// A network of one address, which no bridge of Docker has: Docker keeps those apart by itself.
const FAR: &str = "10.213.7.2";
const NEAR: &str = "10.213.7.1";
const PORT: u16 = 7000;
/// Sends back what comes.
const ECHO: &str = "socat TCP-LISTEN:8080,fork,reuseaddr EXEC:cat & \
                    exec socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat";

/// A machine in a network of its own; it ends with its container.
struct FarMachine {
    container: String,
}

impl FarMachine {
    fn start(image: &str) -> Self {
        let (name, own) = (
            "cflite-test-far",
            format!("TCP-LISTEN:{PORT},fork,reuseaddr"),
        );
        let label = ["--label", "cflite.test=network"];
        let run = ["run", "--detach", "--network", "none", "--name", name];
        let socat = ["--entrypoint", "socat", image, &own, "EXEC:cat"];
        docker(&[&run[..], &label, &socat].concat());
        let machine = Self {
            container: name.to_owned(),
        };
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", name]);
        let pid = pid.trim();
        // Each network from inside: that takes fewer rights than entering another one.
        let enter = |network: &str, script: &str| {
            let run = [
                "run",
                "--rm",
                "--user",
                "0:0",
                "--cap-add",
                "NET_ADMIN",
                "--pid",
                "host",
            ];
            let bash = [
                "--network",
                network,
                "--entrypoint",
                "bash",
                image,
                "-ec",
                script,
            ];
            docker(&[&run[..], &label, &bash].concat());
        };
        let here = format!(
            "ip link add cflite-far type veth peer name far0; ip link set far0 netns {pid}; \
             ip addr add {NEAR}/30 dev cflite-far; ip link set cflite-far up"
        );
        enter("host", &here);
        let there = format!(
            "ip addr add {FAR}/30 dev far0; ip link set far0 up; ip route add default via {NEAR}"
        );
        enter(&format!("container:{name}"), &there);
        machine
    }
}

impl Drop for FarMachine {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.container]);
    }
}

/// What a container gets back from an address, or why it gets nothing.
fn ask(container: &str, address: &str, port: u16) -> Result<(), String> {
    let script =
        format!("echo hello | timeout 5 socat -T2 - TCP:{address}:{port},connect-timeout=3");
    let exec = ["exec", "--user", "0", container, "bash", "-c", &script];
    let Output { stdout, stderr, .. } = Command::new("docker")
        .args(exec)
        .output()
        .expect("docker runs");
    if stdout == b"hello\n" {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&stderr).into_owned())
}

fn refused(answer: &Result<(), String>) -> bool {
    matches!(answer, Err(text) if text.contains("Connection refused"))
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The stack's image in which apps run.
pub(crate) fn run_image(platform: &Platform) -> String {
    let listed: Value =
        serde_json::from_str(&platform.run(&["images", "list", "--json"])).expect("JSON");
    let all = listed.as_array().expect("a list").iter();
    let mut current = all.filter(|image| image["role"] == "run" && image["state"] == "up to date");
    let image = current.next().expect("a run image");
    image["reference"].as_str().expect("a reference").to_owned()
}

/// The container of an app that echoes on two ports, and its address.
async fn echo(client: &Client, name: &str, image: &str) -> (String, String, String) {
    let further = "no-route: true\n  health-check-type: process";
    let app = client.run_image(name, image, ECHO, further).await;
    let label = format!("label=cflite.app={app}");
    let mut container = String::new();
    let deadline = Instant::now() + SOON;
    while container.is_empty() {
        assert!(Instant::now() < deadline, "{name} does not start");
        container = docker(&["ps", "--quiet", "--filter", &label])
            .trim()
            .to_owned();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "--format", format, &container])
        .trim()
        .to_owned();
    let listens = || ask(&container, "127.0.0.1", 8080).is_ok();
    until("the app listens", listens).await;
    (app, container, address)
}

async fn policies(client: &Client, action: &str, body: &Value) {
    let path = format!("/networking/v1/external/policies{action}");
    let done = client.admin.post(&path, body).await.expect("an answer");
    assert_eq!(done.status, 200, "{done:?}");
}

/// A container that is not the platform's.
fn somebody_else(image: &str) -> String {
    let label = ["--label", "cflite.test=network"];
    let sleep = ["--entrypoint", "sleep", image, "300"];
    docker(&[&["run", "--detach"], &label[..], &sleep].concat())
}

/// Lets the apps of the space connect to the far machine; the path of the group.
async fn group(client: &Client) -> String {
    let rules = json!([{ "protocol": "tcp", "destination": FAR, "ports": PORT.to_string() }]);
    let spaces = json!({ "data": [{ "guid": client.space }] });
    let body = json!({
        "name": "far", "rules": rules, "relationships": { "running_spaces": spaces },
    });
    let made = client.admin.post("/v3/security_groups", &body).await;
    let made = made.expect("made");
    assert_eq!(made.status, 201, "{made:?}");
    format!("/v3/security_groups/{}", made.text("/guid"))
}

/// The names of all tables of the machine.
pub(crate) fn tables(image: &str) -> String {
    let run = [
        "run",
        "--rm",
        "--network",
        "host",
        "--cap-add",
        "NET_ADMIN",
        "--user",
        "0:0",
    ];
    let label = ["--label", "cflite.test=network"];
    docker(
        &[
            &run[..],
            &label,
            &["--entrypoint", "nft", image, "list", "tables"],
        ]
        .concat(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_and_groups_decide_where_containers_connect_to() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let mut platform = Platform::start();
    let image = run_image(&platform);
    let far = FarMachine::start(&image);
    let client = Client::of(&platform).await;
    let (one, in_one, _) = echo(&client, "one", &image).await;
    let (two, in_two, of_two) = echo(&client, "two", &image).await;
    assert!(
        platform.log().contains("network policies are enforced"),
        "{}",
        platform.log()
    );

    // Apps do not reach each other until a policy says so, and then at its ports alone.
    let denied = ask(&in_one, &of_two, 8080);
    assert!(refused(&denied), "{denied:?}");
    let body = json!({ "policies": [{
        "source": { "id": one },
        "destination": { "id": two, "protocol": "tcp", "ports": { "start": 8080, "end": 8080 } },
    }] });
    policies(&client, "", &body).await;
    until("the policy acts", || ask(&in_one, &of_two, 8080).is_ok()).await;
    assert!(refused(&ask(&in_one, &of_two, 9000)));

    // A private address needs a security group; other containers of the machine are not asked.
    let plain = somebody_else(&image);
    let plain = plain.trim();
    assert_eq!(
        ask(plain, FAR, PORT),
        Ok(()),
        "a container of somebody else"
    );
    let denied = ask(&in_one, FAR, PORT);
    assert!(refused(&denied), "{denied:?}");
    let group = group(&client).await;
    until("the group acts", || ask(&in_two, FAR, PORT).is_ok()).await;

    // Rules outlive the platform, and follow the rows again afterwards.
    platform.kill();
    assert!(refused(&ask(&in_one, &of_two, 9000)));
    assert_eq!(ask(&in_one, &of_two, 8080), Ok(()));
    platform.boot();
    let client = client.again(&platform).await;
    policies(&client, "/delete", &body).await;
    until("the policy is gone", || {
        refused(&ask(&in_one, &of_two, 8080))
    })
    .await;
    client.admin.delete(&group).await.expect("deleted");
    until("the group is gone", || refused(&ask(&in_two, FAR, PORT))).await;
    assert_eq!(
        ask(plain, FAR, PORT),
        Ok(()),
        "a container of somebody else"
    );

    docker(&["rm", "--force", plain]);
    let table = format!("cflite-{}", platform.id());
    assert!(tables(&image).contains(&table));
    platform.run(&["down", "--stop-apps"]);
    assert!(!tables(&image).contains(&table), "{}", tables(&image));
    drop(far);
}
