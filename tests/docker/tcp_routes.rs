//! TCP routes to containers of the real daemon: an app that listens on two ports.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, SOON};
use crate::data_services::docker;
use crate::own_image::Image;
use crate::platform::Platform;

/// Each port says its name to every client, then sends back what it gets.
fn image() -> Image {
    let serve = |port: u16, name: &str| {
        format!("/busybox nc -ll -p {port} -e /busybox sh -c 'echo {name}; exec /busybox cat'")
    };
    let script = format!(
        "{} &\nexec {}\n",
        serve(9090, "second"),
        serve(8080, "first")
    );
    let recipe = "COPY serve /\nEXPOSE 8080\nENTRYPOINT [\"/busybox\"]\nCMD [\"sh\", \"/serve\"]\n";
    Image::build("tcp", recipe, &[("serve", &script)])
}

/// Two ports that nothing listens on.
fn free_ports() -> [u16; 2] {
    let sockets = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    sockets.map(|socket| socket.local_addr().expect("an address").port())
}

/// What comes back after the end of the client's half; an error's kind when nobody listens.
fn said(port: u16) -> String {
    let talked = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).and_then(|mut client| {
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        client.write_all(b"hears")?;
        client.shutdown(Shutdown::Write)?;
        let mut said = String::new();
        client.read_to_string(&mut said)?;
        Ok(said)
    });
    talked.unwrap_or_else(|error| error.kind().to_string())
}

fn until(platform: &Platform, port: u16, expected: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let found = said(port);
        if found == expected {
            return;
        }
        let log = platform.log();
        assert!(Instant::now() < deadline, "{port} says {found:?}\n{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_lead_to_the_ports_of_an_app_while_it_runs() {
    const REFUSED: &str = "connection refused";
    let image = image();
    let [first, second] = free_ports();
    let platform = Platform::start_with(&["--tcp-ports", &format!("{first},{second}")]);
    let client = Client::of(&platform).await;
    client
        .apply(&format!(
            "applications:\n- name: echo\n  docker: {{image: ignored}}\n  memory: 64M\n  instances: 2\n  \
             routes: [{{route: tcp.cf.localhost:{first}}}, {{route: tcp.cf.localhost:{second}}}]\n"
        ))
        .await;
    let app = client.guid("echo").await;
    let routes = client
        .admin
        .get(&format!("/v3/routes?ports={second}"))
        .await;
    let routes = routes.expect("routes");
    let path = format!(
        "/v3/routes/{}/destinations",
        routes.text("/resources/0/guid")
    );
    let to = json!({ "destinations": [{ "app": { "guid": app }, "port": 9090 }] });
    let moved = client.admin.patch(&path, &to).await.expect("moved");
    assert_eq!(moved.status, 200, "{moved:?}");
    let droplet = client.stage(&app, &image.0, None).await.expect("staged");
    let path = format!("/v3/apps/{app}/relationships/current_droplet");
    let body = json!({ "data": { "guid": droplet } });
    let set = client.admin.patch(&path, &body).await.expect("set");
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(said(first), REFUSED);
    let act = async |what: &str| {
        let path = format!("/v3/apps/{app}/actions/{what}");
        let done = client.admin.post(&path, &json!({})).await.expect("asked");
        assert_eq!(done.status, 200, "{done:?}");
    };
    act("start").await;
    until(&platform, first, "first\nhears");
    until(&platform, second, "second\nhears");
    // Instances end and come back; a connection finds one that answers.
    while platform.instances().len() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    docker(&["kill", &platform.instances()[0]]);
    until(&platform, first, "first\nhears");
    act("stop").await;
    until(&platform, first, REFUSED);
    until(&platform, second, REFUSED);
}
