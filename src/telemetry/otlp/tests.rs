//! The exporter against a collector that fails now and then.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode, Uri};
use prost::Message as _;
use serde_json::Value;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::{Secret, Supervisor, Timestamp};
use crate::db::Db;
use crate::logs::{LogStream, Logs};
use crate::telemetry::Family;

/// Answers that are still to be given, and the bodies that came.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<(Vec<StatusCode>, Vec<Value>)>>);

impl Collector {
    fn bodies(&self) -> Vec<Value> {
        self.0.lock().expect("not poisoned").1.clone()
    }

    /// The lines that were taken.
    fn lines(&self) -> Vec<String> {
        let bodies = self.bodies();
        let records = bodies.iter().flat_map(|body| {
            let resources = body["resourceLogs"].as_array().cloned().unwrap_or_default();
            resources.into_iter().flat_map(|resource| {
                let records = resource["scopeLogs"][0]["logRecords"].as_array().cloned();
                records.unwrap_or_default()
            })
        });
        records
            .map(|record| {
                record["body"]["stringValue"]
                    .as_str()
                    .unwrap_or("")
                    .to_owned()
            })
            .collect()
    }

    /// Waits for something.
    async fn until(&self, enough: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            if enough(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the collector never had it: {:?}", self.bodies());
    }
}

async fn take(
    State(collector): State<Collector>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let path = uri.path();
    assert_eq!(headers["x-key"], "secret");
    let mut taken = collector.0.lock().expect("not poisoned");
    if let Some(status) = taken.0.pop() {
        return status;
    }
    let mut plain = Vec::new();
    if headers.contains_key("content-encoding") {
        let mut decoder = flate2::read::GzDecoder::new(&body[..]);
        decoder.read_to_end(&mut plain).expect("gzip");
    } else {
        plain = body.to_vec();
    }
    taken.1.push(match headers["content-type"].as_bytes() {
        b"application/json" => serde_json::from_slice(&plain).expect("JSON"),
        b"application/x-protobuf" if path == "/v1/logs" => {
            let request = wire::LogsRequest::decode(&*plain).expect("protobuf");
            serde_json::to_value(request).expect("JSON")
        }
        b"application/x-protobuf" => {
            let request = wire::MetricsRequest::decode(&*plain).expect("protobuf");
            serde_json::to_value(request).expect("JSON")
        }
        other => panic!("{other:?}"),
    });
    StatusCode::OK
}

struct Up;

#[async_trait]
impl MetricSource for Up {
    async fn families(&self) -> Vec<Family> {
        vec![Family::gauge("up", "Up.").with(1.0)]
    }
}

struct World {
    _dir: tempfile::TempDir,
    _supervisor: Supervisor,
    logs: Logs,
    collector: Collector,
}

/// An exporter of one kind to a collector that gives these answers first, last one first.
async fn start(kind: &str, answers: Vec<StatusCode>, gzip: bool, encoding: Encoding) -> World {
    let collector = Collector::default();
    collector.0.lock().expect("not poisoned").0 = answers;
    let routes = Router::new()
        .route("/v1/logs", post(take))
        .route("/v1/metrics", post(take))
        .with_state(collector.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let supervisor = Supervisor::new();
    supervisor.once(async move {
        axum::serve(listener, routes).await.expect("served");
    });
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
        1_700_000_000_000_000,
    )));
    let logs = Logs::open(db, clock.clone()).await.expect("logs");
    logs.start(&supervisor);
    logs.emitter("app", "0")
        .line(LogStream::Out, "before the start");
    logs.flush().await;
    let signal = |path: &str| Signal {
        url: format!("http://127.0.0.1:{port}/v1/{path}")
            .parse()
            .expect("a URL"),
        headers: vec![("x-key".to_owned(), Secret::new("secret".to_owned()))],
        timeout: Duration::from_secs(5),
        encoding,
        gzip,
        certificate: None,
    };
    let settings = Settings {
        metrics: (kind == "metrics").then(|| signal("metrics")),
        logs: (kind == "logs").then(|| signal("logs")),
        interval: Duration::from_millis(100),
        delay: Duration::from_millis(100),
        batch: 10,
        resource: BTreeMap::new(),
    };
    Exporter::new(settings, logs.clone(), Arc::new(Up), clock).start(&supervisor);
    World {
        _dir: dir,
        _supervisor: supervisor,
        logs,
        collector,
    }
}

#[tokio::test]
async fn each_new_line_is_sent_once_and_in_order() {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    let world = start("logs", vec![unavailable], true, Encoding::Protobuf).await;
    // The exporter has seen what there was before its start.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let numbers: Vec<String> = (0..37).map(|number| number.to_string()).collect();
    for (number, text) in numbers.iter().enumerate() {
        let source = ["app", "other"][number % 2];
        world.logs.emitter(source, "0").line(LogStream::Out, text);
    }
    world
        .logs
        .emitter("app", "0")
        .gauges([("cpu", "percentage", 1.0)]);
    world.logs.flush().await;
    world
        .collector
        .until(|collector| collector.lines().len() >= 37)
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let lines = world.collector.lines();
    for parity in 0..2 {
        let of = |all: &[String]| -> Vec<String> {
            let own = all
                .iter()
                .filter(|text| text.parse::<usize>().is_ok_and(|n| n % 2 == parity));
            own.cloned().collect()
        };
        assert_eq!(of(&lines), of(&numbers));
    }
    assert_eq!(lines.len(), 37);
}

#[tokio::test]
async fn what_a_collector_refuses_does_not_block_what_follows() {
    let world = start("logs", vec![StatusCode::BAD_REQUEST], false, Encoding::Json).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for text in ["refused", "taken"] {
        world.logs.emitter("app", "0").line(LogStream::Err, text);
        world.logs.flush().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    world
        .collector
        .until(|collector| !collector.lines().is_empty())
        .await;
    assert_eq!(world.collector.lines(), ["taken"]);
}

#[tokio::test]
async fn metrics_are_sent_at_intervals() {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let world = start("metrics", vec![StatusCode::BAD_GATEWAY], false, encoding).await;
        world
            .collector
            .until(|collector| collector.bodies().len() >= 2)
            .await;
        let body = &world.collector.bodies()[0];
        let metric = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
        assert_eq!(metric["name"], "up");
        assert_eq!(metric["gauge"]["dataPoints"][0]["asDouble"], 1.0);
    }
}
