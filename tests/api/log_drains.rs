//! Log drains of apps, from their bindings to the receiver, and the search in logs.

use std::time::Duration;

use cflite::config::Options;
use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Receiver {
    listener: TcpListener,
    stream: Option<BufReader<TcpStream>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            stream: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("syslog://{}", self.listener.local_addr().unwrap())
    }

    /// The next message that contains `part`.
    pub(crate) async fn until(&mut self, part: &str) -> String {
        let found = async {
            if self.stream.is_none() {
                self.stream = Some(BufReader::new(self.listener.accept().await.unwrap().0));
            }
            let stream = self.stream.as_mut().unwrap();
            loop {
                let mut length = Vec::new();
                stream.read_until(b' ', &mut length).await.unwrap();
                let length = String::from_utf8(length).unwrap();
                let mut message = vec![0; length.trim().parse().unwrap()];
                stream.read_exact(&mut message).await.unwrap();
                let message = String::from_utf8(message).unwrap();
                assert!(!message.contains("unbound"), "{message}");
                if message.contains(part) {
                    return message;
                }
            }
        };
        let found = tokio::time::timeout(SOON, found).await;
        found.unwrap_or_else(|_| panic!("{part} never came"))
    }
}

async fn change(admin: &TestClient, app: &str, mark: &str) {
    let change = json!({ "metadata": { "annotations": { "mark": mark } } });
    let changed = admin.patch(&format!("/v3/apps/{app}"), &change).await;
    assert_eq!(changed.unwrap().status, 200);
}

