//! Who sees and may do what: every line of `table.txt` is a test, asked by a user of every role.
//! `cargo test --test authorisation "DELETE routes"` runs those whose name holds a text.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../play/mod.rs"]
mod play;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use libtest_mimic::{Arguments, Trial};
use serde_json::json;
use tokio::sync::{Mutex, OnceCell};

use self::play::player::Player;
use self::play::script::{self, Step};

/// Users and the type of their role, in the order of the columns behind the three that see
/// everything.
const MEMBERS: [(&str, &str); 8] = [
    ("om", "organization_manager"),
    ("oa", "organization_auditor"),
    ("ob", "organization_billing_manager"),
    ("ou", "organization_user"),
    ("sm", "space_manager"),
    ("sd", "space_developer"),
    ("sa", "space_auditor"),
    ("ss", "space_supporter"),
];

/// Puts two users into the groups whose scopes see everything.
const GROUPS: &str = "insert into user_group_members (group_name, user_guid, created_at)
    select 'cloud_controller.admin_read_only', guid, created_at from users where user_name = 'reader';
insert into user_group_members (group_name, user_guid, created_at)
    select 'cloud_controller.global_auditor', guid, created_at from users where user_name = 'global';";

/// A line of the table.
struct Line {
    text: String,
    method: String,
    path: String,
    given: String,
    expected: Vec<String>,
    body: String,
    /// Variable with the guid that a list shows to those who see it.
    sees: Option<String>,
}

impl Line {
    /// What the line is called among the tests.
    fn name(&self) -> String {
        let mut name = self.text.clone();
        if !self.given.is_empty() {
            name = format!("{name}, given {}", self.given);
        }
        if !self.body.is_empty() {
            name = format!("{name}, {}", self.body);
        }
        name
    }

    fn parse(text: &str) -> Self {
        const COLUMNS: usize = MEMBERS.len() + 5;
        let mut rest = text;
        let mut word = || {
            rest = rest.trim_start();
            let end = rest.find(' ').unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            rest = behind;
            word.to_owned()
        };
        let (method, path, given) = (word(), word(), word());
        let expected: Vec<String> = (0..COLUMNS).map(|_| word()).collect();
        let end = rest.trim();
        let sees = end.strip_prefix("sees ").map(str::to_owned);
        Self {
            text: format!("{method} {path}"),
            method,
            path: if path.starts_with('/') {
                path
            } else {
                format!("/v3/{path}")
            },
            given: given.replace('-', " ").trim().to_owned(),
            expected,
            body: if sees.is_some() {
                String::new()
            } else {
                end.to_owned()
            },
            sees,
        }
    }
}

fn table() -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/authorisation/table.txt");
    let text = std::fs::read_to_string(path).expect("table.txt");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Line::parse).collect()
}

