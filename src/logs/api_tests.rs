//! The Log Cache API.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::base::Supervisor;
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::db::Db;
use crate::logs::{Line, LogStream};

const NOW: i64 = 1_700_000_000_000_000;

/// Reads everything with the token `admin`, only `mine` with `me`.
struct Tokens;

#[async_trait]
impl LogAccess for Tokens {
    async fn readable(&self, authorization: Option<&str>, source_id: &str) -> bool {
        match self.all_readable(authorization).await {
            Readable::Nothing => false,
            Readable::Only(sources) => sources.contains(source_id),
            Readable::Everything => true,
        }
    }

    async fn named(&self, authorization: Option<&str>, name: &str) -> Vec<String> {
        let readable = self.readable(authorization, "mine").await;
        let found = (name == "dora" && readable).then(|| "mine".to_owned());
        found.into_iter().collect()
    }

    async fn all_readable(&self, authorization: Option<&str>) -> Readable {
        match authorization {
            Some("bearer admin") => Readable::Everything,
            Some("bearer me") => Readable::Only(["mine".to_owned()].into()),
            _ => Readable::Nothing,
        }
    }
}

struct Platform {
    _dir: tempfile::TempDir,
    _supervisor: Supervisor,
    clock: ManualClock,
    logs: Logs,
    api: Router,
}

