//! Texts that no process, label or image reference can have.

use cflite::testing::{Answer, TestApp, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

use crate::tasks::runnable;

fn assert_refused(refused: &Answer, text: &str) {
    assert_eq!(
        (refused.status, refused.title()),
        (422, "CF-UnprocessableEntity"),
        "{refused:?}"
    );
    assert_eq!(refused.detail(), text);
}

#[tokio::test]
async fn environments_take_no_names_or_values_that_a_process_cannot_have() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in_space(&admin, &space, "web").await.unwrap();
    for path in [
        format!("/v3/apps/{app}/environment_variables"),
        "/v3/environment_variable_groups/running".to_owned(),
        "/v3/environment_variable_groups/staging".to_owned(),
    ] {
        let before = admin.get(&path).await.unwrap().body;
        for (vars, text) in [
            (
                json!({ "A": "x\0y" }),
                "var.A must not contain null characters",
            ),
            (
                json!({ "A\0": "x" }),
                "var.A\u{fffd} must not contain null characters",
            ),
            (json!({ "A=B": "x" }), "Var key cannot contain '='"),
            (
                json!({ "A\nB": "x" }),
                "Var key cannot contain control characters",
            ),
        ] {
            let refused = admin.patch(&path, &json!({ "var": vars })).await.unwrap();
            assert_refused(&refused, text);
        }
        assert_eq!(admin.get(&path).await.unwrap().body, before);
        let lines = json!({ "var": { "KEY": "one\ntwo\tthree" } });
        assert_eq!(admin.patch(&path, &lines).await.unwrap().status, 200);
    }
    let body = json!({
        "name": "new", "environment_variables": { "A=B": "x" }, "relationships": related("space", &space),
    });
    let refused = admin.post("/v3/apps", &body).await.unwrap();
    assert_refused(&refused, "environment_variables key cannot contain '='");
}

#[tokio::test]
async fn names_and_commands_take_no_characters_that_docker_does_not() {
    let (_platform, admin, app, _) = runnable().await;
    let nul = |field: &str| format!("{field} must not contain null characters");
    let control = |field: &str| format!("{field} must not contain control characters");
    let of = |path: &str| format!("/v3/apps/{app}/{path}");
    let sidecar =
        |name: &str, kind: &str| json!({ "name": name, "command": "c", "process_types": [kind] });
    let image = |image: &str, user: &str| {
        json!({
            "type": "docker", "data": { "image": image, "username": user }, "relationships": related("app", &app),
        })
    };
    let cases: [(String, Value, String); 7] = [
        (of("tasks"), json!({ "command": "a\0b" }), nul("command")),
        (
            of("tasks"),
            json!({ "command": "a", "name": "x\ny" }),
            control("Name"),
        ),
        (
            of("sidecars"),
            sidecar("a\u{1b}[0m", "web"),
            control("Name"),
        ),
        (
            of("sidecars"),
            sidecar("a", "web\n"),
            control("Process types"),
        ),
        (
            "/v3/packages".to_owned(),
            image("a\nb", "u"),
            control("Image"),
        ),
        (
            "/v3/packages".to_owned(),
            image("a", "u\r"),
            control("Username"),
        ),
        (
            "/v3/packages".to_owned(),
            image("a", "u\0"),
            nul("data.username"),
        ),
    ];
    for (path, body, text) in cases {
        assert_refused(&admin.post(&path, &body).await.unwrap(), &text);
    }
    let web = of("processes/web");
    let refused = admin
        .patch(&web, &json!({ "command": "a\0b" }))
        .await
        .unwrap();
    assert_refused(&refused, &nul("command"));
    let lines = admin
        .patch(&web, &json!({ "command": "a\nb" }))
        .await
        .unwrap();
    assert_eq!(lines.status, 200, "{lines:?}");
    let lifecycle = |data: Value| json!({ "lifecycle": { "type": "buildpack", "data": data } });
    let path = format!("/v3/apps/{app}");
    let refused = admin
        .patch(
            &path,
            &lifecycle(json!({ "buildpacks": ["https://x/y\n"] })),
        )
        .await
        .unwrap();
    assert_refused(
        &refused,
        "Lifecycle Buildpacks must not contain control characters",
    );
}

#[tokio::test]
async fn a_manifest_is_refused_with_the_app_and_the_place() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    for (line, text) in [
        (
            r#"env: {A: "x\0"}"#,
            "env.A must not contain null characters",
        ),
        ("env: {A=B: x}", "Env key cannot contain '='"),
        (
            r#"command: "a\0""#,
            "command must not contain null characters",
        ),
        (
            r#"buildpacks: ["a\n"]"#,
            "Buildpacks must not contain control characters",
        ),
    ] {
        let manifest = format!("applications:\n- name: web\n  {line}\n");
        let refused = admin
            .raw("POST", &path, "application/x-yaml", manifest.into_bytes())
            .await
            .unwrap();
        assert_refused(&refused, &format!("For application 'web': {text}"));
    }
    let huge = format!("applications:\n- name: web # {}\n", "x".repeat(1 << 20));
    let refused = admin
        .raw("POST", &path, "application/x-yaml", huge.into_bytes())
        .await
        .unwrap();
    assert_eq!((refused.status, refused.title()), (400, "CF-BadRequest"));
}
