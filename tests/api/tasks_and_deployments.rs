//! `/v3/tasks` and `/v3/deployments`: what can be done to them, and what is refused by name.

use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

const NO_TASKS: &str = "Running tasks is not available in this version of cflite.";

async fn refusal(client: &TestClient, path: &str, body: Value) -> (u16, String) {
    let answer = client.post(path, &body).await.unwrap();
    (answer.status, answer.detail().to_owned())
}

fn deployment_of(app: &str, more: &Value) -> Value {
    let mut body = json!({ "relationships": related("app", app) });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_task_is_checked_before_it_is_refused() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let path = format!("/v3/apps/{guid}/tasks");
    assert_eq!(
        refusal(&admin, &path, json!({ "command": "c" })).await,
        (
            422,
            "Task must have a droplet. Specify droplet or assign current droplet to app."
                .to_owned()
        )
    );
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    let cases = [
        (json!({}), 422, "Command No command or template provided"),
        (
            json!({ "command": "c", "droplet_guid": "other" }),
            404,
            "Droplet not found",
        ),
        (
            json!({ "command": "c", "disk_in_mb": 4096 }),
            422,
            "Cannot request disk_in_mb greater than 2048",
        ),
        (
            json!({ "template": { "process": { "guid": "x" } } }),
            404,
            "The process could not be found: x",
        ),
        (json!({ "command": "c", "name": "" }), 422, "name presence"),
        (
            json!({ "command": "c", "user": "root" }),
            422,
            "user invalid (requested user 'root' not allowed, permitted users are: 'vcap')",
        ),
        (json!({ "command": "c" }), 422, NO_TASKS),
        (
            json!({ "template": { "process": { "guid": guid } } }),
            422,
            NO_TASKS,
        ),
    ];
    for (body, status, text) in cases {
        assert_eq!(
            refusal(&admin, &path, body.clone()).await,
            (status, text.to_owned()),
            "{body}"
        );
    }
    let list = admin.get("/v3/tasks").await.unwrap();
    assert_eq!(list.body["pagination"]["total_results"], 0);
}

#[tokio::test]
async fn stored_tasks_are_found_labelled_and_canceled() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.sql(
        "insert into tasks (guid, app_guid, sequence_id, name, command, state, memory_in_mb, disk_in_mb, \
         log_rate_limit_in_bytes_per_second, created_at, updated_at) \
         select 't' || n.value, guid, n.value, 'migrate' || n.value, 'rake', \
         iif(n.value = 1, 'SUCCEEDED', 'RUNNING'), 64, 128, -1, n.value, n.value \
         from apps, json_each('[1, 2]') n",
    )
    .await
    .unwrap();
    let of_app = format!("/v3/apps/{guid}/tasks");
    let names = |answer: Answer| answer.names().join(" ");
    let cases = [
        ("/v3/tasks?states=RUNNING".to_owned(), "migrate2"),
        ("/v3/tasks?names=migrate1,x".to_owned(), "migrate1"),
        (
            format!("/v3/tasks?app_guids={guid}&space_guids={space}"),
            "migrate1 migrate2",
        ),
        (format!("{of_app}?sequence_ids=2"), "migrate2"),
        (
            format!("{of_app}?order_by=-created_at"),
            "migrate2 migrate1",
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(names(admin.get(&path).await.unwrap()), expected, "{path}");
    }
    let listed = admin.get("/v3/tasks").await.unwrap();
    assert!(listed.body["resources"][0].get("command").is_none());
    let listed = admin.get(&of_app).await.unwrap();
    assert_eq!(listed.text("/resources/0/command"), "rake");
    let refused = admin.get("/v3/tasks?sequence_ids=1").await.unwrap();
    assert_eq!(refused.status, 400);

    let labels = json!({ "metadata": { "labels": { "a": "b" } } });
    let changed = admin.patch("/v3/tasks/t2", &labels).await.unwrap();
    assert_eq!(changed.text("/metadata/labels/a"), "b");
    let canceled = admin
        .post("/v3/tasks/t2/actions/cancel", &json!({}))
        .await
        .unwrap();
    assert_eq!(
        (canceled.status, canceled.text("/state")),
        (202, "CANCELING")
    );
    assert_eq!(
        refusal(&admin, "/v3/tasks/t1/actions/cancel", json!({})).await,
        (
            422,
            "Task state is SUCCEEDED and therefore cannot be canceled".to_owned()
        )
    );
    let events = admin
        .get("/v3/audit_events?types=audit.app.task.cancel")
        .await
        .unwrap();
    assert_eq!(events.text("/resources/0/data/task_guid"), "t2");
    assert_eq!(
        events.text("/resources/0/data/request/command"),
        "[PRIVATE DATA HIDDEN]"
    );
}