impl Platform {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let clock = ManualClock::new(Timestamp::from_micros(NOW));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let logs = Logs::open(db, shared).await.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        Self {
            _dir: dir,
            _supervisor: supervisor,
            clock,
            api: logs.router(Arc::new(Tokens)),
            logs,
        }
    }

    async fn get_as(&self, token: &str, path: &str) -> (u16, String) {
        let request = Request::get(path).header("Authorization", token);
        let request = request.body(Body::empty()).expect("request");
        let answer = self.api.clone().oneshot(request).await.expect("answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.get_as("bearer admin", path).await
    }

    /// Payloads (or kinds of other envelopes) of a read.
    async fn read(&self, query: &str) -> Vec<String> {
        let (status, body) = self.get(&format!("/api/v1/read/mine?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let batch = body["envelopes"]["batch"].as_array().expect("batch");
        batch
            .iter()
            .map(|envelope| match envelope["log"]["payload"].as_str() {
                Some(payload) => {
                    use base64::Engine as _;
                    let engine = base64::engine::general_purpose::STANDARD;
                    let bytes = engine.decode(payload).expect("base64");
                    String::from_utf8(bytes).expect("text")
                }
                None => envelope
                    .as_object()
                    .and_then(|envelope| envelope.keys().next_back().cloned())
                    .expect("kind"),
            })
            .collect()
    }

    fn line(&self, source_id: &str, text: &str) {
        self.logs.emit(Line {
            source_id,
            source_type: "API",
            instance_id: "0",
            stream: LogStream::Out,
            text,
        });
    }
}

#[tokio::test]
async fn info_needs_no_token_and_uses_strings() {
    let platform = Platform::start().await;
    platform.clock.advance(Duration::from_secs(789));
    let answer = platform.get_as("", "/api/v1/info").await;
    let expected = r#"{"version":"3.2.6","vm_uptime":"789"}"#.to_owned();
    assert_eq!(answer, (200, expected));
}

#[tokio::test]
async fn a_line_reads_as_strict_clients_expect() {
    let platform = Platform::start().await;
    platform.line("mine", "hi");
    platform.logs.flush().await;
    let (status, body) = platform.get_as("bearer me", "/api/v1/read/mine").await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        concat!(
            r#"{"envelopes":{"batch":[{"timestamp":"1700000000000000000","source_id":"mine","#,
            r#""instance_id":"0","deprecated_tags":{},"tags":{"instance_id":"0","#,
            r#""job":"api","origin":"cloud_controller","source_id":"mine","source_type":"API"},"#,
            r#""log":{"payload":"aGk=","type":"OUT"}}]}}"#
        )
    );
    let empty = platform.get("/api/v1/read/unknown").await;
    assert_eq!(empty, (200, r#"{"envelopes":{"batch":[]}}"#.to_owned()));
}

#[tokio::test]
async fn unauthorized_callers_find_nothing() {
    let platform = Platform::start().await;
    platform.line("mine", "a");
    platform.line("theirs", "b");
    platform.logs.flush().await;
    let cases = [
        ("", "/api/v1/read/mine"),
        ("bearer bad", "/api/v1/read/mine"),
        ("bearer me", "/api/v1/read/theirs"),
        ("bearer me", "/api/v1/read/theirs?limit=1001"),
        ("", "/api/v1/meta"),
        ("bearer bad", "/api/v1/meta"),
    ];
    for (token, path) in cases {
        let answer = platform.get_as(token, path).await;
        assert_eq!(answer, (404, String::new()), "{token} {path}");
    }
    let (_, all) = platform.get("/api/v1/meta").await;
    assert!(all.contains("mine") && all.contains("theirs"), "{all}");
    let (status, own) = platform.get_as("bearer me", "/api/v1/meta").await;
    let expected = concat!(
        r#"{"meta":{"mine":{"count":"1","oldestTimestamp":"1700000000000000000","#,
        r#""newestTimestamp":"1700000000000000000"}}}"#
    );
    assert_eq!((status, own.as_str()), (200, expected));
}

#[tokio::test]
async fn faults_carry_grpc_codes() {
    let platform = Platform::start().await;
    let syntax = |field: &str, text: &str| {
        format!(r#"parsing field "{field}": strconv.ParseInt: parsing "{text}": invalid syntax"#)
    };
    let cases = [
        (
            "limit=1001",
            500,
            2,
            "limit (1001) must be 1000 or less".to_owned(),
        ),
        (
            "limit=-1",
            500,
            2,
            "limit (-1) must be greater than zero".to_owned(),
        ),
        (
            "start_time=5&end_time=4",
            500,
            2,
            "startTime (5) must be before endTime (4)".to_owned(),
        ),
        (
            "name_filter=%5B",
            500,
            2,
            "name filter must be a valid regular expression: unclosed character class: `[`"
                .to_owned(),
        ),
        ("limit=many", 400, 3, syntax("limit", "many")),
        ("start_time=", 400, 3, syntax("start_time", "")),
        (
            "end_time=99999999999999999999",
            400,
            3,
            syntax("end_time", "99999999999999999999")
                .replace("invalid syntax", "value out of range"),
        ),
        (
            "descending=yes",
            400,
            3,
            r#"parsing field "descending": strconv.ParseBool: parsing "yes": invalid syntax"#
                .to_owned(),
        ),
        (
            "envelope_types=LOGS",
            400,
            3,
            r#"parsing list "envelope_types": "LOGS" is not a valid value"#.to_owned(),
        ),
    ];
    for (query, status, code, message) in cases {
        let (got, body) = platform.get(&format!("/api/v1/read/mine?{query}")).await;
        let expected = serde_json::json!({ "code": code, "message": message, "details": [] });
        assert_eq!((got, body), (status, expected.to_string()), "{query}");
    }
}

#[tokio::test]
async fn parameters_select_what_is_read() {
    let platform = Platform::start().await;
    for text in ["a", "b", "c"] {
        platform.line("mine", text);
        platform.clock.advance(Duration::from_secs(1));
    }
    let metrics = [("cpu", "percentage", 1.0), ("memory", "bytes", 2.0)];
    platform.logs.emitter("mine", "0").gauges(metrics);
    platform.logs.flush().await;
    let second = NOW * 1000 + 1_000_000_000;
    let cases: [(String, &[&str]); 12] = [
        (String::new(), &["a", "b", "c", "gauge"]),
        ("limit=0".into(), &["a", "b", "c", "gauge"]),
        (
            "limit=1000&descending=false".into(),
            &["a", "b", "c", "gauge"],
        ),
        ("limit=2".into(), &["a", "b"]),
        (
            "limit=1&descending=true&start_time=-6795364578871345152".into(),
            &["gauge"],
        ),
        (
            "limit=2&descending=true&envelope_types=LOG".into(),
            &["c", "b"],
        ),
        (
            "envelope_types=GAUGE&envelope_types=COUNTER".into(),
            &["gauge"],
        ),
        ("envelope_types=ANY&limit=1".into(), &["a"]),
        ("envelope_type=LOG".into(), &["a", "b", "c", "gauge"]),
        (
            format!("start_time={second}&end_time={}", second + 1),
            &["b"],
        ),
        (format!("start_time={second}&end_time={second}"), &[]),
        ("name_filter=mem.*".into(), &["gauge"]),
    ];
    for (query, expected) in cases {
        assert_eq!(platform.read(&query).await, expected, "{query}");
    }
    let (_, body) = platform.get("/api/v1/read/mine?name_filter=mem.*").await;
    let metrics = r#""gauge":{"metrics":{"memory":{"unit":"bytes","value":2}}}"#;
    assert!(body.contains(metrics), "{body}");
}

/// The CLI's tail: the newest envelope first, then pages of 100 from "last time + 1" on.
#[tokio::test]
async fn a_tail_of_pages_sees_every_line_of_a_burst_once() {
    let platform = Platform::start().await;
    let lines: Vec<String> = (0..1050).map(|n| format!("line {n}")).collect();
    for line in &lines {
        platform.line("mine", line);
    }
    platform.logs.flush().await;
    let mut seen: Vec<String> = Vec::new();
    let mut start = NOW * 1000;
    loop {
        let query = format!("start_time={start}&envelope_types=LOG");
        let (_, body) = platform.get(&format!("/api/v1/read/mine?{query}")).await;
        let page = platform.read(&query).await;
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 100);
        seen.extend(page);
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let last = body["envelopes"]["batch"].as_array().and_then(|b| b.last());
        let last = last.and_then(|e| e["timestamp"].as_str()).expect("a time");
        start = last.parse::<i64>().expect("a number") + 1;
    }
    assert_eq!(seen, lines);
}

/// Path of a PromQL request.
fn promql(endpoint: &str, query: &str, more: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("/api/v1/{endpoint}?query={query}&{more}")
}

#[tokio::test]
async fn metrics_are_queried_with_promql() {
    let platform = Platform::start().await;
    for value in [1.0, 2.0, 3.0] {
        let metrics = [("cpu", "percentage", value)];
        platform.logs.emitter("mine", "0").gauges(metrics);
        platform.clock.advance(Duration::from_secs(15));
    }
    platform.logs.flush().await;
    let metric = r#"{"instance_id":"0","job":"diego-cell","origin":"rep","source_id":"mine"}"#;
    let vector = |value: &str| {
        let head = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":"#;
        format!(r#"{head}{metric},"value":[1700000045.000,"{value}"]}}]}}}}"#)
    };
    for query in [r#"cpu{source_id="mine"}"#, r#"cpu{source_id="dora"}"#] {
        let answer = platform
            .get_as("bearer me", &promql("query", query, ""))
            .await;
        assert_eq!(answer, (200, vector("3")), "{query}");
    }
    let query = r#"sum by (source_id) (max_over_time(cpu{source_id="mine"}[1m]))"#;
    let path = promql(
        "query_range",
        query,
        "start=1700000000&end=1700000030&step=15s",
    );
    let (status, body) = platform.get(&path).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(
        r#"{"metric":{"source_id":"mine"},"values":[[1700000000.000,"1"],[1700000015.000,"2"],[1700000030.000,"3"]]}"#
    ), "{body}");
}

#[tokio::test]
async fn promql_errors_are_prometheus_errors() {
    let platform = Platform::start().await;
    let mine = r#"cpu{source_id="mine"}"#;
    let cases = [
        (
            "query",
            "cpu",
            "",
            400,
            "bad_data",
            "query does not request any source_ids",
        ),
        (
            "query",
            "topk(1, cpu{source_id=\"mine\"})",
            "",
            400,
            "bad_data",
            "the aggregation topk is not supported",
        ),
        (
            "query",
            "cpu{source_id=\"mine\"} + cpu",
            "",
            500,
            "internal",
            "Metric 'cpu' does not have a 'source_id' label.",
        ),
        (
            "query",
            mine,
            "time=x",
            500,
            "internal",
            "couldn't parse time: cannot parse \"x\" to a valid Unix or RFC3339 timestamp",
        ),
        (
            "query_range",
            mine,
            "start=1&end=2&step=x",
            500,
            "internal",
            "couldn't parse step: cannot parse \"x\" to a valid step",
        ),
        (
            "query_range",
            mine,
            "start=2&end=1&step=1",
            400,
            "bad_data",
            "end timestamp must not be before start time",
        ),
    ];
    for (endpoint, query, more, status, kind, error) in cases {
        let answer = platform.get(&promql(endpoint, query, more)).await;
        let body = serde_json::json!({ "status": "error", "errorType": kind, "error": error });
        assert_eq!(answer, (status, body.to_string()), "{query} {more}");
    }
}

#[tokio::test]
async fn promql_of_others_is_not_found() {
    let platform = Platform::start().await;
    let others = promql(
        "query",
        r#"cpu{source_id="mine"} + cpu{source_id="theirs"}"#,
        "",
    );
    let unknown = promql("query", r#"cpu{source_id="mine"}"#, "");
    for (token, path) in [("bearer me", &others), ("bearer nobody", &unknown)] {
        let answer = platform.get_as(token, path).await;
        assert_eq!(answer, (404, String::new()), "{token}");
    }
    let without = Request::get(unknown).body(Body::empty()).expect("request");
    let answer = platform.api.clone().oneshot(without).await.expect("answer");
    assert_eq!(answer.status().as_u16(), 404);
}
