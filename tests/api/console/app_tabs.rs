//! The tabs of an app with its routes, its services and its settings.

use cflite::testing::{app_in_space, related};
use serde_json::json;

use super::shop::{Shop, done, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_made_mapped_and_unmapped_and_clashes_are_told() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let domains = shop.admin.get("/v3/domains?names=cf.localhost").await?;
    let domain = domains.text("/resources/0/guid").to_owned();
    // Another space has `taken`; this one has `free` without an app.
    let body =
        json!({ "name": "other", "relationships": related("organization", &shop.organization) });
    let other = shop.admin.post("/v3/spaces", &body).await?;
    let route = |host: &str, space: &str| {
        let mut body = json!({ "host": host, "relationships": related("space", space) });
        body["relationships"]["domain"] = json!({ "data": { "guid": domain } });
        body
    };
    let taken = route("taken", other.text("/guid"));
    assert_eq!(shop.admin.post("/v3/routes", &taken).await?.status, 201);
    let free = shop
        .admin
        .post("/v3/routes", &route("free", &shop.space))
        .await?;

    let mut dev = shop.browser("space_developer").await?;
    let page = shop.page("routes");
    let seen = dev.get(&page).await;
    assert!(seen.text.contains("free.cf.localhost"), "{}", seen.text);
    assert!(seen.text.contains("No route leads to this app"));
    let create = shop.page("routes/create");
    let clash = dev
        .post(&create, &[("host", "taken"), ("domain", &domain)])
        .await;
    assert_eq!(clash.json()["errors"][0]["field"], "host", "{clash:?}");
    assert!(refusal(&clash).1.contains("another space"));
    let clash = dev
        .post(&create, &[("host", "free"), ("domain", &domain)])
        .await;
    assert!(
        refusal(&clash).1.contains("in this space already"),
        "{clash:?}"
    );
    // A bad destination leaves no route behind.
    let bad = dev
        .post(
            &create,
            &[("host", "new"), ("domain", &domain), ("app_port", "80")],
        )
        .await;
    assert_eq!(bad.status, 422, "{bad:?}");
    let left = shop.admin.get("/v3/routes?hosts=new").await?;
    assert_eq!(left.body["pagination"]["total_results"], 0);

    let form = [
        ("host", "new"),
        ("domain", domain.as_str()),
        ("path", "/v1"),
        ("app_port", "9000"),
        ("protocol", "http2"),
    ];
    let made = done(&dev.post(&create, &form).await);
    assert_eq!(
        made["command"],
        "cf map-route shop cf.localhost --hostname new --path /v1"
    );
    let guid = free.text("/guid");
    let mapped = dev.post(&shop.page("routes/map"), &[("route", guid)]).await;
    done(&mapped);
    let seen = dev.get(&page).await;
    assert!(seen.text.contains(">new.cf.localhost/v1<"), "{}", seen.text);
    assert!(seen.text.contains("9000") && seen.text.contains("http2"));

    let shown = shop
        .admin
        .get(&format!("/v3/routes/{guid}/destinations"))
        .await?;
    let destination = shown.text("/destinations/0/guid");
    let unmap = shop.page(&format!("routes/{guid}/unmap/{destination}"));
    done(&dev.post(&unmap, &[]).await);
    assert_eq!(dev.post(&unmap, &[]).await.status, 404);
    let shown = shop
        .admin
        .get(&format!("/v3/routes/{guid}/destinations"))
        .await?;
    assert_eq!(shown.body["destinations"], json!([]));

    let mut auditor = shop.browser("space_auditor").await?;
    let seen = auditor.get(&page).await;
    assert!(seen.text.contains("needs the role Space Developer"));
    assert!(!seen.text.contains("Unmap"));
    let refused = auditor
        .post(&shop.page("routes/map"), &[("route", guid)])
        .await;
    assert_eq!(refused.status, 403, "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_bound_its_credentials_revealed_and_unbound() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let body = json!({
        "type": "user-provided", "name": "db", "relationships": related("space", &shop.space),
        "credentials": { "password": "s3cret" },
    });
    let instance = shop.admin.post("/v3/service_instances", &body).await?;
    let guid = instance.text("/guid");
    let mut dev = shop.browser("space_developer").await?;
    let page = shop.page("services");
    assert!(dev.get(&page).await.text.contains("No service is bound"));
    let bind = shop.page("services/bind");
    let bad = dev
        .post(&bind, &[("instance", guid), ("parameters", "[1]")])
        .await;
    assert_eq!(bad.json()["errors"][0]["field"], "parameters", "{bad:?}");
    let refused = dev
        .post(&bind, &[("instance", guid), ("parameters", "{\"a\":1}")])
        .await;
    let (status, text) = refusal(&refused);
    assert_eq!(status, 422);
    assert!(text.contains("not supported for user-provided"), "{text}");
    let bound = dev
        .post(&bind, &[("instance", guid), ("name", "main")])
        .await;
    assert_eq!(
        done(&bound)["command"],
        "cf bind-service shop db --binding-name main"
    );
    let seen = dev.get(&page).await;
    assert!(
        seen.text.contains(">db</a>") && !seen.text.contains("s3cret"),
        "{}",
        seen.text
    );

    let bindings = format!("/v3/service_credential_bindings?app_guids={}", shop.guid);
    let found = shop.admin.get(&bindings).await?;
    let binding = found.text("/resources/0/guid");
    let reveal = shop.page(&format!("services/{binding}/reveal"));
    let shown = done(&dev.post(&reveal, &[]).await);
    assert!(
        shown["reveal"]
            .as_str()
            .unwrap_or_default()
            .contains("s3cret"),
        "{shown}"
    );

    let mut auditor = shop.browser("space_auditor").await?;
    assert!(!auditor.get(&page).await.text.contains("Show credentials"));
    // As the API answers.
    assert_eq!(auditor.post(&reveal, &[]).await.status, 404);
    // A binding of another app is none of this one.
    let other = app_in_space(&shop.admin, &shop.space, "other").await?;
    let foreign = format!("/console/apps/{other}/services/{binding}/unbind");
    assert_eq!(dev.post(&foreign, &[]).await.status, 404);

    let unbind = shop.page(&format!("services/{binding}/unbind"));
    assert_eq!(
        done(&dev.post(&unbind, &[]).await)["command"],
        "cf unbind-service shop db"
    );
    let found = shop.admin.get(&bindings).await?;
    assert_eq!(found.body["pagination"]["total_results"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_rename_check_switch_and_label_an_app() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.app
        .droplet(&shop.admin, &shop.guid, json!({ "web": "serve --all" }))
        .await?;
    let mut dev = shop.browser("space_developer").await?;
    let page = dev.get(&shop.page("settings")).await;
    assert!(page.text.contains("value=\"serve --all\""), "{}", page.text);

    let process = shop.page("settings/processes/web");
    let form = [
        ("command_is_shown", "1"),
        ("command_before", "serve --all"),
        ("command", "serve --all"),
        ("type", "http"),
        ("endpoint", "/ready"),
        ("timeout", "90"),
        ("invocation_timeout", ""),
    ];
    let saved = done(&dev.post(&process, &form).await);
    assert_eq!(
        saved["command"],
        "cf set-health-check shop http --endpoint /ready"
    );
    let shown = shop.admin.get(&shop.api("/processes/web")).await?;
    assert_eq!(shown.body["health_check"]["data"]["endpoint"], "/ready");
    assert_eq!(shown.body["health_check"]["data"]["timeout"], 90);
    let bad = dev
        .post(&process, &[("type", "http"), ("timeout", "0")])
        .await;
    assert_eq!(bad.status, 422, "{bad:?}");
    let changed = [
        ("command_is_shown", "1"),
        ("command_before", "serve --all"),
        ("command", "serve --one"),
        ("type", "port"),
    ];
    done(&dev.post(&process, &changed).await);
    let shown = shop.admin.get(&shop.api("/processes/web")).await?;
    assert_eq!(shown.body["command"], "serve --one");
    assert_eq!(shown.body["health_check"]["type"], "port");
    let reset = [
        ("command_is_shown", "1"),
        ("command_before", "serve --one"),
        ("command", ""),
        ("type", "port"),
    ];
    done(&dev.post(&process, &reset).await);
    let shown = shop.admin.get(&shop.api("/processes/web")).await?;
    assert_eq!(shown.body["command"], "serve --all", "the droplet's again");

    let feature = shop.page("settings/features/ssh");
    let before = shop.admin.get(&shop.api("/features/ssh")).await?;
    assert_eq!(before.body["enabled"], true);
    let off = done(&dev.post(&feature, &[("enabled", "")]).await);
    assert_eq!(off["command"], "cf disable-ssh shop");
    let after = shop.admin.get(&shop.api("/features/ssh")).await?;
    assert_eq!(after.body["enabled"], false);

    let labels = shop.page("settings/labels");
    done(&dev.post(&labels, &[("labels", "team=shop\nenv=dev")]).await);
    done(&dev.post(&labels, &[("labels", "team=web")]).await);
    let shown = shop.admin.get(&shop.api("")).await?;
    assert_eq!(shown.body["metadata"]["labels"], json!({ "team": "web" }));

    let rename = shop.page("settings/rename");
    let renamed = done(&dev.post(&rename, &[("name", "store")]).await);
    assert_eq!(renamed["command"], "cf rename shop store");
    app_in_space(&shop.admin, &shop.space, "shop").await?;
    let clash = dev.post(&rename, &[("name", "shop")]).await;
    assert_eq!(clash.status, 422, "{clash:?}");

    let mut auditor = shop.browser("space_auditor").await?;
    let seen = auditor.get(&shop.page("settings")).await;
    assert!(seen.text.contains("needs the role Space Developer"));
    assert!(!seen.text.contains("serve --all"), "commands are secret");
    for (path, form) in [
        (&rename, ("name", "mine")),
        (&labels, ("labels", "")),
        (&feature, ("enabled", "1")),
        (&process, ("type", "process")),
    ] {
        assert_eq!(auditor.post(path, &[form]).await.status, 403, "{path}");
    }
    Ok(())
}
