//! Home, the list of apps and an app's first page.

use cflite::testing::{TestApp, app_in_space, organization_and_space};

use super::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_and_sorted_by_its_address() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (_, space) = organization_and_space(&admin, "acme").await?;
    for name in ["shop", "Blog", "shop-api"] {
        app_in_space(&admin, &space, name).await?;
    }
    let mut browser = Browser::sign_in(&app, "admin").await;
    let order = |text: &str, names: &[&str]| {
        let places: Vec<Option<usize>> = names
            .iter()
            .map(|name| text.find(&format!("data-row>{name}<")))
            .collect();
        assert!(places.iter().all(Option::is_some), "{names:?} in {text}");
        assert!(places.is_sorted(), "{names:?} at {places:?}");
    };
    let all = browser.get("/console/apps").await;
    order(&all.text, &["Blog", "shop", "shop-api"]);
    let reverse = browser.get("/console/apps?sort=-name").await;
    order(&reverse.text, &["shop-api", "shop", "Blog"]);
    let some = browser.get("/console/apps?q=SHOP").await;
    order(&some.text, &["shop", "shop-api"]);
    assert!(some.text.contains("2 of 3 apps"), "{}", some.text);
    let none = browser.get("/console/apps?state=running").await;
    assert!(none.text.contains("it hides 3"), "{}", none.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_what_roles_may_see_and_offer_what_they_may_do() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    let guid = app_in_space(&admin, &space, "shop").await?;
    let place = (organization.as_str(), space.as_str());
    app.member(("dev", "space_developer"), place).await?;
    app.member(("auditor", "space_auditor"), place).await?;
    app.user("nobody").await?;
    let page = format!("/console/apps/{guid}");
    let scale = format!("/console/apps/{guid}/processes/web/scale");

    let mut dev = Browser::sign_in(&app, "dev").await;
    assert!(dev.get(&page).await.text.contains("Scale</button>"));
    let done = dev
        .post(&scale, &[("instances", "2"), ("memory", "64")])
        .await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(done.json()["command"], "cf scale shop -i 2 -m 64M");
    assert_eq!(
        done.json()["calls"][0]["path"],
        format!("/v3/apps/{guid}/processes/web/actions/scale")
    );

    let mut auditor = Browser::sign_in(&app, "auditor").await;
    let seen = auditor.get(&page).await;
    assert_eq!(seen.status, 200);
    assert!(
        seen.text.contains("Needs the role Space Developer"),
        "{}",
        seen.text
    );
    let refused = auditor.post(&scale, &[("instances", "3")]).await;
    assert_eq!(refused.status, 403, "{refused:?}");

    let mut nobody = Browser::sign_in(&app, "nobody").await;
    assert_eq!(nobody.get(&page).await.status, 404);
    assert!(!nobody.get("/console/apps").await.text.contains("shop"));
    assert_eq!(nobody.post(&scale, &[("instances", "3")]).await.status, 404);
    let process = admin.get(&format!("/v3/apps/{guid}/processes/web")).await?;
    assert_eq!(process.body["instances"], 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_the_apis_own_and_changes_nothing() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (_, space) = organization_and_space(&admin, "acme").await?;
    let guid = app_in_space(&admin, &space, "shop").await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let scale = format!("/console/apps/{guid}/processes/web/scale");
    let refused = browser.post(&scale, &[("instances", "-1")]).await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.json()["errors"][0]["detail"],
        "Instances must be greater than or equal to 0"
    );
    let refused = browser.post(&scale, &[("instances", "two")]).await;
    assert_eq!(refused.json()["errors"][0]["field"], "instances");
    let delete = format!("/console/apps/{guid}/delete");
    let refused = browser.post(&delete, &[("name", "shops")]).await;
    assert_eq!(
        (
            refused.status,
            admin.get(&format!("/v3/apps/{guid}")).await?.status
        ),
        (422, 200)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_text_wherever_they_are_shown() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (_, space) = organization_and_space(&admin, "acme").await?;
    let name = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let guid = app_in_space(&admin, &space, name).await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let reflected =
        "/console/apps?q=%3Cscript%3Ealert(3)%3C/script%3E&sort=%22%3E%3Cimg%20src=x%3E";
    for path in [
        "/console",
        "/console/apps",
        &format!("/console/apps/{guid}"),
        reflected,
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        for bad in ["<script>alert", "<img src=x", "\"><img src=x"] {
            assert!(!page.text.contains(bad), "{path} holds {bad}");
        }
    }
    Ok(())
}
