//! Streams over the gateway.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::{Supervisor, Timestamp};
use crate::db::Db;
use crate::logs::{Line, LogStream, Readable};

/// `admin` reads everything; `me` reads `mine` while allowed.
struct Tokens {
    allowed: AtomicBool,
}

#[async_trait]
impl LogAccess for Tokens {
    async fn readable(&self, authorization: Option<&str>, source_id: &str) -> bool {
        match self.all_readable(authorization).await {
            Readable::Nothing => false,
            Readable::Only(sources) => sources.contains(source_id),
            Readable::Everything => true,
        }
    }

    async fn named(&self, _: Option<&str>, _: &str) -> Vec<String> {
        Vec::new()
    }

    async fn all_readable(&self, authorization: Option<&str>) -> Readable {
        match authorization {
            Some("bearer admin") => Readable::Everything,
            Some("bearer me") if self.allowed.load(Ordering::Relaxed) => {
                Readable::Only(BTreeSet::from(["mine".to_owned()]))
            }
            _ => Readable::Nothing,
        }
    }
}

struct Platform {
    _dir: tempfile::TempDir,
    supervisor: Supervisor,
    logs: Logs,
    tokens: Arc<Tokens>,
    api: Router,
}

impl Platform {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let logs = Logs::open(db, Arc::new(clock)).await.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        let tokens = Arc::new(Tokens {
            allowed: AtomicBool::new(true),
        });
        Self {
            _dir: dir,
            supervisor,
            api: logs.stream_router(tokens.clone()),
            logs,
            tokens,
        }
    }

    async fn ask(&self, method: &str, token: &str, query: &str) -> Response {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v2/read{query}"));
        let request = match token {
            "" => request,
            // Some clients send the token alone.
            "me" => request.header("Authorization", token),
            token => request.header("Authorization", format!("bearer {token}")),
        };
        let request = request.body(Body::empty()).expect("request");
        self.api.clone().oneshot(request).await.expect("answer")
    }

    async fn stream(&self, token: &str, query: &str) -> Body {
        let answer = self.ask("GET", token, query).await;
        assert_eq!(answer.status(), 200, "{query}");
        let headers = answer.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-cache");
        answer.into_body()
    }

    fn line(&self, source_id: &str, text: &str) {
        self.logs.emit(Line {
            source_id,
            source_type: "APP",
            instance_id: "0",
            stream: LogStream::Out,
            text,
        });
    }
}

async fn frame(body: &mut Body) -> Option<String> {
    let frame = tokio::time::timeout(LIFE * 2, body.frame())
        .await
        .expect("in time")?;
    let data = frame.expect("a frame").into_data().expect("data");
    Some(String::from_utf8(data.to_vec()).expect("text"))
}

async fn batch(body: &mut Body) -> Vec<Value> {
    let text = frame(body).await.expect("an event");
    let json = text
        .strip_prefix("data: ")
        .and_then(|rest| rest.strip_suffix("\n\n"));
    let batch: Value = serde_json::from_str(json.expect("a batch")).expect("JSON");
    batch["batch"].as_array().expect("envelopes").clone()
}

#[tokio::test]
async fn requests_that_cannot_be_served_are_explained() {
    let platform = Platform::start().await;
    for (method, token, query, status, code) in [
        ("GET", "", "?log", 404, "not_found"),
        ("GET", "bad", "?log&source_id=mine", 404, "not_found"),
        ("GET", "me", "?log", 404, "not_found"),
        (
            "GET",
            "me",
            "?log&source_id=mine&source_id=theirs",
            404,
            "not_found",
        ),
        ("GET", "admin", "", 400, "empty_query"),
        (
            "GET",
            "admin",
            "?source_id=mine",
            400,
            "missing_envelope_type",
        ),
        ("GET", "admin", "?gauge.name", 400, "missing_gauge_name"),
        ("POST", "admin", "?log", 405, "method_not_allowed"),
    ] {
        let answer = platform.ask(method, token, query).await;
        assert_eq!(answer.status(), status, "{method} {token} {query}");
        let body = answer.into_body().collect().await.expect("body").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["error"], code, "{method} {token} {query}");
        assert!(body["message"].is_string());
    }
}

