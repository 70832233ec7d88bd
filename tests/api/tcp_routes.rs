//! TCP routes: router groups, what the cf CLI makes of `create-shared-domain --router-group`,
//! `create-route --port`, `map-route --port` and manifests, and connections through them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use cflite::config::Options;
use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const GROUPS: &str = "/routing/v1/router_groups";

async fn put(client: &TestClient, path: &str, body: &str) -> Answer {
    let body = body.as_bytes().to_vec();
    let sent = client.raw("PUT", path, "application/json", body).await;
    sent.unwrap()
}

async fn tcp_domain(client: &TestClient) -> Value {
    let found = client.get("/v3/domains?names=tcp.cf.localhost").await;
    found.unwrap().body["resources"][0].clone()
}

fn guid(resource: &Value) -> &str {
    resource["guid"].as_str().unwrap()
}

fn wanted(space: &str, domain: &str, port: impl Into<Option<u16>>) -> Value {
    let mut body = json!({ "relationships": {
        "space": { "data": { "guid": space } }, "domain": { "data": { "guid": domain } },
    } });
    if let Some(port) = port.into() {
        body["port"] = json!(port);
    }
    body
}

async fn make(client: &TestClient, body: &Value) -> Answer {
    client.post("/v3/routes", body).await.unwrap()
}

#[tokio::test]
async fn router_groups_are_shown_and_changed_with_their_scopes() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let root = app.anonymous().get("/").await.unwrap();
    let href = root.body["links"]["routing"]["href"].as_str().unwrap();
    assert_eq!(href, format!("{}/routing", app.url()));
    let all = admin.get(GROUPS).await.unwrap();
    let group = &all.body[0];
    let expected = json!([{
        "guid": group["guid"], "name": "default-tcp", "type": "tcp", "reservable_ports": "61001-61100",
    }]);
    assert_eq!((all.status, &all.body), (200, &expected));
    let named = admin.get(&format!("{GROUPS}?name=default-tcp")).await;
    assert_eq!(named.unwrap().body, expected);
    let one = format!("{GROUPS}/{}", guid(group));
    assert_eq!(admin.get(&one).await.unwrap().body, *group);

    let none = admin.get(&format!("{GROUPS}?name=none")).await.unwrap();
    let text =
        json!({ "name": "ResourceNotFoundError", "message": "router group 'none' not found" });
    assert_eq!((none.status, none.body), (404, text));
    let unknown = put(&admin, &format!("{GROUPS}/none"), "{}").await;
    assert_eq!(unknown.status, 404);
    let user = app.user("dora").await.unwrap();
    let refusals = [
        (
            user.get(GROUPS).await.unwrap(),
            "You are not authorized to perform the requested action",
        ),
        (
            put(&user, &one, "{}").await,
            "You are not authorized to perform the requested action",
        ),
        (
            app.anonymous().get(GROUPS).await.unwrap(),
            "invalid token format",
        ),
        (
            admin.with_token("x").get(GROUPS).await.unwrap(),
            "the token is not one this platform signed",
        ),
    ];
    for (refused, text) in refusals {
        let expected = json!({ "name": "UnauthorizedError", "message": text });
        assert_eq!((refused.status, refused.body), (401, expected));
    }
    let reader = app.in_group("rita", "routing.router_groups.read").await;
    let reader = reader.unwrap();
    assert_eq!(reader.get(GROUPS).await.unwrap().status, 200);
    assert_eq!(put(&reader, &one, "{}").await.status, 401);
}

