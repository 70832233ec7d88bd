//! Managed instances, made at once and in their own time.

use std::time::Duration;

use cflite::testing::related;
use serde_json::{Value, json};

use super::broker::Reply;
use super::{World, complete, failure};

const POLLED: Duration = Duration::from_millis(50);

fn in_progress(text: &str) -> Reply {
    Reply::Json(200, json!({ "state": "in progress", "description": text }))
}

#[tokio::test]
async fn an_instance_is_made_updated_and_deleted_at_once() {
    let world = World::new().await;
    let mut wanted = world.wanted("mine", &world.small);
    wanted["parameters"] = json!({ "secret": "parameter" });
    wanted["tags"] = json!(["one"]);
    let made = world
        .admin
        .post("/v3/service_instances", &wanted)
        .await
        .unwrap();
    complete(&world.admin, &made).await;
    let guid = world.found("mine").await;
    let shown = world.shown(&guid).await;
    assert_eq!(shown.text("/dashboard_url"), "http://dash", "{shown:?}");
    assert_eq!(shown.text("/last_operation/type"), "create");
    assert_eq!(shown.text("/last_operation/state"), "succeeded");
    assert_eq!(shown.body["upgrade_available"], false);
    assert_eq!(shown.text("/maintenance_info/version"), "2.0.0");

    let asked = &world.broker.got("provision")[0];
    assert_eq!(asked.query, "accepts_incomplete=true");
    assert_eq!(asked.body["service_id"], "db-id");
    assert_eq!(asked.body["plan_id"], "small-id");
    assert_eq!(asked.body["parameters"], json!({ "secret": "parameter" }));
    assert_eq!(asked.body["context"]["instance_name"], "mine");
    assert_eq!(asked.body["context"]["platform"], "cloudfoundry");
    assert_eq!(
        asked.body["maintenance_info"],
        json!({ "version": "2.0.0" })
    );
    assert!(
        asked
            .headers
            .contains_key("x-broker-api-originating-identity")
    );

    let path = format!("/v3/service_instances/{guid}");
    let renamed = world
        .admin
        .patch(&path, &json!({ "name": "yours", "tags": [] }))
        .await
        .unwrap();
    assert_eq!((renamed.status, renamed.text("/name")), (200, "yours"));
    let changed = world
        .admin
        .patch(
            &path,
            &json!({ "parameters": { "a": 1 }, "relationships":
        { "service_plan": { "data": { "guid": world.large } } } }),
        )
        .await
        .unwrap();
    complete(&world.admin, &changed).await;
    let asked = world.broker.got("update");
    let asked = asked.last().unwrap();
    assert_eq!(asked.body["plan_id"], "large-id");
    assert_eq!(asked.body["previous_values"]["plan_id"], "small-id");
    let shown = world.shown(&guid).await;
    assert_eq!(
        shown.text("/relationships/service_plan/data/guid"),
        world.large
    );
    assert_eq!(shown.text("/last_operation/type"), "update");

    let parameters = world
        .admin
        .get(&format!("{path}/parameters"))
        .await
        .unwrap();
    assert_eq!(
        (parameters.status, &parameters.body),
        (200, &json!({ "size": 1 }))
    );
    let gone = world.admin.delete(&path).await.unwrap();
    complete(&world.admin, &gone).await;
    assert_eq!(world.shown(&guid).await.status, 404);
    let asked = world.broker.got("deprovision");
    assert_eq!(
        asked.last().unwrap().query,
        "accepts_incomplete=true&service_id=db-id&plan_id=large-id"
    );

    let usage = world.admin.get("/v3/service_usage_events").await.unwrap();
    let states: Vec<_> = usage.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["state"].clone())
        .collect();
    assert_eq!(
        states,
        ["CREATED", "UPDATED", "UPDATED", "DELETED"],
        "{usage:?}"
    );
    let events = world
        .admin
        .get("/v3/audit_events?per_page=500")
        .await
        .unwrap()
        .body
        .to_string();
    for event in ["create", "update", "delete"] {
        assert!(
            events.contains(&format!("audit.service_instance.{event}")),
            "{event}"
        );
    }
    assert!(!events.contains("parameter\""), "no parameters in events");
}