#[tokio::test]
async fn batches_have_the_selected_envelopes() {
    let platform = Platform::start().await;
    let mut mine = platform.stream("me", "?log&source_id=mine").await;
    let mut counters = platform.stream("admin", "?counter").await;
    let mut all = platform.stream("admin", "?log").await;
    platform.line("theirs", "x");
    platform.line("mine", "hi");
    let batch_of_mine = batch(&mut mine).await;
    assert_eq!(batch_of_mine.len(), 1);
    assert_eq!(batch_of_mine[0]["log"]["payload"], "aGk=");
    assert_eq!(batch_of_mine[0]["tags"]["source_type"], "APP");
    assert_eq!(batch(&mut all).await.len(), 2);
    platform.logs.emitter("mine", "0").counter("requests", 1, 2);
    assert_eq!(batch(&mut counters).await[0]["counter"]["name"], "requests");
}

#[tokio::test]
async fn an_idle_stream_beats_and_ends_after_its_time() {
    let platform = Platform::start().await;
    let mut body = platform.stream("admin", "?log").await;
    tokio::time::pause();
    let beat = "event: heartbeat\ndata: 1700000000\n\n";
    let mut beats = 0;
    let last = loop {
        let text = frame(&mut body).await.expect("an event");
        if text != beat {
            break text;
        }
        beats += 1;
    };
    assert_eq!(
        last,
        "event: closing\ndata: closing due to stream timeout\n\n"
    );
    assert_eq!(beats, 14 * 4 - 1);
    assert_eq!(frame(&mut body).await, None);
}

#[tokio::test]
async fn a_stream_ends_when_its_caller_may_no_longer_read() {
    let platform = Platform::start().await;
    let mut mine = platform.stream("me", "?log&source_id=mine").await;
    let mut all = platform.stream("admin", "?log").await;
    platform.tokens.allowed.store(false, Ordering::Relaxed);
    tokio::time::pause();
    assert_eq!(frame(&mut mine).await, None);
    assert!(frame(&mut all).await.is_some());
}

#[tokio::test]
async fn a_reader_that_was_too_slow_is_told_and_streams_end_with_the_platform() {
    let platform = Platform::start().await;
    let mut body = platform.stream("admin", "?log&source_id=mine").await;
    // A slow machine is no slow reader.
    tokio::time::pause();
    for _ in 0..4 {
        (0..3000).for_each(|n| platform.line("mine", &n.to_string()));
        platform.logs.flush().await;
    }
    // The worker is done when a later reader has the last line.
    let mut other = platform.stream("admin", "?log&source_id=theirs").await;
    platform.line("theirs", "end");
    batch(&mut other).await;
    let first = batch(&mut body).await;
    assert_eq!(first[0]["tags"]["source_type"], "LGR");
    assert_eq!(first[0]["log"]["type"], "ERR");
    assert_eq!(first[0]["source_id"], "mine");
    let text = warning::text(
        crate::logs::Loss {
            since: 2000,
            total: 2000,
        },
        "log-stream",
    );
    let payload = base64::engine::general_purpose::STANDARD.encode(text);
    assert_eq!(first[0]["log"]["payload"], payload);
    assert!(platform.supervisor.shut_down(Duration::from_secs(10)).await);
    assert_eq!(frame(&mut other).await, None);
}

#[tokio::test]
async fn a_batch_of_long_lines_is_bounded() {
    let platform = Platform::start().await;
    let mut body = platform.stream("admin", "?log&source_id=mine").await;
    // A slow machine is no slow reader.
    tokio::time::pause();
    let long = "x".repeat(60_000);
    for _ in 0..4 {
        (0..10).for_each(|_| platform.line("mine", &long));
        platform.logs.flush().await;
    }
    // The worker is done when a later reader has the last line.
    let mut other = platform.stream("admin", "?log&source_id=theirs").await;
    platform.line("theirs", "end");
    batch(&mut other).await;
    let mut count = 0;
    while count < 40 {
        let text = frame(&mut body).await.expect("an event");
        assert!(text.len() < 2 << 20, "{}", text.len());
        count += text.matches("\"payload\"").count();
    }
    assert_eq!(count, 40);
}
