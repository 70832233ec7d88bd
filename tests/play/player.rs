//! Plays scripts against a platform.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cflite::testing::{Answer, TestApp, TestClient};
use serde_json::Value;

use super::script::{Body, Request, Step};
use super::{broker, files};

/// How long an `until` waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request that was answered as expected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Played {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
}

/// Where a script ended, and why.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) line: String,
    pub(crate) why: String,
    pub(crate) answer: Option<Answer>,
}

/// One command being played.
pub(crate) struct Player<'a> {
    app: &'a TestApp,
    client: TestClient,
    admin: TestClient,
    variables: BTreeMap<String, String>,
    pub(crate) played: Vec<Played>,
}

impl<'a> Player<'a> {
    /// Signed in as admin, in a fresh org and space whose names end in `number`.
    pub(crate) async fn new(app: &'a TestApp, admin: &TestClient, number: usize) -> Self {
        let org = format!("org-{number}");
        let (organization, space) = cflite::testing::organization_and_space(admin, &org)
            .await
            .expect("an org and a space");
        let mut player = Self::within(app, admin, number, (&organization, &space));
        for (name, value) in [("org_name", org), ("space_name", "dev".to_owned())] {
            player.variables.insert(name.to_owned(), value);
        }
        player
    }

    /// Signed in as admin, in an org and a space that are there.
    pub(crate) fn within(
        app: &'a TestApp,
        admin: &TestClient,
        number: usize,
        (organization, space): (&str, &str),
    ) -> Self {
        let variables = [
            ("n", number.to_string()),
            ("org", organization.to_owned()),
            ("space", space.to_owned()),
            ("broker_url", format!("{}/{number}", broker::url())),
        ];
        Self {
            app,
            client: admin.clone(),
            admin: admin.clone(),
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            played: Vec::new(),
        }
    }

    /// Plays all steps in order.
    pub(crate) async fn play(&mut self, steps: &[Step]) -> Result<(), Stop> {
        for step in steps {
            match step {
                Step::As(user) => self.client = self.client_of(user),
                Step::Request(request) => self.request(request).await?,
            }
        }
        Ok(())
    }

    /// Everything captured that is a guid.
    pub(crate) fn guids(&self) -> Vec<String> {
        let guids = self.variables.values().filter(|value| value.len() == 36);
        guids.cloned().collect()
    }

    fn client_of(&self, user: &str) -> TestClient {
        match user {
            "admin" => self.admin.clone(),
            "nobody" => self.app.anonymous(),
            token => self.app.anonymous().with_token(&self.fill(token)),
        }
    }

    async fn request(&mut self, request: &Request) -> Result<(), Stop> {
        let started = Instant::now();
        loop {
            let path = self.fill(&request.path);
            let answer = self.send(request, &path).await;
            let checked = if answer.status == request.status {
                self.check(request, &answer).await
            } else {
                Err(format!(
                    "status {} instead of {}",
                    answer.status, request.status
                ))
            };
            match checked {
                Ok(()) => {
                    if request.counted {
                        self.played.push(Played {
                            method: request.method.clone(),
                            path,
                            status: answer.status,
                        });
                    }
                    return Ok(());
                }
                Err(_) if request.until && started.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(why) => {
                    return Err(Stop {
                        line: request.line.clone(),
                        why,
                        answer: Some(answer),
                    });
                }
            }
        }
    }

