//! The specs about logs of Cloud Foundry's acceptance tests (CATS), with an app whose output the test
//! writes: "loggregator", "firehose data", "reverse log proxy" and "logging over syslog".

use base64::Engine as _;
use cflite::docker::LogStream;

use super::*;
use crate::log_drains::{Receiver, bind, provided};

/// A running app and its container.
struct Running {
    world: World,
    container: String,
}

impl Running {
    async fn start() -> Self {
        let (platform, admin, app, space) = crate::tasks::runnable().await;
        let shown = admin.get(&format!("/v3/spaces/{space}")).await.unwrap();
        let organization = shown.text("/relationships/organization/data/guid");
        let world = World {
            organization: organization.to_owned(),
            platform,
            admin,
            space,
            app,
        };
        let path = format!("/v3/apps/{}/actions/start", world.app);
        let started = world.admin.post(&path, &json!({})).await.unwrap();
        assert_eq!(started.status, 200, "{started:?}");
        let made = world
            .line_of("CELL", "successfully created container")
            .await;
        // The name of a container ends with the last part of its instance's guid.
        let instance = made.rsplit(['-', ' ']).next().unwrap();
        let names = world.platform.engine().container_names();
        let container = names.into_iter().find(|name| name.ends_with(instance));
        Self {
            container: container.expect("the container of the instance"),
            world,
        }
    }

    fn print(&self, stream: LogStream, text: &str) {
        let engine = self.world.platform.engine();
        engine.print(&self.container, stream, format!("{text}\n"));
    }
}

impl World {
    /// What `cf logs --recent` reads, oldest first.
    async fn recent(&self) -> Vec<Value> {
        let path = format!(
            "/api/v1/read/{}?descending=true&envelope_types=LOG&limit=1000&start_time=-6795364578871345152",
            self.app
        );
        let read = self.admin.get(&path).await.unwrap();
        assert_eq!(read.status, 200, "{read:?}");
        let batch = read.body["envelopes"]["batch"].as_array().unwrap();
        batch.iter().rev().cloned().collect()
    }

