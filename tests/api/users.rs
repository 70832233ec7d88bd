//! Who is known, who sees whom, and what roles they are given.

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

async fn give(by: &TestClient, kind: &str, who: Value, scope: (&str, &str)) -> (u16, String) {
    let mut relationships = related(scope.0, scope.1);
    relationships["user"] = json!({ "data": who });
    let body = json!({ "type": kind, "relationships": relationships });
    let answer = by.post("/v3/roles", &body).await.unwrap();
    (answer.status, answer.detail().to_owned())
}

fn named(name: &str) -> Value {
    json!({ "username": name })
}

async fn listed(client: &TestClient, path: &str) -> Vec<String> {
    let answer = client.get(path).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    let users = answer.body["resources"].as_array().unwrap();
    users
        .iter()
        .map(|user| user["presentation_name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn people_see_themselves_and_the_members_of_their_organizations() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let mut clients = Vec::new();
    for name in ["ann", "bob", "cay"] {
        clients.push(app.user(name).await.unwrap());
    }
    let ann = &clients[0];
    assert_eq!(listed(ann, "/v3/users").await, ["ann"]);
    assert_eq!(
        listed(&admin, "/v3/users?usernames=ANN,bob").await,
        ["ann", "bob"]
    );
    assert_eq!(
        listed(&admin, "/v3/users?partial_usernames=b,ay&origins=uaa").await,
        ["bob", "cay"]
    );
    assert_eq!(
        listed(&admin, "/v3/users?usernames=bob&origins=ldap").await,
        Vec::<String>::new()
    );
    for name in ["ann", "bob"] {
        let place = ("organization", organization.as_str());
        assert_eq!(
            give(&admin, "organization_user", named(name), place)
                .await
                .0,
            201
        );
    }
    assert_eq!(listed(ann, "/v3/users").await, ["ann", "bob"]);
    let path = format!("/v3/organizations/{organization}/users");
    assert_eq!(listed(ann, &path).await, ["ann", "bob"]);
    let place = ("space", space.as_str());
    assert_eq!(
        give(&admin, "space_supporter", named("bob"), place).await.0,
        201
    );
    let of_space = format!("/v3/spaces/{space}/users");
    assert_eq!(listed(&admin, &of_space).await, ["bob"]);
    let hidden = ann.get(&of_space).await.unwrap();
    assert_eq!((hidden.status, hidden.detail()), (404, "Space not found"));
    let hidden = clients[2].get(&path).await.unwrap();
    assert_eq!(
        (hidden.status, hidden.detail()),
        (404, "Organization not found")
    );
    for (path, status) in [
        ("/v3/users?origins=uaa", 422),
        ("/v3/users?usernames=a&partial_usernames=b", 422),
        ("/v3/users?nmaes=a", 422),
        ("/v3/roles?nmaes=a", 422),
        (&format!("{path}?origins=uaa"), 400),
    ] {
        assert_eq!(admin.get(path).await.unwrap().status, status, "{path}");
    }
}

#[tokio::test]
async fn admins_enter_users_of_other_origins_by_name() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let body = json!({
        "username": "CORP\\dora", "origin": "ldap",
        "metadata": { "labels": { "team": "blue" } },
    });
    let made = admin.post("/v3/users", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.text("/username"), "CORP\\dora");
    assert_eq!(made.text("/origin"), "ldap");
    let again = admin.post("/v3/users", &body).await.unwrap();
    assert_eq!(
        (again.status, again.detail()),
        (
            422,
            "User with username 'CORP\\dora' and origin 'ldap' already exists."
        )
    );
    let path = format!("/v3/users/{}", made.text("/guid"));
    let change = json!({ "metadata": { "labels": { "team": null, "a": "b" } } });
    let changed = admin.patch(&path, &change).await.unwrap();
    assert_eq!(changed.body["metadata"]["labels"], json!({ "a": "b" }));
    let refused = admin
        .patch(&path, &json!({ "username": "x" }))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Unknown field(s): 'username'")
    );
    let user = app.user("bob").await.unwrap();
    for refused in [
        user.post("/v3/users", &json!({ "guid": "g" }))
            .await
            .unwrap(),
        user.post("/v3/users", &json!({})).await.unwrap(),
    ] {
        assert_eq!(refused.status, 403);
    }
    assert_eq!(user.patch(&path, &change).await.unwrap().status, 404);
    assert_eq!(user.delete(&path).await.unwrap().status, 404);
    let client = admin
        .post("/v3/users", &json!({ "guid": "a client/%" }))
        .await
        .unwrap();
    assert_eq!(client.body["username"], Value::Null);
    assert_eq!(client.text("/presentation_name"), "a client/%");
    let link = client.text("/links/self/href").rsplit('/').next().unwrap();
    let shown = admin.get(&format!("/v3/users/{link}")).await.unwrap();
    assert_eq!(shown.text("/guid"), "a client/%");
}

#[tokio::test]
async fn a_deleted_user_has_no_roles() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let user = app.user("bob").await.unwrap();
    let (org, space) = (("organization", &*organization), ("space", &*space));
    give(&admin, "organization_user", named("bob"), org).await;
    give(&admin, "space_developer", named("bob"), space).await;
    let found = admin.get("/v3/users?usernames=bob").await.unwrap();
    let path = format!("/v3/users/{}", found.text("/resources/0/guid"));
    assert_eq!(user.delete(&path).await.unwrap().status, 403);
    let deleted = admin.delete(&path).await.unwrap();
    assert_eq!(deleted.status, 202);
    assert!(deleted.location.unwrap().contains("/v3/jobs/"));
    assert_eq!(admin.get(&path).await.unwrap().status, 404);
    let roles = format!("/v3/roles?organization_guids={organization}&include=user");
    let roles = admin.get(&roles).await.unwrap();
    assert_eq!(roles.body["resources"], json!([]));
    assert!(
        user.get("/v3/organizations")
            .await
            .unwrap()
            .names()
            .is_empty()
    );
}