#[tokio::test]
async fn an_instance_may_take_its_time() {
    let world = World::new().await;
    world.broker.script(
        "provision",
        [Reply::Json(
            202,
            json!({ "operation": "op 1", "dashboard_url": "http://early" }),
        )],
    );
    world.broker.script(
        "poll",
        [
            in_progress("10 percent"),
            Reply::Json(
                200,
                json!({ "state": "succeeded", "description": "all done" }),
            ),
        ],
    );
    let made = world
        .admin
        .post("/v3/service_instances", &world.wanted("slow", &world.small))
        .await
        .unwrap();
    assert_eq!(made.status, 202);
    world
        .until("the broker says how far it is", async || {
            let guid = world.found("slow").await;
            world.shown(&guid).await.text("/last_operation/description") == "10 percent"
        })
        .await;
    let guid = world.found("slow").await;
    let job = world.admin.job_of(&made).await.unwrap();
    assert_eq!(job.text("/state"), "POLLING");
    let path = format!("/v3/service_instances/{guid}");
    let refused = world
        .admin
        .patch(&path, &json!({ "name": "other" }))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.title(), refused.detail()),
        (
            409,
            "CF-AsyncServiceInstanceOperationInProgress",
            "An operation for service instance slow is in progress."
        )
    );
    complete(&world.admin, &made).await;
    let shown = world.shown(&guid).await;
    assert_eq!(shown.text("/last_operation/description"), "all done");
    assert_eq!(
        shown.text("/dashboard_url"),
        "http://new",
        "as it says of itself"
    );
    let polled = &world.broker.got("poll")[0];
    assert!(
        polled.query.contains("operation=op+1") || polled.query.contains("operation=op%201"),
        "{}",
        polled.query
    );
    assert!(polled.query.contains("service_id=db-id") && polled.query.contains("plan_id=small-id"));

    world
        .broker
        .script("deprovision", [Reply::Json(202, json!({}))]);
    world.broker.script("poll", [Reply::Json(410, json!({}))]);
    let gone = world.admin.delete(&path).await.unwrap();
    complete(&world.admin, &gone).await;
    assert_eq!(world.shown(&guid).await.status, 404);
}

#[tokio::test]
async fn a_broker_that_fails_is_quoted() {
    let world = World::new().await;
    world
        .broker
        .script("provision", [Reply::Json(202, json!({}))]);
    world.broker.script(
        "poll",
        [Reply::Json(
            200,
            json!({ "state": "failed", "description": "no room" }),
        )],
    );
    let made = world
        .admin
        .post("/v3/service_instances", &world.wanted("full", &world.small))
        .await
        .unwrap();
    let (_, detail) = failure(&world.admin, &made).await;
    assert!(detail.contains("no room"), "{detail}");
    let guid = world.found("full").await;
    let shown = world.shown(&guid).await;
    assert_eq!(shown.text("/last_operation/state"), "failed");
    assert_eq!(shown.text("/last_operation/description"), "no room");

    world.broker.unscript();
    let mine = world.instance("mine").await;
    world.broker.script(
        "update",
        [Reply::Json(500, json!({ "description": "not today" }))],
    );
    let path = format!("/v3/service_instances/{mine}");
    let changed = world
        .admin
        .patch(&path, &json!({ "parameters": { "a": 1 } }))
        .await
        .unwrap();
    let (_, detail) = failure(&world.admin, &changed).await;
    assert!(detail.contains("not today"), "{detail}");
    assert_eq!(
        world.shown(&mine).await.text("/last_operation/state"),
        "failed"
    );

    world.broker.script(
        "deprovision",
        [Reply::Json(500, json!({ "description": "still in use" }))],
    );
    let gone = world.admin.delete(&path).await.unwrap();
    let (_, detail) = failure(&world.admin, &gone).await;
    assert!(detail.contains("still in use"), "{detail}");
    let shown = world.shown(&mine).await;
    assert_eq!(
        (
            shown.text("/last_operation/type"),
            shown.text("/last_operation/state")
        ),
        ("delete", "failed")
    );
    let purged = world
        .admin
        .delete(&format!("{path}?purge=true"))
        .await
        .unwrap();
    assert_eq!(purged.status, 204, "{purged:?}");
    assert_eq!(world.shown(&mine).await.status, 404);
}

#[tokio::test]
async fn an_instance_is_upgraded_to_what_its_plan_says() {
    let world = World::new().await;
    let guid = world.instance("mine").await;
    let mut next = super::broker::catalog();
    next["services"][0]["plans"][0]["maintenance_info"] = json!({ "version": "3.0.0" });
    world.broker.offer(next);
    let broker = format!("/v3/service_brokers/{}", world.broker_guid);
    let synced = world
        .admin
        .patch(&broker, &super::registration("again", &world.broker.url))
        .await
        .unwrap();
    complete(&world.admin, &synced).await;
    assert_eq!(world.shown(&guid).await.body["upgrade_available"], true);
    let path = format!("/v3/service_instances/{guid}");
    let wrong = json!({ "maintenance_info": { "version": "1.0.0" } });
    let refused = world.admin.patch(&path, &wrong).await.unwrap();
    assert_eq!(refused.status, 422, "{refused:?}");
    let upgraded = world
        .admin
        .patch(
            &path,
            &json!({ "maintenance_info": { "version": "3.0.0" } }),
        )
        .await
        .unwrap();
    complete(&world.admin, &upgraded).await;
    let shown = world.shown(&guid).await;
    assert_eq!(shown.text("/maintenance_info/version"), "3.0.0");
    assert_eq!(shown.body["upgrade_available"], false);
}

