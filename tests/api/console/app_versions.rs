//! The tabs of an app about what it ran with and what happened to it: deployments, revisions, tasks,
//! events.

use std::time::Duration;

use cflite::testing::{TestClient, app_in_space, organization_and_space};
use serde_json::{Value, json};

use super::browser::Browser;
use super::shop::done;
use crate::tasks::runnable;

/// Waits until the first deployment of an app has this reason.
async fn deployment_when(client: &TestClient, app: &str, reason: &str) -> Value {
    let path = format!("/v3/deployments?app_guids={app}&order_by=-created_at");
    let mut last = Value::Null;
    for _ in 0..1500 {
        let found = client.get(&path).await.unwrap();
        last = found.body["resources"][0].clone();
        if last["status"]["reason"] == reason {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {reason}: {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_is_driven_from_the_browser_and_a_revision_comes_back() -> anyhow::Result<()> {
    let (app, admin, guid, _) = runnable().await;
    let at = |path: &str| format!("/console/apps/{guid}/{path}");
    let mut browser = Browser::sign_in(&app, "admin").await;
    let page = browser.get(&at("deployments")).await;
    assert!(page.text.contains("No deployment yet"), "{}", page.text);
    let start = format!("/v3/apps/{guid}/actions/start");
    admin.post(&start, &json!({})).await?;

    // The second revision has another command.
    let process = format!("/v3/apps/{guid}/processes/web");
    admin
        .patch(&process, &json!({ "command": "serve 2" }))
        .await?;
    let bad = [("strategy", "canary"), ("steps", "half")];
    let refused = browser.post(&at("deployments/start"), &bad).await;
    assert_eq!(refused.json()["errors"][0]["field"], "steps", "{refused:?}");
    let form = [("strategy", "canary"), ("steps", "50")];
    let started = done(&browser.post(&at("deployments/start"), &form).await);
    assert_eq!(
        started["command"],
        "cf restart web --strategy canary --instance-steps 50"
    );
    let paused = deployment_when(&admin, &guid, "PAUSED").await;
    let deployment = paused["guid"].as_str().unwrap_or_default().to_owned();
    let page = browser.get(&at("deployments")).await;
    assert!(page.text.contains(">paused<"), "{}", page.text);
    assert!(page.text.contains("new run") && page.text.contains("Continue</button>"));

    // Another app has no such deployment.
    let (_, space) = organization_and_space(&admin, "other").await?;
    let other = app_in_space(&admin, &space, "other").await?;
    let foreign = format!("/console/apps/{other}/deployments/{deployment}/cancel");
    assert_eq!(browser.post(&foreign, &[]).await.status, 404);

    let goes_on = at(&format!("deployments/{deployment}/continue"));
    done(&browser.post(&goes_on, &[]).await);
    let deployed = deployment_when(&admin, &guid, "DEPLOYED").await;
    assert_eq!(deployed["guid"], deployment.as_str());

    let page = browser.get(&at("deployments?from=1&to=2")).await;
    assert!(page.text.contains("command of web"), "{}", page.text);
    assert!(page.text.contains("<code>serve 2</code>"));
    assert!(page.text.contains("title=\"cf rollback web --version 1\""));
    let compare = [("from", "1"), ("to", "2")];
    let compared = done(&browser.post(&at("deployments/compare"), &compare).await);
    assert_eq!(compared["reveal"], "The variables are the same.");

    let form = [("strategy", "rolling"), ("version", "1")];
    let back = done(&browser.post(&at("deployments/start"), &form).await);
    assert_eq!(
        back["command"],
        "cf rollback web --version 1 --strategy rolling"
    );
    deployment_when(&admin, &guid, "DEPLOYED").await;
    let gone = [("version", "77")];
    let refused = browser.post(&at("deployments/start"), &gone).await;
    assert_eq!(
        refused.json()["errors"][0]["field"],
        "version",
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_is_listed_and_canceled() -> anyhow::Result<()> {
    let (app, admin, guid, space) = runnable().await;
    let organization = admin.get(&format!("/v3/spaces/{space}")).await?;
    let organization = organization
        .text("/relationships/organization/data/guid")
        .to_owned();
    let at = |path: &str| format!("/console/apps/{guid}/{path}");
    let place = (organization.as_str(), space.as_str());
    app.member(("dev", "space_developer"), place).await?;
    app.member(("auditor", "space_auditor"), place).await?;
    let mut dev = Browser::sign_in(&app, "dev").await;
    assert!(dev.get(&at("tasks")).await.text.contains("No task ran yet"));
    let refused = dev.post(&at("tasks/run"), &[("command", " ")]).await;
    assert_eq!(refused.json()["errors"][0]["field"], "command");
    let form = [
        ("command", "migrate --secret"),
        ("name", "migrate"),
        ("memory", "64"),
    ];
    let run = done(&dev.post(&at("tasks/run"), &form).await);
    assert_eq!(
        run["command"],
        "cf run-task web --command 'migrate --secret' --name migrate -m 64M"
    );
    let page = dev.get(&at("tasks")).await;
    assert!(page.text.contains("migrate --secret"), "{}", page.text);
    let mut auditor = Browser::sign_in(&app, "auditor").await;
    let seen = auditor.get(&at("tasks")).await;
    assert!(seen.text.contains(">migrate<"), "{}", seen.text);
    assert!(!seen.text.contains("--secret"), "commands are secret");
    let refused = auditor.post(&at("tasks/run"), &form).await;
    assert_eq!(refused.status, 403, "{refused:?}");

    let tasks = admin.get(&format!("/v3/apps/{guid}/tasks")).await?;
    assert_eq!(tasks.body["resources"][0]["memory_in_mb"], 64);
    let task = tasks.text("/resources/0/guid");
    let cancel = at(&format!("tasks/{task}/cancel"));
    assert_eq!(auditor.post(&cancel, &[]).await.status, 403);
    let canceled = dev.post(&cancel, &[]).await;
    assert_eq!(done(&canceled)["command"], "cf terminate-task web 1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_paged_and_filtered_by_their_type() -> anyhow::Result<()> {
    let (app, admin, guid, _) = runnable().await;
    let path = format!("/v3/apps/{guid}/processes/web/actions/scale");
    for instances in 1..=60 {
        admin
            .post(&path, &json!({ "instances": instances }))
            .await?;
    }
    let at = |query: &str| format!("/console/apps/{guid}/events{query}");
    let mut browser = Browser::sign_in(&app, "admin").await;
    let all = browser.get(&at("")).await;
    assert!(all.text.contains("rel=\"next\""), "{}", all.text);
    let second = browser
        .get(&at("?type=audit.app.process.scale&page=2"))
        .await;
    let rows = second.text.matches("<tr id=\"event-").count();
    assert_eq!(rows, 10, "{}", second.text);
    assert!(second.text.contains("60 found"));
    let none = browser.get(&at("?type=%22%3E%3Cscript%3E")).await;
    assert_eq!(none.status, 200);
    assert!(!none.text.contains("\"><script>"), "{}", none.text);
    assert!(none.text.contains("No event of this type"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_text_on_every_tab() -> anyhow::Result<()> {
    let (app, admin, guid, space) = runnable().await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let instance = json!({
        "type": "user-provided", "name": evil,
        "relationships": cflite::testing::related("space", &space),
    });
    let instance = admin.post("/v3/service_instances", &instance).await?;
    let body = json!({ "type": "app", "relationships": {
        "app": { "data": { "guid": guid } },
        "service_instance": { "data": { "guid": instance.text("/guid") } },
    } });
    admin.post("/v3/service_credential_bindings", &body).await?;
    let variable = "<script>alert(1)</script>\"'>";
    let variables = json!({ "var": { variable: evil } });
    let path = format!("/v3/apps/{guid}/environment_variables");
    assert_eq!(admin.patch(&path, &variables).await?.status, 200);
    let path = format!("/v3/apps/{guid}/processes/web");
    assert_eq!(
        admin
            .patch(&path, &json!({ "command": evil }))
            .await?
            .status,
        200
    );
    admin
        .post(&format!("/v3/apps/{guid}/actions/start"), &json!({}))
        .await?;
    let task = json!({ "command": evil, "name": evil });
    admin.post(&format!("/v3/apps/{guid}/tasks"), &task).await?;
    let path = format!("/v3/apps/{guid}");
    assert_eq!(
        admin.patch(&path, &json!({ "name": evil })).await?.status,
        200
    );

    let mut browser = Browser::sign_in(&app, "admin").await;
    for tab in [
        "env",
        "routes",
        "services",
        "deployments?from=1&to=1",
        "tasks",
        "events",
        "manifest",
        "settings",
    ] {
        let page = browser.get(&format!("/console/apps/{guid}/{tab}")).await;
        assert_eq!(page.status, 200, "{tab}");
        assert!(page.text.contains("alert(1)"), "{tab} shows the name");
        for bad in ["<script>alert", "<img src=x", "\"'><img"] {
            assert!(!page.text.contains(bad), "{tab} holds {bad}");
        }
    }
    Ok(())
}