#[tokio::test]
async fn the_ports_of_a_router_group_are_changed_or_stay_as_they_are() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let all = admin.get(GROUPS).await.unwrap();
    let one = format!("{GROUPS}/{}", guid(&all.body[0]));
    let faults = [
        (
            "{}",
            "missing reservable_ports in router group: default-tcp",
        ),
        (
            r#"{"reservable_ports":"80-90"}"#,
            "port must be between 1024 and 65535",
        ),
        (
            r#"{"reservable_ports":"2000-2010,2005"}"#,
            "Overlapping values: [2000-2010] and 2005",
        ),
        (
            r#"{"reservable_ports":7}"#,
            "reservable_ports is not a string",
        ),
        ("[]", "the body is not a JSON object"),
    ];
    for (body, fault) in faults {
        let refused = put(&admin, &one, body).await;
        let message = format!("Cannot process request: {fault}");
        let expected = json!({ "name": "ProcessRequestError", "message": message });
        assert_eq!((refused.status, refused.body), (400, expected), "{body}");
    }
    assert_eq!(put(&admin, &one, "no JSON").await.status, 400);
    assert_eq!(put(&admin, &one, &" ".repeat(100_000)).await.status, 400);
    assert_eq!(admin.get(GROUPS).await.unwrap().body, all.body);
    let changed = put(
        &admin,
        &one,
        r#"{"reservable_ports":"61001-61002,2345","name":"x"}"#,
    )
    .await;
    assert_eq!(changed.status, 200);
    assert!(changed.warnings.is_some());
    assert_eq!(changed.body["reservable_ports"], "61001-61002,2345");
    assert_eq!(changed.body["name"], "default-tcp");

    // What the API was told stays, unless the option is given and changes.
    let ports = async |app: &TestApp| {
        let admin = app.admin().await.unwrap();
        let all = admin.get(GROUPS).await.unwrap();
        all.text("/0/reservable_ports").to_owned()
    };
    let app = app.restart().await.unwrap();
    assert_eq!(ports(&app).await, "61001-61002,2345");
    let option = |text: &str| Options {
        tcp_ports: Some(text.to_owned()),
        ..Options::default()
    };
    let app = app.restart_with(option("62001-62010")).await.unwrap();
    assert_eq!(ports(&app).await, "62001-62010");
    let admin = app.admin().await.unwrap();
    assert_eq!(
        put(&admin, &one, r#"{"reservable_ports":"3000"}"#)
            .await
            .status,
        200
    );
    let app = app.restart_with(option("62001-62010")).await.unwrap();
    assert_eq!(ports(&app).await, "3000");
    let app = app.restart().await.unwrap();
    assert_eq!(ports(&app).await, "3000");
}

#[tokio::test]
async fn there_is_a_domain_of_tcp_routes_and_admins_make_others() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let group = admin.get(GROUPS).await.unwrap().text("/0/guid").to_owned();
    let domain = tcp_domain(&admin).await;
    assert_eq!(domain["supported_protocols"], json!(["tcp"]));
    assert_eq!(domain["router_group"]["guid"], group);
    assert_eq!(domain["internal"], false);
    let href = format!("{}{GROUPS}/{group}", app.url());
    assert_eq!(domain["links"]["router_group"]["href"], href);

    let body = json!({ "name": "tcp.example.com", "router_group": { "guid": group } });
    let user = app.user("dora").await.unwrap();
    assert_eq!(user.post("/v3/domains", &body).await.unwrap().status, 403);
    let made = admin.post("/v3/domains", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["supported_protocols"], json!(["tcp"]));
    assert_eq!(made.body["router_group"]["guid"], group);
    // The default domain of organizations stays one of HTTP.
    let (organization, _) = organization_and_space(&admin, "acme").await.unwrap();
    let default = format!("/v3/organizations/{organization}/domains/default");
    let default = admin.get(&default).await.unwrap();
    assert_eq!(default.text("/name"), "cf.localhost");
}

