//! User-provided instances, from their creation to what apps see of them.

use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

use super::{binding, complete, failure};

async fn provided(admin: &TestClient, space: &str, name: &str) -> String {
    let mut body = json!({ "type": "user-provided", "name": name, "tags": ["own"],
        "credentials": { "uri": "postgres://u:p@h/d" }, "syslog_drain_url": "syslog://logs:514" });
    body["relationships"] = related("space", space);
    let made = admin.post("/v3/service_instances", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.text("/last_operation/state"), "succeeded");
    made.text("/guid").to_owned()
}

async fn bound_services(admin: &TestClient, app: &str) -> Value {
    let env = admin.get(&format!("/v3/apps/{app}/env")).await.unwrap();
    assert_eq!(env.status, 200, "{env:?}");
    env.body["system_env_json"]["VCAP_SERVICES"].clone()
}

#[tokio::test]
async fn an_app_sees_what_it_is_bound_to() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    let instance = provided(&admin, &space, "db").await;

    let bound = admin
        .post(
            "/v3/service_credential_bindings",
            &binding(&instance, Some(&web)),
        )
        .await
        .unwrap();
    assert_eq!(bound.status, 201, "{bound:?}");
    let guid = bound.text("/guid").to_owned();
    let services = bound_services(&admin, &web).await;
    let entry = &services["user-provided"][0];
    assert_eq!(entry["name"], "db");
    assert_eq!(entry["label"], "user-provided");
    assert_eq!(entry["tags"], json!(["own"]));
    assert_eq!(entry["credentials"], json!({ "uri": "postgres://u:p@h/d" }));
    assert_eq!(entry["syslog_drain_url"], "syslog://logs:514");
    assert_eq!(entry["instance_guid"], instance.as_str());
    assert_eq!(entry["binding_guid"], guid.as_str());
    assert_eq!(entry["binding_name"], Value::Null);

    let again = admin
        .post(
            "/v3/service_credential_bindings",
            &binding(&instance, Some(&web)),
        )
        .await
        .unwrap();
    assert_eq!(
        (again.status, again.detail()),
        (422, "The app is already bound to the service instance")
    );

    let change = json!({ "name": "data", "credentials": { "a": "b" }, "syslog_drain_url": "" });
    let changed = admin
        .patch(&format!("/v3/service_instances/{instance}"), &change)
        .await
        .unwrap();
    assert_eq!(
        (changed.status, changed.text("/name")),
        (200, "data"),
        "{changed:?}"
    );
    let services = bound_services(&admin, &web).await;
    assert_eq!(
        services["user-provided"][0]["credentials"],
        json!({ "a": "b" })
    );

    let details = admin
        .get(&format!("/v3/service_credential_bindings/{guid}/details"))
        .await
        .unwrap();
    assert_eq!(
        details.body["credentials"],
        json!({ "a": "b" }),
        "{details:?}"
    );
    let gone = admin
        .delete(&format!("/v3/service_credential_bindings/{guid}"))
        .await
        .unwrap();
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(bound_services(&admin, &web).await, json!({}));
    let gone = admin
        .delete(&format!("/v3/service_instances/{instance}"))
        .await
        .unwrap();
    assert_eq!(gone.status, 204, "{gone:?}");
}

#[tokio::test]
async fn nobody_without_rights_sees_credentials() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let web = app_in_space(&admin, &space, "web").await.unwrap();
    let instance = provided(&admin, &space, "db").await;
    let bound = admin
        .post(
            "/v3/service_credential_bindings",
            &binding(&instance, Some(&web)),
        )
        .await
        .unwrap();
    let details = format!(
        "/v3/service_credential_bindings/{}/details",
        bound.text("/guid")
    );
    let credentials = format!("/v3/service_instances/{instance}/credentials");
    let place = (organization.as_str(), space.as_str());
    let developer = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let auditor = app.member(("ada", "space_auditor"), place).await.unwrap();
    // Nobody learns that there are details.
    for (path, refused) in [(&details, 404), (&credentials, 403)] {
        assert_eq!(developer.get(path).await.unwrap().status, 200, "{path}");
        assert_eq!(auditor.get(path).await.unwrap().status, refused, "{path}");
    }
    let events = admin.get("/v3/audit_events?per_page=500").await.unwrap();
    assert!(
        events
            .body
            .to_string()
            .contains("audit.user_provided_service_instance.create")
    );
    assert!(
        events
            .body
            .to_string()
            .contains("audit.service_binding.create")
    );
    assert!(!events.body.to_string().contains("postgres://"));
    let secrets = app
        .count("select count(*) from service_instances where cast(credentials as text) like '%postgres%'")
        .await;
    assert_eq!(secrets.unwrap(), 0, "sealed");
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let instance = provided(&admin, &space, "db").await;
    let key = admin
        .post("/v3/service_credential_bindings", &binding(&instance, None))
        .await
        .unwrap();
    assert_eq!(
        (key.status, key.detail()),
        (
            422,
            "Service credential bindings of type 'key' are not supported for user-provided service instances."
        )
    );
    let mut twice = json!({ "type": "user-provided", "name": "db" });
    twice["relationships"] = related("space", &space);
    let refused = admin.post("/v3/service_instances", &twice).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "The service instance name is taken: db.")
    );
    let parameters = admin
        .get(&format!("/v3/service_instances/{instance}/parameters"))
        .await
        .unwrap();
    assert_eq!(
        (parameters.status, parameters.title()),
        (400, "CF-ServiceFetchInstanceParametersNotSupported")
    );
    twice["name"] = json!("other");
    twice["route_service_url"] = json!("http://plain");
    let refused = admin.post("/v3/service_instances", &twice).await.unwrap();
    assert_eq!(refused.status, 422, "{refused:?}");
    let flag = json!({ "enabled": true });
    let flags = "/v3/feature_flags/service_instance_sharing";
    admin.patch(flags, &flag).await.unwrap();
    let shared = admin
        .post(
            &format!("/v3/service_instances/{instance}/relationships/shared_spaces"),
            &json!({ "data": [{ "guid": space }] }),
        )
        .await
        .unwrap();
    assert_eq!(shared.status, 422, "{shared:?}");
}

#[tokio::test]
async fn a_manifest_binds() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let instance = provided(&admin, &space, "db").await;
    let path = format!("/v3/spaces/{space}/actions/apply_manifest");
    let manifest = |services: &str| {
        format!("applications:\n- name: web\n  services: {services}\n").into_bytes()
    };
    let apply = async |services: &str| {
        admin
            .raw("POST", &path, "application/x-yaml", manifest(services))
            .await
            .unwrap()
    };
    complete(&admin, &apply("[{name: db, binding_name: main}]").await).await;
    complete(&admin, &apply("[db]").await).await;
    let list = format!(
        "/v3/service_credential_bindings?service_instance_guids={instance}&include=app,service_instance"
    );
    let list = admin.get(&list).await.unwrap();
    assert_eq!(list.names(), ["main"], "{list:?}");
    assert_eq!(list.text("/included/apps/0/name"), "web");
    assert_eq!(list.text("/included/service_instances/0/name"), "db");
    let (_, detail) = failure(&admin, &apply("[nope]").await).await;
    assert!(
        detail.contains("Service instance 'nope' not found"),
        "{detail}"
    );
    let web = list.text("/included/apps/0/guid");
    let written = admin
        .download(&format!("/v3/apps/{web}/manifest"))
        .await
        .unwrap();
    let written = String::from_utf8(written).unwrap();
    assert!(
        written.contains("services:\n  - name: db\n    binding_name: main\n"),
        "{written}"
    );
}
