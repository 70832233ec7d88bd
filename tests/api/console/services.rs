//! Marketplace, service instances, data services and brokers.

use std::time::{Duration, Instant};

use cflite::docker::Behaviour;
use cflite::testing::{TestApp, app_in_space, organization_and_space};
use serde_json::json;

use super::browser::{Browser, Page};
use crate::services::World;
use crate::services::broker::Reply;

/// How long work in the background may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads a page until it holds a text.
async fn until(browser: &mut Browser, path: &str, text: &str) -> Page {
    let begin = Instant::now();
    loop {
        let page = browser.get(path).await;
        if page.text.contains(text) {
            return page;
        }
        assert!(begin.elapsed() < PATIENCE, "never {text}: {}", page.text);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The next page of a change that went well.
fn next(done: &Page) -> String {
    assert_eq!(done.status, 200, "{done:?}");
    done.json()["next"].as_str().expect("a page").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_creates_binds_reveals_and_deletes_a_service() -> anyhow::Result<()> {
    let world = World::new().await;
    let place = (world.organization.as_str(), world.space.as_str());
    world.app.member(("dev", "space_developer"), place).await?;
    let app = app_in_space(&world.admin, &world.space, "shop").await?;
    let mut dev = Browser::sign_in(&world.app, "dev").await;

    let market = dev.get("/console/marketplace").await;
    assert!(
        market
            .text
            .contains(&format!("/console/marketplace/plans/{}", world.small))
    );
    let form = dev
        .get(&format!("/console/marketplace/plans/{}", world.small))
        .await;
    assert!(
        form.text.contains("action=\"/console/services\""),
        "{}",
        form.text
    );
    let fields = [
        ("name", "db"),
        ("space", world.space.as_str()),
        ("plan", world.small.as_str()),
        ("tags", "sql, main"),
        ("parameters", "{\"size\": 3}"),
    ];
    let done = dev.post("/console/services", &fields).await;
    let page = next(&done);
    let command = done.json()["command"]
        .as_str()
        .expect("a command")
        .to_owned();
    assert!(
        command.ends_with(" small db -c '{\"size\":3}' -t sql,main"),
        "{command}"
    );
    until(&mut dev, &page, "create succeeded").await;
    let asked = world.broker.got("provision");
    assert_eq!(asked[0].body["parameters"], json!({ "size": 3 }));

    let bound = dev.post(&format!("{page}/bind"), &[("app", &app)]).await;
    assert_eq!(
        bound.json()["command"],
        "cf bind-service shop db",
        "{bound:?}"
    );
    let shown = until(&mut dev, &page, "Unbind").await;
    assert!(
        !shown.text.contains("hunter2"),
        "credentials are not on the page"
    );
    let guid = world
        .admin
        .get("/v3/service_credential_bindings")
        .await?
        .text("/resources/0/guid")
        .to_owned();
    let revealed = dev
        .post(&format!("{page}/bindings/{guid}/reveal"), &[])
        .await;
    assert!(revealed.text.contains("hunter2"), "{revealed:?}");
    let unbound = dev
        .post(&format!("{page}/bindings/{guid}/delete"), &[])
        .await;
    assert_eq!(unbound.json()["command"], "cf unbind-service shop db");

    let refused = dev.post(&format!("{page}/delete"), &[("typed", "d")]).await;
    assert_eq!(refused.json()["errors"][0]["field"], "typed");
    let gone = dev
        .post(&format!("{page}/delete"), &[("typed", "db")])
        .await;
    assert_eq!(
        gone.json()["command"],
        "cf delete-service db -f",
        "{gone:?}"
    );
    let list = until(&mut dev, "/console/services", "0 of 0 service instances").await;
    assert!(!list.text.contains(">db<"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_creation_shows_what_the_broker_says() -> anyhow::Result<()> {
    let world = World::new().await;
    let text = "no <b>room</b> left";
    world.broker.script(
        "provision",
        [Reply::Json(409, json!({ "description": text }))],
    );
    let mut admin = Browser::sign_in(&world.app, "admin").await;
    let fields = [
        ("name", "db"),
        ("space", world.space.as_str()),
        ("plan", world.small.as_str()),
    ];
    let page = next(&admin.post("/console/services", &fields).await);
    let shown = until(&mut admin, &page, "create failed").await;
    assert!(
        shown.text.contains("no &#60;b&#62;room&#60;/b&#62; left"),
        "{}",
        shown.text
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn those_without_the_role_see_services_and_change_nothing() -> anyhow::Result<()> {
    let world = World::new().await;
    let place = (world.organization.as_str(), world.space.as_str());
    world
        .app
        .member(("auditor", "space_auditor"), place)
        .await?;
    world.app.user("nobody").await?;
    let guid = world.instance("db").await;
    let page = format!("/console/services/{guid}");
    let mut auditor = Browser::sign_in(&world.app, "auditor").await;
    let seen = auditor.get(&page).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(seen.text.contains("Needs the role Space Developer"));
    assert!(!seen.text.contains("id=\"typed-delete\""), "{}", seen.text);
    for (path, form) in [
        ("delete", &[("typed", "db")][..]),
        ("update", &[("name", "other")]),
        ("keys", &[("name", "k")]),
        ("share", &[("space", world.space.as_str())]),
    ] {
        let refused = auditor.post(&format!("{page}/{path}"), form).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
    let mut nobody = Browser::sign_in(&world.app, "nobody").await;
    assert_eq!(nobody.get(&page).await.status, 404);
    assert_eq!(
        nobody
            .post(&format!("{page}/delete"), &[("typed", "db")])
            .await
            .status,
        404
    );
    assert!(!nobody.get("/console/services").await.text.contains(">db<"));
    assert_eq!(world.shown(&guid).await.text("/name"), "db");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn user_provided_services_hold_credentials_that_only_developers_see() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    app.member(("dev", "space_developer"), (&organization, &space))
        .await?;
    let mut dev = Browser::sign_in(&app, "dev").await;
    dev.get("/console/marketplace/provided").await;
    let path = "/console/services/provided";
    let fields = [
        ("name", "legacy"),
        ("space", space.as_str()),
        ("credentials", "[1]"),
    ];
    let refused = dev.post(path, &fields).await;
    assert_eq!(refused.json()["errors"][0]["field"], "credentials");
    let name = "<img src=x onerror=alert(1)>";
    let fields = [
        ("name", name),
        ("space", space.as_str()),
        ("credentials", "{\"password\": \"hunter2\"}"),
    ];
    let done = dev.post(path, &fields).await;
    let page = next(&done);
    assert!(
        !done.text.contains("hunter2"),
        "the command holds no secret: {done:?}"
    );
    let shown = dev.get(&page).await;
    assert!(!shown.text.contains("<img src=x") && !shown.text.contains("hunter2"));
    assert!(
        !dev.get("/console/services")
            .await
            .text
            .contains("<img src=x")
    );
    let revealed = dev.post(&format!("{page}/reveal"), &[]).await;
    assert!(revealed.text.contains("hunter2"), "{revealed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_registers_a_broker_and_opens_its_plans() -> anyhow::Result<()> {
    let world = World::new().await;
    let place = (world.organization.as_str(), world.space.as_str());
    world.app.member(("dev", "space_developer"), place).await?;
    let mut admin = Browser::sign_in(&world.app, "admin").await;
    let page = format!("/console/brokers/{}", world.broker_guid);
    assert!(admin.get(&page).await.text.contains("everybody"));
    let plan = format!("{page}/plans/{}", world.small);
    let closed = admin.post(&plan, &[("type", "admin")]).await;
    assert_eq!(closed.status, 200, "{closed:?}");
    let mut dev = Browser::sign_in(&world.app, "dev").await;
    let market = dev.get("/console/marketplace").await;
    assert!(!market.text.contains(&world.small) && market.text.contains(&world.large));
    let fields = [
        ("type", "organization"),
        ("organization", world.organization.as_str()),
    ];
    let opened = admin.post(&plan, &fields).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    assert!(
        dev.get("/console/marketplace")
            .await
            .text
            .contains(&world.small)
    );
    assert_eq!(dev.post(&plan, &fields).await.status, 403);
    assert_eq!(
        dev.get(&page).await.status,
        404,
        "not the developer's broker"
    );

    let synced = admin.post(&format!("{page}/sync"), &[]).await;
    assert_eq!(synced.status, 200, "{synced:?}");
    let fields = [
        ("name", "broker"),
        ("url", world.broker.url.as_str()),
        ("username", "user"),
        ("password", "hunter2"),
    ];
    let refused = admin.post("/console/brokers", &fields).await;
    assert_eq!(
        refused.json()["errors"][0]["detail"],
        "Name must be unique",
        "{refused:?}"
    );
    let refused = admin
        .post(&format!("{page}/delete"), &[("typed", "x")])
        .await;
    assert_eq!(refused.status, 422);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_of_a_data_service_are_for_its_developers() -> anyhow::Result<()> {
    let app = TestApp::with_data_services().await?;
    app.engine().script("/run/cflite/start", Behaviour::runs());
    app.engine()
        .program("redis-cli", |_| (0, "PONG\nOK\nOK\n".to_owned()));
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    app.member(("dev", "space_developer"), (&organization, &space))
        .await?;
    app.member(("auditor", "space_auditor"), (&organization, &space))
        .await?;
    let plans = admin
        .get("/v3/service_plans?service_offering_names=redis")
        .await?;
    let plan = plans.text("/resources/0/guid").to_owned();
    let mut dev = Browser::sign_in(&app, "dev").await;
    let form = dev.get(&format!("/console/marketplace/plans/{plan}")).await;
    assert!(
        form.text.contains("name=\"p.memory\""),
        "the schema is a form: {}",
        form.text
    );
    let fields = [
        ("name", "cache"),
        ("space", space.as_str()),
        ("plan", plan.as_str()),
        ("p.memory", "64m"),
    ];
    let page = next(&dev.post("/console/services", &fields).await);
    let shown = until(&mut dev, &page, "create succeeded").await;
    assert!(shown.text.contains("<h2>Container</h2>"), "{}", shown.text);
    let done = dev
        .post(&format!("{page}/backup"), &[("tag", "first")])
        .await;
    let command = done.json()["command"]
        .as_str()
        .expect("a command")
        .to_owned();
    assert!(command.contains("\"backup\":\"now\""), "{done:?}");
    until(&mut dev, &page, "update succeeded").await;
    let shown = dev.get(&page).await;
    let (_, rest) = shown.text.split_once("id=\"backup-").expect("no list");
    let (_, rest) = rest.split_once("id=\"backup-").unwrap_or(("", rest));
    let backup = rest.split('"').next().expect("an id").to_owned();
    let file = format!("{page}/backups/{backup}/file");
    let got = dev.get(&file).await;
    assert_eq!(got.status, 200, "{got:?}");
    assert!(got.header("content-disposition").starts_with("attachment"));

    let mut auditor = Browser::sign_in(&app, "auditor").await;
    let seen = auditor.get(&page).await;
    assert!(seen.text.contains("<h2>Container</h2>"), "{}", seen.text);
    assert!(
        !seen.text.contains(&format!("/backups/{backup}")),
        "{}",
        seen.text
    );
    assert_eq!(auditor.get(&file).await.status, 404);
    let delete = format!("{page}/backups/{backup}/delete");
    assert_eq!(auditor.post(&delete, &[]).await.status, 404);
    let gone = dev.post(&delete, &[]).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(dev.get(&file).await.status, 404);

    app.engine().set_reachable(false);
    let seen = dev.get(&page).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert!(
        seen.text.contains("docker does not answer"),
        "{}",
        seen.text
    );
    Ok(())
}
