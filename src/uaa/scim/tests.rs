//! Managing users over HTTP.

use serde_json::{Value, json};

use crate::uaa::TokenError;
use crate::uaa::testing::{Answer, Call, World};

fn new_user(name: &str) -> Value {
    // As `cf create-user` sends it.
    json!({
        "userName": name,
        "password": "secret",
        "origin": "",
        "name": {"familyName": name, "givenName": name},
        "emails": [{"value": name, "primary": true}],
    })
}

async fn search(world: &World, token: &str, query: &[(&str, &str)]) -> Answer {
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    let path = format!("/Users?{}", encoded.extend_pairs(query).finish());
    Call::new("GET", &path).bearer(token).send(&world.uaa).await
}

fn names(answer: &Answer) -> Vec<&str> {
    let resources = answer.body["resources"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer:?}"));
    resources
        .iter()
        .map(|user| user["userName"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_cli_creates_finds_and_deletes_a_user() {
    let world = World::new().await;
    let admin = world.admin_token().await;
    let create = || {
        Call::new("POST", "/Users")
            .bearer(&admin)
            .json(&new_user("Bob"))
    };
    let created = create().send(&world.uaa).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.text("origin"), "uaa");
    assert_eq!(created.body["emails"][0]["value"], "Bob");
    assert!(!created.body.to_string().contains("secret"));
    let taken = create().send(&world.uaa).await;
    taken.refused(409, "scim_resource_already_exists");
    assert_eq!(taken.body["user_id"], created.body["id"]);
    let filter = "userName eq \"bob\" and origin eq \"UAA\"";
    let found = search(&world, &admin, &[("filter", filter)]).await;
    assert_eq!(found.body["resources"][0]["id"], created.body["id"]);
    assert_eq!(found.body["totalResults"], 1);
    let bob = world.log_in("bob", "secret").await;
    let path = format!("/Users/{}", created.text("id"));
    let deleted = Call::new("DELETE", &path)
        .bearer(&admin)
        .send(&world.uaa)
        .await;
    assert_eq!(deleted.status, 200);
    assert_eq!(deleted.body["id"], created.body["id"]);
    Call::new("DELETE", &path)
        .bearer(&admin)
        .send(&world.uaa)
        .await
        .refused(404, "scim_resource_not_found");
    let access = bob.text("access_token");
    assert_eq!(world.uaa.verify(access), Err(TokenError::Revoked));
    assert_eq!(
        world.restarted().await.verify(access),
        Err(TokenError::Revoked)
    );
    world
        .refresh(bob.text("refresh_token"))
        .await
        .refused(401, "invalid_token");
    world
        .log_in("bob", "secret")
        .await
        .refused(401, "unauthorized");
    assert_eq!(
        create().send(&world.uaa).await.status,
        201,
        "the name is free again"
    );
}

#[tokio::test]
async fn users_that_break_a_rule_are_refused_and_change_nothing() {
    let world = World::new().await;
    let admin = world.admin_token().await;
    let with = |key: &str, value: Value| {
        let mut user = new_user("bob");
        user[key] = value;
        user
    };
    let cases = [
        (with("userName", Value::Null), 400, "invalid_scim_resource"),
        (with("userName", json!("")), 400, "invalid_scim_resource"),
        (with("userName", json!(7)), 400, "invalid_scim_resource"),
        (
            with("userName", json!("{{.Bob}}")),
            400,
            "invalid_scim_resource",
        ),
        (with("emails", Value::Null), 400, "invalid_scim_resource"),
        (with("emails", json!([])), 400, "invalid_scim_resource"),
        (
            with("emails", json!([{"primary": true}])),
            400,
            "invalid_scim_resource",
        ),
        (with("emails", json!("bob")), 400, "invalid_scim_resource"),
        (with("active", json!("yes")), 400, "invalid_scim_resource"),
        (with("origin", json!("a\"b")), 400, "invalid_scim_resource"),
        (with("password", Value::Null), 422, "invalid_password"),
        (with("password", json!("")), 422, "invalid_password"),
        (
            with("password", json!("x".repeat(300))),
            422,
            "invalid_password",
        ),
        (json!([]), 400, "invalid_scim_resource"),
        (json!("bob"), 400, "invalid_scim_resource"),
    ];
    for (body, status, error) in cases {
        let call = Call::new("POST", "/Users").bearer(&admin).json(&body);
        call.send(&world.uaa).await.refused(status, error);
    }
    let broken = Call::new("POST", "/Users")
        .bearer(&admin)
        .json_text("{\"userName\":");
    broken
        .send(&world.uaa)
        .await
        .refused(400, "invalid_scim_resource");
    let form = Call::new("POST", "/Users")
        .bearer(&admin)
        .form(&[("userName", "bob")]);
    form.send(&world.uaa)
        .await
        .refused(415, "unsupported_media_type");
    let all = search(&world, &admin, &[]).await;
    assert_eq!(names(&all), ["admin"]);
}

#[tokio::test]
async fn users_of_another_origin_have_no_password_here() {
    let world = World::new().await;
    let admin = world.admin_token().await;
    let mut user = new_user("CORP\\bob");
    user["origin"] = json!("ldap");
    let created = Call::new("POST", "/Users")
        .bearer(&admin)
        .json(&user)
        .send(&world.uaa)
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.text("origin"), "ldap");
    world
        .log_in("CORP\\bob", "secret")
        .await
        .refused(401, "unauthorized");
    let path = format!("/Users/{}/password", created.text("id"));
    let call = Call::new("PUT", &path)
        .bearer(&admin)
        .json(&json!({"password": "x"}));
    call.send(&world.uaa).await.refused(422, "invalid_password");
}

/// Query parameters and the names they find.
type ListCase = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const LISTS: &[ListCase] = &[
    (&[], &["admin", "carol", "bob", "dave"]),
    (
        &[("sortBy", "userName")],
        &["admin", "bob", "carol", "dave"],
    ),
    (
        &[
            ("sortBy", "username"),
            ("sortOrder", "descending"),
            ("count", "2"),
        ],
        &["dave", "carol"],
    ),
    (&[("startIndex", "2"), ("count", "2")], &["carol", "bob"]),
    (&[("startIndex", "9")], &[]),
    (&[("count", "0")], &[]),
    (
        &[("filter", "userName co \"A\""), ("sortBy", "userName")],
        &["admin", "carol", "dave"],
    ),
    (
        &[("filter", "userName sw \"ca\" or emails.value eq \"BOB\"")],
        &["carol", "bob"],
    ),
    (&[("filter", "userName eq \"a%\"")], &[]),
    (&[("filter", "active eq false")], &[]),
    (&[("filter", "externalId pr")], &[]),
    (
        &[(
            "filter",
            "origin eq \"uaa\" and (userName eq \"bob\" or userName eq \"x\")",
        )],
        &["bob"],
    ),
];

#[tokio::test]
async fn lists_are_filtered_sorted_paged_and_cut_down() {
    let world = World::new().await;
    for name in ["carol", "bob", "dave"] {
        world.advance(1);
        world.user(name, "secret").await;
    }
    let admin = world.admin_token().await;
    for (query, expected) in LISTS {
        assert_eq!(
            names(&search(&world, &admin, query).await),
            *expected,
            "{query:?}"
        );
    }
    let paged = search(&world, &admin, &[("startIndex", "2"), ("count", "2")]).await;
    assert_eq!(paged.body["totalResults"], 4);
    assert_eq!(paged.body["startIndex"], 2);
    assert_eq!(paged.body["itemsPerPage"], 2);
    let cut = search(
        &world,
        &admin,
        &[("attributes", "userName,id"), ("count", "1")],
    )
    .await;
    let keys: Vec<_> = cut.body["resources"][0]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(keys, ["id", "userName"]);
}

#[tokio::test]
async fn bad_list_queries_are_refused() {
    let world = World::new().await;
    let admin = world.admin_token().await;
    let cases = [
        ("filter", "userName eq bob"),
        ("filter", "userName eq \"bob\" or"),
        ("filter", "password sw \"$argon2\""),
        ("sortBy", "password_hash"),
        ("sortOrder", "sideways"),
        ("count", "many"),
        ("startIndex", "-1"),
    ];
    for (key, value) in cases {
        search(&world, &admin, &[(key, value)])
            .await
            .refused(400, "scim");
    }
}

#[tokio::test]
async fn every_scim_request_needs_its_scope() {
    let world = World::new().await;
    let eve = world.user("eve", "secret").await;
    let bob = world.user("bob", "secret").await;
    let token = world.token("eve", "secret").await;
    let (own, other) = (
        format!("/Users/{}", eve.guid),
        format!("/Users/{}", bob.guid),
    );
    let password = format!("{other}/password");
    let body = new_user("x");
    let requests = [
        ("GET", "/Users", None),
        ("POST", "/Users", Some(&body)),
        ("GET", other.as_str(), None),
        ("PUT", other.as_str(), Some(&body)),
        ("PUT", own.as_str(), Some(&body)),
        ("PATCH", other.as_str(), Some(&body)),
        ("DELETE", other.as_str(), None),
        ("DELETE", own.as_str(), None),
        ("PUT", password.as_str(), Some(&body)),
    ];
    for (method, path, body) in requests {
        let call = || {
            let call = Call::new(method, path).any_version();
            match body {
                Some(body) => call.json(body),
                None => call,
            }
        };
        call().send(&world.uaa).await.refused(401, "unauthorized");
        let refused = call().bearer(&token).send(&world.uaa).await;
        refused.refused(403, "insufficient_scope");
    }
    let mine = Call::new("GET", &own).bearer(&token).send(&world.uaa).await;
    assert_eq!(mine.text("userName"), "eve");
    assert!(world.log_in("bob", "secret").await.status.is_success());
}

#[tokio::test]
async fn a_change_names_the_version_it_is_based_on() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    world.user("carol", "secret").await;
    let admin = world.admin_token().await;
    let path = format!("/Users/{}", bob.guid);
    let change = |version: &'static str, body: Value| {
        let call = Call::new("PATCH", &path).bearer(&admin).json(&body);
        call.header(http::header::IF_MATCH, version)
            .send(&world.uaa)
    };
    let unversioned = Call::new("PATCH", &path).bearer(&admin).json(&json!({}));
    unversioned.send(&world.uaa).await.refused(400, "scim");
    change("new", json!({})).await.refused(400, "scim");
    let changed = change("0", json!({"name": {"givenName": "Robert"}})).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.headers[http::header::ETAG], "\"1\"");
    assert_eq!(changed.body["meta"]["version"], 1);
    assert_eq!(
        changed.body["name"],
        json!({"givenName": "Robert", "familyName": "bob"})
    );
    change("0", json!({"name": {"givenName": "Rob"}}))
        .await
        .refused(412, "scim_resource_conflict");
    change("\"1\"", json!({"userName": "CAROL"}))
        .await
        .refused(409, "scim_resource_already_exists");
    change("*", json!({"origin": "ldap"}))
        .await
        .refused(400, "invalid_scim_resource");
    change("*", json!({"password": "x"}))
        .await
        .refused(400, "invalid_scim_resource");
    assert_eq!(
        change("\"1\"", json!({"userName": "BOB"}))
            .await
            .text("userName"),
        "BOB"
    );
    let mut whole = new_user("robert");
    whole.as_object_mut().unwrap().remove("password");
    whole.as_object_mut().unwrap().remove("name");
    let call = Call::new("PUT", &path)
        .bearer(&admin)
        .any_version()
        .json(&whole);
    let replaced = call.send(&world.uaa).await;
    assert_eq!(replaced.text("userName"), "robert");
    assert_eq!(replaced.body["name"], json!({}));
    assert_eq!(world.log_in("robert", "secret").await.status, 200);
}

#[tokio::test]
async fn deactivation_ends_everything_until_the_user_is_active_again() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    let admin = world.admin_token().await;
    let tokens = world.log_in("bob", "secret").await;
    let path = format!("/Users/{}", bob.guid);
    let set = |active: bool| {
        let call = Call::new("PATCH", &path).bearer(&admin).any_version();
        call.json(&json!({"active": active})).send(&world.uaa)
    };
    assert_eq!(set(false).await.body["active"], false);
    assert_eq!(
        world.uaa.verify(tokens.text("access_token")),
        Err(TokenError::Revoked)
    );
    world
        .refresh(tokens.text("refresh_token"))
        .await
        .refused(401, "invalid_token");
    world
        .log_in("bob", "secret")
        .await
        .refused(401, "unauthorized");
    assert_eq!(set(true).await.body["active"], true);
    world
        .refresh(tokens.text("refresh_token"))
        .await
        .refused(401, "invalid_token");
    let again = world.log_in("bob", "secret").await;
    assert!(world.uaa.verify(again.text("access_token")).is_ok());
}