#[tokio::test]
async fn routes_have_a_port_that_no_other_has() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let tcp = tcp_domain(&admin).await;
    let domain = guid(&tcp);
    let made = make(&admin, &wanted(&space, domain, 61_007)).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["protocol"], "tcp");
    assert_eq!(made.body["port"], 61_007);
    assert_eq!((made.text("/host"), made.text("/path")), ("", ""));
    assert_eq!(made.text("/url"), "tcp.cf.localhost:61007");
    let listed = admin.get("/v3/routes?ports=61007,1").await.unwrap();
    assert_eq!(listed.body["resources"][0]["guid"], made.body["guid"]);
    assert_eq!(listed.body["pagination"]["total_results"], 1);
    for (query, taken) in [("port=61007", true), ("port=61008", false), ("", false)] {
        let path = format!("/v3/domains/{domain}/route_reservations?{query}");
        let found = admin.get(&path).await.unwrap();
        assert_eq!(found.body["matching_route"], taken, "{query}");
    }
    let body = json!({ "name": "tcp.example.com", "router_group": tcp["router_group"] });
    let second = admin.post("/v3/domains", &body).await.unwrap();
    let mut with_host = wanted(&space, domain, 61_001);
    with_host["host"] = json!("shop");
    let mut with_path = wanted(&space, domain, 61_001);
    with_path["path"] = json!("/shop");
    let mut with_null = wanted(&space, domain, None);
    with_null["port"] = Value::Null;
    let default = format!("/v3/organizations/{organization}/domains/default");
    let http = admin.get(&default).await.unwrap().text("/guid").to_owned();
    let mut of_http = wanted(&space, &http, 61_001);
    of_http["host"] = json!("shop");
    const UNAVAILABLE: &str = "is not available. Try a different port or use a different domain.";
    let faults = [
        (
            wanted(&space, domain, 61_007),
            "Route already exists with port '61007' for domain 'tcp.cf.localhost'.",
        ),
        (
            wanted(&space, second.text("/guid"), 61_007),
            &format!("Port '61007' {UNAVAILABLE}"),
        ),
        (
            wanted(&space, domain, 61_101),
            &format!("Port '61101' {UNAVAILABLE}"),
        ),
        (
            wanted(&space, domain, 0),
            "Routes with protocol 'tcp' must specify a port.",
        ),
        (with_null, "Routes with protocol 'tcp' must specify a port."),
        (with_host, "Hosts are not supported for TCP routes."),
        (with_path, "Paths are not supported for TCP routes."),
        (of_http, "Routes with protocol 'http' do not support ports."),
    ];
    for (body, fault) in faults {
        let refused = make(&admin, &body).await;
        assert_eq!((refused.status, refused.detail()), (422, fault), "{body}");
    }
    let one = format!("{GROUPS}/{}", guid(&tcp["router_group"]));
    put(&admin, &one, r#"{"reservable_ports":"61007-61009"}"#).await;
    let mut found = Vec::new();
    for _ in 0..2 {
        let made = make(&admin, &wanted(&space, domain, None)).await;
        found.push(made.body["port"].as_u64().unwrap());
    }
    found.sort_unstable();
    assert_eq!(found, [61_008, 61_009]);
    let none = make(&admin, &wanted(&space, domain, None)).await;
    assert_eq!(
        (none.status, none.detail()),
        (422, "There are no more ports available for this domain.")
    );
    let path = format!("/v3/routes/{}", made.text("/guid"));
    assert_eq!(admin.delete(&path).await.unwrap().status, 202);
    let again = make(&admin, &wanted(&space, domain, 61_007)).await;
    assert_eq!(again.status, 201);
}

#[tokio::test]
async fn quotas_limit_the_reserved_ports() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let domain = tcp_domain(&admin).await;
    let body = json!({
        "name": "few", "routes": { "total_reserved_ports": 2 },
        "relationships": { "organizations": { "data": [{ "guid": organization }] } },
    });
    let quota = admin.post("/v3/organization_quotas", &body).await.unwrap();
    assert_eq!(quota.status, 201, "{quota:?}");
    let mut body = json!({
        "name": "one", "routes": { "total_reserved_ports": 1 }, "relationships": related("organization", &organization),
    });
    body["relationships"]["spaces"] = json!({ "data": [{ "guid": space }] });
    let of_space = admin.post("/v3/space_quotas", &body).await.unwrap();
    assert_eq!(of_space.status, 201, "{of_space:?}");
    let new = wanted(&space, guid(&domain), None);
    assert_eq!(make(&admin, &new).await.status, 201);
    let text = "Reserved route ports quota exceeded for space 'dev'.";
    assert_eq!(make(&admin, &new).await.detail(), text);
    let path = format!("/v3/space_quotas/{}", of_space.text("/guid"));
    let wider = json!({ "routes": { "total_reserved_ports": null } });
    assert_eq!(admin.patch(&path, &wider).await.unwrap().status, 200);
    assert_eq!(make(&admin, &new).await.status, 201);
    let text = "Reserved route ports quota exceeded for organization 'acme'.";
    assert_eq!(make(&admin, &new).await.detail(), text);
    let path = format!("/v3/organizations/{organization}/usage_summary");
    let usage = admin.get(&path).await.unwrap();
    assert_eq!(usage.body["usage_summary"]["reserved_ports"], 2);
}

