//! Drains to Debian's rsyslog, over TCP and over TLS with certificates on both sides.
//!
//! Says in one line that it was skipped where rsyslog is not installed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cflite::testing::{app_in_space, related};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use crate::client::{Client, SOON};
use crate::platform::Platform;

const PROGRAM: &str = "/usr/sbin/rsyslogd";

/// A log server of this test; it ends with it.
struct Rsyslog {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Rsyslog {
    /// `tls` are further lines of its configuration.
    fn start(folder: tempfile::TempDir, tls: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = port.local_addr().expect("an address").port();
        let path = folder.path();
        let config = format!(
            "global(workDirectory=\"{work}\")\n{tls}\n\
             template(name=\"fields\" type=\"string\" \
             string=\"%PRI%|%HOSTNAME%|%APP-NAME%|%PROCID%|%STRUCTURED-DATA%|%msg%\\n\")\n\
             ruleset(name=\"in\") {{ action(type=\"omfile\" file=\"{out}\" template=\"fields\") }}\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"in\")\n",
            work = path.display(),
            out = path.join("out").display(),
        );
        std::fs::write(path.join("rsyslog.conf"), config).expect("the configuration");
        let log = std::fs::File::create(path.join("log")).expect("a log");
        let child = Command::new(PROGRAM)
            .arg("-n")
            .arg("-f")
            .arg(path.join("rsyslog.conf"))
            .arg("-i")
            .arg(path.join("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("rsyslog starts");
        Self {
            folder,
            child,
            port,
        }
    }

    /// The fields of the first message whose text contains `part`.
    async fn until(&self, part: &str) -> Vec<String> {
        let deadline = Instant::now() + SOON;
        loop {
            let out = std::fs::read_to_string(self.folder.path().join("out"));
            let out = out.unwrap_or_default();
            if let Some(line) = out.lines().find(|line| line.contains(part)) {
                return line.splitn(6, '|').map(str::to_owned).collect();
            }
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            assert!(
                Instant::now() < deadline,
                "{part} never came: {out}\n{log:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Certificates {
    authority: String,
    client: (String, String),
    /// Lines of the server's configuration.
    config: String,
}

/// Writes the server's files into its folder.
fn certificates(folder: &Path) -> Certificates {
    let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(parameters, key).expect("an authority");
    let issue = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = parameters
            .signed_by(&key, &authority)
            .expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    let (certificate, key) = issue("localhost");
    let write = |name: &str, content: &str| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, content).expect("a file");
        path
    };
    let config = format!(
        "global(defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" \
         defaultNetstreamDriverKeyFile=\"{}\")\n\
         module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" \
         streamDriver.authMode=\"x509/certvalid\")",
        write("ca.pem", &authority.pem()).display(),
        write("server.pem", &certificate).display(),
        write("server.key", &key).display(),
    );
    Certificates {
        authority: authority.pem(),
        client: issue("drain"),
        config,
    }
}

/// Binds an app to a drain.
async fn bound(client: &Client, name: &str, url: &str, credentials: serde_json::Value) -> String {
    let app = app_in_space(&client.admin, &client.space, name)
        .await
        .expect("an app");
    let mut body = json!({ "type": "user-provided", "name": format!("drain-{name}"),
        "syslog_drain_url": url, "credentials": credentials });
    body["relationships"] = related("space", &client.space);
    let service = client
        .admin
        .post("/v3/service_instances", &body)
        .await
        .expect("a service");
    let mut relationships = related("service_instance", service.text("/guid"));
    relationships["app"] = json!({ "data": { "guid": app } });
    let body = json!({ "type": "app", "relationships": relationships });
    let bound = client
        .admin
        .post("/v3/service_credential_bindings", &body)
        .await;
    assert_eq!(bound.expect("a binding").status, 201);
    app
}

#[tokio::test]
async fn rsyslog_receives_the_lines_of_bound_apps_over_tcp_and_tls() {
    if std::env::var_os("CFLITE_TEST_WITHOUT_DOCKER").is_some() || !Path::new(PROGRAM).exists() {
        println!("skipped: needs Docker and rsyslog");
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let plain = Rsyslog::start(folder, "module(load=\"imtcp\")");
    let folder = tempfile::tempdir().expect("temporary folder");
    let certificates = certificates(folder.path());
    let tls = Rsyslog::start(folder, &certificates.config);
    let platform = Platform::start();
    let client = Client::of(&platform).await;
    let url = format!("syslog://127.0.0.1:{}", plain.port);
    let over_tcp = bound(&client, "over-tcp", &url, json!({})).await;
    let url = format!("syslog-tls://localhost:{}", tls.port);
    let (certificate, key) = certificates.client;
    let credentials = json!({ "cert": certificate, "key": key, "ca": certificates.authority });
    let over_tls = bound(&client, "over-tls", &url, credentials).await;
    // A drain is at work a moment after its binding.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (server, app, name) in [
        (&plain, &over_tcp, "over-tcp"),
        (&tls, &over_tls, "over-tls"),
    ] {
        let change = json!({ "metadata": { "annotations": { "mark": "a\"quoted\"]one" } } });
        let path = format!("/v3/apps/{app}");
        let changed = client.admin.patch(&path, &change).await.expect("a change");
        assert_eq!(changed.status, 200);
        let fields = server.until("quoted").await;
        assert_eq!(fields[0], "14");
        assert_eq!(fields[1], format!("images.dev.{name}"));
        assert_eq!(fields[2], *app);
        assert_eq!(fields[3], "[API/0]");
        assert!(fields[4].starts_with("[tags@47450 "), "{fields:?}");
        assert!(
            fields[4].contains(&format!("app_name=\"{name}\"")),
            "{fields:?}"
        );
        assert!(fields[5].contains("Updated app with guid"), "{fields:?}");
    }
}
