//! People, domains, security groups, buildpacks, flags, variables, routes and the platform's page.

use cflite::testing::{TestApp, app_in_space, organization_and_space, related};
use serde_json::json;

use super::browser::Browser;

const PAGES: [&str; 9] = [
    "platform",
    "people",
    "quotas",
    "domains",
    "security-groups",
    "buildpacks",
    "stacks",
    "feature-flags",
    "variables",
];

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_administration_are_for_those_who_may() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    app.user("nobody").await?;
    app.in_group("reader", "cloud_controller.global_auditor")
        .await?;
    let mut admin = Browser::sign_in(&app, "admin").await;
    for page in PAGES {
        let shown = admin.get(&format!("/console/{page}")).await;
        assert_eq!(shown.status, 200, "{page}: {shown:?}");
    }
    let mut nobody = Browser::sign_in(&app, "nobody").await;
    for page in PAGES {
        let shown = nobody.get(&format!("/console/{page}")).await;
        let wanted = if matches!(page, "platform" | "people") {
            403
        } else {
            200
        };
        assert_eq!(shown.status, wanted, "{page}: {shown:?}");
        assert!(
            !shown.text.contains("<button class=\"main\">"),
            "{page} offers a change"
        );
    }
    for (path, form) in [
        ("people", &[("username", "x"), ("password", "y")][..]),
        ("quotas", &[("name", "x")]),
        ("domains", &[("name", "x.example")]),
        ("security-groups", &[("name", "x")]),
        ("feature-flags/diego_docker", &[("enabled", "")]),
        ("variables/running", &[("variables", "{\"A\": \"b\"}")]),
        ("platform/gc/registry", &[]),
        ("platform/alerts/test", &[]),
    ] {
        let refused = nobody.post(&format!("/console/{path}"), form).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
    // Who reads everything sees how the platform does, and neither its log nor its settings.
    let mut reader = Browser::sign_in(&app, "reader").await;
    let shown = reader.get("/console/platform").await;
    assert!(shown.text.contains("<h2>Health</h2>"), "{shown:?}");
    assert!(
        !shown.text.contains("Configuration in force"),
        "{}",
        shown.text
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_made_gets_a_password_and_is_deleted() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let mut admin = Browser::sign_in(&app, "admin").await;
    let fields = [("username", "eve"), ("password", "first-password")];
    let made = admin.post("/console/people", &fields).await;
    assert_eq!(
        made.json()["command"],
        "cf create-user eve PASSWORD",
        "{made:?}"
    );
    assert!(!made.text.contains("first-password"));
    let again = admin.post("/console/people", &fields).await;
    assert_eq!(again.status, 409, "the UAA's own error: {again:?}");
    let page = made.json()["next"].as_str().expect("a page").to_owned();
    let set = admin
        .post(
            &format!("{page}/password"),
            &[("password", "second-password")],
        )
        .await;
    assert_eq!(set.status, 200, "{set:?}");
    let mut eve = Browser::new(&app);
    let home = eve.log_in("eve", "second-password", "/console").await;
    assert!(home.text.contains(">eve<"), "{home:?}");
    let own = page.replace("/console/people/", "");
    let refused = eve
        .post(
            &format!("/console/people/{own}/password"),
            &[("password", "third")],
        )
        .await;
    assert!(
        matches!(refused.status, 400 | 401 | 403 | 422),
        "without the old one: {refused:?}"
    );
    let refused = admin
        .post(&format!("{page}/delete"), &[("typed", "Eve")])
        .await;
    assert_eq!(refused.status, 422);
    let done = admin
        .post(&format!("{page}/delete"), &[("typed", "eve")])
        .await;
    assert_eq!(done.json()["command"], "cf delete-user eve -f", "{done:?}");
    assert_eq!(admin.get(&page).await.status, 404);
    assert_eq!(
        eve.get("/console").await.status,
        303,
        "the session has ended"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_variables_groups_and_domains_are_changed_as_a_whole() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let client = app.admin().await?;
    let mut admin = Browser::sign_in(&app, "admin").await;
    let done = admin
        .post(
            "/console/feature-flags/diego_docker",
            &[("enabled", ""), ("message", "ask us")],
        )
        .await;
    assert_eq!(
        done.json()["command"],
        "cf disable-feature-flag diego_docker",
        "{done:?}"
    );
    let flag = client.get("/v3/feature_flags/diego_docker").await?;
    assert_eq!(
        (&flag.body["enabled"], flag.text("/custom_error_message")),
        (&json!(false), "ask us")
    );

    let path = "/console/variables/running";
    for (text, wanted) in [
        (
            "{\"A\": \"1\", \"B\": \"2\"}",
            json!({ "A": "1", "B": "2" }),
        ),
        ("{\"B\": \"3\"}", json!({ "B": "3" })),
    ] {
        let done = admin.post(path, &[("variables", text)]).await;
        assert_eq!(done.status, 200, "{done:?}");
        let group = client
            .get("/v3/environment_variable_groups/running")
            .await?;
        assert_eq!(group.body["var"], wanted);
    }
    let refused = admin.post(path, &[("variables", "{")]).await;
    assert_eq!(refused.json()["errors"][0]["field"], "variables");

    let rules = "[{\"protocol\": \"tcp\", \"destination\": \"10.0.0.0/8\", \"ports\": \"443\"}]";
    let fields = [("name", "inner"), ("rules", rules), ("running", "1")];
    let done = admin.post("/console/security-groups", &fields).await;
    assert_eq!(done.status, 200, "{done:?}");
    let found = client.get("/v3/security_groups?names=inner").await?;
    assert_eq!(
        found.body["resources"][0]["globally_enabled"],
        json!({ "running": true, "staging": false })
    );
    let shown = admin.get("/console/security-groups").await;
    assert!(shown.text.contains("10.0.0.0/8"), "{}", shown.text);

    let fields = [("name", "inside.example"), ("internal", "1")];
    let done = admin.post("/console/domains", &fields).await;
    assert_eq!(
        done.json()["command"],
        "cf create-shared-domain inside.example --internal",
        "{done:?}"
    );
    let found = client.get("/v3/domains?names=inside.example").await?;
    let guid = found.text("/resources/0/guid").to_owned();
    let delete = format!("/console/domains/{guid}/delete");
    assert_eq!(admin.post(&delete, &[]).await.status, 422);
    let done = admin.post(&delete, &[("typed", "inside.example")]).await;
    assert_eq!(done.status, 200, "{done:?}");

    let buildpacks = client.get("/v3/buildpacks?order_by=position").await?;
    let last = buildpacks.body["resources"]
        .as_array()
        .expect("buildpacks")
        .last()
        .expect("one");
    let (guid, name) = (
        last["guid"].as_str().expect("guid"),
        last["name"].as_str().expect("name"),
    );
    let update = format!("/console/buildpacks/{guid}/update");
    let done = admin
        .post(
            &update,
            &[("position", "1"), ("enabled", "1"), ("locked", "1")],
        )
        .await;
    assert_eq!(
        done.json()["command"],
        format!("cf update-buildpack {name} -i 1 --lock"),
        "{done:?}"
    );
    let buildpack = client.get(&format!("/v3/buildpacks/{guid}")).await?;
    assert_eq!(
        (&buildpack.body["position"], &buildpack.body["locked"]),
        (&json!(1), &json!(true))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_made_mapped_and_the_router_says_what_answers() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let client = app.admin().await?;
    let (organization, space) = organization_and_space(&client, "acme").await?;
    let shop = app_in_space(&client, &space, "shop").await?;
    app.member(("dev", "space_developer"), (&organization, &space))
        .await?;
    app.member(("auditor", "space_auditor"), (&organization, &space))
        .await?;
    let domains = client.get("/v3/domains?names=cf.localhost").await?;
    let domain = domains.text("/resources/0/guid").to_owned();
    let mut dev = Browser::sign_in(&app, "dev").await;
    let fields = [
        ("space", space.as_str()),
        ("domain", domain.as_str()),
        ("host", "shop"),
        ("path", "/cart"),
    ];
    let made = dev.post("/console/routes", &fields).await;
    assert_eq!(
        made.json()["command"],
        "cf create-route cf.localhost --hostname shop --path /cart",
        "{made:?}"
    );
    let routes = client.get("/v3/routes?hosts=shop").await?;
    let route = routes.text("/resources/0/guid").to_owned();
    let base = format!("/console/routes/{route}");
    let mapped = dev
        .post(
            &format!("{base}/map"),
            &[("app", &shop), ("app_port", "9000")],
        )
        .await;
    assert_eq!(
        mapped.json()["command"],
        "cf map-route shop cf.localhost --hostname shop --path /cart --app-port 9000",
        "{mapped:?}"
    );
    let shown = dev.get("/console/routes").await;
    assert!(shown.text.contains("port 9000"), "{}", shown.text);

    let cases = [
        (
            "shop.cf.localhost%2Fcart%2Fitems",
            "The route shop.cf.localhost/cart is there, but no app of it runs",
        ),
        (
            "http%3A%2F%2Fshop.cf.localhost%2Fother",
            "Nothing: the router has no route",
        ),
        ("api.cf.localhost", "The platform itself"),
        ("http%3A%2F%2F", "This is no address"),
    ];
    for (url, text) in cases {
        let page = dev.get(&format!("/console/routes?url={url}")).await;
        assert!(page.text.contains(text), "{url}: {}", page.text);
    }
    let hostile = dev
        .get("/console/routes?url=%22%3E%3Cscript%3Ealert(1)&q=%3Cscript%3Ealert(2)")
        .await;
    assert!(!hostile.text.contains("<script>alert"), "{}", hostile.text);

    let mut auditor = Browser::sign_in(&app, "auditor").await;
    let seen = auditor.get("/console/routes").await;
    assert!(
        seen.text.contains("shop.cf.localhost/cart")
            && !seen.text.contains(&format!("{base}/delete"))
    );
    assert_eq!(
        auditor.post(&format!("{base}/delete"), &[]).await.status,
        403
    );
    let deleted = dev.post(&format!("{base}/delete"), &[]).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let path = format!("/v3/routes/{route}");
    assert_eq!(client.get(&path).await?.status, 404);
    let body = json!({ "host": "free", "relationships": { "domain": related("domain", &domain)["domain"], "space": related("space", &space)["space"] } });
    let free = client.post("/v3/routes", &body).await?;
    assert_eq!(free.status, 201, "{free:?}");
    let swept = dev
        .post(&format!("/console/routes/unmapped/{space}"), &[])
        .await;
    assert_eq!(swept.status, 200, "{swept:?}");
    let left = client.get("/v3/routes?hosts=free").await?;
    assert_eq!(left.body["pagination"]["total_results"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_page_shows_what_is_in_force() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let mut admin = Browser::sign_in(&app, "admin").await;
    let page = admin.get("/console/platform").await;
    for text in [
        "Configuration in force",
        "--data-dir",
        "Image registry",
        "Package cache",
        "healthy",
    ] {
        assert!(page.text.contains(text), "no {text}: {}", page.text);
    }
    let done = admin.post("/console/platform/gc/registry", &[]).await;
    assert_eq!(done.json()["command"], "cflite registry gc", "{done:?}");
    let done = admin.post("/console/platform/gc/packages", &[]).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(
        admin.post("/console/platform/gc/other", &[]).await.status,
        404
    );
    Ok(())
}
