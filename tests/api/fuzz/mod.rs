//! Arbitrary bodies, queries and paths against every route: nothing panics, nothing answers 5xx,
//! every refusal has its API's shape, and a refused request leaves the database as it was.
//!
//! `FUZZ_SECONDS` bounds the time (a few seconds unless told otherwise; `make fuzz` takes five
//! minutes), `FUZZ_SEED` picks the requests; a failure names its seed.

mod generate;

use std::time::{Duration, Instant};

use cflite::testing::{Answer, TestApp, TestClient};
use proptest::strategy::{BoxedStrategy, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::generate::{Asked, Pool, request};
use super::commands::endpoints::Endpoint;
use super::play::player::Player;
use super::play::script;

/// Sections of `given.txt` whose objects requests are aimed at.
const OBJECTS: [&str; 11] = [
    "started app",
    "second app",
    "route",
    "private domain",
    "space member",
    "org quota",
    "applied space quota",
    "bound security group",
    "entitled isolation segment",
    "buildpack",
    "second space",
];

/// Requests on one platform: some succeed, and delete what others are aimed at.
const ROUND: usize = 250;

/// Requests of a run, however slow the machine is.
const FEWEST: usize = 50;

/// Routes besides those of the v3 API.
const OTHERS: [(&str, &str); 18] = [
    ("POST", "/oauth/token"),
    ("GET", "/oauth/authorize"),
    ("POST", "/introspect"),
    ("POST", "/check_token"),
    ("GET", "/userinfo"),
    ("GET", "/Users"),
    ("POST", "/Users"),
    ("GET", "/Users/:guid"),
    ("PUT", "/Users/:guid"),
    ("PATCH", "/Users/:guid"),
    ("PUT", "/Users/:guid/password"),
    ("GET", "/oauth/clients/:guid"),
    ("GET", "/api/v1/read/:guid"),
    ("GET", "/api/v1/meta"),
    ("GET", "/api/v1/query"),
    ("GET", "/api/v1/query_range"),
    ("GET", "/v2/info"),
    ("GET", "/:guid/:index"),
];

fn seconds() -> u64 {
    let text = std::env::var("FUZZ_SECONDS").unwrap_or_default();
    text.parse().unwrap_or(5)
}

fn seed() -> u64 {
    let text = std::env::var("FUZZ_SEED").unwrap_or_default();
    text.parse().unwrap_or(1)
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

/// A platform with objects of every kind, and who asks for them.
struct Ground {
    app: TestApp,
    admin: TestClient,
    developer: TestClient,
    requests: BoxedStrategy<Asked>,
}

impl Ground {
    async fn new() -> Self {
        let app = TestApp::with_stack().await.unwrap();
        let admin = app.admin().await.unwrap();
        let developer = app.user("fuzz").await.unwrap();
        let aims = pool(&app, &admin).await;
        Self {
            app,
            admin,
            developer,
            requests: request(&aims).boxed(),
        }
    }
}

async fn pool(app: &TestApp, admin: &TestClient) -> Pool {
    let mut player = Player::new(app, admin, 1).await;
    let given = script::given();
    for name in OBJECTS {
        let played = player.play(&given[name]).await;
        played.unwrap_or_else(|stop| panic!("given {name}: {}: {}", stop.line, stop.why));
    }
    let routes = Endpoint::all()
        .into_iter()
        .map(|endpoint| (endpoint.method, endpoint.path));
    let others = OTHERS.map(|(method, path)| (method.to_owned(), path.to_owned()));
    Pool {
        routes: routes.chain(others).collect(),
        guids: player.guids(),
    }
}

async fn send(client: &TestClient, asked: &Asked) -> Answer {
    let body = asked.body.clone().into_bytes();
    let sent = client
        .raw(&asked.method, &asked.path, asked.kind, body)
        .await;
    sent.unwrap_or_else(|error| panic!("no answer to {asked:?}: {error:#}"))
}

/// What is wrong with an answer.
fn fault(asked: &Asked, answer: &Answer) -> Option<String> {
    if answer.status >= 500 {
        return Some(format!("status {}: {}", answer.status, answer.body));
    }
    if answer.status < 400 {
        return None;
    }
    let body = &answer.body;
    let controller = body["errors"].as_array().is_some_and(|errors| {
        let shaped = |error: &serde_json::Value| {
            let title = error["title"].as_str().unwrap_or_default();
            error["code"].is_u64() && title.starts_with("CF-") && error["detail"].is_string()
        };
        !errors.is_empty() && errors.iter().all(shaped)
    });
    let uaa = body["error"].is_string();
    let logs = asked.path.starts_with("/api/v1");
    (!controller && !uaa && !logs)
        .then(|| format!("not CF's error shape: {} {body}", answer.status))
}

/// Whether a refused request changes anything. Workers write too, so a change counts when it comes
/// every time the request is made.
async fn changes(app: &TestApp, client: &TestClient, asked: &Asked) -> Option<String> {
    let mut changed = None;
    for _ in 0..4 {
        let before = app.snapshot().await.unwrap();
        let answer = send(client, asked).await;
        let after = app.snapshot().await.unwrap();
        if answer.status < 400 || before == after {
            return None;
        }
        let tables = before
            .iter()
            .filter(|(table, rows)| after.get(*table) != Some(*rows));
        let tables: Vec<&str> = tables.map(|(table, _)| table.as_str()).collect();
        changed = Some(format!(
            "refused with {}, yet changed {}",
            answer.status,
            tables.join(", ")
        ));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    changed
}

#[tokio::test]
async fn arbitrary_requests_are_answered_or_refused_and_never_break_anything() {
    let seed = seed();
    let mut runner = runner(seed);
    let mut ground = Ground::new().await;
    let (mut asked_so_far, mut accepted, mut faults) = (0_usize, 0_usize, Vec::new());
    // What the database held after the last refused request.
    let mut held = None;
    // Making the objects does not count.
    let until = Instant::now() + Duration::from_secs(seconds());
    while (Instant::now() < until || asked_so_far < FEWEST) && faults.len() < 10 {
        if asked_so_far % ROUND == ROUND - 1 {
            ground = Ground::new().await;
            held = None;
        }
        let Ground { app, requests, .. } = &ground;
        let asked = requests.new_tree(&mut runner).expect("a request").current();
        let client = if asked_so_far % 5 == 4 {
            &ground.developer
        } else {
            &ground.admin
        };
        asked_so_far += 1;
        let before = match held.take() {
            Some(held) => held,
            None => app.snapshot().await.unwrap(),
        };
        let answer = send(client, &asked).await;
        let mut found = fault(&asked, &answer);
        if answer.status < 400 {
            accepted += 1;
        } else if found.is_none() {
            let after = app.snapshot().await.unwrap();
            if after == before {
                held = Some(after);
            } else {
                found = changes(app, client, &asked).await;
            }
        }
        if let Some(fault) = found {
            faults.push(format!("{asked:?}\n    {fault}"));
        }
    }
    eprintln!("fuzz: seed {seed}, {asked_so_far} requests, {accepted} accepted");
    assert!(asked_so_far > accepted, "nothing was refused");
    assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
}