#[tokio::test]
async fn managers_give_and_take_roles_where_they_manage() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (org, space) = (("organization", &*organization), ("space", &*space));
    let manager = app.user("mia").await.unwrap();
    app.user("bob").await.unwrap();
    // What one may not manage is forbidden even when one does not see it; what is not there is
    // no place to give roles.
    let (status, _) = give(&manager, "organization_user", named("bob"), org).await;
    assert_eq!(status, 403);
    let (status, _) = give(&manager, "space_developer", named("bob"), space).await;
    assert_eq!(status, 403);
    let nowhere = ("organization", "nowhere");
    let (status, text) = give(&admin, "organization_user", named("bob"), nowhere).await;
    assert_eq!(status, 422);
    assert!(text.starts_with("Invalid organization. "), "{text}");
    for kind in ["organization_user", "organization_manager"] {
        assert_eq!(give(&admin, kind, named("mia"), org).await.0, 201);
    }
    let (status, text) = give(&manager, "space_developer", named("bob"), space).await;
    assert_eq!(status, 422);
    assert!(text.starts_with("Users cannot be assigned roles in a space"));
    for kind in [
        "organization_user",
        "organization_auditor",
        "organization_billing_manager",
        "organization_manager",
    ] {
        assert_eq!(
            give(&manager, kind, named("bob"), org).await.0,
            201,
            "{kind}"
        );
    }
    for kind in [
        "space_auditor",
        "space_developer",
        "space_manager",
        "space_supporter",
    ] {
        let given = give(&manager, kind, named("bob"), space).await;
        assert_eq!(given.0, 201, "{kind}: {given:?}");
    }
    let events = admin
        .get("/v3/audit_events?types=audit.user.space_supporter_add")
        .await
        .unwrap();
    assert_eq!(events.text("/resources/0/target/name"), "bob");
    assert_eq!(
        events.text("/resources/0/data/request/relationships/user/data/username"),
        "bob"
    );
    let mine = admin.get("/v3/users?usernames=bob").await.unwrap();
    let bob = mine.text("/resources/0/guid").to_owned();
    let path = format!("/v3/roles?user_guids={bob}&types=organization_user");
    let role = manager.get(&path).await.unwrap();
    let membership = format!("/v3/roles/{}", role.text("/resources/0/guid"));
    let refused = manager.delete(&membership).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "Cannot delete organization_user role while user has roles in spaces in that organization."
        )
    );
    let path = format!("/v3/roles?user_guids={bob}&space_guids={}", space.1);
    for role in manager.get(&path).await.unwrap().body["resources"]
        .as_array()
        .unwrap()
    {
        let path = format!("/v3/roles/{}", role["guid"].as_str().unwrap());
        assert_eq!(manager.delete(&path).await.unwrap().status, 202);
    }
    assert_eq!(manager.delete(&membership).await.unwrap().status, 202);
    assert_eq!(manager.get(&membership).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_name_in_several_origins_needs_one() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, _) = organization_and_space(&admin, "acme").await.unwrap();
    let org = ("organization", &*organization);
    app.user("bob").await.unwrap();
    let body = json!({ "username": "bob", "origin": "ldap" });
    assert_eq!(admin.post("/v3/users", &body).await.unwrap().status, 201);
    let (status, text) = give(&admin, "organization_user", named("bob"), org).await;
    assert_eq!(
        (status, text.as_str()),
        (
            422,
            "Ambiguous user. User with username 'bob' exists in the following origins: ldap, uaa. \
             Specify an origin to disambiguate."
        )
    );
    assert_eq!(give(&admin, "organization_user", body, org).await.0, 201);
    let (status, text) = give(
        &admin,
        "organization_user",
        json!({ "username": "bob", "origin": "okta" }),
        org,
    )
    .await;
    assert_eq!(
        (status, text.as_str()),
        (
            422,
            "No user exists with the username 'bob' and origin 'okta'."
        )
    );
}

#[tokio::test]
async fn in_a_suspended_organization_only_admins_change_roles() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let (org, space) = (("organization", &*organization), ("space", &*space));
    let manager = app.user("mia").await.unwrap();
    app.user("bob").await.unwrap();
    for kind in ["organization_user", "organization_manager"] {
        give(&admin, kind, named("mia"), org).await;
    }
    give(&manager, "organization_user", named("bob"), org).await;
    let path = format!("/v3/organizations/{organization}");
    let suspended = admin.patch(&path, &json!({ "suspended": true })).await;
    assert_eq!(suspended.unwrap().status, 200);
    for (kind, place) in [("organization_auditor", org), ("space_developer", space)] {
        let (status, text) = give(&manager, kind, named("bob"), place).await;
        assert_eq!(
            (status, text.as_str()),
            (403, "The organization is suspended")
        );
        assert_eq!(give(&admin, kind, named("bob"), place).await.0, 201);
    }
    let path = format!("/v3/roles?organization_guids={organization}&types=organization_auditor");
    let role = manager.get(&path).await.unwrap();
    let path = format!("/v3/roles/{}", role.text("/resources/0/guid"));
    let refused = manager.delete(&path).await.unwrap();
    assert_eq!((refused.status, refused.title()), (403, "CF-OrgSuspended"));
    assert_eq!(admin.delete(&path).await.unwrap().status, 202);
}