#[tokio::test]
async fn destinations_of_a_tcp_route_speak_tcp() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    let domain = tcp_domain(&admin).await;
    let made = make(&admin, &wanted(&space, guid(&domain), 61_001)).await;
    let path = format!("/v3/routes/{}/destinations", made.text("/guid"));
    let to = |extra: Value| {
        let mut destination = json!({ "app": { "guid": web } });
        for (key, value) in extra.as_object().unwrap() {
            destination[key] = value.clone();
        }
        json!({ "destinations": [destination] })
    };
    let http = admin.post(&path, &to(json!({ "protocol": "http1" }))).await;
    let http = http.unwrap();
    let text = "Cannot use 'http1' protocol for tcp routes; valid options are: [tcp].";
    assert_eq!((http.status, http.detail()), (422, text));
    let usual = admin.post(&path, &to(json!({}))).await.unwrap();
    assert_eq!(usual.status, 200, "{usual:?}");
    assert_eq!(usual.text("/destinations/0/protocol"), "tcp");
    assert_eq!(usual.body["destinations"][0]["port"], 8080);
    let more = to(json!({ "port": 9000, "protocol": "tcp" }));
    let both = admin.post(&path, &more).await.unwrap();
    let both = both.body["destinations"].as_array().unwrap().len();
    assert_eq!(both, 2);
    let one = format!("{path}/{}", usual.text("/destinations/0/guid"));
    let refused = admin.patch(&one, &json!({ "protocol": "http2" })).await;
    let text = "Destination protocol must be 'tcp' if the parent route's protocol is 'tcp'";
    assert_eq!(refused.unwrap().detail(), text);
    let same = admin.patch(&one, &json!({ "protocol": "tcp" })).await;
    assert_eq!(same.unwrap().status, 200);
}

#[tokio::test]
async fn manifests_have_tcp_routes() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let apply = async |routes: &str| {
        let yaml = format!("applications:\n- name: web\n  routes: [{routes}]\n");
        let sent = admin.raw("POST", &path, "application/x-yaml", yaml.into_bytes());
        let accepted = sent.await.unwrap();
        assert_eq!(accepted.status, 202, "{accepted:?}");
        admin.job_of(&accepted).await.unwrap()
    };
    let done = apply(
        "{route: tcp.cf.localhost:61005}, {route: 'tcp://tcp.cf.localhost:61006', protocol: tcp}",
    )
    .await;
    assert_eq!(done.text("/state"), "COMPLETE", "{done:?}");
    assert_eq!(
        apply("{route: tcp.cf.localhost:61005}")
            .await
            .text("/state"),
        "COMPLETE"
    );
    let routes = admin.get("/v3/routes?order_by=created_at").await.unwrap();
    let urls: Vec<&str> = routes.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| route["url"].as_str().unwrap())
        .collect();
    assert_eq!(urls, ["tcp.cf.localhost:61005", "tcp.cf.localhost:61006"]);
    for route in routes.body["resources"].as_array().unwrap() {
        assert_eq!(route["destinations"][0]["protocol"], "tcp");
    }
    let found = admin.get("/v3/apps?names=web").await.unwrap();
    let manifest = format!("/v3/apps/{}/manifest", found.text("/resources/0/guid"));
    let manifest = admin.download(&manifest).await.unwrap();
    let manifest = String::from_utf8(manifest).unwrap();
    assert!(manifest.contains("tcp.cf.localhost:61005"), "{manifest}");
    let faults = [
        (
            "{route: tcp.cf.localhost}",
            "Routes with protocol 'tcp' must specify a port.",
        ),
        (
            "{route: 'a.tcp.cf.localhost:61009'}",
            "Hosts are not supported for TCP routes.",
        ),
        (
            "{route: 'tcp.cf.localhost:61009/a'}",
            "Paths are not supported for TCP routes.",
        ),
        (
            "{route: 'web.cf.localhost:61009'}",
            "Routes with protocol 'http' do not support ports.",
        ),
    ];
    for (routes, fault) in faults {
        let failed = apply(routes).await;
        assert_eq!(failed.text("/state"), "FAILED", "{routes}");
        let detail = failed.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.ends_with(fault), "{routes}: {detail}");
    }
}

/// Says its name to every client, then sends back what it gets.
async fn backend(tasks: &mut JoinSet<()>, name: &'static str) -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok((mut client, _)) = socket.accept().await {
            clients.spawn(async move {
                client.write_all(name.as_bytes()).await.ok();
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
                to.shutdown().await.ok();
            });
        }
    });
    address
}

/// What answers at a port of this machine; `None` = nobody listens.
async fn answer(port: u16) -> Option<String> {
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    client.write_all(b" hears").await.ok()?;
    client.shutdown().await.ok()?;
    let mut said = String::new();
    client.read_to_string(&mut said).await.ok()?;
    Some(said)
}

