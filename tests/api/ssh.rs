//! SSH into instances, with Docker in memory: who gets in, and what a session hands on.

use std::sync::Arc;
use std::time::Duration;

use cflite::config::Options;
use cflite::testing::{TestApp, TestClient};
use russh::client::{self, AuthResult, Handle};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, Error};
use serde_json::{Value, json};

use crate::tasks::runnable;

const CODE: &str = "/oauth/authorize?response_type=code&client_id=ssh-proxy";

/// Accepts the host key that the API tells.
struct Known(String);

impl client::Handler for Known {
    type Error = Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Ok(false);
        };
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Ok(fingerprint == format!("SHA256:{}", self.0))
    }
}

/// A started app.
struct Started {
    app: TestApp,
    admin: TestClient,
    guid: String,
    space: String,
    process: String,
}

impl Started {
    async fn new() -> Self {
        let (app, admin, guid, space) = runnable().await;
        let start = format!("/v3/apps/{guid}/actions/start");
        assert_eq!(admin.post(&start, &json!({})).await.unwrap().status, 200);
        let web = admin.get(&format!("/v3/apps/{guid}/processes/web")).await;
        let process = web.unwrap().text("/guid").to_owned();
        let stats = format!("/v3/processes/{process}/stats");
        for _ in 0..500 {
            let stats = admin.get(&stats).await.unwrap();
            if stats.text("/resources/0/state") == "RUNNING" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self {
            app,
            admin,
            guid,
            space,
            process,
        }
    }

    fn user(&self) -> String {
        format!("cf:{}/0", self.process)
    }

    async fn connect(&self) -> Handle<Known> {
        let root = self.app.anonymous().get("/").await.unwrap();
        let known = Known(
            root.text("/links/app_ssh/meta/host_key_fingerprint")
                .to_owned(),
        );
        let address = self.app.ssh_address().unwrap();
        let connected = client::connect(Arc::default(), address, known).await;
        connected.expect("the key that the API tells")
    }

    async fn tries(&self, user: &str, code: &str) -> bool {
        let mut session = self.connect().await;
        let result = session.authenticate_password(user, code).await.unwrap();
        matches!(result, AuthResult::Success)
    }

    async fn session(&self) -> Handle<Known> {
        let mut session = self.connect().await;
        let code = code(&self.admin).await;
        let result = session.authenticate_password(self.user(), code).await;
        assert!(matches!(result, Ok(AuthResult::Success)), "{result:?}");
        session
    }

    async fn set(&self, path: &str, enabled: bool) {
        let body = json!({ "enabled": enabled });
        let set = self.admin.patch(path, &body).await.unwrap();
        assert_eq!(set.status, 200, "{set:?}");
    }

    /// The kinds and indexes of the audit events of SSH, oldest first.
    async fn events(&self) -> Vec<(String, Value)> {
        let path = format!(
            "/v3/audit_events?target_guids={}&order_by=created_at&per_page=500",
            self.guid
        );
        let listed = self.admin.get(&path).await.unwrap();
        let all = listed.body["resources"].as_array().unwrap().iter();
        let kinds = all.map(|event| {
            let kind = event["type"].as_str().unwrap().to_owned();
            (kind, event["data"]["index"].clone())
        });
        kinds.filter(|(kind, _)| kind.contains("ssh")).collect()
    }

    /// Waits for a line of SSH in the app's log.
    async fn logged(&self, part: &str) -> String {
        let path = format!("/api/v1/read/{}?descending=true&limit=1000", self.guid);
        for _ in 0..250 {
            let read = self.admin.get(&path).await.unwrap();
            let batch = read.body["envelopes"]["batch"].as_array().cloned();
            for envelope in batch.unwrap_or_default() {
                let text = text_of(&envelope);
                if envelope["tags"]["source_type"] == "SSH" && text.contains(part) {
                    return text;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no line with {part:?}");
    }
}

fn text_of(envelope: &Value) -> String {
    use base64::Engine;
    let payload = envelope["log"]["payload"].as_str().unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(payload);
    String::from_utf8(bytes.unwrap()).unwrap()
}

/// A one-time code, as `cf ssh-code` gets it.
async fn code(client: &TestClient) -> String {
    let answer = client.get(CODE).await.unwrap();
    assert_eq!(answer.status, 302, "{answer:?}");
    let location = url::Url::parse(&answer.location.unwrap()).unwrap();
    let code = location.query_pairs().find(|(name, _)| name == "code");
    code.unwrap().1.into_owned()
}

#[derive(Debug, Default, PartialEq)]
struct Said {
    out: String,
    err: String,
    status: Option<u32>,
}

/// Reads a channel to its end.
async fn read(channel: &mut russh::Channel<client::Msg>) -> Said {
    let mut said = Said::default();
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => said.out.push_str(std::str::from_utf8(&data).unwrap()),
            ChannelMsg::ExtendedData { data, .. } => {
                said.err.push_str(std::str::from_utf8(&data).unwrap());
            }
            ChannelMsg::ExitStatus { exit_status } => said.status = Some(exit_status),
            _ => {}
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_its_input_and_its_variables_and_tells_its_status() {
    let started = Started::new().await;
    started.app.engine().program("shout", |input| {
        (3, format!("\u{1e}42\n{}", input.to_uppercase()))
    });
    let session = started.session().await;
    let mut channel = session.channel_open_session().await.unwrap();
    channel.set_env(false, "LANG", "de_DE.UTF-8").await.unwrap();
    channel.exec(true, "shout it").await.unwrap();
    channel.data(&b"hello"[..]).await.unwrap();
    channel.eof().await.unwrap();
    let said = read(&mut channel).await;
    assert_eq!((said.out.as_str(), said.status), ("HELLO", Some(3)));
    let commands = started.app.engine().commands();
    let command = commands.iter().find(|one| one.input == "hello").unwrap();
    assert_eq!(command.words.last().unwrap(), "shout it");
    let lang = ("LANG".to_owned(), "de_DE.UTF-8".to_owned());
    assert_eq!(command.environment, [lang]);
    assert_eq!(command.terminal, None);

    let began = started
        .logged("Successful remote access by 127.0.0.1:")
        .await;
    drop(channel);
    drop(session);
    let port = began.rsplit_once(':').unwrap().1;
    let ended = format!("Remote access ended for 127.0.0.1:{port}");
    started.logged(&ended).await;
    let authorized = ("audit.app.ssh-authorized".to_owned(), json!(0));
    assert_eq!(started.events().await, [authorized]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_a_kind_and_a_size_that_changes() {
    let started = Started::new().await;
    let session = started.session().await;
    let mut channel = session.channel_open_session().await.unwrap();
    let modes = &[];
    let pty = channel.request_pty(true, "xterm", 100, 40, 0, 0, modes);
    pty.await.unwrap();
    channel.request_shell(true).await.unwrap();
    let size = || {
        let commands = started.app.engine().commands();
        let found = commands.into_iter().find(|one| one.terminal.is_some());
        found.map(|one| {
            let size = one.terminal.unwrap();
            (size.columns, size.rows, one.environment)
        })
    };
    let term = vec![("TERM".to_owned(), "xterm".to_owned())];
    for (columns, rows) in [(100, 40), (132, 50)] {
        let wanted = Some((columns, rows, term.clone()));
        for _ in 0..250 {
            if size() == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(size(), wanted);
        channel.window_change(132, 50, 0, 0).await.unwrap();
    }
    // A second session in a channel, and what is not there, are refused.
    channel.exec(true, "other").await.unwrap();
    let mut answers = Vec::new();
    while answers.len() < 3 {
        match channel.wait().await {
            Some(message @ (ChannelMsg::Success | ChannelMsg::Failure)) => {
                answers.push(matches!(message, ChannelMsg::Success));
            }
            Some(_) => {}
            None => break,
        }
    }
    assert_eq!(answers, [true, true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_one_session_and_only_a_right_one() {
    let started = Started::new().await;
    let user = started.user();
    let used = code(&started.admin).await;
    assert!(started.tries(&user, &used).await);
    assert!(!started.tries(&user, &used).await, "used before");
    assert!(!started.tries(&user, "nonsense").await);
    for wrong in [
        "root".to_owned(),
        format!("cf:{}/7", started.process),
        format!("cf:{}/x", started.process),
        "cf:00000000-0000-0000-0000-000000000000/0".to_owned(),
    ] {
        let fresh = code(&started.admin).await;
        assert!(!started.tries(&wrong, &fresh).await, "{wrong}");
        assert!(!started.tries(&user, &fresh).await, "used by {wrong}");
    }
    let refused = started.logged("Refused remote access by").await;
    assert!(refused.ends_with("instance 7 does not run"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn developers_and_administrators_get_in_and_others_do_not() {
    let started = Started::new().await;
    let space = format!("/v3/spaces/{}", started.space);
    let place = started.admin.get(&space).await.unwrap();
    let organization = place.text("/relationships/organization/data/guid");
    let place = (organization, started.space.as_str());
    let user = started.user();
    let mut expected = Vec::new();
    for (role, may) in [
        ("space_developer", true),
        ("space_supporter", false),
        ("space_auditor", false),
        ("space_manager", false),
        ("organization_manager", false),
    ] {
        let member = started.app.member((role, role), place).await.unwrap();
        assert_eq!(
            started.tries(&user, &code(&member).await).await,
            may,
            "{role}"
        );
        let kind = if may { "authorized" } else { "unauthorized" };
        expected.push((format!("audit.app.ssh-{kind}"), json!(0)));
    }
    let stranger = started.app.user("stranger").await.unwrap();
    assert!(!started.tries(&user, &code(&stranger).await).await);
    expected.push(("audit.app.ssh-unauthorized".to_owned(), json!(0)));
    assert_eq!(started.events().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_where_ssh_is_off() {
    let started = Started::new().await;
    let user = started.user();
    let space = format!("/v3/spaces/{}/features/ssh", started.space);
    let app = format!("/v3/apps/{}/features/ssh", started.guid);
    for (switch, reason) in [(&space, "for space '"), (&app, "for app")] {
        started.set(switch, false).await;
        assert!(!started.tries(&user, &code(&started.admin).await).await);
        let refused = started.logged(reason).await;
        assert!(refused.contains(": ssh is disabled for "), "{refused}");
        started.set(switch, true).await;
        assert!(started.tries(&user, &code(&started.admin).await).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_without_ssh_has_no_door_and_says_so() {
    let started = Started::new().await;
    let key = started.app.data_dir().join("ssh-host-key");
    let before = std::fs::read(&key).unwrap();
    let options = Options {
        ssh: Some(false),
        ..Options::default()
    };
    let app = started.app.restart_with(options).await.unwrap();
    assert_eq!(app.ssh_address(), None);
    let admin = app.admin().await.unwrap();
    let root = admin.get("/").await.unwrap();
    assert_eq!(root.body["links"]["app_ssh"], Value::Null);
    let path = format!("/v3/apps/{}/ssh_enabled", started.guid);
    let answer = admin.get(&path).await.unwrap();
    assert_eq!(answer.body["enabled"], false);
    assert_eq!(answer.text("/reason"), "ssh is disabled globally");
    // The key is the same when it is on again.
    let app = app.restart_with(Options::default()).await.unwrap();
    assert!(app.ssh_address().is_some());
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_shell_is_named() {
    let started = Started::new().await;
    started.app.engine().program("ls", |_| {
        let said = "OCI runtime exec failed: exec: \"/bin/sh\": no such file\r\n";
        (127, said.to_owned())
    });
    let session = started.session().await;
    let mut channel = session.channel_open_session().await.unwrap();
    channel.exec(true, "ls").await.unwrap();
    channel.eof().await.unwrap();
    let said = read(&mut channel).await;
    let text = "the image of the app has no /bin/sh to start a session with";
    assert!(said.err.contains(text), "{said:?}");
    assert_eq!(said.status, Some(126));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_the_platform() {
    let started = Started::new().await;
    let session = started.session().await;
    let mut channel = session.channel_open_session().await.unwrap();
    channel.request_shell(true).await.unwrap();
    let begun = tokio::time::Instant::now();
    let app = started.app.restart().await.unwrap();
    while channel.wait().await.is_some() {}
    assert!(session.is_closed());
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    drop(app);
}
