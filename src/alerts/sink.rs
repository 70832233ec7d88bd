//! Where alerts are told besides the log: a webhook, a mail server, a command.

use std::process::Stdio;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use url::Url;

use super::{State, Told};
use crate::net::http_client;

/// For one alert.
const DEADLINE: Duration = Duration::from_secs(20);
/// The most of an error that is told.
const LONGEST_FAULT: usize = 300;

/// Where alerts are told.
pub enum Sink {
    /// Gets a POST with the alert as JSON.
    Webhook {
        /// Where.
        url: Url,
        /// Who asks.
        client: reqwest::Client,
    },
    /// Gets a mail.
    Mail {
        /// The server's host.
        host: String,
        /// The server.
        server: Box<AsyncSmtpTransport<Tokio1Executor>>,
        /// The sender.
        from: Mailbox,
        /// The receiver.
        to: Mailbox,
    },
    /// Runs with the alert as JSON at its standard input.
    Command(String),
}

/// Why an alert was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(String);

impl Sink {
    /// Reads `https://…`, `smtp://USER:PASSWORD@HOST:PORT?to=…&from=…` (`smtps` with TLS from the
    /// start, `?tls=required` for STARTTLS) or `exec:PATH`. Errors hold no password.
    pub fn parse(text: &str) -> Result<Self, SinkError> {
        if let Some(path) = text.strip_prefix("exec:") {
            if !path.starts_with('/') {
                return Err(SinkError("exec: needs an absolute path".to_owned()));
            }
            return Ok(Self::Command(path.to_owned()));
        }
        let url = Url::parse(text).map_err(|error| SinkError(format!("not a URL: {error}")))?;
        match url.scheme() {
            "http" | "https" => webhook(url),
            "smtp" | "smtps" => mail(url),
            scheme => Err(SinkError(format!(
                "{scheme} is not one of https, http, smtp, smtps and exec"
            ))),
        }
    }

    /// What it is called, without secrets.
    pub fn name(&self) -> String {
        match self {
            Self::Webhook { url, .. } => format!("webhook {}", url.host_str().unwrap_or_default()),
            Self::Mail { host, to, .. } => format!("mail to {} through {host}", to.email),
            Self::Command(path) => format!("command {path}"),
        }
    }

    pub(super) async fn tell(&self, told: &Told) -> Result<(), SinkError> {
        let telling = async {
            match self {
                Self::Webhook { url, client } => post(client, url.clone(), told).await,
                Self::Mail {
                    server, from, to, ..
                } => send(server, (from, to), told).await,
                Self::Command(path) => run(path, told).await,
            }
        };
        let done = tokio::time::timeout(DEADLINE, telling).await;
        done.unwrap_or_else(|_| Err(SinkError(format!("no end within {} s", DEADLINE.as_secs()))))
    }
}

fn webhook(url: Url) -> Result<Sink, SinkError> {
    let client = http_client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("cflite/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(plain)?;
    Ok(Sink::Webhook { url, client })
}

fn mail(mut url: Url) -> Result<Sink, SinkError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let (mut from, mut to, mut rest) = (None, None, Vec::new());
    for (name, value) in url.query_pairs() {
        match &*name {
            "from" => from = Some(mailbox(&value)?),
            "to" => to = Some(mailbox(&value)?),
            _ => rest.push((name.into_owned(), value.into_owned())),
        }
    }
    let to =
        to.ok_or_else(|| SinkError("the URL of a mail server needs ?to=ADDRESS".to_owned()))?;
    let from = from.map_or_else(|| mailbox("cflite@localhost"), Ok)?;
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
        .map_err(|_| SinkError(format!("the URL of the mail server {host} is not valid")))?
        .timeout(Some(DEADLINE))
        .build();
    Ok(Sink::Mail {
        host,
        server: Box::new(server),
        from,
        to,
    })
}

fn mailbox(text: &str) -> Result<Mailbox, SinkError> {
    text.parse()
        .map_err(|_| SinkError(format!("{text:?} is not a mail address")))
}

async fn post(client: &reqwest::Client, url: Url, told: &Told) -> Result<(), SinkError> {
    let sent = client.post(url).json(told).send().await;
    let status = sent.map_err(|error| plain(error.without_url()))?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(SinkError(format!("it answered with the status {status}")))
    }
}

async fn send(
    server: &AsyncSmtpTransport<Tokio1Executor>,
    (from, to): (&Mailbox, &Mailbox),
    told: &Told,
) -> Result<(), SinkError> {
    let state = match told.state {
        State::Raised => "raised",
        State::Resolved => "resolved",
    };
    let alert = &told.alert;
    let body = format!(
        "{}\n\n{}\n\nAlert: {}\nSource: {}\nState: {state}\nSince: {}\nRaised: {} times\n",
        alert.summary, alert.detail, alert.id, alert.source, told.since, told.count
    );
    let message = Message::builder()
        .from(from.clone())
        .to(to.clone())
        .subject(format!(
            "[cflite] {state}: {}",
            alert.summary.replace(['\r', '\n'], " ")
        ))
        .body(body)
        .map_err(plain)?;
    server.send(message).await.map_err(plain)?;
    Ok(())
}

