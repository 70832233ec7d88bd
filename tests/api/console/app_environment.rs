//! The tab with an app's environment: names for those who may, values by a `POST`.

use cflite::testing::TestApp;
use serde_json::json;

use super::browser::Browser;
use super::shop::{Shop, done, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_shown_by_name_and_revealed_by_a_post_that_is_audited() -> anyhow::Result<()>
{
    let shop = Shop::open().await?;
    shop.with_variables(json!({ "API_KEY": "s3cret", "MODE": "fast" }))
        .await?;
    let mut dev = shop.browser("space_developer").await?;
    let page = dev.get(&shop.page("env")).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text.contains("API_KEY") && page.text.contains("MODE"));
    assert!(!page.text.contains("s3cret") && !page.text.contains("fast"));
    for kind in [
        "audit.app.environment.show",
        "audit.app.environment_variables.show",
    ] {
        assert_eq!(shop.events(kind).await?, 0, "reading names is no {kind}");
    }

    let reveal = shop.page("env/reveal");
    let shown = dev
        .post(&reveal, &[("what", "variable"), ("name", "API_KEY")])
        .await;
    assert_eq!(done(&shown)["reveal"], "s3cret");
    let kind = "audit.app.environment_variables.show";
    assert_eq!(shop.events(kind).await?, 1);
    let shown = dev.post(&reveal, &[("what", "platform")]).await;
    let shown = done(&shown)["reveal"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        shown.contains("VCAP_APPLICATION") && shown.contains("shop"),
        "{shown}"
    );
    let missing = dev
        .post(&reveal, &[("what", "variable"), ("name", "NONE")])
        .await;
    assert_eq!(missing.status, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_read_by_those_who_may_and_by_nobody_else() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.with_variables(json!({ "API_KEY": "s3cret" })).await?;
    let page = shop.page("env");
    let (reveal, set) = (shop.page("env/reveal"), shop.page("env/set"));

    let mut auditor = shop.browser("space_auditor").await?;
    let seen = auditor.get(&page).await;
    assert_eq!(seen.status, 200);
    assert!(!seen.text.contains("API_KEY"), "{}", seen.text);
    assert!(seen.text.contains("Needs the role Space Developer"));
    assert_eq!(
        auditor.post(&reveal, &[("what", "variables")]).await.status,
        403
    );
    let refused = auditor.post(&set, &[("name", "A"), ("value", "1")]).await;
    assert_eq!(refused.status, 403, "{refused:?}");

    // A supporter reads variables, but no manifest, which has their names.
    let mut supporter = shop.browser("space_supporter").await?;
    let seen = supporter.get(&page).await;
    assert_eq!(seen.status, 200);
    assert!(!seen.text.contains("API_KEY"));
    let shown = supporter.post(&reveal, &[("what", "variables")]).await;
    assert_eq!(done(&shown)["reveal"], "{\n  \"API_KEY\": \"s3cret\"\n}");

    // The flags of the platform hide them from users.
    let flag = "/v3/feature_flags/env_var_visibility";
    shop.admin.patch(flag, &json!({ "enabled": false })).await?;
    let mut dev = shop.browser("space_developer").await?;
    let seen = dev.get(&page).await;
    assert!(!seen.text.contains("API_KEY"), "{}", seen.text);
    assert!(seen.text.contains("env_var_visibility"));
    assert_eq!(
        dev.post(&reveal, &[("what", "variables")]).await.status,
        403
    );

    let mut admin = Browser::sign_in(&shop.app, "admin").await;
    let seen = admin.get(&page).await;
    assert!(!seen.text.contains("API_KEY"), "{}", seen.text);
    shop.admin.patch(flag, &json!({ "enabled": true })).await?;

    let mut nobody = Browser::sign_in(&shop.app, {
        shop.app.user("nobody").await?;
        "nobody"
    })
    .await;
    for tab in [
        "env",
        "routes",
        "services",
        "deployments",
        "tasks",
        "events",
        "manifest",
        "settings",
    ] {
        assert_eq!(nobody.get(&shop.page(tab)).await.status, 404, "{tab}");
    }
    assert_eq!(nobody.post(&set, &[("name", "A")]).await.status, 404);
    assert_eq!(shop.variables().await?, json!({ "API_KEY": "s3cret" }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_variable_is_set_and_removed() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    let mut dev = shop.browser("space_developer").await?;
    dev.get(&shop.page("env")).await;
    let set = dev
        .post(&shop.page("env/set"), &[("name", "A"), ("value", " b c ")])
        .await;
    let set = done(&set);
    assert_eq!(set["command"], "cf set-env shop A VALUE");
    assert_eq!(set["calls"][0]["path"], shop.api("/environment_variables"));
    assert_eq!(shop.variables().await?, json!({ "A": " b c " }));
    let refused = dev
        .post(&shop.page("env/set"), &[("name", "VCAP_X"), ("value", "1")])
        .await;
    let (status, text) = refusal(&refused);
    assert_eq!(status, 422);
    assert!(text.contains("cannot start with VCAP_"), "{text}");
    let unset = dev.post(&shop.page("env/unset"), &[("name", "A")]).await;
    assert_eq!(done(&unset)["command"], "cf unset-env shop A");
    assert_eq!(shop.variables().await?, json!({}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_raw_view_replaces_exactly_what_was_loaded() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.with_variables(json!({ "A": "1", "B": "2" })).await?;
    let mut dev = shop.browser("space_developer").await?;
    dev.get(&shop.page("env")).await;
    let loaded = dev
        .post(&shop.page("env/reveal"), &[("what", "variables")])
        .await;
    let before = done(&loaded)["reveal"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let replace = shop.page("env/replace");

    let bad = dev
        .post(&replace, &[("before", &before), ("raw", "A=1\nnothing")])
        .await;
    assert_eq!(bad.json()["errors"][0]["field"], "raw");
    let not_loaded = dev.post(&replace, &[("before", ""), ("raw", "A=1")]).await;
    assert_eq!(not_loaded.status, 422, "{not_loaded:?}");
    assert_eq!(shop.variables().await?, json!({ "A": "1", "B": "2" }));

    let raw = "# no B any more\nA=one\nC='x y'\n";
    let replaced = dev
        .post(&replace, &[("before", &before), ("raw", raw)])
        .await;
    done(&replaced);
    assert_eq!(shop.variables().await?, json!({ "A": "one", "C": "x y" }));

    // What was loaded is not there any more.
    let refused = dev
        .post(&replace, &[("before", &before), ("raw", "{}")])
        .await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(shop.variables().await?, json!({ "A": "one", "C": "x y" }));
    let before = json!({ "A": "one", "C": "x y" }).to_string();
    let emptied = dev
        .post(&replace, &[("before", &before), ("raw", "{}")])
        .await;
    done(&emptied);
    assert_eq!(shop.variables().await?, json!({}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_after_the_start_needs_a_restart_and_says_what_differs() -> anyhow::Result<()> {
    let shop = Shop::on(TestApp::with_stack().await?).await?;
    let types = json!({ "web": "serve" });
    shop.app.droplet(&shop.admin, &shop.guid, types).await?;
    shop.with_variables(json!({ "A": "1", "B": "2" })).await?;
    shop.admin
        .post(&shop.api("/actions/start"), &json!({}))
        .await?;
    let mut dev = shop.browser("space_developer").await?;
    let page = shop.page("env");
    assert!(!dev.get(&page).await.text.contains("Restart needed"));
    let reveal = shop.page("env/reveal");
    let difference = [("what", "difference")];
    let same = done(&dev.post(&reveal, &difference).await);
    assert!(
        same["reveal"]
            .as_str()
            .unwrap_or_default()
            .contains("nothing differs"),
        "{same}"
    );

    shop.with_variables(json!({ "A": "other", "B": null, "C": "3" }))
        .await?;
    assert!(dev.get(&page).await.text.contains("Restart needed"));
    let shown = done(&dev.post(&reveal, &difference).await);
    assert_eq!(
        shown["reveal"],
        "~ A has another value\n+ C is new\n- B is gone"
    );
    shop.admin
        .post(&shop.api("/actions/restart"), &json!({}))
        .await?;
    assert!(!dev.get(&page).await.text.contains("Restart needed"));
    Ok(())
}
