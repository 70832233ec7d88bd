//! `cflite dev` on the real daemon: what is saved is served.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, SOON, until_page};
use crate::cnb::zip_of;
use crate::platform::Platform;

const SERVER: &str = r#"
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        text = open("text.txt").read() if os.path.exists("text.txt") else "no text"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"VERSION {text}".encode())
HTTPServer(("", int(os.environ["PORT"])), Page).serve_forever()
"#;

fn server(version: &str) -> String {
    SERVER.replace("VERSION", version)
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("created");
        fs::write(path, content).expect("written");
    }
}

async fn push(client: &Client, app: &str, files: &[(&str, &str)]) {
    let package = client.package(app, zip_of(files)).await;
    let droplet = client.build(&package).await.expect("staged");
    client.run(app, &droplet).await;
}

/// A running `cflite dev --json`, ended when it is dropped.
struct Development {
    child: Child,
    lines: Receiver<Value>,
}

impl Development {
    fn start(platform: &Platform, app: &str, folder: &Path) -> Self {
        let path = folder.display().to_string();
        let mut child = platform
            .command(&["dev", app, "--json", "--path", &path])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let out = child.stdout.take().expect("standard output");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                sender.send(serde_json::from_str(&line).expect("JSON")).ok();
            }
        });
        Self { child, lines }
    }

    /// The next report.
    fn next(&self) -> Value {
        self.lines.recv_timeout(SOON).expect("a report")
    }

    /// Ctrl-C, and the exit status.
    fn interrupt(&mut self) -> Option<i32> {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a process"));
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).expect("signalled");
        self.child.wait().expect("ended").code()
    }
}

impl Drop for Development {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const ROUTED: &str =
    "applications:\n- name: web\n  memory: 64M\n  routes: [{route: web.cf.localhost}]\n";

/// The files of a Python app that answers `version` and a text.
fn python(version: &str) -> [(&'static str, String); 3] {
    [
        ("requirements.txt", String::new()),
        ("Procfile", "web: python app.py\n".to_owned()),
        ("app.py", server(version)),
    ]
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    files.iter().map(|(path, text)| (*path, &**text)).collect()
}

/// A platform with the app `web`, its guid, and the folder it was pushed from.
async fn pushed(
    version: &str,
    more: &[(&str, &str)],
) -> (Platform, Client, String, tempfile::TempDir) {
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    client.apply(ROUTED).await;
    let app = client.guid("web").await;
    let files = python(version);
    let all = [&borrowed(&files)[..], more].concat();
    push(&client, &app, &all).await;
    until_page(&platform, "web", &format!("{version} no text"));
    let dir = tempfile::tempdir().expect("temporary folder");
    write(dir.path(), &borrowed(&files));
    (platform, client, app, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_served_until_the_session_ends() {
    let (platform, _client, _app, dir) = pushed("one", &[("gone.txt", "")]).await;
    write(
        dir.path(),
        &[
            ("app.py", &server("two")),
            (".cfignore", "*.log\n"),
            ("x.log", ""),
        ],
    );
    let mut development = Development::start(&platform, "web", dir.path());
    // What differs from the package, and nothing else.
    let first = development.next();
    assert_eq!(first["changed"], serde_json::json!(["app.py"]), "{first}");
    assert_eq!(first["deleted"], serde_json::json!(["gone.txt"]), "{first}");
    assert_eq!(first["action"], "restarted", "{first}");
    until_page(&platform, "web", "two no text");

    write(dir.path(), &[("text.txt", "and a text")]);
    assert_eq!(development.next()["condition"], "listening");
    until_page(&platform, "web", "two and a text");
    fs::remove_file(dir.path().join("text.txt")).expect("removed");
    assert_eq!(
        development.next()["deleted"],
        serde_json::json!(["text.txt"])
    );
    until_page(&platform, "web", "two no text");

    // A mistake ends the process, not the instance; the next save starts it again.
    write(dir.path(), &[("app.py", "not python")]);
    assert_eq!(development.next()["condition"], "exited 1");
    write(dir.path(), &[("app.py", &server("three"))]);
    assert_eq!(development.next()["condition"], "listening");
    until_page(&platform, "web", "three no text");

    assert_eq!(development.interrupt(), Some(0));
    assert_eq!(development.next(), serde_json::json!({ "ended": true }));
    until_page(&platform, "web", "one no text");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_wins_over_a_push_and_is_staged_where_that_is_needed() {
    let (platform, client, app, dir) = pushed("one", &[]).await;
    let mut development = Development::start(&platform, "web", dir.path());
    let deadline = Instant::now() + SOON;
    while !client.log(&app).await.contains("Restarted app") {
        assert!(Instant::now() < deadline, "{}", platform.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    push(&client, &app, &borrowed(&python("pushed"))).await;
    assert_eq!(development.next()["changed"], serde_json::json!(["app.py"]));
    until_page(&platform, "web", "one no text");

    // What decides on the installation is staged.
    write(dir.path(), &[("requirements.txt", "# nothing\n")]);
    assert_eq!(development.next()["action"], "staged");
    until_page(&platform, "web", "one no text");
    write(dir.path(), &[("app.py", &server("two"))]);
    assert_eq!(development.next()["action"], "restarted");
    until_page(&platform, "web", "two no text");
    assert_eq!(development.interrupt(), Some(0));
    until_page(&platform, "web", "one no text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_site_is_copied_and_a_killed_session_ends() {
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    let manifest =
        "applications:\n- name: site\n  memory: 64M\n  routes: [{route: site.cf.localhost}]\n";
    client.apply(manifest).await;
    let app = client.guid("site").await;
    let files = [("Staticfile", "root: pages\n"), ("pages/index.html", "one")];
    push(&client, &app, &files).await;
    until_page(&platform, "site", "one");

    let dir = tempfile::tempdir().expect("temporary folder");
    write(dir.path(), &files);
    let mut development = Development::start(&platform, "site", dir.path());
    let deadline = Instant::now() + SOON;
    while !client.log(&app).await.contains("Restarted app") {
        assert!(Instant::now() < deadline, "{}", platform.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    write(dir.path(), &[("pages/index.html", "two")]);
    let report = development.next();
    assert_eq!(report["action"], "copied", "{report}");
    until_page(&platform, "site", "two");
    development.child.kill().expect("killed");
    until_page(&platform, "site", "one");
}

#[test]
fn what_cannot_be_developed_is_told() {
    let platform = Platform::start();
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().display().to_string();
    let unknown = platform.fail(&["dev", "web", "--path", &path]);
    assert!(
        unknown.contains("there is no app web; push it first"),
        "{unknown}"
    );
    let missing = platform.fail(&["dev", "web", "--path", "/does/not/exist"]);
    assert!(missing.contains("cannot read /does/not/exist"), "{missing}");
}