async fn run(path: &str, told: &Told) -> Result<(), SinkError> {
    let json = serde_json::to_vec(told).map_err(plain)?;
    let mut child = Command::new(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(plain)?;
    if let Some(mut input) = child.stdin.take() {
        // A command that does not read its input may end before all is written.
        drop(input.write_all(&json).await);
    }
    let status = child.wait().await.map_err(plain)?;
    if status.success() {
        Ok(())
    } else {
        Err(SinkError(format!("it ended with {status}")))
    }
}

fn plain(error: impl std::fmt::Display) -> SinkError {
    SinkError(error.to_string().chars().take(LONGEST_FAULT).collect())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::alerts::{Alert, Severity};

    fn told() -> Told {
        Told {
            alert: Alert {
                id: "a".to_owned(),
                severity: Severity::Critical,
                source: "tests",
                summary: "down".to_owned(),
                detail: "why".to_owned(),
            },
            state: State::Raised,
            since: "2026-01-01T00:00:00Z".to_owned(),
            count: 2,
        }
    }

    #[test]
    fn what_is_no_sink_is_refused_without_its_password() {
        for (text, fault) in [
            ("exec:notify", "an absolute path"),
            ("ftp://x", "ftp is not one of"),
            ("smtp://u:hunter2@h", "needs ?to="),
            ("smtp://u:hunter2@h?to=nobody", "is not a mail address"),
            ("nothing", "not a URL"),
        ] {
            let error = Sink::parse(text).err().expect("refused").to_string();
            assert!(
                error.contains(fault) && !error.contains("hunter2"),
                "{error}"
            );
        }
        let mail = Sink::parse("smtp://u:hunter2@mail.example.com:2525?to=ops@example.com");
        let name = mail.expect("valid").name();
        assert_eq!(name, "mail to ops@example.com through mail.example.com");
    }

    #[tokio::test]
    async fn a_command_gets_the_alert_as_json() {
        let folder = tempfile::tempdir().expect("a folder");
        let (script, out) = (folder.path().join("tell"), folder.path().join("out"));
        let text = format!("#!/bin/sh\ncat > {}\n", out.display());
        std::fs::write(&script, text).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).expect("executable");
        let sink = Sink::parse(&format!("exec:{}", script.display())).expect("a command");
        sink.tell(&told()).await.expect("told");
        let said = std::fs::read(out).expect("read");
        let said: serde_json::Value = serde_json::from_slice(&said).expect("JSON");
        assert_eq!(
            (&said["id"], &said["state"], &said["count"]),
            (&"a".into(), &"raised".into(), &2.into())
        );

        let failing = Sink::parse("exec:/bin/false").expect("a command");
        let error = failing.tell(&told()).await.expect_err("it fails");
        assert!(error.to_string().contains("exit status: 1"), "{error}");
    }

    /// Answers one connection; `lines` are said in order, one after each part that comes. What came.
    async fn peer(lines: &'static [&'static str]) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("bound").port();
        #[expect(clippy::disallowed_methods, reason = "it ends with its test")]
        let got = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut got = Vec::new();
            for line in lines {
                if !line.starts_with("220") {
                    read_part(&mut stream, &mut got).await;
                }
                stream.write_all(line.as_bytes()).await.expect("written");
            }
            String::from_utf8_lossy(&got).into_owned()
        });
        (port, got)
    }

    /// Reads a command of SMTP, a message or a request as a whole.
    async fn read_part(stream: &mut tokio::net::TcpStream, got: &mut Vec<u8>) {
        let begin = got.len();
        loop {
            let mut part = [0; 4096];
            let size = stream.read(&mut part).await.expect("read");
            got.extend_from_slice(&part[..size]);
            let text = String::from_utf8_lossy(&got[begin..]).into_owned();
            let is_message = text.starts_with("Subject:") || text.starts_with("From:");
            let is_request = text.starts_with("POST");
            let is_whole = match (is_message, is_request) {
                (true, _) => text.ends_with("\r\n.\r\n"),
                (_, true) => text.ends_with('}'),
                _ => text.ends_with("\r\n"),
            };
            if size == 0 || is_whole {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_webhook_gets_a_request_with_the_alert() {
        let (port, got) = peer(&["HTTP/1.1 204 No Content\r\n\r\n"]).await;
        let sink = Sink::parse(&format!("http://127.0.0.1:{port}/hook")).expect("a webhook");
        sink.tell(&told()).await.expect("told");
        let got = got.await.expect("ended");
        assert!(got.starts_with("POST /hook HTTP/1.1"), "{got}");
        assert!(
            got.contains(r#""state":"raised""#) && got.contains(r#""detail":"why""#),
            "{got}"
        );

        let (port, _got) = peer(&["HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"]).await;
        let sink = Sink::parse(&format!("http://127.0.0.1:{port}/hook")).expect("a webhook");
        let error = sink.tell(&told()).await.expect_err("refused");
        assert!(error.to_string().contains("status 500"), "{error}");
    }

    #[tokio::test]
    async fn a_mail_says_what_is_wrong_and_since_when() {
        let (port, got) = peer(&[
            "220 mail\r\n",
            "250 mail\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go on\r\n",
            "250 taken\r\n",
        ])
        .await;
        let url = format!("smtp://127.0.0.1:{port}?to=ops@example.com&from=cflite@example.com");
        let sink = Sink::parse(&url).expect("a mail server");
        sink.tell(&told()).await.expect("told");
        let got = got.await.expect("ended");
        for part in [
            "MAIL FROM:<cflite@example.com>",
            "RCPT TO:<ops@example.com>",
            "Subject: [cflite] raised: down",
            "why",
            "Since: 2026-01-01T00:00:00Z",
        ] {
            assert!(got.contains(part), "{part} is not in {got}");
        }
    }
}
