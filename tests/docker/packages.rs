//! Builds on the real daemon get packages through the cache, with a network and without one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::cnb::zip_of;
use crate::platform::Platform;

/// A PyPI with one package, on a port of this machine.
struct Pypi {
    address: String,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
    serving: JoinHandle<()>,
}

const WHEEL: &str = "cflite_probe-1.0-py3-none-any.whl";

fn wheel() -> Vec<u8> {
    let info = "cflite_probe-1.0.dist-info";
    zip_of(&[
        ("cflite_probe.py", "TEXT = 'from the cache'\n"),
        (
            &format!("{info}/METADATA"),
            "Metadata-Version: 2.1\nName: cflite-probe\nVersion: 1.0\n",
        ),
        (
            &format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: cflite\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        (
            &format!("{info}/RECORD"),
            &format!("cflite_probe.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"),
        ),
    ])
}

async fn answer(State(asked): State<Arc<Mutex<BTreeMap<String, u32>>>>, uri: Uri) -> Response {
    let path = uri.path().to_owned();
    *asked
        .lock()
        .expect("the list")
        .entry(path.clone())
        .or_default() += 1;
    match path.as_str() {
        "/simple/cflite-probe/" => {
            Html(format!("<a href=\"/files/{WHEEL}\">{WHEEL}</a>")).into_response()
        }
        path if path == format!("/files/{WHEEL}") => wheel().into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Pypi {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = Arc::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&asked));
        let serving = tokio::runtime::Handle::current().spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            address,
            asked,
            serving,
        }
    }

    fn asked(&self, path: &str) -> u32 {
        let asked = self.asked.lock().expect("the list");
        asked.get(path).copied().unwrap_or_default()
    }
}

/// Stages a Python app of this name with this requirement.
async fn stage(client: &Client, name: &str, requirement: &str) -> (String, Result<String, String>) {
    let manifest = format!(
        "applications:\n- name: {name}\n  memory: 64M\n  buildpacks: [python_buildpack]\n  \
         no-route: true\n"
    );
    client.apply(&manifest).await;
    let app = client.guid(name).await;
    let zip = zip_of(&[
        ("requirements.txt", requirement),
        ("Procfile", "web: python app.py\n"),
        ("app.py", "import cflite_probe\n"),
    ]);
    let package = client.package(&app, zip).await;
    let built = client.build(&package).await;
    (app, built)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_staged_once_stages_again_without_a_network() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let pypi = Pypi::start().await;
    let upstream = format!("pypi=http://{}", pypi.address);
    let mut platform = Platform::start_with(&["--package-upstream", &upstream]);
    let client = Client::of(&platform).await;
    let (app, built) = stage(&client, "first", "cflite-probe==1.0\n").await;
    let log = client.log(&app).await;
    built.unwrap_or_else(|error| panic!("{error}\n{log}"));
    assert!(
        log.contains("Successfully installed cflite-probe-1.0"),
        "{log}"
    );
    assert_eq!(pypi.asked(&format!("/files/{WHEEL}")), 1);
    let listed = platform.run(&["packages", "list"]);
    assert!(listed.contains(WHEEL), "{listed}");

    pypi.serving.abort();
    platform.kill();
    platform.add_option("--offline");
    platform.boot();
    let client = client.again(&platform).await;
    // Another app: it has no build cache of its own.
    let (app, built) = stage(&client, "second", "cflite-probe==1.0\n").await;
    let log = client.log(&app).await;
    built.unwrap_or_else(|error| panic!("{error}\n{log}"));
    let (app, built) = stage(&client, "third", "left-out==1.0\n").await;
    built.expect_err("it is not in the cache");
    let refused = platform.fail(&["packages", "prefetch", "pypi:left-out"]);
    assert!(refused.contains("cflite works offline"), "{refused}");
    // Offline, builds reach this machine and no other.
    let log = client.log(&app).await;
    assert!(log.contains("from the package cache only"), "{log}");
    let network = format!("cflite-staging-{}", platform.id());
    let inspect = ["network", "inspect", "--format", "{{.Internal}}", &network];
    let out = std::process::Command::new("docker").args(inspect).output();
    let out = out.expect("docker runs");
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "true");
}
