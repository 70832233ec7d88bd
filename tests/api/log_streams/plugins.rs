//! The requests of public plugins and nozzles, with their paths, parameters and headers: the Log
//! Cache plugin (`cf tail`, `cf log-meta`, `cf query`), the firehose plugin and other users of noaa,
//! and nozzles of the log stream.

use super::*;

/// A request as Go's HTTP client sends it.
async fn go(world: &World, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let mut request = reqwest::Client::new()
        .get(format!("{}{path}", world.platform.url()))
        .header("user-agent", "Go-http-client/1.1")
        .header("accept-encoding", "identity")
        .header("authorization", format!("bearer {}", world.admin.bearer()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn json_of(world: &World, path: &str) -> Value {
    let answer = go(world, path, &[]).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// The line of a change, once it can be read.
async fn changed(world: &World) {
    world.change("for-the-plugin").await;
    let stored = async {
        loop {
            let read = json_of(world, &format!("/api/v1/read/{}", world.app)).await;
            let batch = read["envelopes"]["batch"].as_array().unwrap().len();
            if batch > 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(SOON, stored).await.expect("in time");
}

#[tokio::test]
async fn log_cache_plugin_tails_an_app() {
    let world = World::start().await;
    changed(&world).await;
    let info = json_of(&world, "/api/v1/info").await;
    let version = info["version"].as_str().unwrap();
    let parts: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert!(parts.len() == 3 && parts[0] >= 2, "{version}");
    let uptime: Result<u64, _> = info["vm_uptime"].as_str().unwrap().parse();
    assert!(uptime.is_ok(), "{info}");

    // `cf tail -n 10`: values in the order of their names.
    let path = |end: &str, kind: &str, limit: usize| {
        format!(
            "/api/v1/read/{}?descending=true&end_time={end}&envelope_types={kind}&limit={limit}&start_time=0",
            world.app
        )
    };
    let end = "4102444800000000000";
    let all = json_of(&world, &path(end, "ANY", 10)).await;
    let all = all["envelopes"]["batch"].as_array().unwrap().clone();
    assert!(all.len() >= 2, "{all:?}");
    let time = |one: &Value| one["timestamp"].as_str().unwrap().parse::<i64>().unwrap();
    assert!(all.windows(2).all(|pair| time(&pair[0]) > time(&pair[1])));
    let one = json_of(&world, &path(end, "LOG", 1)).await;
    assert_eq!(one["envelopes"]["batch"][0], all[0]);
    for (end, kind) in [("1", "ANY"), (end, "GAUGE"), (end, "EVENT")] {
        let none = json_of(&world, &path(end, kind, 10)).await;
        assert_eq!(none["envelopes"]["batch"], json!([]), "{end} {kind}");
    }
    // `cf tail -f` goes on behind what it has.
    let next = time(&all[0]) + 1;
    let follow = format!(
        "/api/v1/read/{}?envelope_types=ANY&start_time={next}",
        world.app
    );
    let none = json_of(&world, &follow).await;
    assert_eq!(none["envelopes"]["batch"], json!([]));
    world.change("later").await;
    let later = async {
        loop {
            let found = json_of(&world, &follow).await;
            if let Some(first) = found["envelopes"]["batch"].get(0) {
                return time(first);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let later = tokio::time::timeout(SOON, later).await.expect("in time");
    assert!(later >= next);
}

#[tokio::test]
async fn log_cache_plugin_names_what_it_finds() {
    let world = World::start().await;
    changed(&world).await;
    let meta = json_of(&world, "/api/v1/meta").await;
    let found = &meta["meta"][&world.app];
    for field in ["count", "oldestTimestamp", "newestTimestamp"] {
        let number = found[field].as_str().unwrap().parse::<i64>().unwrap();
        assert!(number > 0, "{field}: {meta}");
    }
    // All sources are looked up as apps, platform components too, and the rest as services.
    let sources: Vec<&str> = meta["meta"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert!(sources.contains(&"doppler"), "{sources:?}");
    let guids = sources.join(",");
    let apps = json_of(&world, &format!("/v3/apps?guids={guids}")).await;
    assert_eq!(apps["resources"].as_array().unwrap().len(), 1);
    assert_eq!(apps["resources"][0]["guid"], world.app.as_str());
    assert_eq!(apps["resources"][0]["name"], "web");
    let rest = guids.replace(&world.app, "none");
    let services = json_of(&world, &format!("/v3/service_instances?guids={rest}")).await;
    assert_eq!(services["resources"], json!([]));
    // Versions before 5 ask the API of version 2, and go on without names when the answer is JSON.
    let old = go(&world, &format!("/v2/service_instances?guids={rest}"), &[]).await;
    assert!(old.status().is_client_error());
    let old: Value = old.json().await.unwrap();
    assert!(old.is_object() && old["resources"] == Value::Null, "{old}");
}

#[tokio::test]
async fn log_cache_plugin_queries_metrics() {
    let world = World::start().await;
    let encode =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let query = encode(&format!("cpu{{source_id=\"{}\"}}", world.app));
    for time in ["", "&time=1700000000.000"] {
        let answer = json_of(&world, &format!("/api/v1/query?query={query}{time}")).await;
        let expected =
            json!({ "status": "success", "data": { "resultType": "vector", "result": [] } });
        assert_eq!(answer, expected, "{time}");
    }
    let range = "end=1700000300.000&start=1700000000.000&step=1m";
    let path = format!("/api/v1/query_range?{range}&query={query}");
    let answer = json_of(&world, &path).await;
    let expected = json!({ "status": "success", "data": { "resultType": "matrix", "result": [] } });
    assert_eq!(answer, expected);
    let bad = go(
        &world,
        &format!("/api/v1/query?query={}", encode("cpu{")),
        &[],
    )
    .await;
    assert_eq!(bad.status(), 400);
    let bad: Value = bad.json().await.unwrap();
    assert_eq!(
        (&bad["status"], &bad["errorType"]),
        (&json!("error"), &json!("bad_data"))
    );
}

/// A websocket as noaa opens it: its origin is always the same.
async fn noaa(world: &World, path: &str, authorization: &str) -> Result<Socket, Error> {
    let url = format!("{}{path}", world.platform.url().replace("http://", "ws://"));
    let mut request = url.into_client_request().unwrap();
    for (name, value) in [
        ("origin", "http://localhost"),
        ("authorization", authorization),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn firehose_plugin_reads_the_firehose_and_the_stream_of_an_app() {
    let world = World::start().await;
    let token = format!("bearer {}", world.admin.bearer());
    for path in [
        "/firehose/FirehosePlugin".to_owned(),
        format!("/apps/{}/stream", world.app),
    ] {
        let mut socket = noaa(&world, &path, &token).await.unwrap();
        world.change("for-noaa").await;
        lines_until(&mut socket, "for-noaa").await;
        socket.close(None).await.unwrap();
    }
    // It asks for a new token when its own is refused with 401.
    match noaa(&world, "/firehose/FirehosePlugin", "bearer expired").await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 401),
        other => panic!("{other:?}"),
    }
    // A page of another site has no token.
    match noaa(&world, "/firehose/FirehosePlugin", "Basic eDp5").await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nozzles_read_all_kinds_from_the_log_stream() {
    let world = World::start().await;
    let headers = [
        ("accept", "text/event-stream"),
        ("cache-control", "no-cache"),
    ];
    // Values without keys, and in this order.
    let query = "?shard_id=nozzle&log&counter&gauge&timer&event";
    let mut events = go(&world, &format!("/v2/read{query}"), &headers).await;
    assert_eq!(events.status(), 200);
    world.change("for-the-nozzle").await;
    let mut text = String::new();
    let found = async {
        while !text.contains(&world.app) {
            let chunk = events.chunk().await.unwrap().expect("open");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(SOON, found).await.expect("in time");
    // The client takes lines: `data: `, an empty one, and three for a heartbeat.
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "event: heartbeat" {
            assert!(lines.next().unwrap().starts_with("data: "));
            assert_eq!(lines.next(), Some(""));
            continue;
        }
        if let Some(json) = line.strip_prefix("data: ")
            && let Some(end) = lines.next()
        {
            assert_eq!(end, "");
            let batch: Value = serde_json::from_str(json).unwrap();
            assert!(batch["batch"].is_array(), "{batch}");
        }
    }
}