#[tokio::test]
async fn a_stopped_app_is_deployed_by_starting_it() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let path = "/v3/deployments";
    assert_eq!(
        refusal(&admin, path, deployment_of(&guid, &json!({})))
            .await
            .1,
        "Invalid droplet. Please specify a droplet in the request or set a current droplet for the app."
    );
    let droplet = app
        .droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    let body = json!({ "options": { "web_instances": 2, "max_in_flight": 3 } });
    let made = admin
        .post(path, &deployment_of(&guid, &body))
        .await
        .unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        made.body["status"]["value"]
            .as_str()
            .zip(made.body["status"]["reason"].as_str()),
        Some(("FINALIZED", "DEPLOYED"))
    );
    assert_eq!(
        made.body["options"],
        json!({ "max_in_flight": 3, "web_instances": 2 })
    );
    assert_eq!(made.text("/droplet/guid"), droplet);
    assert_eq!(made.body["revision"]["version"], 1);
    let shown = admin.get(&format!("/v3/apps/{guid}")).await.unwrap();
    assert_eq!(shown.text("/state"), "STARTED");
    let process = admin.get(&format!("/v3/processes/{guid}")).await.unwrap();
    assert_eq!(process.body["instances"], 2);
    let scaled = admin
        .get("/v3/audit_events?types=audit.app.process.scale")
        .await
        .unwrap();
    assert_eq!(scaled.body["pagination"]["total_results"], 0);

    let (status, text) = refusal(&admin, path, deployment_of(&guid, &json!({}))).await;
    assert_eq!(status, 422);
    assert!(
        text.starts_with("Rolling and canary deployments of a started app are not"),
        "{text}"
    );
    let one = format!("{path}/{}", made.text("/guid"));
    assert_eq!(
        refusal(&admin, &format!("{one}/actions/cancel"), json!({})).await,
        (
            422,
            "Cannot cancel a deployment with status: FINALIZED and reason: DEPLOYED".to_owned()
        )
    );
    assert_eq!(
        refusal(&admin, &format!("{one}/actions/continue"), json!({}))
            .await
            .1,
        "Cannot continue a deployment with status: FINALIZED and reason: DEPLOYED"
    );
    let labels = json!({ "metadata": { "labels": { "a": "b" } } });
    assert_eq!(admin.patch(&one, &labels).await.unwrap().status, 200);
    let found = admin
        .get(&format!(
            "{path}?app_guids={guid}&status_values=FINALIZED&status_reasons=DEPLOYED&states=DEPLOYED&label_selector=a"
        ))
        .await
        .unwrap();
    assert_eq!(found.body["pagination"]["total_results"], 1);
}

