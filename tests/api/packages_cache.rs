//! The package cache on the registry's port: only for operators.

use cflite::testing::{TestApp, TestClient};
use serde_json::json;

#[tokio::test]
async fn only_administrators_operate_the_package_cache() {
    let app = TestApp::start().await.unwrap();
    app.user("dora").await.unwrap();
    let form = [
        ("grant_type", "password"),
        ("username", "dora"),
        ("password", "only-for-tests"),
    ];
    let answer = app.anonymous().token(&form).await.unwrap();
    let anonymous = TestClient::anonymous(&app.registry_url());
    let dora = TestClient::anonymous(&app.registry_url()).with_token(answer.text("/access_token"));
    for (client, status) in [(&anonymous, 401), (&dora, 403)] {
        let listed = client.get("/cflite/packages").await.unwrap();
        assert_eq!(listed.status, status, "{listed:?}");
        let body = json!({ "name": "pypi:flask" });
        for path in ["/cflite/packages/gc", "/cflite/packages/prefetch"] {
            let refused = client.post(path, &body).await.unwrap();
            assert_eq!(refused.status, status, "{refused:?}");
        }
    }
    let admin = app.admin().await.unwrap();
    let admin = admin.at(&app.registry_url());
    let listed = admin.get("/cflite/packages").await.unwrap();
    assert_eq!(listed.status, 200, "{listed:?}");
    assert_eq!(listed.body["packages"], json!([]));
    assert_eq!(listed.body["cache_limit"], json!(10_u64 << 30));
    let path = "/cflite/packages/gc?dry_run=true";
    let preview = admin.post(path, &json!({})).await.unwrap();
    assert_eq!(preview.body["evicted"], json!([]), "{preview:?}");
    let nonsense = admin
        .post("/cflite/packages/prefetch", &json!({ "package": 1 }))
        .await
        .unwrap();
    assert_eq!(nonsense.status, 400, "{nonsense:?}");
}