    async fn send(&self, request: &Request, path: &str) -> Answer {
        let method = request.method.as_str();
        let json = "application/json";
        let sent = match &request.body {
            Body::None => self.client.raw(method, path, json, Vec::new()).await,
            Body::Json(text) => {
                let body = self.fill(text).into_bytes();
                self.client.raw(method, path, json, body).await
            }
            Body::Yaml(text) => {
                let body = self.fill(text).into_bytes();
                self.client
                    .raw(method, path, "application/x-yaml", body)
                    .await
            }
            Body::Form(text) => {
                let text = self.fill(text);
                let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes())
                    .into_owned()
                    .collect();
                let pairs: Vec<(&str, &str)> = pairs
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str()))
                    .collect();
                self.client.token(&pairs).await
            }
            Body::File(kind) => {
                let (name, bytes) = files::make(kind);
                self.client.upload_file(path, name, bytes).await
            }
        };
        sent.unwrap_or_else(|error| panic!("{method} {path}: {error:#}"))
    }

    async fn check(&mut self, request: &Request, answer: &Answer) -> Result<(), String> {
        for check in &request.checks {
            if check == "job" {
                self.follow(answer).await?;
            } else if let Some(name) = check.strip_prefix("location=>") {
                let location = answer.location.clone().ok_or("no Location")?;
                self.variables
                    .insert(name.to_owned(), self.below(&location));
            } else {
                self.look(check, &answer.body)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, check: &str, body: &Value) -> Result<(), String> {
        if let Some(path) = check.strip_prefix('!') {
            return match find(body, &self.fill(path)) {
                None => Ok(()),
                Some(value) => Err(format!("{path} is {value} and should not be there")),
            };
        }
        let at = check.find(['=', '~', ':', '#']).unwrap_or(check.len());
        let (path, rest) = check.split_at(at);
        let path = &self.fill(path);
        let value = find(body, path).ok_or_else(|| format!("no {path}"))?;
        if let Some(name) = rest.strip_prefix("=>") {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let text = self.below(&text);
            self.variables.insert(name.to_owned(), text);
            return Ok(());
        }
        let Some(operator) = rest.chars().next() else {
            return Ok(());
        };
        let wanted = self.fill(&rest[1..]);
        let good = match operator {
            '=' => *value == parsed(&wanted),
            '~' => {
                let wanted = wanted.trim_matches('"');
                value.as_str().is_some_and(|text| text.contains(wanted))
            }
            ':' => is_a(value, &wanted),
            _ => value
                .as_array()
                .is_some_and(|all| all.len().to_string() == wanted),
        };
        if good {
            Ok(())
        } else {
            Err(format!("{path} is {value}, wanted {operator}{wanted}"))
        }
    }

    /// Follows a job to its end, as the CLI does.
    async fn follow(&self, answer: &Answer) -> Result<(), String> {
        let Some(location) = &answer.location else {
            return Err("no Location of a job".to_owned());
        };
        let path = self.below(location);
        let started = Instant::now();
        loop {
            let job = self.client.get(&path).await.map_err(|e| e.to_string())?;
            match job.text("/state") {
                "COMPLETE" => return Ok(()),
                "PROCESSING" | "POLLING" if started.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => return Err(format!("the job {}", job.body)),
            }
        }
    }

    /// A URL of this platform as a path.
    fn below(&self, url: &str) -> String {
        url.strip_prefix(&self.app.url()).unwrap_or(url).to_owned()
    }

    /// Puts captured values where `$name` stands.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let end = rest
                .find(|c: char| !c.is_ascii_lowercase() && c != '_')
                .unwrap_or(rest.len());
            let name = &rest[..end];
            let value = self.variables.get(name);
            filled.push_str(value.unwrap_or_else(|| panic!("nothing captured ${name}: {text}")));
            rest = &rest[end..];
        }
        filled.push_str(rest);
        filled
    }
}

fn find<'v>(body: &'v Value, path: &str) -> Option<&'v Value> {
    let mut value = body;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        value = match value {
            Value::Array(all) => all.get(key.parse::<usize>().ok()?)?,
            other => other.get(key)?,
        };
    }
    Some(value)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "int" => value.is_i64() || value.is_u64(),
        "text" => value.is_string(),
        "bool" => value.is_boolean(),
        "list" => value.is_array(),
        "object" => value.is_object(),
        "time" => value
            .as_str()
            .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        other => panic!("no type {other}"),
    }
}