    /// The text of the first line of a source that contains `part`, once it is there.
    async fn line_of(&self, source: &str, part: &str) -> String {
        let found = async {
            loop {
                let recent = self.recent().await;
                let mut of_source = recent
                    .iter()
                    .filter(|one| one["tags"]["source_type"] == source);
                if let Some(found) = of_source.find(|one| text_of(one).contains(part)) {
                    return text_of(found);
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        let found = tokio::time::timeout(SOON, found).await;
        found.unwrap_or_else(|_| panic!("{source} never said {part}"))
    }
}

/// The payload of a line of Log Cache or of the log stream.
fn text_of(envelope: &Value) -> String {
    let payload = envelope["log"]["payload"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(payload)
        .unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn loggregator_shows_both_streams_of_the_app_and_what_was_done_to_it() {
    let running = Running::start().await;
    running.print(LogStream::Out, "Muahaha... let's go. Waiting on STDOUT");
    running.print(LogStream::Err, "Muahaha... let's go. Waiting on STDERR");
    let world = &running.world;
    world.line_of("APP/PROC/WEB", "STDOUT").await;
    world.line_of("APP/PROC/WEB", "STDERR").await;
    let created = format!("Created app with guid {}", world.app);
    assert_eq!(world.line_of("API", "Created app").await, created);
    // As `cf logs` shows them: [APP/PROC/WEB/0] OUT, [APP/PROC/WEB/0] ERR, [API/0] OUT.
    let recent = world.recent().await;
    let shown: Vec<String> = recent
        .iter()
        .map(|one| {
            let source = one["tags"]["source_type"].as_str().unwrap();
            let instance = one["instance_id"].as_str().unwrap();
            let stream = one["log"]["type"].as_str().unwrap();
            format!("[{source}/{instance}] {stream} {}", text_of(one))
        })
        .collect();
    for expected in [
        "[APP/PROC/WEB/0] OUT Muahaha... let's go. Waiting on STDOUT".to_owned(),
        "[APP/PROC/WEB/0] ERR Muahaha... let's go. Waiting on STDERR".to_owned(),
        format!("[API/0] OUT {created}"),
    ] {
        assert_eq!(
            shown.iter().filter(|line| **line == expected).count(),
            1,
            "{expected}: {shown:#?}"
        );
    }
}

#[tokio::test]
async fn firehose_data_has_the_lines_of_the_app() {
    let running = Running::start().await;
    let world = &running.world;
    let nozzle = world.platform.in_group("nina", "doppler.firehose").await;
    let path = "/firehose/firehose-a";
    let mut firehose = world.socket(&nozzle.unwrap(), path).await.unwrap();
    running.print(LogStream::Out, "a line for the firehose");
    let found = loop {
        let found = envelope(&mut firehose).await;
        if line(&found).is_some_and(|line| line == "a line for the firehose") {
            break found;
        }
    };
    assert_eq!(found.bytes(1), Some(&b"rep"[..]), "the origin");
    assert_eq!(found.number(2), Some(5), "LogMessage");
    let message = found.message(8).unwrap();
    assert_eq!(message.number(2), Some(1), "OUT");
    assert_eq!(message.bytes(4), Some(world.app.as_bytes()));
    assert_eq!(message.bytes(5), Some(&b"APP/PROC/WEB"[..]));
    assert_eq!(message.bytes(6), Some(&b"0"[..]));
}

#[tokio::test]
async fn reverse_log_proxy_streams_the_lines_of_the_app() {
    let running = Running::start().await;
    let world = &running.world;
    let of = (&*world.organization, &*world.space);
    let developer = world.platform.member(("dora", "space_developer"), of).await;
    let query = format!("?log&source_id={}&shard_id=a-shard", world.app);
    let mut events = world.events(&developer.unwrap(), &query).await;
    assert_eq!(events.status(), 200);
    running.print(LogStream::Out, "a line for the proxy");
    let mut text = String::new();
    let found = async {
        loop {
            let chunk = events.chunk().await.unwrap().expect("open");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            let batches = text.lines().filter_map(|line| line.strip_prefix("data: "));
            let batches = batches.filter_map(|json| serde_json::from_str::<Value>(json).ok());
            let mut all = batches.flat_map(|batch| {
                let all = batch["batch"].as_array().cloned();
                all.unwrap_or_default()
            });
            if let Some(found) = all.find(|one| text_of(one) == "a line for the proxy") {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(SOON, found).await.expect("in time");
    assert_eq!(found["source_id"], world.app.as_str());
    assert_eq!(found["instance_id"], "0");
    assert_eq!(found["log"]["type"], "OUT");
}

#[tokio::test]
async fn logging_over_syslog_sends_the_lines_of_the_bound_app_and_of_no_other() {
    let running = Running::start().await;
    let world = &running.world;
    let other = app_in_space(&world.admin, &world.space, "unbound").await;
    let other = other.unwrap();
    let mut receiver = Receiver::start().await;
    let service = provided(&world.admin, &world.space, "logs", &receiver.url()).await;
    bind(&world.admin, &service, &world.app).await;
    // A drain is at work a moment after its binding.
    let message = async {
        for number in 0.. {
            let change = json!({ "metadata": { "annotations": { "number": number.to_string() } } });
            let path = format!("/v3/apps/{other}");
            assert_eq!(world.admin.patch(&path, &change).await.unwrap().status, 200);
            running.print(LogStream::Err, &format!("random-line-{number}"));
            let came = receiver.until("random-line-");
            if let Ok(message) = tokio::time::timeout(Duration::from_secs(1), came).await {
                return message;
            }
        }
        unreachable!()
    };
    let message = tokio::time::timeout(SOON, message).await.expect("in time");
    assert!(message.starts_with("<11>1 "), "{message}");
    let head = format!(
        " acme.dev.web {} [APP/PROC/WEB/0] - [tags@47450 ",
        world.app
    );
    assert!(message.contains(&head), "{message}");
    assert!(message.contains("process_type=\"web\""), "{message}");
}
