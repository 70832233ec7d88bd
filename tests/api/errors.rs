//! Bad input: CF's own error shape, and nothing changed.

use cflite::testing::TestApp;
use serde_json::json;

#[tokio::test]
async fn every_refusal_has_cloud_foundrys_shape() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let json = "application/json";
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20));
    let cases: [(&str, &str, &str, &str, u16, &str); 8] = [
        ("GET", "/v3/nothing", json, "", 404, "CF-NotFound"),
        ("PUT", "/v3/organizations", json, "{}", 404, "CF-NotFound"),
        (
            "GET",
            "/v3/organizations?nmaes=x",
            json,
            "",
            400,
            "CF-BadQueryParameter",
        ),
        (
            "POST",
            "/v3/organizations",
            json,
            "{",
            400,
            "CF-MessageParseError",
        ),
        (
            "POST",
            "/v3/organizations",
            json,
            "[]",
            400,
            "CF-MessageParseError",
        ),
        (
            "POST",
            "/v3/organizations",
            json,
            "{\"name\": 1}",
            422,
            "CF-UnprocessableEntity",
        ),
        (
            "POST",
            "/v3/organizations",
            json,
            "{\"nmae\": \"x\"}",
            422,
            "CF-UnprocessableEntity",
        ),
        (
            "POST",
            "/v3/organizations",
            json,
            &huge,
            413,
            "CF-MessageParseError",
        ),
    ];
    for (method, path, kind, body, status, title) in cases {
        let answer = admin
            .raw(method, path, kind, body.as_bytes().to_vec())
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.title()),
            (status, title),
            "{method} {path}"
        );
        assert!(
            answer.body["errors"][0]["code"].is_u64(),
            "{method} {path}: {}",
            answer.body
        );
    }
    assert!(
        admin
            .get("/v3/organizations")
            .await
            .unwrap()
            .names()
            .is_empty()
    );
}

#[tokio::test]
async fn bits_that_are_no_safe_zip_leave_the_package_waiting() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = cflite::testing::organization_and_space(&admin, "acme")
        .await
        .unwrap();
    let body = json!({ "name": "web", "relationships": cflite::testing::related("space", &space) });
    let guid = admin
        .post("/v3/apps", &body)
        .await
        .unwrap()
        .text("/guid")
        .to_owned();
    let body = json!({ "type": "bits", "relationships": cflite::testing::related("app", &guid) });
    let package = admin
        .post("/v3/packages", &body)
        .await
        .unwrap()
        .text("/guid")
        .to_owned();
    let refused = admin
        .upload(&package, b"no zip at all".to_vec())
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.title()),
        (400, "CF-AppBitsUploadInvalid"),
        "{refused:?}"
    );

    let path = format!("/v3/packages/{package}");
    for _ in 0..100 {
        let state = admin.get(&path).await.unwrap().text("/state").to_owned();
        if state == "AWAITING_UPLOAD" {
            return;
        }
        assert_eq!(state, "PROCESSING_UPLOAD");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the upload was never taken back");
}