pub(crate) async fn provided(admin: &TestClient, space: &str, name: &str, url: &str) -> String {
    let mut body = json!({ "type": "user-provided", "name": name, "syslog_drain_url": url });
    body["relationships"] = related("space", space);
    let made = admin.post("/v3/service_instances", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

pub(crate) async fn bind(admin: &TestClient, service: &str, app: &str) -> String {
    let mut relationships = related("service_instance", service);
    relationships["app"] = json!({ "data": { "guid": app } });
    let body = json!({ "type": "app", "relationships": relationships });
    let bound = admin
        .post("/v3/service_credential_bindings", &body)
        .await
        .unwrap();
    assert_eq!(bound.status, 201, "{bound:?}");
    bound.text("/guid").to_owned()
}

/// The lines of an app's log.
async fn texts(admin: &TestClient, app: &str) -> Vec<String> {
    use base64::Engine as _;
    let path = format!("/api/v1/read/{app}?descending=true&limit=1000&envelope_types=LOG");
    let read = admin.get(&path).await.unwrap();
    let batch = read.body["envelopes"]["batch"].as_array().unwrap().clone();
    let text = |envelope: &Value| {
        let payload = envelope["log"]["payload"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(payload)
            .unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    batch.iter().map(text).collect()
}

#[tokio::test]
async fn a_bound_app_s_lines_reach_the_drain_and_no_other_app_s() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    let other = app_in_space(&admin, &space, "unbound").await.unwrap();
    let mut first = Receiver::start().await;
    let mut second = Receiver::start().await;
    let service = provided(&admin, &space, "logs", &first.url()).await;
    let binding = bind(&admin, &service, &web).await;
    change(&admin, &other, "unbound").await;
    // A line before the drain runs is not sent.
    let message = async {
        for number in 0.. {
            change(&admin, &web, &format!("mark-{number}.")).await;
            let came = tokio::time::timeout(Duration::from_secs(1), first.until("mark-")).await;
            if let Ok(message) = came {
                return message;
            }
        }
        unreachable!()
    };
    let message = message.await;
    assert!(message.starts_with("<14>1 "), "{message}");
    let head = format!(
        "+00:00 acme.dev.web {web} [API/0] - [tags@47450 app_id=\"{web}\" app_name=\"web\""
    );
    assert!(message.contains(&head), "{message}");

    // The URL of the service is that of its bindings.
    let path = format!("/v3/service_instances/{service}");
    let changed = admin
        .patch(&path, &json!({ "syslog_drain_url": second.url() }))
        .await;
    assert_eq!(changed.unwrap().status, 200);
    let accepted = async {
        for number in 0.. {
            change(&admin, &web, &format!("again-{number}.")).await;
            let came = tokio::time::timeout(Duration::from_secs(1), second.until("again-")).await;
            if came.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, accepted).await.expect("in time");

    // Without a receiver the app's log says so, without the password.
    let bad = "syslog://me:hunter2@127.0.0.1:1/?token=hunter2";
    let changed = admin
        .patch(&path, &json!({ "syslog_drain_url": bad }))
        .await;
    assert_eq!(changed.unwrap().status, 200);
    let told = async {
        for number in 0.. {
            change(&admin, &web, &format!("bad-{number}.")).await;
            let all = texts(&admin, &web).await;
            if let Some(told) = all
                .into_iter()
                .find(|text| text.starts_with("Failed to connect"))
            {
                return told;
            }
        }
        unreachable!()
    };
    let told = tokio::time::timeout(SOON, told).await.expect("in time");
    assert!(
        told.starts_with("Failed to connect to syslog://127.0.0.1:1: "),
        "{told}"
    );
    let deleted = admin
        .delete(&format!("/v3/service_credential_bindings/{binding}"))
        .await;
    assert_eq!(deleted.unwrap().status, 204);
}

#[tokio::test]
async fn a_drain_of_the_configuration_gets_the_lines_of_all_apps() {
    let mut receiver = Receiver::start().await;
    let options = Options {
        log_drain: Some(vec![format!("{}?disable-metadata=true", receiver.url())]),
        ..Options::default()
    };
    let platform = TestApp::start()
        .await
        .unwrap()
        .restart_with(options)
        .await
        .unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    change(&admin, &web, "first").await;
    let message = receiver.until("first").await;
    assert!(
        message.contains(&format!(" {web} [API/0] - - Updated app")),
        "{message}"
    );
}

#[tokio::test]
async fn operators_search_the_logs_of_several_apps() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    let api = app_in_space(&admin, &space, "api").await.unwrap();
    change(&admin, &web, "red").await;
    change(&admin, &api, "green").await;
    change(&admin, &api, "blue").await;
    let operator = admin.at(&platform.registry_url());
    let search = async |query: &str| -> Vec<Value> {
        let found = operator
            .download(&format!("/cflite/logs?{query}"))
            .await
            .unwrap();
        let found = String::from_utf8(found).unwrap();
        found
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let stored = async {
        while search("all&grep=Updated").await.len() < 3 {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(SOON, stored).await.expect("in time");
    let names = |found: &[Value]| -> Vec<String> {
        found
            .iter()
            .map(|line| line["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = search("all&grep=Updated&source=API").await;
    assert_eq!(names(&all), ["web", "api", "api"]);
    assert_eq!(
        (all[0]["space"].as_str(), all[0]["organization"].as_str()),
        (Some("dev"), Some("acme"))
    );
    assert_eq!(
        (all[0]["stream"].as_str(), all[0]["instance_id"].as_str()),
        (Some("OUT"), Some("0"))
    );
    let last = search(&format!(
        "app={web}&app=acme/dev/api&grep=Updated&not=blue&last=1"
    ))
    .await;
    assert!(
        last.len() == 1 && last[0]["text"].as_str().unwrap().contains("green"),
        "{last:?}"
    );
    assert!(search("app=dev/web&source=RTR").await.is_empty());
    for (query, status, text) in [
        ("", 400, "name an app or a service, or ask for all"),
        ("app=nobody", 404, "there is no app \"nobody\""),
        ("app=other/web", 404, "there is no app \"other/web\""),
        ("service=web", 404, "there is no service instance \"web\""),
        (
            "all&grep=(",
            400,
            "\"(\" is no regular expression: unclosed group",
        ),
    ] {
        let refused = operator
            .get(&format!("/cflite/logs?{query}"))
            .await
            .unwrap();
        assert_eq!(
            (refused.status, refused.text("/errors/0/message")),
            (status, text)
        );
    }
    let stranger = platform
        .user("sid")
        .await
        .unwrap()
        .at(&platform.registry_url());
    assert_eq!(stranger.get("/cflite/logs?all").await.unwrap().status, 403);
}