async fn until(port: u16, expected: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = answer(port).await;
        if found.as_deref() == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "port {port}: {found:?}, not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn free_port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test]
async fn connections_reach_apps_while_they_run_and_are_mapped() {
    let mut tasks = JoinSet::new();
    let (first, second) = (free_port().await, free_port().await);
    let app = TestApp::with_stack().await.unwrap();
    let ports = Options {
        tcp_ports: Some(format!("{first},{second}")),
        ..Options::default()
    };
    let app = app.restart_with(ports).await.unwrap();
    app.engine()
        .listen("", 8080, backend(&mut tasks, "web").await);
    app.engine()
        .listen("", 9000, backend(&mut tasks, "other").await);
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &web, json!({ "web": "run" }))
        .await
        .unwrap();
    let domain = tcp_domain(&admin).await;
    let route = make(&admin, &wanted(&space, guid(&domain), first)).await;
    let map = format!("/v3/routes/{}/destinations", route.text("/guid"));
    let to = |port: u16| json!({ "destinations": [{ "app": { "guid": web }, "port": port }] });
    let mapped = admin.post(&map, &to(8080)).await.unwrap();
    assert_eq!(mapped.status, 200, "{mapped:?}");
    until(first, None).await;

    let start = format!("/v3/apps/{web}/actions/start");
    assert_eq!(admin.post(&start, &json!({})).await.unwrap().status, 200);
    until(first, Some("web hears")).await;
    let other = make(&admin, &wanted(&space, guid(&domain), second)).await;
    let map_other = format!("/v3/routes/{}/destinations", other.text("/guid"));
    assert_eq!(admin.post(&map_other, &to(8080)).await.unwrap().status, 200);
    until(second, Some("web hears")).await;
    // A port that the instance was not started with is there after a restart.
    let body = to(9000);
    assert_eq!(admin.patch(&map_other, &body).await.unwrap().status, 200);
    until(second, None).await;
    let restart = format!("/v3/apps/{web}/actions/restart");
    assert_eq!(admin.post(&restart, &json!({})).await.unwrap().status, 200);
    until(second, Some("other hears")).await;
    until(first, Some("web hears")).await;

    let mut kept = TcpStream::connect((Ipv4Addr::LOCALHOST, first))
        .await
        .unwrap();
    let mut name = [0; 3];
    kept.read_exact(&mut name).await.unwrap();
    let health = app.anonymous().get("/healthz").await.unwrap();
    assert_eq!(health.body["counts"]["TCP ports"], 2);
    assert_eq!(health.body["unavailable_tcp_ports"], json!([]));
    let one = format!("{map}/{}", mapped.text("/destinations/0/guid"));
    assert_eq!(admin.delete(&one).await.unwrap().status, 204);
    until(first, None).await;
    kept.write_all(b"!").await.unwrap();
    kept.shutdown().await.unwrap();
    let mut rest = String::new();
    kept.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "!", "a connection outlives its route");
    let stop = format!("/v3/apps/{web}/actions/stop");
    assert_eq!(admin.post(&stop, &json!({})).await.unwrap().status, 200);
    until(second, None).await;
}

#[tokio::test]
async fn an_app_that_has_the_name_keeps_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let tcp = tcp_domain(&admin).await;
    let path = format!("/v3/domains/{}", guid(&tcp));
    assert_eq!(admin.delete(&path).await.unwrap().status, 202);
    let default = format!("/v3/organizations/{organization}/domains/default");
    let http = admin.get(&default).await.unwrap().text("/guid").to_owned();
    let mut body = wanted(&space, &http, None);
    body["host"] = json!("tcp");
    assert_eq!(make(&admin, &body).await.status, 201);
    let app = app.restart().await.unwrap();
    let admin = app.admin().await.unwrap();
    assert!(tcp_domain(&admin).await.is_null());
    let routes = admin.get("/v3/routes").await.unwrap();
    assert_eq!(routes.text("/resources/0/url"), "tcp.cf.localhost");
    let gone = format!("/v3/routes/{}", routes.text("/resources/0/guid"));
    assert_eq!(admin.delete(&gone).await.unwrap().status, 202);
    let app = app.restart().await.unwrap();
    let admin = app.admin().await.unwrap();
    assert_eq!(
        tcp_domain(&admin).await["supported_protocols"],
        json!(["tcp"])
    );
}
