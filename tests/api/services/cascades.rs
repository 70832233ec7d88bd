//! What goes with apps, spaces and organizations, and sharing between spaces.

use std::time::{Duration, Instant};

use cflite::testing::{app_in_space, related};
use serde_json::json;

use super::broker::{Reply, catalog};
use super::{World, binding, complete, failure, registration};

const BINDINGS: &str = "/v3/service_credential_bindings";

#[tokio::test]
async fn an_app_goes_with_its_bindings() {
    let world = World::new().await;
    let web = app_in_space(&world.admin, &world.space, "web")
        .await
        .unwrap();
    let mine = world.instance("mine").await;
    let bound = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    complete(&world.admin, &bound).await;
    world.broker.script(
        "unbind",
        [Reply::Json(500, json!({ "description": "not now" }))],
    );
    let path = format!("/v3/apps/{web}");
    let gone = world.admin.delete(&path).await.unwrap();
    let (_, detail) = failure(&world.admin, &gone).await;
    assert!(detail.contains("not now"), "{detail}");
    assert_eq!(world.admin.get(&path).await.unwrap().status, 200);
    world.broker.unscript();
    let gone = world.admin.delete(&path).await.unwrap();
    complete(&world.admin, &gone).await;
    assert_eq!(world.admin.get(&path).await.unwrap().status, 404);
    let left = world.admin.get(BINDINGS).await.unwrap();
    assert_eq!(left.body["pagination"]["total_results"], 0);
}

#[tokio::test]
async fn all_who_wait_for_one_unbinding_go_on_after_it() {
    let world = World::new().await;
    let web = app_in_space(&world.admin, &world.space, "web")
        .await
        .unwrap();
    let mine = world.instance("mine").await;
    let bound = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    complete(&world.admin, &bound).await;
    let state = |state: &str| Reply::Json(200, json!({ "state": state }));
    let (going, done) = ("in progress", "succeeded");
    world.broker.script("unbind", [Reply::Json(202, json!({}))]);
    world
        .broker
        .script("poll binding", [state(going), state(going), state(done)]);
    let app = world.admin.delete(&format!("/v3/apps/{web}")).await;
    world
        .until("unbinding", async || {
            !world.broker.got("poll binding").is_empty()
        })
        .await;
    let path = format!("/v3/service_instances/{mine}");
    let instance = world.admin.delete(&path).await;
    let space = format!("/v3/spaces/{}", world.space);
    let space = world.admin.delete(&space).await;
    for accepted in [app, instance, space] {
        complete(&world.admin, &accepted.unwrap()).await;
    }
    assert_eq!(world.broker.got("unbind").len(), 1);
    assert_eq!(world.broker.got("deprovision").len(), 1);
}

#[tokio::test]
async fn an_instance_is_deleted_only_after_its_creation_was_answered() {
    let world = World::new().await;
    let slow = Duration::from_secs(2);
    world
        .broker
        .script("provision", [Reply::Slow(slow, 201, json!({}))]);
    let wanted = world.wanted("mine", &world.small);
    let made = world.admin.post("/v3/service_instances", &wanted).await;
    world
        .until("asked", async || !world.broker.got("provision").is_empty())
        .await;
    let asked = Instant::now();
    let gone = format!("/v3/spaces/{}", world.space);
    let gone = world.admin.delete(&gone).await.unwrap();
    complete(&world.admin, &gone).await;
    assert!(asked.elapsed() + Duration::from_millis(200) >= slow);
    assert_eq!(world.broker.got("deprovision").len(), 1);
    let (_, detail) = failure(&world.admin, &made.unwrap()).await;
    assert!(detail.contains("delete in progress"), "{detail}");
}

#[tokio::test]
async fn the_time_for_polling_begins_with_the_request() {
    let world = World::new().await;
    let mut hasty = catalog();
    hasty["services"][0]["plans"][0]["maximum_polling_duration"] = json!(1);
    world.broker.offer(hasty);
    let path = format!("/v3/service_brokers/{}", world.broker_guid);
    let body = registration("broker", &world.broker.url);
    let synchronized = world.admin.patch(&path, &body).await.unwrap();
    complete(&world.admin, &synchronized).await;
    let mine = world.instance("mine").await;
    let key = world.admin.post(BINDINGS, &binding(&mine, None)).await;
    complete(&world.admin, &key.unwrap()).await;
    let slow = Reply::Slow(Duration::from_millis(1500), 200, json!({}));
    world.broker.script("unbind", [slow]);
    world
        .broker
        .script("deprovision", [Reply::Json(202, json!({}))]);
    let path = format!("/v3/service_instances/{mine}");
    let gone = world.admin.delete(&path).await.unwrap();
    complete(&world.admin, &gone).await;
}