#[tokio::test]
async fn a_stopped_app_goes_back_to_a_revision() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    let variables = format!("/v3/apps/{guid}/environment_variables");
    for colour in ["blue", "green"] {
        let body = json!({ "var": { "COLOUR": colour } });
        admin.patch(&variables, &body).await.unwrap();
        for deed in ["start", "stop"] {
            let path = format!("/v3/apps/{guid}/actions/{deed}");
            admin.post(&path, &json!({})).await.unwrap();
        }
    }
    let list = format!("/v3/apps/{guid}/revisions");
    let revisions = admin.get(&list).await.unwrap();
    let [first, second] = [0, 1].map(|i| revisions.body["resources"][i]["guid"].clone());
    let to = |revision: &Value| deployment_of(&guid, &json!({ "revision": { "guid": revision } }));
    assert_eq!(
        refusal(&admin, "/v3/deployments", to(&second)).await.1,
        "Unable to rollback. The code and configuration you are rolling back to is the same as the deployed revision."
    );
    assert_eq!(
        refusal(&admin, "/v3/deployments", to(&json!("x"))).await.1,
        "The revision does not exist"
    );
    let made = admin.post("/v3/deployments", &to(&first)).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["revision"]["version"], 3);
    let newest = admin.get(&format!("{list}/deployed")).await.unwrap();
    assert_eq!(
        newest.text("/resources/0/description"),
        "New environment variables deployed. Rolled back to revision 1."
    );
    let now = admin.get(&variables).await.unwrap();
    assert_eq!(now.body["var"], json!({ "COLOUR": "blue" }));
    let events = admin
        .get("/v3/audit_events?types=audit.app.deployment.create")
        .await
        .unwrap();
    assert_eq!(events.text("/resources/0/data/type"), "rollback");
}

#[tokio::test]
async fn a_running_deployment_is_steered_by_those_who_may() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    app.droplet(&admin, &guid, json!({ "web": "serve" }))
        .await
        .unwrap();
    app.sql(
        "insert into deployments (guid, app_guid, state, status_value, status_reason, strategy, options, \
         droplet_guid, previous_droplet_guid, canary_current_step, status_updated_at, created_at, updated_at) \
         select 'd', guid, 'PAUSED', 'ACTIVE', 'PAUSED', 'canary', \
         '{\"max_in_flight\":1,\"canary\":{\"steps\":[{\"instance_weight\":20},{\"instance_weight\":60}]}}', \
         current_droplet_guid, current_droplet_guid, 1, 0, 0, 0 from apps",
    )
    .await
    .unwrap();
    let path = "/v3/deployments/d";
    let paused = admin.get(path).await.unwrap();
    assert_eq!(
        paused.body["status"]["canary"],
        json!({ "steps": { "current": 1, "total": 2 } })
    );
    assert!(paused.body["links"]["continue"].is_object());
    let auditor = app.user("olga").await.unwrap();
    for (kind, scope) in [
        ("organization_user", ("organization", &organization)),
        ("space_auditor", ("space", &space)),
    ] {
        let mut relationships = related(scope.0, scope.1);
        relationships["user"] = json!({ "data": { "username": "olga" } });
        let body = json!({ "type": kind, "relationships": relationships });
        admin.post("/v3/roles", &body).await.unwrap();
    }
    assert_eq!(auditor.get(path).await.unwrap().status, 200);
    assert_eq!(
        refusal(&auditor, &format!("{path}/actions/continue"), json!({})).await,
        (404, "Deployment not found".to_owned())
    );
    let process = format!("/v3/processes/{guid}/actions/scale");
    assert_eq!(
        refusal(&admin, &process, json!({ "instances": 2 })).await.1,
        "Cannot scale this process while a deployment is in flight."
    );
    let done = admin
        .post(&format!("{path}/actions/continue"), &json!({}))
        .await
        .unwrap();
    assert_eq!(done.status, 200);
    let next = admin.get(path).await.unwrap();
    assert_eq!(next.body["status"]["canary"]["steps"]["current"], 2);
    assert_eq!(next.text("/status/reason"), "DEPLOYING");
    let done = admin
        .post(&format!("{path}/actions/cancel"), &json!({}))
        .await
        .unwrap();
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(
        admin.get(path).await.unwrap().text("/status/reason"),
        "CANCELING"
    );
}
