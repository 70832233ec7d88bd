//! `/v3/tasks`: checked, run, canceled and found.

use std::time::Duration;

use cflite::docker::Behaviour;
use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::{Value, json};

pub(crate) async fn refusal(client: &TestClient, path: &str, body: Value) -> (u16, String) {
    let answer = client.post(path, &body).await.unwrap();
    (answer.status, answer.detail().to_owned())
}

/// A platform with an app `web` that can be started, the app's guid, and its space's.
pub(crate) async fn runnable() -> (TestApp, TestClient, String, String) {
    let app = TestApp::with_stack().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let types = json!({ "web": "serve", "task": "echo hello" });
    app.droplet(&admin, &guid, types).await.unwrap();
    (app, admin, guid, space)
}

/// The task once it is in this state.
async fn task_when(client: &TestClient, guid: &str, state: &str) -> Answer {
    let mut shown = None;
    for _ in 0..1000 {
        let task = client.get(&format!("/v3/tasks/{guid}")).await.unwrap();
        if task.body["state"] == state {
            return task;
        }
        shown = Some(task);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {state}: {shown:?}");
}

fn containers_of_tasks(app: &TestApp) -> Vec<String> {
    let names = app.engine().container_names().into_iter();
    names.filter(|name| name.contains("-task-")).collect()
}

#[tokio::test]
async fn a_task_is_checked_in_ccs_words() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let path = format!("/v3/apps/{guid}/tasks");
    let no_droplet = "Task must have a droplet. Specify droplet or assign current droplet to app.";
    assert_eq!(
        refusal(&admin, &path, json!({ "command": "c" })).await,
        (422, no_droplet.to_owned())
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
        (
            json!({ "command": "c", "name": "" }),
            422,
            "name format, name presence",
        ),
        (json!({ "command": "c", "name": " " }), 422, "name presence"),
        (
            json!({ "command": "c", "droplet_guid": null }),
            404,
            "Droplet not found",
        ),
        (
            json!({ "command": null }),
            422,
            "Command No command or template provided",
        ),
        (
            json!({ "command": null, "template": { "process": { "guid": guid } } }),
            422,
            "command presence",
        ),
        (
            json!({ "command": "c".repeat(4097) }),
            422,
            "command must be shorter than 4097 characters",
        ),
        (
            json!({ "command": "c", "user": "root" }),
            422,
            "user invalid (requested user 'root' not allowed, permitted users are: 'vcap')",
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
async fn a_task_runs_to_its_end_and_is_accounted_for() {
    let (app, admin, guid, _) = runnable().await;
    let path = format!("/v3/apps/{guid}/tasks");
    let template = json!({ "process": { "guid": guid } });
    let metadata = json!({ "labels": { "a": "b" } });
    let body = json!({ "command": "echo hello", "name": "greet", "template": template, "metadata": metadata });
    let made = admin.post(&path, &body).await.unwrap();
    assert_eq!(made.status, 202, "{made:?}");
    let task = made.text("/guid");
    let done = task_when(&admin, task, "SUCCEEDED").await;
    assert_eq!(done.body["result"]["failure_reason"], Value::Null);
    for (field, expected) in [
        ("sequence_id", json!(1)),
        ("name", json!("greet")),
        ("command", json!("echo hello")),
        ("user", json!("vcap")),
        ("memory_in_mb", json!(1024)),
        ("disk_in_mb", json!(1024)),
    ] {
        assert_eq!(done.body[field], expected, "{field}");
    }
    assert_eq!(done.text("/metadata/labels/a"), "b");
    for _ in 0..500 {
        if containers_of_tasks(&app).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(containers_of_tasks(&app).is_empty());

    app.engine().script("fail now", Behaviour::runs().exits(3));
    let made = admin.post(&path, &json!({ "command": "fail now" })).await;
    let made = made.unwrap();
    assert_eq!(made.body["sequence_id"], 2);
    let name = made.text("/name");
    assert_eq!(
        (
            name.len(),
            name.trim_matches(|c: char| c.is_ascii_hexdigit())
        ),
        (8, "")
    );
    let done = task_when(&admin, made.text("/guid"), "FAILED").await;
    assert_eq!(
        done.text("/result/failure_reason"),
        format!("APP/TASK/{name}: Exited with status 3")
    );

    let events = admin.get("/v3/app_usage_events").await.unwrap();
    let events = events.body["resources"].as_array().unwrap().clone();
    let of_task = events.iter().filter(|event| event["task"]["guid"] == task);
    let reported: Vec<_> = of_task
        .map(|event| {
            let state = |when: &str| event["state"][when].as_str().unwrap_or("none").to_owned();
            assert_eq!(event["task"]["name"], "greet");
            assert_eq!(event["app"]["guid"], guid);
            assert_eq!(event["memory_in_mb_per_instance"]["current"], 1024);
            format!("{} after {}", state("current"), state("previous"))
        })
        .collect();
    assert_eq!(
        reported,
        ["TASK_STARTED after PENDING", "TASK_STOPPED after RUNNING"]
    );
    let events = admin
        .get("/v3/audit_events?types=audit.app.task.create&order_by=created_at")
        .await
        .unwrap();
    assert_eq!(
        events.body["resources"][0]["data"],
        json!({ "task_guid": task, "request": {
            "name": "greet", "memory_in_mb": 1024, "command": "[PRIVATE DATA HIDDEN]",
        } })
    );
}

#[tokio::test]
async fn tasks_are_found_labelled_and_canceled() {
    let (_app, admin, guid, space) = runnable().await;
    let of_app = format!("/v3/apps/{guid}/tasks");
    let mut guids = Vec::new();
    for (name, command, state) in [
        ("migrate1", "echo hello", "SUCCEEDED"),
        ("migrate2", "sleep 100", "RUNNING"),
    ] {
        let body = json!({ "name": name, "command": command });
        let made = admin.post(&of_app, &body).await.unwrap();
        task_when(&admin, made.text("/guid"), state).await;
        guids.push(made.text("/guid").to_owned());
    }
    let [ended, running] = &guids[..] else {
        panic!("two tasks")
    };
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
    assert_eq!(listed.text("/resources/1/command"), "sleep 100");
    let refused = admin.get("/v3/tasks?sequence_ids=1").await.unwrap();
    assert_eq!(refused.status, 400);

    let labels = json!({ "metadata": { "labels": { "a": "b" } } });
    let one = format!("/v3/tasks/{running}");
    let changed = admin.patch(&one, &labels).await.unwrap();
    assert_eq!(changed.text("/metadata/labels/a"), "b");
    let cancel = format!("{one}/actions/cancel");
    let canceled = admin.post(&cancel, &json!({})).await.unwrap();
    assert_eq!(
        (canceled.status, canceled.text("/state")),
        (202, "CANCELING")
    );
    let failed = task_when(&admin, running, "FAILED").await;
    assert_eq!(failed.text("/result/failure_reason"), "task was cancelled");
    assert_eq!(
        refusal(
            &admin,
            &format!("/v3/tasks/{ended}/actions/cancel"),
            json!({})
        )
        .await,
        (
            422,
            "Task state is SUCCEEDED and therefore cannot be canceled".to_owned()
        )
    );
    let events = admin
        .get("/v3/audit_events?types=audit.app.task.cancel")
        .await
        .unwrap();
    assert_eq!(events.text("/resources/0/data/task_guid"), running);
    assert_eq!(
        events.text("/resources/0/data/request/command"),
        "[PRIVATE DATA HIDDEN]"
    );
}

#[tokio::test]
async fn a_task_outlives_the_platform_but_not_its_app() {
    let (app, admin, guid, _) = runnable().await;
    let path = format!("/v3/apps/{guid}/tasks");
    let body = json!({ "command": "sleep 100" });
    let made = admin.post(&path, &body).await.unwrap();
    let task = made.text("/guid");
    task_when(&admin, task, "RUNNING").await;
    let before = containers_of_tasks(&app);
    assert_eq!(before.len(), 1);

    let app = app.restart().await.unwrap();
    let admin = app.admin().await.unwrap();
    let shown = admin.get(&format!("/v3/tasks/{task}")).await.unwrap();
    assert_eq!(shown.text("/state"), "RUNNING");
    assert_eq!(containers_of_tasks(&app), before);

    let deleted = admin.delete(&format!("/v3/apps/{guid}")).await.unwrap();
    assert_eq!(deleted.status, 202);
    for _ in 0..500 {
        if containers_of_tasks(&app).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(containers_of_tasks(&app).is_empty());
    let events = admin.get("/v3/app_usage_events").await.unwrap();
    let events = events.body["resources"].as_array().unwrap();
    let last = events.iter().rfind(|event| event["task"]["guid"] == task);
    assert_eq!(last.unwrap()["state"]["current"], "TASK_STOPPED");
}
