//! Router groups and the domains of TCP routes.

use cflite::config::Options;
use cflite::testing::{TestApp, organization_and_space};
use serde_json::json;

use super::{GROUPS, guid, make, put, tcp_domain, wanted};

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
