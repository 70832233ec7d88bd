//! Streams of logs: the gateway `/v2/read` and the websockets of older clients.

mod acceptance;
mod plugins;
mod protobuf;

use std::time::Duration;

use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use protobuf::Fields;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const SOON: Duration = Duration::from_secs(30);

struct World {
    platform: TestApp,
    admin: TestClient,
    organization: String,
    space: String,
    app: String,
}

impl World {
    async fn start() -> Self {
        let platform = TestApp::start().await.unwrap();
        let admin = platform.admin().await.unwrap();
        let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
        let app = app_in_space(&admin, &space, "web").await.unwrap();
        Self {
            platform,
            admin,
            organization,
            space,
            app,
        }
    }

    /// Changes the app, which writes a line into its log.
    async fn change(&self, mark: &str) {
        let change = json!({ "metadata": { "annotations": { "mark": mark } } });
        let path = format!("/v3/apps/{}", self.app);
        let changed = self.admin.patch(&path, &change).await.unwrap();
        assert_eq!(changed.status, 200, "{changed:?}");
    }

    async fn socket(&self, client: &TestClient, path: &str) -> Result<Socket, Error> {
        let url = format!("{}{path}", self.platform.url().replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        let token = format!("bearer {}", client.bearer());
        if !client.bearer().is_empty() {
            let token = token.parse().unwrap();
            request.headers_mut().insert("authorization", token);
        }
        connect_async(request).await.map(|(socket, _)| socket)
    }

    async fn refusal(&self, client: &TestClient, path: &str) -> u16 {
        match self.socket(client, path).await {
            Err(Error::Http(answer)) => answer.status().as_u16(),
            other => panic!("{path}: {other:?}"),
        }
    }

    async fn events(&self, client: &TestClient, query: &str) -> reqwest::Response {
        let url = format!("{}/v2/read{query}", self.platform.url());
        let request = reqwest::Client::new().get(url).bearer_auth(client.bearer());
        request.send().await.unwrap()
    }
}

impl World {
    /// Takes a user out of a group.
    async fn leave_group(&self, name: &str, group: &str) {
        let id = async |path: String| {
            let found = self.admin.get(&path).await.unwrap();
            found.text("/resources/0/id").to_owned()
        };
        let group = id(format!("/Groups?filter=displayName+eq+%22{group}%22")).await;
        let user = id(format!("/Users?filter=userName+eq+%22{name}%22")).await;
        let member = format!("/Groups/{group}/members/{user}");
        assert_eq!(self.admin.delete(&member).await.unwrap().status, 200);
    }
}

/// The next v1 envelope of a websocket.
async fn envelope(socket: &mut Socket) -> Fields {
    loop {
        let message = tokio::time::timeout(SOON, socket.next()).await;
        match message.expect("in time").expect("open").unwrap() {
            Message::Binary(bytes) => return Fields::decode(&bytes).expect("protobuf"),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The text of the log line in a v1 envelope.
fn line(envelope: &Fields) -> Option<String> {
    let line = envelope.message(8)?;
    Some(String::from_utf8_lossy(line.bytes(1)?).into_owned())
}

async fn lines_until(socket: &mut Socket, mark: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines
        .last()
        .is_none_or(|last: &String| !last.contains(mark))
    {
        lines.extend(line(&envelope(socket).await));
    }
    lines
}

#[tokio::test]
async fn the_gateway_streams_new_envelopes_of_named_apps() {
    let world = World::start().await;
    let of = (&*world.organization, &*world.space);
    let developer = world
        .platform
        .member(("dora", "space_developer"), of)
        .await
        .unwrap();
    let stranger = world.platform.user("sid").await.unwrap();
    let query = format!("?log&source_id={}&shard_id=s", world.app);
    for (client, query) in [(&stranger, query.as_str()), (&developer, "?log")] {
        let refused = world.events(client, query).await;
        assert_eq!(refused.status(), 404);
        let text = refused.text().await.unwrap();
        assert_eq!(
            text,
            r#"{"message":"resource not found","error":"not_found"}"#
        );
    }
    let mut events = world.events(&developer, &query).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    world.change("first").await;
    let mut text = String::new();
    while !text.contains("\n\n") {
        let chunk = tokio::time::timeout(SOON, events.chunk()).await;
        let chunk = chunk.expect("in time").unwrap().expect("open");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let json = text.strip_prefix("data: ").unwrap().trim_end();
    let batch: Value = serde_json::from_str(json).unwrap();
    let first = &batch["batch"][0];
    assert_eq!(first["source_id"], world.app.as_str());
    assert_eq!(first["tags"]["source_type"], "API");
    assert_eq!(first["tags"]["app_name"], "web");
}

#[tokio::test]
async fn a_websocket_has_the_lines_of_its_app() {
    let world = World::start().await;
    let path = format!("/apps/{}/stream", world.app);
    let anonymous = world.platform.anonymous();
    let stranger = world.platform.user("sid").await.unwrap();
    let unknown = "/apps/00000000-0000-4000-8000-000000000000/stream";
    assert_eq!(world.refusal(&anonymous, &path).await, 401);
    assert_eq!(world.refusal(&world.admin, "/apps/web/stream").await, 401);
    assert_eq!(world.refusal(&stranger, &path).await, 404);
    assert_eq!(world.refusal(&stranger, unknown).await, 404);
    let mut socket = world.socket(&world.admin, &path).await.unwrap();
    world.change("first").await;
    let found = loop {
        let found = envelope(&mut socket).await;
        if line(&found).is_some_and(|line| line.contains("first")) {
            break found;
        }
    };
    assert_eq!(found.bytes(1), Some(&b"cloud_controller"[..]));
    assert_eq!(found.number(2), Some(5), "LogMessage");
    let message = found.message(8).unwrap();
    assert_eq!(message.number(2), Some(1), "OUT");
    assert_eq!(message.number(3), found.number(6), "the time");
    assert_eq!(message.bytes(4), Some(world.app.as_bytes()));
    assert_eq!(message.bytes(5), Some(&b"API"[..]));
    assert_eq!(message.bytes(6), Some(&b"0"[..]));
    assert_eq!(found.tag("app_name").as_deref(), Some("web"));
    assert_eq!(found.tag("source_id"), Some(world.app.clone()));
    assert_eq!(found.tag("source_type"), None, "it is a field");
    socket.send(Message::Ping("x".into())).await.unwrap();
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn readers_of_one_subscription_share_the_firehose() {
    let world = World::start().await;
    let user = world
        .platform
        .in_group("nina", "doppler.firehose")
        .await
        .unwrap();
    let stranger = world.platform.user("sid").await.unwrap();
    assert_eq!(world.refusal(&stranger, "/firehose/a").await, 401);
    assert_eq!(
        world
            .refusal(&world.platform.anonymous(), "/firehose/a")
            .await,
        401
    );
    let path = "/firehose/a?filter-type=logs";
    let mut first = world.socket(&user, path).await.unwrap();
    let mut second = world.socket(&user, path).await.unwrap();
    let mut other = world.socket(&world.admin, "/firehose/b").await.unwrap();
    for number in 0..20 {
        world.change(&format!("change-{number}.")).await;
    }
    let all = lines_until(&mut other, "change-19.").await;
    let mut shared: Vec<String> = Vec::new();
    while shared.len() < all.len() {
        let next = tokio::select! {
            next = envelope(&mut first) => next,
            next = envelope(&mut second) => next,
        };
        shared.extend(line(&next));
    }
    let (mut all, mut shared) = (all, shared);
    all.sort();
    shared.sort();
    assert_eq!(all, shared);
}

#[tokio::test]
async fn a_stream_ends_with_the_rights_of_its_reader() {
    let world = World::start().await;
    let of = (&*world.organization, &*world.space);
    let developer = world
        .platform
        .member(("dora", "space_developer"), of)
        .await
        .unwrap();
    let nozzle = world
        .platform
        .in_group("nina", "doppler.firehose")
        .await
        .unwrap();
    let query = format!("?log&source_id={}", world.app);
    let mut events = world.events(&developer, &query).await;
    let mut firehose = world.socket(&nozzle, "/firehose/x").await.unwrap();

    let roles = world
        .admin
        .get("/v3/roles?types=space_developer")
        .await
        .unwrap();
    let path = format!("/v3/roles/{}", roles.text("/resources/0/guid"));
    assert_eq!(world.admin.delete(&path).await.unwrap().status, 202);
    world.leave_group("nina", "doppler.firehose").await;

    let end = async { while events.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(SOON, end)
        .await
        .expect("the events end");
    let end = async {
        loop {
            match firehose.next().await {
                Some(Ok(Message::Close(frame))) => break frame,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let frame = tokio::time::timeout(SOON, end)
        .await
        .expect("the websocket ends");
    assert_eq!(u16::from(frame.expect("a reason").code), 1008);
}

/// Without a role in the space, the group alone allows to read the app.
#[tokio::test]
async fn a_group_taken_away_ends_a_stream_of_a_named_source() {
    for group in ["doppler.firehose", "logs.admin"] {
        let world = World::start().await;
        let reader = world.platform.in_group("nina", group).await.unwrap();
        let query = format!("?log&source_id={}", world.app);
        let mut events = world.events(&reader, &query).await;
        assert_eq!(events.status(), 200, "{group}");
        world.leave_group("nina", group).await;
        let end = async { while events.chunk().await.unwrap().is_some() {} };
        let ended = tokio::time::timeout(SOON, end).await;
        ended.unwrap_or_else(|_| panic!("a stream goes on without {group}"));
        let refused = world.events(&reader, &query).await;
        assert_eq!(refused.status(), 404, "{group}");
    }
}

#[tokio::test]
async fn the_last_lines_come_in_parts() {
    let world = World::start().await;
    world.change("first").await;
    world.change("second").await;
    let url = format!("{}/apps/{}/recentlogs", world.platform.url(), world.app);
    let parts = async |query: &str| {
        let request = reqwest::Client::new().get(format!("{url}{query}"));
        let cookie = format!("authorization=bearer%20{}", world.admin.bearer());
        let answer = request.header("cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let boundary = kind
            .strip_prefix("multipart/x-protobuf; boundary=")
            .unwrap();
        let body = answer.bytes().await.unwrap();
        protobuf::parts(&body, boundary)
    };
    let found = async {
        loop {
            let lines: Vec<String> = parts("").await.iter().filter_map(line).collect();
            if lines.iter().any(|line| line.contains("second")) {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(SOON, found).await.expect("in time");
    let at = |mark: &str| found.iter().position(|line| line.contains(mark));
    assert!(
        at("first").is_some() && at("first") < at("second"),
        "{found:?}"
    );
    assert_eq!(parts("?limit=1").await.len(), 1);
    let metrics = world
        .admin
        .get(&format!("/apps/{}/containermetrics", world.app))
        .await;
    assert_eq!(metrics.unwrap().status, 200);
    let anonymous = world.platform.anonymous();
    let refused = anonymous
        .get(&format!("/apps/{}/recentlogs", world.app))
        .await
        .unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.body,
        "You are not authorized. Error: Authorization not provided"
    );
}

/// How many websockets are sent random bytes; `make fuzz-logs` sends more.
fn rounds() -> u64 {
    let text = std::env::var("FUZZ_ROUNDS").unwrap_or_default();
    text.parse().unwrap_or(60)
}

/// Random bytes after the handshake end that websocket and nothing else.
#[tokio::test]
async fn garbage_in_frames_ends_only_its_own_websocket() {
    let world = World::start().await;
    let mut witness = world.socket(&world.admin, "/firehose/w").await.unwrap();
    let address = world.platform.url().replace("http://", "");
    let seed = std::env::var("FUZZ_SEED").unwrap_or_default();
    let seed: u64 = seed.parse().unwrap_or(0);
    println!("FUZZ_SEED={seed}");
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ seed;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..rounds() {
        let mut tcp = TcpStream::connect(&address).await.unwrap();
        let handshake = format!(
            "GET /firehose/f HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Authorization: bearer {}\r\n\r\n",
            world.admin.bearer()
        );
        tcp.write_all(handshake.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        tcp.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
        let length = usize::try_from(random() % 300).unwrap();
        let mut bytes: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
        if round % 3 == 0 {
            // A masked frame that claims to be enormous.
            bytes.splice(
                0..0,
                [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            );
        }
        drop(tcp.write_all(&bytes).await);
        if round % 2 == 0 {
            drop(tcp.shutdown().await);
            let rest = async { while tcp.read(&mut [0; 4096]).await.unwrap_or(0) > 0 {} };
            tokio::time::timeout(SOON, rest).await.expect("the end");
        }
    }
    world.change("alive").await;
    lines_until(&mut witness, "alive").await;
}
