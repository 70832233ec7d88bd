//! Organizations and spaces: members, quotas, deletion.

use cflite::testing::{TestApp, app_in_space, organization_and_space};

use super::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_makes_a_space_and_gives_roles_in_it() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    app.member(("boss", "organization_manager"), (&organization, &space))
        .await?;
    app.user("eve").await?;
    let mut boss = Browser::sign_in(&app, "boss").await;
    let page = format!("/console/orgs/{organization}");
    assert!(boss.get(&page).await.text.contains("What each role may do"));
    let made = boss
        .post(
            &format!("{page}/spaces"),
            &[("name", "staging"), ("own_roles", "1")],
        )
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.json()["command"], "cf create-space staging -o acme");
    let space = made.json()["next"].as_str().expect("a page").to_owned();

    // Eve is no member of the organization, and becomes one.
    let fields = [("username", "eve"), ("role", "space_developer")];
    let given = boss.post(&format!("{space}/members"), &fields).await;
    assert_eq!(
        given.json()["command"],
        "cf set-space-role eve acme staging SpaceDeveloper",
        "{given:?}"
    );
    let mut eve = Browser::sign_in(&app, "eve").await;
    let seen = eve.get(&space).await;
    assert_eq!(seen.status, 200);
    assert!(
        seen.text
            .contains("Giving roles needs the role Space Manager")
    );
    let refused = eve.post(&format!("{space}/members"), &fields).await;
    assert!(matches!(refused.status, 403 | 422), "{refused:?}");
    let refused = eve
        .post(&format!("{space}/delete"), &[("typed", "staging")])
        .await;
    assert_eq!(refused.status, 403, "{refused:?}");

    let roles = admin
        .get("/v3/roles?types=space_developer&include=user")
        .await?;
    let users = roles.body["included"]["users"].as_array().expect("users");
    let eve_guid = users
        .iter()
        .find(|user| user["username"] == "eve")
        .expect("eve");
    let all = roles.body["resources"].as_array().expect("roles");
    let of_eve = |role: &&serde_json::Value| {
        role["relationships"]["user"]["data"]["guid"] == eve_guid["guid"]
    };
    let role = all.iter().find(of_eve).expect("eve's role")["guid"].as_str();
    let role = role.expect("a guid").to_owned();
    let taken = boss
        .post(&format!("{space}/members/{role}/remove"), &[])
        .await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(eve.get(&space).await.status, 404, "no longer a member");
    // A role of another place is not taken here.
    let roles = admin.get("/v3/roles?types=organization_manager").await?;
    let role = roles.text("/resources/0/guid").to_owned();
    let refused = boss
        .post(&format!("{space}/members/{role}/remove"), &[])
        .await;
    assert_eq!(refused.status, 404, "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_set_and_shown_beside_what_is_used() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    app_in_space(&admin, &space, "shop").await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let fields = [
        ("name", "tiny"),
        ("total_memory_in_mb", "512"),
        ("total_routes", "0"),
        ("paid", "1"),
    ];
    let made = browser.post("/console/quotas", &fields).await;
    assert_eq!(
        made.json()["command"],
        "cf create-org-quota tiny -m 512M -r 0 --allow-paid-service-plans",
        "{made:?}"
    );
    let quotas = admin.get("/v3/organization_quotas?names=tiny").await?;
    let quota = quotas.text("/resources/0/guid").to_owned();
    let page = format!("/console/orgs/{organization}");
    let set = browser
        .post(&format!("{page}/quota"), &[("quota", &quota)])
        .await;
    assert_eq!(
        set.json()["command"],
        "cf set-org-quota acme tiny",
        "{set:?}"
    );
    let shown = browser.get(&page).await;
    assert!(shown.text.contains("0M of 512M"), "{}", shown.text);
    assert!(
        shown.text.contains("0 of 0 – nothing more fits"),
        "{}",
        shown.text
    );
    let update = format!("/console/quotas/org/{quota}/update");
    let refused = browser
        .post(&update, &[("name", "tiny"), ("total_routes", "-2")])
        .await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let done = browser
        .post(&update, &[("name", "tiny"), ("total_routes", "9")])
        .await;
    assert_eq!(done.status, 200, "{done:?}");
    let quotas = admin.get("/v3/organization_quotas?names=tiny").await?;
    let quota = &quotas.body["resources"][0];
    assert_eq!(quota["routes"]["total_routes"], 9);
    assert!(
        quota["apps"]["total_memory_in_mb"].is_null(),
        "an empty field is no limit"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_typed_before_a_space_or_org_is_deleted() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let name = "<script>alert(1)</script>";
    let (organization, space) = organization_and_space(&admin, name).await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let pages = [
        "/console/orgs".to_owned(),
        format!("/console/orgs/{organization}"),
        format!("/console/spaces/{space}"),
        "/console/quotas".to_owned(),
        "/console/domains".to_owned(),
    ];
    for page in &pages {
        let shown = browser.get(page).await;
        assert_eq!(shown.status, 200, "{page}: {shown:?}");
        assert!(!shown.text.contains("<script>alert"), "{page}");
    }
    let delete = format!("/console/orgs/{organization}/delete");
    let refused = browser.post(&delete, &[("typed", "acme")]).await;
    assert_eq!(refused.json()["errors"][0]["field"], "typed");
    let path = format!("/v3/organizations/{organization}");
    assert_eq!(admin.get(&path).await?.status, 200);
    let done = browser.post(&delete, &[("typed", name)]).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(admin.get(&path).await?.status, 404);
    Ok(())
}
