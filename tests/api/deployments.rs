//! `/v3/deployments`: apps that are stopped, started, on their way, and back again.

use std::time::Duration;

use cflite::docker::Behaviour;
use cflite::testing::{Answer, TestApp, TestClient, app_in_space, organization_and_space, related};
use serde_json::{Value, json};

use crate::tasks::{refusal, runnable};

const PATH: &str = "/v3/deployments";

fn deployment_of(app: &str, more: &Value) -> Value {
    let mut body = json!({ "relationships": related("app", app) });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
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
        for action in ["start", "stop"] {
            let path = format!("/v3/apps/{guid}/actions/{action}");
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

/// Asks until it is good.
async fn until(client: &TestClient, path: &str, good: impl Fn(&Answer) -> bool) -> Answer {
    let mut last = None;
    for _ in 0..1000 {
        let answer = client.get(path).await.unwrap();
        if good(&answer) {
            return answer;
        }
        last = Some(answer);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} never got there: {last:?}");
}

/// The deployment once its status has this reason.
async fn when(client: &TestClient, guid: &str, reason: &str) -> Answer {
    let path = format!("{PATH}/{guid}");
    until(client, &path, |one| one.text("/status/reason") == reason).await
}

async fn deploy(client: &TestClient, app: &str, more: &Value) -> Answer {
    let made = client.post(PATH, &deployment_of(app, more)).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made
}

/// The app's web processes, oldest first: guid and wanted instances.
async fn webs(client: &TestClient, app: &str) -> Vec<(String, i64)> {
    let list = format!("/v3/apps/{app}/processes?types=web");
    let all = client.get(&list).await.unwrap();
    let of = |one: &Value| {
        let guid = one["guid"].as_str().unwrap().to_owned();
        (guid, one["instances"].as_i64().unwrap())
    };
    let all = all.body["resources"].as_array().unwrap();
    all.iter().map(of).collect()
}

/// How many instances of a process are RUNNING, and how many there are.
async fn running(client: &TestClient, process: &str) -> (usize, usize) {
    let stats = format!("/v3/processes/{process}/stats");
    let stats = client.get(&stats).await.unwrap();
    let all = stats.body["resources"].as_array().cloned();
    let all = all.unwrap_or_default();
    let running = all.iter().filter(|one| one["state"] == "RUNNING");
    (running.count(), all.len())
}

/// The same with a started app of so many instances, all running.
async fn started(instances: i64) -> (TestApp, TestClient, String) {
    let (app, admin, guid, _) = runnable().await;
    let scale = format!("/v3/processes/{guid}/actions/scale");
    let size = json!({ "instances": instances, "memory_in_mb": 64 });
    assert_eq!(admin.post(&scale, &size).await.unwrap().status, 202);
    let start = format!("/v3/apps/{guid}/actions/start");
    assert_eq!(admin.post(&start, &json!({})).await.unwrap().status, 200);
    let all = usize::try_from(instances).unwrap();
    for _ in 0..1000 {
        if running(&admin, &guid).await == (all, all) {
            return (app, admin, guid);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the app never ran");
}

#[tokio::test]
async fn a_second_web_process_takes_the_place_of_the_first() {
    let (app, admin, guid) = started(3).await;
    let first = webs(&admin, &guid).await;
    assert_eq!(first, [(guid.clone(), 3)]);
    let label = json!({ "metadata": { "labels": { "tier": "gold" } } });
    let path = format!("/v3/processes/{guid}");
    admin.patch(&path, &label).await.unwrap();
    let droplet = app
        .droplet(
            &admin,
            &guid,
            json!({ "web": "serve anew", "task": "echo hello" }),
        )
        .await
        .unwrap();
    let options = json!({ "max_in_flight": 2, "memory_in_mb": 32 });
    let more = json!({ "droplet": { "guid": droplet }, "options": options });
    let made = deploy(&admin, &guid, &more).await;
    assert_eq!(made.text("/status/value"), "ACTIVE");
    let new = made.text("/new_processes/0/guid").to_owned();
    assert_eq!(made.text("/new_processes/0/type"), "web");
    let deployment = made.text("/guid");
    let both = when(&admin, deployment, "DEPLOYED");
    // There is never a moment without three that run.
    let watched = async {
        let mut fewest = usize::MAX;
        loop {
            let mut all = 0;
            for (process, _) in webs(&admin, &guid).await {
                all += running(&admin, &process).await.0;
            }
            fewest = fewest.min(all);
            if admin.get(&path).await.unwrap().status == 404 {
                return fewest;
            }
        }
    };
    let (done, fewest) = tokio::join!(both, watched);
    assert!(fewest >= 3, "{fewest}");
    assert_eq!(done.text("/status/value"), "FINALIZED");
    assert_eq!(done.body["revision"]["version"], 2);
    assert_eq!(webs(&admin, &guid).await, [(new.clone(), 3)]);
    let shown = admin.get(&format!("/v3/processes/{new}")).await.unwrap();
    assert_eq!(shown.text("/command"), "serve anew");
    assert_eq!(shown.body["memory_in_mb"], 32);
    assert_eq!(shown.text("/metadata/labels/tier"), "gold");
    let named = admin.get(&format!("/v3/apps/{guid}/processes/web")).await;
    assert_eq!(named.unwrap().text("/guid"), new);
    let events = admin
        .get("/v3/app_usage_events?per_page=100")
        .await
        .unwrap();
    let events = events.body["resources"].as_array().unwrap().clone();
    let of = |process: &str| -> Vec<String> {
        let of = events.iter().filter(|e| e["process"]["guid"] == process);
        of.map(|e| {
            let instances = &e["instance_count"]["current"];
            format!("{} {instances}", e["state"]["current"].as_str().unwrap())
        })
        .collect()
    };
    assert_eq!(of(&new)[..2], ["STARTED 2", "STARTED 3"]);
    assert_eq!(of(&guid).last().unwrap().split(' ').next(), Some("STOPPED"));
}

#[tokio::test]
async fn instances_that_crash_stop_a_deployment_until_it_is_canceled() {
    let (app, admin, guid) = started(2).await;
    app.engine()
        .script("serve badly", Behaviour::runs().exits(1));
    let before = admin.get(&format!("/v3/apps/{guid}")).await.unwrap();
    let droplet = app
        .droplet(&admin, &guid, json!({ "web": "serve badly" }))
        .await
        .unwrap();
    let revert = json!({ "data": before.body["relationships"]["current_droplet"]["data"] });
    let path = format!("/v3/apps/{guid}/relationships/current_droplet");
    admin.patch(&path, &revert).await.unwrap();
    let made = deploy(&admin, &guid, &json!({ "droplet": { "guid": droplet } })).await;
    let new = made.text("/new_processes/0/guid").to_owned();
    let stats = format!("/v3/processes/{new}/stats");
    until(&admin, &stats, |stats| {
        stats.body["resources"][0]["state"] == "CRASHED"
    })
    .await;
    let all = webs(&admin, &guid).await;
    assert_eq!(all, [(guid.clone(), 2), (new, 1)]);
    assert_eq!(running(&admin, &guid).await, (2, 2));
    let deployment = made.text("/guid");
    let path = format!("{PATH}/{deployment}/actions/cancel");
    assert_eq!(admin.post(&path, &json!({})).await.unwrap().status, 200);
    let done = when(&admin, deployment, "CANCELED").await;
    assert_eq!(done.text("/status/value"), "FINALIZED");
    assert_eq!(webs(&admin, &guid).await, [(guid.clone(), 2)]);
    let after = admin.get(&format!("/v3/apps/{guid}")).await.unwrap();
    assert_eq!(after.body["relationships"], before.body["relationships"]);
    assert_eq!(
        refusal(&admin, &path, json!({})).await,
        (
            422,
            "Cannot cancel a deployment with status: FINALIZED and reason: CANCELED".to_owned()
        )
    );
}

#[tokio::test]
async fn a_canary_waits_at_its_steps_for_those_who_may_continue() {
    let (app, admin, guid) = started(4).await;
    let steps = json!([{ "instance_weight": 25 }, { "instance_weight": 50 }]);
    let options = json!({ "canary": { "steps": steps } });
    let more = json!({ "strategy": "canary", "options": options });
    let made = deploy(&admin, &guid, &more).await;
    let (deployment, new) = (made.text("/guid"), made.text("/new_processes/0/guid"));
    let path = format!("{PATH}/{deployment}");
    let paused = when(&admin, deployment, "PAUSED").await;
    assert_eq!(
        paused.body["status"]["canary"],
        json!({ "steps": { "current": 1, "total": 2 } })
    );
    assert!(paused.body["links"]["continue"].is_object());
    let pair = |old: i64, canaries: i64| [(guid.clone(), old), (new.to_owned(), canaries)];
    assert_eq!(webs(&admin, &guid).await, pair(4, 1));

    let (organization, space) = places(&admin, &guid).await;
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
    assert_eq!(auditor.get(&path).await.unwrap().status, 200);
    let go_on = format!("{path}/actions/continue");
    assert_eq!(
        refusal(&auditor, &go_on, json!({})).await,
        (404, "Deployment not found".to_owned())
    );
    let process = format!("/v3/processes/{guid}/actions/scale");
    assert_eq!(
        refusal(&admin, &process, json!({ "instances": 2 })).await.1,
        "Cannot scale this process while a deployment is in flight."
    );

    assert_eq!(admin.post(&go_on, &json!({})).await.unwrap().status, 200);
    until(&admin, &path, |one| {
        one.text("/status/reason") == "PAUSED"
            && one.body["status"]["canary"]["steps"]["current"] == 2
    })
    .await;
    assert_eq!(webs(&admin, &guid).await, pair(3, 2));
    assert_eq!(admin.post(&go_on, &json!({})).await.unwrap().status, 200);
    when(&admin, deployment, "DEPLOYED").await;
    assert_eq!(webs(&admin, &guid).await, [(new.to_owned(), 4)]);
}

async fn places(client: &TestClient, app: &str) -> (String, String) {
    let shown = client.get(&format!("/v3/apps/{app}")).await.unwrap();
    let space = shown.text("/relationships/space/data/guid").to_owned();
    let shown = client.get(&format!("/v3/spaces/{space}")).await.unwrap();
    let organization = shown.text("/relationships/organization/data/guid");
    (organization.to_owned(), space)
}

#[tokio::test]
async fn another_deployment_takes_the_place_of_one_under_way_also_after_a_restart() {
    let (app, admin, guid) = started(2).await;
    let canary = json!({ "strategy": "canary" });
    let first = deploy(&admin, &guid, &canary).await;
    let first = first.text("/guid").to_owned();
    when(&admin, &first, "PAUSED").await;
    let app = app.restart().await.unwrap();
    let admin = app.admin().await.unwrap();
    assert_eq!(when(&admin, &first, "PAUSED").await.status, 200);
    let second = deploy(&admin, &guid, &json!({})).await;
    let superseded = when(&admin, &first, "SUPERSEDED").await;
    assert_eq!(superseded.text("/status/value"), "FINALIZED");
    when(&admin, second.text("/guid"), "DEPLOYED").await;
    let new = second.text("/new_processes/0/guid").to_owned();
    assert_eq!(webs(&admin, &guid).await, [(new, 2)]);
    let list = format!("{PATH}?app_guids={guid}&states=CANCELED,DEPLOYED");
    let found = admin.get(&list).await.unwrap();
    assert_eq!(found.body["pagination"]["total_results"], 2);
}

#[tokio::test]
async fn a_started_app_is_rolled_back() {
    let (_app, admin, guid) = started(1).await;
    let variables = format!("/v3/apps/{guid}/environment_variables");
    let body = json!({ "var": { "COLOUR": "green" } });
    admin.patch(&variables, &body).await.unwrap();
    let other = format!("/v3/apps/{guid}/processes/task");
    let body = json!({ "command": "echo later" });
    admin.patch(&other, &body).await.unwrap();
    let made = deploy(&admin, &guid, &json!({})).await;
    when(&admin, made.text("/guid"), "DEPLOYED").await;
    assert_eq!(made.body["revision"]["version"], 2);
    let revisions = format!("/v3/apps/{guid}/revisions?versions=1");
    let revisions = admin.get(&revisions).await.unwrap();
    let to = json!({
        "revision": { "guid": revisions.text("/resources/0/guid") },
        "strategy": "canary",
    });
    let made = deploy(&admin, &guid, &to).await;
    when(&admin, made.text("/guid"), "PAUSED").await;
    let command = admin.get(&other).await.unwrap();
    assert_eq!(command.text("/command"), "echo later", "until the end");
    let go_on = format!("{PATH}/{}/actions/continue", made.text("/guid"));
    assert_eq!(admin.post(&go_on, &json!({})).await.unwrap().status, 200);
    let done = when(&admin, made.text("/guid"), "DEPLOYED").await;
    assert_eq!(done.body["revision"]["version"], 3);
    let command = admin.get(&other).await.unwrap();
    assert_eq!(command.text("/command"), "echo hello");
    let now = admin.get(&variables).await.unwrap();
    assert_eq!(now.body["var"], json!({}));
    let deployed = format!("/v3/apps/{guid}/revisions/deployed");
    until(&admin, &deployed, |all| {
        let all = all.body["resources"].as_array().unwrap();
        all.len() == 1 && all[0]["version"] == 3
    })
    .await;
}

#[tokio::test]
async fn a_deployment_must_fit_the_quotas_on_its_way_and_in_the_end() {
    let (_app, admin, guid) = started(2).await;
    let (_, space) = places(&admin, &guid).await;
    let shown = admin.get(&format!("/v3/spaces/{space}")).await.unwrap();
    let name = shown.text("/name").to_owned();
    let organization = shown.text("/relationships/organization/data/guid");
    let mut relationships = related("organization", organization);
    relationships["spaces"] = json!({ "data": [{ "guid": space }] });
    let quota = json!({
        "name": "small",
        "apps": { "total_memory_in_mb": 160 },
        "relationships": relationships,
    });
    let made = admin.post("/v3/space_quotas", &quota).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let hint = format!(
        "memory space_quota_exceeded for space {name}. This space's quota may not be large enough to support \
         rolling deployments or your configured max-in-flight."
    );
    for options in [
        json!({ "max_in_flight": 1 }),
        json!({ "memory_in_mb": 128 }),
        json!({ "web_instances": 3 }),
    ] {
        let body = deployment_of(&guid, &json!({ "options": options }));
        assert_eq!(refusal(&admin, PATH, body).await, (422, hint.clone()));
    }
    assert_eq!(webs(&admin, &guid).await, [(guid.clone(), 2)]);
    let body = json!({ "options": { "memory_in_mb": 32 } });
    let made = deploy(&admin, &guid, &body).await;
    when(&admin, made.text("/guid"), "DEPLOYED").await;
}
