//! `/cflite/apps/:guid/development_session`: begun, kept, ended and forgotten.

use std::time::Duration;

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::json;

use crate::tasks::runnable;

fn path(app: &str) -> String {
    format!("/cflite/apps/{app}/development_session")
}

async fn put(client: &TestClient, app: &str) -> Answer {
    let path = path(app);
    let kept = client.raw("PUT", &path, "application/json", Vec::new());
    kept.await.unwrap()
}

/// The names of the running containers of the app, each with whether it is under development.
fn containers(app: &TestApp) -> Vec<(String, bool)> {
    let names = app.engine().container_names().into_iter();
    let of_app = names.filter(|name| name.contains("-web-web-"));
    of_app
        .filter_map(|name| {
            let spec = app.engine().spec(&name)?;
            let developed =
                |(name, value): &(String, String)| name == "CFLITE_DEVELOPMENT" && value == "1";
            let developed = spec.environment.iter().any(developed);
            Some((name, developed))
        })
        .collect()
}

/// The one container of the app, once it is (not) under development.
async fn container_when(app: &TestApp, developed: bool) -> String {
    for _ in 0..1000 {
        if let [(name, is)] = &containers(app)[..]
            && *is == developed
        {
            return name.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {developed}: {:?}", containers(app));
}

async fn started() -> (TestApp, TestClient, String) {
    let (app, admin, guid, _) = runnable().await;
    let start = format!("/v3/apps/{guid}/actions/start");
    assert_eq!(admin.post(&start, &json!({})).await.unwrap().status, 200);
    container_when(&app, false).await;
    (app, admin, guid)
}

#[tokio::test]
async fn a_session_puts_the_app_under_a_supervisor_and_back() {
    let (app, admin, guid) = started().await;
    let kept = put(&admin, &guid).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(kept.body["kept_for_in_seconds"], 20);
    let container = container_when(&app, true).await;
    // Keeping it changes nothing; neither does a session for what is started later.
    assert_eq!(put(&admin, &guid).await.status, 200);
    let restart = format!("/v3/apps/{guid}/actions/restart");
    assert_eq!(admin.post(&restart, &json!({})).await.unwrap().status, 200);
    while containers(&app).iter().any(|(name, _)| *name == container) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    container_when(&app, true).await;
    assert_eq!(admin.delete(&path(&guid)).await.unwrap().status, 204);
    container_when(&app, false).await;
    // There is none to end.
    assert_eq!(admin.delete(&path(&guid)).await.unwrap().status, 204);
}

#[tokio::test]
async fn a_session_that_nobody_keeps_ends_also_after_a_restart_of_the_platform() {
    let (app, admin, guid) = started().await;
    assert_eq!(put(&admin, &guid).await.status, 200);
    container_when(&app, true).await;
    app.sql("update development_sessions set seen_at = 0")
        .await
        .unwrap();
    container_when(&app, false).await;
    assert_eq!(
        app.count("select count(*) from development_sessions")
            .await
            .unwrap(),
        0
    );
    assert_eq!(put(&admin, &guid).await.status, 200);
    let app = app.restart().await.unwrap();
    container_when(&app, true).await;
    app.sql("update development_sessions set seen_at = 0")
        .await
        .unwrap();
    container_when(&app, false).await;
}

#[tokio::test]
async fn only_a_started_app_of_buildpacks_can_be_developed_by_who_may_change_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let refused = put(&admin, &guid).await;
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Start the app before developing it in place.")
    );
    app.sql("update apps set lifecycle_type = 'docker'")
        .await
        .unwrap();
    let refused = put(&admin, &guid).await;
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "Only an app that was staged with buildpacks can be developed in place."
        )
    );
    assert_eq!(put(&app.anonymous(), &guid).await.status, 401);
    let rows = [
        ("none", None, 404),
        ("sa", Some("space_auditor"), 403),
        ("ss", Some("space_supporter"), 403),
        ("om", Some("organization_manager"), 403),
        ("sd", Some("space_developer"), 422),
    ];
    for (name, role, expected) in rows {
        let user = match role {
            Some(role) => app.member((name, role), (&organization, &space)).await,
            None => app.user(name).await,
        };
        let user = user.unwrap();
        assert_eq!(put(&user, &guid).await.status, expected, "{name}");
        let ended = user.delete(&path(&guid)).await.unwrap().status;
        assert_eq!(
            ended,
            if expected == 422 { 204 } else { expected },
            "{name}"
        );
    }
}
