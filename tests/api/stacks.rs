//! Stacks, their states, and what these allow.

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

async fn default_stack(client: &TestClient) -> String {
    let list = client.get("/v3/stacks?default=true").await.unwrap();
    assert_eq!(list.names(), ["cflinuxfs4"]);
    list.text("/resources/0/guid").to_owned()
}

async fn app_on(client: &TestClient, space: &str, name: &str, stack: &str) -> (u16, Value) {
    let body = json!({
        "name": name,
        "relationships": related("space", space),
        "lifecycle": { "type": "buildpack", "data": { "stack": stack } },
    });
    let answer = client.post("/v3/apps", &body).await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn stacks_are_made_listed_changed_and_deleted() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let body = json!({
        "name": "windows", "description": "the other one",
        "metadata": { "labels": { "os": "windows" } },
    });
    let made = admin.post("/v3/stacks", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.text("/state"), "ACTIVE");
    assert_eq!(made.text("/run_rootfs_image"), "windows");
    assert_eq!(made.body["default"], false);
    let twice = admin.post("/v3/stacks", &body).await.unwrap();
    assert_eq!((twice.status, twice.detail()), (422, "Name must be unique"));
    let list = admin
        .get("/v3/stacks?order_by=-name&label_selector=os")
        .await
        .unwrap();
    assert_eq!(list.names(), ["windows"]);
    let path = format!("/v3/stacks/{}", made.text("/guid"));
    let change = json!({ "state": "DEPRECATED", "state_reason": "Move on." });
    let changed = admin.patch(&path, &change).await.unwrap();
    assert_eq!(changed.text("/state_reason"), "Move on.");
    assert_eq!(changed.warnings, None);
    let user = platform.user("ann").await.unwrap();
    assert_eq!(user.get(&path).await.unwrap().status, 200);
    assert_eq!(user.patch(&path, &change).await.unwrap().status, 403);
    assert_eq!(user.delete(&path).await.unwrap().status, 403);
    assert_eq!(user.post("/v3/stacks", &body).await.unwrap().status, 403);
    assert_eq!(admin.delete(&path).await.unwrap().status, 204);
    let gone = admin.get(&path).await.unwrap();
    assert_eq!((gone.status, gone.detail()), (404, "Stack not found"));
}

#[tokio::test]
async fn a_stack_with_apps_stays_and_lists_them() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let stack = default_stack(&admin).await;
    let made = admin
        .post("/v3/stacks", &json!({ "name": "other" }))
        .await
        .unwrap();
    let other = made.text("/guid").to_owned();
    assert_eq!(app_on(&admin, &space, "one", "cflinuxfs4").await.0, 201);
    assert_eq!(app_on(&admin, &space, "two", "other").await.0, 201);
    for (guid, names) in [(&stack, ["one"]), (&other, ["two"])] {
        let apps = admin.get(&format!("/v3/stacks/{guid}/apps")).await.unwrap();
        assert_eq!(apps.names(), names);
    }
    let refused = admin.delete(&format!("/v3/stacks/{other}")).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "Cannot delete stack 'other' because apps are currently using the stack."
        )
    );
    let stranger = platform.user("ann").await.unwrap();
    let hidden = stranger
        .get(&format!("/v3/stacks/{stack}/apps"))
        .await
        .unwrap();
    assert_eq!(hidden.body["pagination"]["total_results"], 0);
}

#[tokio::test]
async fn the_state_of_a_stack_warns_or_forbids() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let path = format!("/v3/stacks/{}", default_stack(&admin).await);
    let set = async |state: &str| {
        let body = json!({ "state": state, "state_reason": "Use cflinuxfs5." });
        let changed = admin.patch(&path, &body).await.unwrap();
        assert_eq!(
            changed.warnings.as_deref(),
            Some(
                "Changing state on the default stack 'cflinuxfs4' may affect new application deployments."
            )
        );
    };
    set("DEPRECATED").await;
    let body = json!({ "name": "old", "relationships": related("space", &space) });
    let made = admin.post("/v3/apps", &body).await.unwrap();
    assert_eq!(made.status, 201);
    assert_eq!(
        made.warnings.as_deref(),
        Some(
            "WARNING: The stack 'cflinuxfs4' is 'DEPRECATED' and will be removed in the future. Use cflinuxfs5."
        )
    );
    for state in ["RESTRICTED", "DISABLED"] {
        set(state).await;
        let (status, body) = app_on(&admin, &space, "new", "cflinuxfs4").await;
        assert_eq!(status, 422);
        assert_eq!(
            body["errors"][0]["detail"],
            format!(
                "ERROR: Staging failed. The stack 'cflinuxfs4' is '{state}' and cannot be used for staging. Use cflinuxfs5."
            )
        );
    }
}
