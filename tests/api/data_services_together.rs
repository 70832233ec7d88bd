//! Data services that depend on others, and on what the catalog offers.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::data_services::{REDIS, World, wanted, with};

#[tokio::test]
async fn a_service_starts_again_after_what_it_depends_on() {
    let world = World::new().await;
    world.provision("first").await;
    let named = |name: &str| with(wanted(), "context", json!({ "instance_name": name }));
    let path = "/service_instances/second?accepts_incomplete=true";
    let missing = with(
        named("second"),
        "parameters",
        json!({ "depends_on": ["nobody"] }),
    );
    let refused = world.put(path, &missing).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let dependent = with(
        named("second"),
        "parameters",
        json!({ "depends_on": ["mine"] }),
    );
    let asked = world.put(path, &dependent).await;
    assert!(matches!(asked.status.as_u16(), 201 | 202), "{asked:?}");
    world.until("second", "succeeded").await;

    let of_first = "/service_instances/first?accepts_incomplete=true";
    let circle = json!({ "service_id": REDIS, "parameters": { "depends_on": ["second"] } });
    let refused = world.ask(Method::PATCH, of_first, Some(&circle)).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let text = refused.body["description"].as_str().unwrap();
    assert!(text.contains("mine would depend on itself"), "{text}");

    let before = world.container_of("second").await;
    let restart = json!({ "service_id": REDIS, "parameters": { "restart": true } });
    let asked = world.ask(Method::PATCH, of_first, Some(&restart)).await;
    assert!(matches!(asked.status.as_u16(), 200 | 202), "{asked:?}");
    world.until("first", "succeeded").await;
    assert_ne!(
        world.container_of("second").await,
        before,
        "it starts again, too"
    );
}

/// An offering of the platform's owner.
const OWN: &str = "
version: 1
images: {tiny: {packages: [redis-server]}}
offerings:
- name: tiny
  id: tiny-id
  description: of my own
  spec:
    image: tiny
    version: 1.0.0
    ports: {main: {port: 6379}}
    entry: exec redis-server
    credentials: {template: {uri: 'tiny://{{ host }}'}}
    health: {ready: {exec: [redis-cli]}}
    limits: {memory: 64m}
  plans:
  - {name: one, id: one-id, description: one}
";

#[tokio::test]
async fn a_service_whose_plan_left_the_catalog_can_be_deleted() {
    let mut world = World::new().await;
    let own = world.app.data_dir().join("services.yml");
    std::fs::write(&own, OWN).unwrap();
    world.app = world.app.restart().await.unwrap();
    world.base = world.app.broker().await.unwrap().0;
    let tiny = json!({
        "service_id": "tiny-id", "plan_id": "one-id", "organization_guid": "org", "space_guid": "space",
    });
    let asked = world
        .put("/service_instances/t?accepts_incomplete=true", &tiny)
        .await;
    assert!(matches!(asked.status.as_u16(), 201 | 202), "{asked:?}");
    world.until("t", "succeeded").await;
    assert_eq!(world.app.engine().container_names().len(), 1);

    std::fs::remove_file(&own).unwrap();
    world.app = world.app.restart().await.unwrap();
    world.base = world.app.broker().await.unwrap().0;
    let path = "/service_instances/t?service_id=tiny-id&plan_id=one-id&accepts_incomplete=true";
    let deleted = world.ask(Method::DELETE, path, None).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(world.app.engine().container_names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_whose_time_passed_is_made_at_the_next_start() {
    let mut world = World::new().await;
    let path = "/service_instances/i?accepts_incomplete=true";
    let nightly = json!({ "backup_schedule": "0 3 * * * UTC", "backups_kept": 2 });
    let asked = world
        .put(path, &with(wanted(), "parameters", nightly))
        .await;
    assert!(matches!(asked.status.as_u16(), 201 | 202), "{asked:?}");
    world.until("i", "succeeded").await;
    let made = "select count(*) from data_service_backups where reason = 'on schedule'";
    assert_eq!(world.app.count(made).await.unwrap(), 0);

    // It was made long ago, and the platform was off at three.
    let long_ago = "update data_service_instances set created_at = 0";
    world.app.sql(long_ago).await.unwrap();
    world.app = world.app.restart().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.app.count(made).await.unwrap() != 1 {
        assert!(Instant::now() < deadline, "no backup was made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const CONTAINER: &str = "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0008";
const IMAGE: &str = "3b1c1a0e-5c0f-5a49-9a7e-1f7a0f5f0081";

#[tokio::test]
async fn an_image_that_cannot_be_run_is_refused_with_the_reason() {
    let world = World::new().await;
    for (parameters, reason) in [
        (json!({}), "parameter image is missing"),
        (json!({ "image": "UPPER" }), "is not the name of an image"),
        (
            json!({ "image": "sha256:0a1b" }),
            "cannot be run as a service",
        ),
        (
            json!({ "image": "x", "memory": "64g" }),
            "parameter memory: at most 4096 MB are allowed here",
        ),
        (
            json!({ "image": "x", "privileged": true }),
            "parameter privileged is not known",
        ),
        (
            json!({ "image": "x", "backup_tag": "v1" }),
            "is for services that exist",
        ),
    ] {
        let asked = json!({
            "service_id": CONTAINER, "plan_id": IMAGE, "organization_guid": "org", "space_guid": "space",
            "parameters": parameters,
        });
        let path = "/service_instances/own?accepts_incomplete=true";
        let refused = world.put(path, &asked).await;
        assert_eq!(refused.status, 400, "{parameters}: {refused:?}");
        let text = refused.body["description"].as_str().unwrap();
        assert!(text.contains(reason), "{parameters}: {text}");
    }
    assert_eq!(world.get("/service_instances/own").await.status, 404);
}
