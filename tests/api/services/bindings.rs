//! Credential bindings and route bindings of managed instances.

use cflite::testing::{app_in_space, related};
use serde_json::json;

use super::broker::{Reply, catalog};
use super::{World, binding, complete, failure};

const BINDINGS: &str = "/v3/service_credential_bindings";

#[tokio::test]
async fn an_app_is_bound_at_once() {
    let world = World::new().await;
    let web = app_in_space(&world.admin, &world.space, "web")
        .await
        .unwrap();
    let mine = world.instance("mine").await;
    let mut body = binding(&mine, Some(&web));
    body["parameters"] = json!({ "role": "reader" });
    let bound = world.admin.post(BINDINGS, &body).await.unwrap();
    complete(&world.admin, &bound).await;
    let asked = &world.broker.got("bind")[0];
    assert_eq!(asked.body["parameters"], json!({ "role": "reader" }));
    assert_eq!(asked.body["bind_resource"]["app_guid"], web.as_str());
    assert_eq!(asked.body["context"]["platform"], "cloudfoundry");
    let list = world
        .admin
        .get(&format!("{BINDINGS}?app_guids={web}&type=app"))
        .await
        .unwrap();
    let path = format!("{BINDINGS}/{}", list.text("/resources/0/guid"));
    let details = world.admin.get(&format!("{path}/details")).await.unwrap();
    assert_eq!(
        details.body["credentials"],
        json!({ "uri": "mysql://u:hunter2@h/d" })
    );
    let parameters = world
        .admin
        .get(&format!("{path}/parameters"))
        .await
        .unwrap();
    assert_eq!(parameters.body, json!({ "role": "r" }), "{parameters:?}");
    let env = world
        .admin
        .get(&format!("/v3/apps/{web}/env"))
        .await
        .unwrap();
    let service = &env.body["system_env_json"]["VCAP_SERVICES"]["db"][0];
    assert_eq!(service["plan"], "small", "{env:?}");
    assert_eq!(service["label"], "db");
    assert_eq!(service["credentials"]["uri"], "mysql://u:hunter2@h/d");

    let refused = world
        .admin
        .delete(&format!("/v3/service_instances/{mine}"))
        .await
        .unwrap();
    complete(&world.admin, &refused).await;
    assert_eq!(
        world.broker.got("unbind").len(),
        1,
        "deleting an instance unbinds"
    );
    assert_eq!(world.admin.get(&path).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_key_may_take_its_time() {
    let world = World::new().await;
    let mine = world.instance("mine").await;
    world
        .broker
        .script("bind", [Reply::Json(202, json!({ "operation": "b" }))]);
    let made = world
        .admin
        .post(BINDINGS, &binding(&mine, None))
        .await
        .unwrap();
    complete(&world.admin, &made).await;
    let list = world
        .admin
        .get(&format!("{BINDINGS}?names=key&type=key"))
        .await
        .unwrap();
    let path = format!("{BINDINGS}/{}", list.text("/resources/0/guid"));
    assert_eq!(list.text("/resources/0/last_operation/state"), "succeeded");
    let details = world.admin.get(&format!("{path}/details")).await.unwrap();
    assert_eq!(details.body["credentials"]["uri"], "mysql://u:hunter2@h/d");
    assert_eq!(world.broker.got("fetch binding").len(), 1);
    let again = world
        .admin
        .post(BINDINGS, &binding(&mine, None))
        .await
        .unwrap();
    assert_eq!(
        (again.status, again.detail()),
        (
            422,
            "The binding name is invalid. Key binding names must be unique. The service instance already has a key binding with name 'key'."
        )
    );

    world
        .broker
        .script("unbind", [Reply::Json(202, json!({ "operation": "u" }))]);
    let gone = world.admin.delete(&path).await.unwrap();
    complete(&world.admin, &gone).await;
    assert_eq!(world.admin.get(&path).await.unwrap().status, 404);
    assert_eq!(world.broker.got("poll binding").len(), 2);
}

#[tokio::test]
async fn a_binding_that_fails_is_quoted_and_may_be_tried_again() {
    let world = World::new().await;
    let web = app_in_space(&world.admin, &world.space, "web")
        .await
        .unwrap();
    let mine = world.instance("mine").await;
    world.broker.script("bind", [Reply::Json(202, json!({}))]);
    world.broker.script(
        "poll binding",
        [Reply::Json(
            200,
            json!({ "state": "failed", "description": "no user left" }),
        )],
    );
    let bound = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    let (_, detail) = failure(&world.admin, &bound).await;
    assert!(detail.contains("no user left"), "{detail}");
    let list = world
        .admin
        .get(&format!("{BINDINGS}?app_guids={web}"))
        .await
        .unwrap();
    assert_eq!(list.text("/resources/0/last_operation/state"), "failed");
    world.broker.unscript();
    let bound = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    complete(&world.admin, &bound).await;
    let list = world
        .admin
        .get(&format!("{BINDINGS}?app_guids={web}"))
        .await
        .unwrap();
    assert_eq!(list.body["pagination"]["total_results"], 1);
    assert_eq!(list.text("/resources/0/last_operation/state"), "succeeded");
}

#[tokio::test]
async fn a_binding_is_rotated() {
    let world = World::new().await;
    let web = app_in_space(&world.admin, &world.space, "web")
        .await
        .unwrap();
    let mine = world.instance("mine").await;
    let mut body = binding(&mine, Some(&web));
    body["strategy"] = json!("multiple");
    for count in 1..=5 {
        let bound = world.admin.post(BINDINGS, &body).await.unwrap();
        complete(&world.admin, &bound).await;
        let list = world
            .admin
            .get(&format!("{BINDINGS}?app_guids={web}"))
            .await
            .unwrap();
        assert_eq!(list.body["pagination"]["total_results"], count);
    }
    let refused = world.admin.post(BINDINGS, &body).await.unwrap();
    assert_eq!(refused.status, 422, "{refused:?}");
    let env = world
        .admin
        .get(&format!("/v3/apps/{web}/env"))
        .await
        .unwrap();
    assert_eq!(
        env.body["system_env_json"]["VCAP_SERVICES"]["db"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "the newest"
    );
}

#[tokio::test]
async fn a_route_is_bound_to_a_route_service() {
    let world = World::new().await;
    let mut next = catalog();
    next["services"][0]["requires"] = json!(["route_forwarding"]);
    world.broker.offer(next);
    let broker = format!("/v3/service_brokers/{}", world.broker_guid);
    let synced = world
        .admin
        .patch(&broker, &super::registration("again", &world.broker.url))
        .await
        .unwrap();
    complete(&world.admin, &synced).await;
    let mine = world.instance("mine").await;
    let domain = world
        .admin
        .get("/v3/domains?names=cf.localhost")
        .await
        .unwrap();
    let mut route = json!({ "host": "web" });
    route["relationships"] = related("space", &world.space);
    route["relationships"]["domain"] =
        json!({ "data": { "guid": domain.text("/resources/0/guid") } });
    let route = world.admin.post("/v3/routes", &route).await.unwrap();
    let route = route.text("/guid").to_owned();
    let mut body = json!({ "parameters": { "a": 1 } });
    body["relationships"] = related("service_instance", &mine);
    body["relationships"]["route"] = json!({ "data": { "guid": route } });

    world.broker.script(
        "bind",
        [Reply::Json(
            201,
            json!({ "route_service_url": "https://proxy.example" }),
        )],
    );
    let bound = world
        .admin
        .post("/v3/service_route_bindings", &body)
        .await
        .unwrap();
    complete(&world.admin, &bound).await;
    let asked = &world.broker.got("bind")[0];
    assert_eq!(asked.body["bind_resource"]["route"], "web.cf.localhost");
    let list = world
        .admin
        .get(&format!(
            "/v3/service_route_bindings?route_guids={route}&include=route,service_instance"
        ))
        .await
        .unwrap();
    assert_eq!(
        list.text("/resources/0/route_service_url"),
        "https://proxy.example",
        "{list:?}"
    );
    assert_eq!(list.text("/included/routes/0/host"), "web");
    let again = world
        .admin
        .post("/v3/service_route_bindings", &body)
        .await
        .unwrap();
    assert_eq!(
        (again.status, again.title()),
        (422, "CF-ServiceInstanceAlreadyBoundToSameRoute"),
        "{again:?}"
    );
    let routes = world
        .admin
        .get(&format!("/v3/routes?service_instance_guids={mine}"))
        .await
        .unwrap();
    assert_eq!(routes.text("/resources/0/guid"), route);
    let path = format!(
        "/v3/service_route_bindings/{}",
        list.text("/resources/0/guid")
    );
    let gone = world.admin.delete(&path).await.unwrap();
    complete(&world.admin, &gone).await;
    assert_eq!(world.admin.get(&path).await.unwrap().status, 404);

    world.broker.script(
        "bind",
        [Reply::Json(
            201,
            json!({ "route_service_url": "http://plain.example" }),
        )],
    );
    let bound = world
        .admin
        .post("/v3/service_route_bindings", &body)
        .await
        .unwrap();
    failure(&world.admin, &bound).await;
    world
        .until("an orphan is undone", async || {
            world.broker.got("unbind").len() == 2
        })
        .await;
}

#[tokio::test]
async fn an_unbindable_plan_is_not_bound() {
    let world = World::new().await;
    let web = app_in_space(&world.admin, &world.space, "web")
        .await
        .unwrap();
    let mut next = catalog();
    next["services"][0]["plans"][0]["bindable"] = json!(false);
    world.broker.offer(next);
    let broker = format!("/v3/service_brokers/{}", world.broker_guid);
    let synced = world
        .admin
        .patch(&broker, &super::registration("again", &world.broker.url))
        .await
        .unwrap();
    complete(&world.admin, &synced).await;
    let mine = world.instance("mine").await;
    let refused = world
        .admin
        .post(BINDINGS, &binding(&mine, Some(&web)))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Service plan does not allow bindings"),
        "{refused:?}"
    );
    assert_eq!(world.broker.got("bind").len(), 0);
}
