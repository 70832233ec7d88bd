//! A route service that is an app: requests to another app go through it, and it finds its way back.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, SOON};
use crate::network::run_image;
use crate::platform::Platform;

/// Sends requests on to where the router says, and marks the answers.
const GATE: &str = r#"exec python3 -c "
import http.server, urllib.request

class Gate(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        names = ['X-CF-Proxy-Signature', 'X-CF-Proxy-Metadata', 'X-CF-Forwarded-Url']
        onward = urllib.request.Request(self.headers[names[2]])
        for name in names:
            onward.add_header(name, self.headers[name])
        with urllib.request.urlopen(onward, timeout=5) as answer:
            body = answer.read()
        self.send_response(200)
        self.send_header('X-Gate', self.path)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(('', 8080), Gate).serve_forever()"
"#;
const SHOP: &str = "mkdir /tmp/www && echo the shop > /tmp/www/index.html && \
                    exec python3 -m http.server 8080 --directory /tmp/www";

/// Head and body of an app's answer over HTTP.
fn ask(platform: &Platform, host: &str) -> String {
    let url = format!("http://127.0.0.1:{}/", platform.port());
    let host = format!("Host: {host}");
    let curl = ["--silent", "--include", "--max-time", "10", "--header"];
    let mut command = Command::new("curl");
    let out = command.args(curl).args([&host, &url]).output();
    String::from_utf8_lossy(&out.expect("curl runs").stdout).into_owned()
}

async fn until(platform: &Platform, is_so: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + SOON;
    loop {
        let found = ask(platform, "shop.cf.example");
        if is_so(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{found}\n{}", platform.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_through_an_app_and_back() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let platform = Platform::start_with(&["--domain", "cf.example"]);
    let image = run_image(&platform);
    let client = Client::of(&platform).await;
    for (name, command) in [("gate", GATE), ("shop", SHOP)] {
        let routes = format!("routes: [{{route: {name}.cf.example}}]");
        client.run_image(name, &image, command, &routes).await;
    }
    let is_shop = |found: &str| found.ends_with("the shop\n");
    let direct = until(&platform, is_shop).await;
    assert!(!direct.to_lowercase().contains("x-gate"), "{direct}");

    let space = json!({ "data": { "guid": client.space } });
    let service = json!({
        "type": "user-provided", "name": "gate", "relationships": { "space": space },
        "route_service_url": "https://gate.cf.example/in",
    });
    let service = client.admin.post("/v3/service_instances", &service).await;
    let service = service.expect("a service");
    assert_eq!(service.status, 201, "{service:?}");
    let routes = client
        .admin
        .get("/v3/routes?hosts=shop")
        .await
        .expect("routes");
    let related = |guid: &str| json!({ "data": { "guid": guid } });
    let binding = json!({ "relationships": {
        "route": related(routes.text("/resources/0/guid")),
        "service_instance": related(service.text("/guid")),
    } });
    let bound = client
        .admin
        .post("/v3/service_route_bindings", &binding)
        .await;
    let bound = bound.expect("bound");
    assert_eq!(bound.status, 201, "{bound:?}");
    let through = until(&platform, |found| found.contains("X-Gate: /in")).await;
    assert!(is_shop(&through), "{through}");

    // Without its service a route is not served at all.
    let gate = client.guid("gate").await;
    client.act(&gate, "stop").await;
    let failed = until(&platform, |found| !found.contains("X-Gate")).await;
    assert!(failed.starts_with("HTTP/1.1 502 "), "{failed}");
    let path = format!("/v3/service_route_bindings/{}", bound.text("/guid"));
    let unbound = client.admin.delete(&path).await.expect("an answer");
    assert_eq!(unbound.status, 204, "{unbound:?}");
    let direct = until(&platform, is_shop).await;
    assert!(!direct.contains("X-Gate"), "{direct}");
}