#[tokio::test]
async fn a_space_goes_with_its_instances() {
    let world = World::new().await;
    let web = app_in_space(&world.admin, &world.space, "web")
        .await
        .unwrap();
    let mine = world.instance("mine").await;
    let bound = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    complete(&world.admin, &bound).await;
    let gone = world
        .admin
        .delete(&format!("/v3/spaces/{}", world.space))
        .await
        .unwrap();
    complete(&world.admin, &gone).await;
    assert_eq!(world.broker.got("unbind").len(), 1);
    assert_eq!(world.broker.got("deprovision").len(), 1);
    assert_eq!(world.shown(&mine).await.status, 404);
}

#[tokio::test]
async fn an_organization_goes_with_its_instances() {
    let world = World::new().await;
    world.instance("mine").await;
    world
        .broker
        .script("deprovision", [Reply::Json(202, json!({}))]);
    let gone = world
        .admin
        .delete(&format!("/v3/organizations/{}", world.organization))
        .await
        .unwrap();
    complete(&world.admin, &gone).await;
    assert_eq!(world.broker.got("deprovision").len(), 1);
    let left = world.admin.get("/v3/service_instances").await.unwrap();
    assert_eq!(left.body["pagination"]["total_results"], 0);
    let gone = world
        .admin
        .delete(&format!("/v3/service_brokers/{}", world.broker_guid))
        .await
        .unwrap();
    complete(&world.admin, &gone).await;
}

#[tokio::test]
async fn an_instance_is_shared_with_other_spaces() {
    let world = World::new().await;
    let flag = json!({ "enabled": true });
    world
        .admin
        .patch("/v3/feature_flags/service_instance_sharing", &flag)
        .await
        .unwrap();
    let mut second = json!({ "name": "second" });
    second["relationships"] = related("organization", &world.organization);
    let second = world
        .admin
        .post("/v3/spaces", &second)
        .await
        .unwrap()
        .text("/guid")
        .to_owned();
    let web = app_in_space(&world.admin, &second, "web").await.unwrap();
    let mine = world.instance("mine").await;
    let refused = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "The service instance and the app are in different spaces"
        )
    );
    let shares = format!("/v3/service_instances/{mine}/relationships/shared_spaces");
    let shared = world
        .admin
        .post(&shares, &json!({ "data": [{ "guid": second }] }))
        .await
        .unwrap();
    assert_eq!(
        (shared.status, shared.text("/data/0/guid")),
        (200, second.as_str()),
        "{shared:?}"
    );
    let bound = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    complete(&world.admin, &bound).await;
    let summary = world
        .admin
        .get(&format!("{shares}/usage_summary"))
        .await
        .unwrap();
    assert_eq!(
        summary.body["usage_summary"][0]["bound_app_count"], 1,
        "{summary:?}"
    );
    let place = (world.organization.as_str(), second.as_str());
    let dora = world
        .app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    assert_eq!(
        dora.get("/v3/service_instances").await.unwrap().names(),
        ["mine"]
    );
    let denied = dora
        .delete(&format!("/v3/service_instances/{mine}"))
        .await
        .unwrap();
    assert_eq!(denied.status, 403, "{denied:?}");

    let unshared = world
        .admin
        .delete(&format!("{shares}/{second}"))
        .await
        .unwrap();
    assert_eq!(unshared.status, 204, "{unshared:?}");
    assert_eq!(
        world.broker.got("unbind").len(),
        1,
        "bindings of that space go"
    );
    assert_eq!(
        dora.get("/v3/service_instances").await.unwrap().names(),
        [""; 0]
    );
    let gone = world
        .admin
        .delete(&format!("/v3/service_instances/{mine}"))
        .await
        .unwrap();
    complete(&world.admin, &gone).await;
}
