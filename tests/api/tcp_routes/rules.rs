//! What ports routes may have, and what leads where.

use cflite::testing::{TestApp, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

use super::{GROUPS, guid, make, put, tcp_domain, wanted};

const UNAVAILABLE: &str = "is not available. Try a different port or use a different domain.";

#[tokio::test]
async fn routes_have_a_port_that_no_other_has() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let tcp = tcp_domain(&admin).await;
    let domain = guid(&tcp);
    let made = make(&admin, &wanted(&space, domain, Some(61_007))).await;
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
    let mut with_host = wanted(&space, domain, Some(61_001));
    with_host["host"] = json!("shop");
    let mut with_path = wanted(&space, domain, Some(61_001));
    with_path["path"] = json!("/shop");
    let mut with_null = wanted(&space, domain, None);
    with_null["port"] = Value::Null;
    let default = format!("/v3/organizations/{organization}/domains/default");
    let http = admin.get(&default).await.unwrap().text("/guid").to_owned();
    let mut of_http = wanted(&space, &http, Some(61_001));
    of_http["host"] = json!("shop");
    let faults = [
        (
            wanted(&space, domain, Some(61_007)),
            "Route already exists with port '61007' for domain 'tcp.cf.localhost'.",
        ),
        (
            wanted(&space, second.text("/guid"), Some(61_007)),
            &format!("Port '61007' {UNAVAILABLE}"),
        ),
        (
            wanted(&space, domain, Some(61_101)),
            &format!("Port '61101' {UNAVAILABLE}"),
        ),
        (
            wanted(&space, domain, Some(0)),
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
    let again = make(&admin, &wanted(&space, domain, Some(61_007))).await;
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
    let made = make(&admin, &wanted(&space, guid(&domain), Some(61_001))).await;
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
    let routes = admin.get("/v3/routes").await.unwrap();
    // One transaction made both, so that their times are the same.
    let mut urls: Vec<&str> = routes.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| route["url"].as_str().unwrap())
        .collect();
    urls.sort_unstable();
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