#[tokio::test]
async fn quotas_and_flags_limit_instances() {
    let world = World::new().await;
    let quota = json!({ "name": "tight", "services": { "total_service_instances": 1, "paid_services_allowed": false, "total_service_keys": 1 } });
    let quota = world
        .admin
        .post("/v3/organization_quotas", &quota)
        .await
        .unwrap();
    assert_eq!(quota.status, 201, "{quota:?}");
    let assign = format!(
        "/v3/organization_quotas/{}/relationships/organizations",
        quota.text("/guid")
    );
    world
        .admin
        .post(
            &assign,
            &json!({ "data": [{ "guid": world.organization }] }),
        )
        .await
        .unwrap();
    let post = async |body: Value| {
        world
            .admin
            .post("/v3/service_instances", &body)
            .await
            .unwrap()
    };
    let paid = post(world.wanted("paid", &world.large)).await;
    assert_eq!(
        (paid.status, paid.detail()),
        (
            422,
            "The service instance cannot be created because paid service plans are not allowed."
        ),
        "{paid:?}"
    );
    let one = world.instance("one").await;
    let two = post(world.wanted("two", &world.small)).await;
    assert_eq!(
        (two.status, two.detail()),
        (422, "You have exceeded your organization's services limit."),
        "{two:?}"
    );
    let key = world
        .admin
        .post(
            "/v3/service_credential_bindings",
            &super::binding(&one, None),
        )
        .await
        .unwrap();
    complete(&world.admin, &key).await;
    let mut second = super::binding(&one, None);
    second["name"] = json!("second");
    let refused = world
        .admin
        .post("/v3/service_credential_bindings", &second)
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "You have exceeded your organization's limit for service binding of type key."
        ),
        "{refused:?}"
    );

    let flag = json!({ "enabled": false });
    world
        .admin
        .patch("/v3/feature_flags/service_instance_creation", &flag)
        .await
        .unwrap();
    let place = (world.organization.as_str(), world.space.as_str());
    let dora = world
        .app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let mut own = json!({ "type": "user-provided", "name": "own" });
    own["relationships"] = related("space", &world.space);
    let refused = dora.post("/v3/service_instances", &own).await.unwrap();
    assert_eq!(refused.status, 403, "{refused:?}");
}

#[tokio::test]
async fn a_restart_goes_on_polling() {
    let world = World::new().await;
    world.broker.script(
        "provision",
        [Reply::Json(202, json!({ "operation": "op" }))],
    );
    world.broker.script("poll", [in_progress("working")]);
    world
        .admin
        .post("/v3/service_instances", &world.wanted("slow", &world.small))
        .await
        .unwrap();
    world
        .until("polled", async || !world.broker.got("poll").is_empty())
        .await;
    let (app, broker) = (world.app.restart().await.unwrap(), world.broker);
    let admin = app.admin().await.unwrap();
    broker.script("poll", [Reply::Json(200, json!({ "state": "succeeded" }))]);
    let started = std::time::Instant::now();
    loop {
        let list = admin.get("/v3/service_instances?names=slow").await.unwrap();
        if list.text("/resources/0/last_operation/state") == "succeeded" {
            break;
        }
        assert!(started.elapsed() < super::PATIENCE, "{list:?}");
        tokio::time::sleep(POLLED).await;
    }
    assert_eq!(broker.got("provision").len(), 1, "asked once");
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_stops_no_other() {
    let world = World::new().await;
    let damaged = "insert into service_operations (work, resource_guid, broker_guid, actor_guid, actor_type, \
                   actor_name, input, state, next_at, created_at) \
                   values ('x', 'x', cast(x'ff' as text), '', '', '', '{}', 'due', 0, 0)";
    world.app.sql(damaged).await.unwrap();
    let guid = world.instance("mine").await;
    let shown = world.shown(&guid).await;
    assert_eq!(
        shown.text("/last_operation/state"),
        "succeeded",
        "{shown:?}"
    );
}
