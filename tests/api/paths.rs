//! Doubled slashes and slashes at the end, as each server of the real platform reads them.

use cflite::testing::{TestApp, app_in_space, organization_and_space, related};
use serde_json::json;

#[tokio::test]
async fn slashes_are_read_as_rails_reads_them() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in_space(&admin, &space, "web").await.unwrap();
    for (untidy, tidy) in [
        ("//".to_owned(), "/".to_owned()),
        ("/v3/".to_owned(), "/v3".to_owned()),
        ("//v3//".to_owned(), "/v3".to_owned()),
        ("/v3/info/".to_owned(), "/v3/info".to_owned()),
        ("//v2//info".to_owned(), "/v2/info".to_owned()),
        ("/v3/apps/".to_owned(), "/v3/apps".to_owned()),
        (
            "//v3//apps//?per_page=1".to_owned(),
            "/v3/apps?per_page=1".to_owned(),
        ),
        (format!("/v3/apps/{app}/"), format!("/v3/apps/{app}")),
        (
            format!("/v3//apps///{app}//env//"),
            format!("/v3/apps/{app}/env"),
        ),
        ("/v3/apps//x".to_owned(), "/v3/apps/x".to_owned()),
        ("/v3/nothing/".to_owned(), "/v3/nothing".to_owned()),
        ("/Users/".to_owned(), "/Users".to_owned()),
        (
            "/oauth/token/list/".to_owned(),
            "/oauth/token/list".to_owned(),
        ),
    ] {
        let given = admin.get(&untidy).await.unwrap();
        let expected = admin.get(&tidy).await.unwrap();
        assert_eq!(given.status, expected.status, "{untidy}: {given:?}");
        assert_eq!(given.body, expected.body, "{untidy}");
    }
}

#[tokio::test]
async fn writes_take_slashes_too() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let on = json!({ "enabled": true });
    let flag = "/v3/feature_flags/diego_docker/";
    assert_eq!(admin.patch(flag, &on).await.unwrap().status, 200);
    let docker = async |name: &str| {
        let body = json!({
            "name": name, "lifecycle": { "type": "docker", "data": {} }, "relationships": related("space", &space),
        });
        let made = admin.post("/v3/apps/", &body).await.unwrap();
        assert_eq!(made.status, 201, "{made:?}");
        made.text("/guid").to_owned()
    };
    let (app, other) = (docker("web").await, docker("other").await);
    let body = json!({ "type": "docker", "data": { "image": "cflinuxfs4" }, "relationships": related("app", &app) });
    let package = admin.post("/v3/packages/", &body).await.unwrap();
    assert_eq!(package.status, 201, "{package:?}");
    let source = package.text("/guid");
    let body = json!({ "relationships": related("app", &other) });
    let path = format!("/v3/packages/?source_guid={source}");
    let copied = admin.post(&path, &body).await.unwrap();
    assert_eq!(copied.status, 201, "{copied:?}");
    let gone = admin.delete(&format!("/v3/apps/{other}//")).await.unwrap();
    assert_eq!(gone.status, 202, "{gone:?}");
}

#[tokio::test]
async fn other_servers_tell_slashes_apart() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    for path in ["/v2/info/", "/healthz/", "/api/v1/info/"] {
        let answer = admin.get(path).await.unwrap();
        assert_eq!(
            (answer.status, answer.title()),
            (404, "CF-NotFound"),
            "{path}"
        );
    }
    for path in ["/oauth//token", "//Users", "/Users//"] {
        let refused = admin.get(path).await.unwrap();
        assert_eq!(
            (refused.status, refused.text("/error")),
            (400, "invalid_request"),
            "{path}"
        );
    }
}