/// One platform, an org and a space, and everybody signed in.
struct World {
    app: TestApp,
    admin: TestClient,
    /// In the order of the columns.
    callers: Vec<TestClient>,
    org: String,
    space: String,
    given: BTreeMap<String, Vec<Step>>,
    number: usize,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::with_stack().await.unwrap();
        let admin = app.admin().await.unwrap();
        let (org, space) = organization_and_space(&admin, "acme").await.unwrap();
        let names = ["reader", "global"].into_iter();
        for name in names.chain(MEMBERS.map(|(name, _)| name)).chain(["none"]) {
            app.user(name).await.unwrap();
        }
        app.sql(GROUPS).await.unwrap();
        let mut callers = vec![admin.clone()];
        for name in ["reader", "global"]
            .into_iter()
            .chain(MEMBERS.map(|(name, _)| name))
            .chain(["none"])
        {
            callers.push(sign_in(&app, name).await);
        }
        callers.push(app.anonymous());
        let world = Self {
            app,
            admin,
            callers,
            org,
            space,
            given: script::given(),
            number: 0,
        };
        for (name, role) in MEMBERS {
            world.enroll(name, role, &world.org, &world.space).await;
        }
        world
    }

    /// Gives a user a role; one in a space comes with membership of the org.
    async fn enroll(&self, name: &str, role: &str, org: &str, space: &str) {
        let mut roles = vec![(role, "organization", org)];
        if role.starts_with("space_") {
            roles = vec![
                ("organization_user", "organization", org),
                (role, "space", space),
            ];
        }
        for (kind, of, guid) in roles {
            let mut relationships = related(of, guid);
            relationships["user"] = json!({ "data": { "username": name } });
            let body = json!({ "type": kind, "relationships": relationships });
            let made = self.admin.post("/v3/roles", &body).await.unwrap();
            assert_eq!(made.status, 201, "{name} {kind}: {made:?}");
        }
    }

    /// What a line needs, made by the admin.
    async fn prepare(&mut self, line: &Line, column: usize) -> Result<Player<'_>, String> {
        self.number += 1;
        let fresh = line.given == "fresh";
        let (mut org, mut space) = (self.org.clone(), self.space.clone());
        if fresh {
            let name = format!("fresh-{}", self.number);
            (org, space) = organization_and_space(&self.admin, &name).await.unwrap();
            if let Some((name, role)) = column.checked_sub(3).and_then(|at| MEMBERS.get(at)) {
                self.enroll(name, role, &org, &space).await;
            }
        }
        let mut player = Player::within(&self.app, &self.admin, self.number, (&org, &space));
        if !fresh && !line.given.is_empty() {
            let steps = self.given.get(&line.given);
            let steps = steps.ok_or_else(|| format!("no section {} in given.txt", line.given))?;
            let played = player.play(steps).await;
            played.map_err(|stop| format!("given {}: {}: {}", line.given, stop.line, stop.why))?;
        }
        Ok(player)
    }

    /// The columns where a line does not hold.
    async fn faults(&mut self, line: &Line) -> Vec<String> {
        let mut faults = Vec::new();
        // What is there serves until a caller changed it.
        let mut unchanged: Option<(String, String, Option<String>)> = None;
        for (column, expected) in line.expected.iter().enumerate() {
            let asked = match unchanged.take() {
                Some(asked) if line.given != "fresh" => asked,
                _ => match self.prepare(line, column).await {
                    Ok(player) => (
                        player.fill(&line.path),
                        player.fill(&line.body),
                        line.sees
                            .as_ref()
                            .map(|name| player.fill(&format!("${name}"))),
                    ),
                    Err(fault) => return vec![fault],
                },
            };
            let (path, body, sees) = asked.clone();
            let path = match &sees {
                Some(guid) if expected == "yes" || expected == "no" => {
                    format!("{path}?guids={guid}")
                }
                _ => path,
            };
            let kind = if path.contains("manifest") && line.method == "POST" {
                "application/x-yaml"
            } else {
                "application/json"
            };
            let caller = &self.callers[column];
            let answer = caller
                .raw(&line.method, &path, kind, body.into_bytes())
                .await
                .unwrap();
            if line.method == "GET" || answer.status >= 400 {
                unchanged = Some(asked);
            }
            let got = outcome(&answer, expected, sees.as_deref());
            if got != *expected {
                let column = column_name(column);
                faults.push(format!(
                    "{column}: {got} instead of {expected} ({})",
                    answer.detail()
                ));
            }
        }
        faults
    }
}

fn column_name(column: usize) -> &'static str {
    match column {
        0 => "admin",
        1 => "reader",
        2 => "global",
        _ if column < MEMBERS.len() + 3 => MEMBERS[column - 3].0,
        _ if column == MEMBERS.len() + 3 => "none",
        _ => "anon",
    }
}

/// What an answer says in the words of the table.
fn outcome(answer: &Answer, expected: &str, sees: Option<&str>) -> String {
    let listed = matches!(expected, "yes" | "no") && answer.status == 200;
    let Some(guid) = sees.filter(|_| listed) else {
        return answer.status.to_string();
    };
    let resources = answer.body["resources"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let seen = resources.iter().any(|resource| resource["guid"] == guid);
    if seen { "yes" } else { "no" }.to_owned()
}

async fn sign_in(app: &TestApp, name: &str) -> TestClient {
    let form = [
        ("grant_type", "password"),
        ("username", name),
        ("password", "only-for-tests"),
    ];
    let token = app.anonymous().token(&form).await.unwrap();
    app.anonymous().with_token(token.text("/access_token"))
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The lines share a platform, and some change what holds for everybody.
    arguments.test_threads = Some(1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = Arc::new(OnceCell::new());
    let trials = table().into_iter().map(|line| {
        let (world, runtime) = (world.clone(), runtime.handle().clone());
        Trial::test(line.name(), move || {
            runtime.block_on(async {
                let world = world
                    .get_or_init(|| async { Mutex::new(World::new().await) })
                    .await;
                let faults = world.lock().await.faults(&line).await;
                if faults.is_empty() {
                    Ok(())
                } else {
                    Err(faults.join("\n").into())
                }
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
