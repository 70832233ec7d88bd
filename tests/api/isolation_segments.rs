//! `/v3/isolation_segments`: what the cf CLI makes of `create-isolation-segment`,
//! `enable-org-isolation`, `set-org-default-isolation-segment`, `set-space-isolation-segment` and
//! their opposites.

use cflite::testing::{TestApp, organization_and_space};
use serde_json::{Value, json};

fn one(guid: &str) -> Value {
    json!({ "data": { "guid": guid } })
}

#[tokio::test]
async fn a_segment_is_made_given_to_an_organization_used_and_taken_back() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let body = json!({ "name": "fast", "metadata": { "labels": { "disk": "ssd" } } });
    let made = admin.post("/v3/isolation_segments", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.text("/metadata/labels/disk"), "ssd");
    let guid = made.text("/guid").to_owned();
    let path = format!("/v3/isolation_segments/{guid}");
    let again = admin
        .post("/v3/isolation_segments", &json!({ "name": "FAST" }))
        .await
        .unwrap();
    assert_eq!(
        again.detail(),
        "Isolation Segment names are case insensitive and must be unique"
    );

    let of_space = format!("/v3/spaces/{space}/relationships/isolation_segment");
    let of_organization =
        format!("/v3/organizations/{organization}/relationships/default_isolation_segment");
    for (relation, text) in [
        (
            &of_space,
            "Ensure it has been entitled to the organization that this space belongs to.",
        ),
        (
            &of_organization,
            "Ensure it has been entitled to the organization.",
        ),
    ] {
        let refused = admin.patch(relation, &one(&guid)).await.unwrap();
        let text = format!("Unable to assign isolation segment with guid '{guid}'. {text}");
        assert_eq!((refused.status, refused.detail()), (422, text.as_str()));
    }
    let entitled = format!("{path}/relationships/organizations");
    let unknown = json!({ "data": [{ "guid": "nowhere" }] });
    assert_eq!(
        admin.post(&entitled, &unknown).await.unwrap().detail(),
        "Unable to entitle organizations ['nowhere'] for the isolation segment. Ensure the organizations exist."
    );
    let body = json!({ "data": [{ "guid": organization }] });
    let answer = admin.post(&entitled, &body).await.unwrap();
    assert_eq!(answer.text("/data/0/guid"), organization, "{answer:?}");
    assert_eq!(
        answer.text("/links/related/href"),
        app.url() + &path + "/organizations"
    );

    let set = admin.patch(&of_space, &one(&guid)).await.unwrap();
    assert_eq!((set.status, set.text("/data/guid")), (200, guid.as_str()));
    assert_eq!(set.text("/links/related/href"), app.url() + &path);
    admin.patch(&of_organization, &one(&guid)).await.unwrap();
    let shown = admin.get(&of_organization).await.unwrap();
    assert_eq!(shown.text("/data/guid"), guid);
    let spaces = admin
        .get(&format!("{path}/relationships/spaces"))
        .await
        .unwrap();
    assert_eq!(spaces.text("/data/0/guid"), space);

    // What is used can be neither renamed nor taken back.
    let refused = admin
        .patch(&path, &json!({ "name": "slow" }))
        .await
        .unwrap();
    assert!(
        refused
            .detail()
            .starts_with("Cannot update Isolation Segments that are assigned")
    );
    let revoke = format!("{entitled}/{organization}");
    let refused = admin.delete(&revoke).await.unwrap();
    assert!(
        refused
            .detail()
            .contains("as the Default Isolation Segment"),
        "{refused:?}"
    );
    let none = json!({ "data": null });
    let unset = admin.patch(&of_organization, &none).await.unwrap();
    assert_eq!((unset.status, &unset.body["data"]), (200, &Value::Null));
    let refused = admin.delete(&revoke).await.unwrap();
    assert!(
        refused.detail().ends_with("Currently assigned to: 'dev'"),
        "{refused:?}"
    );
    admin.patch(&of_space, &none).await.unwrap();
    let refused = admin.delete(&path).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Revoke the Organization entitlements for your Isolation Segment."
    );
    assert_eq!(admin.delete(&revoke).await.unwrap().status, 204);
    let renamed = admin
        .patch(&path, &json!({ "name": "slow" }))
        .await
        .unwrap();
    assert_eq!(renamed.text("/name"), "slow", "{renamed:?}");
    assert_eq!(admin.delete(&path).await.unwrap().status, 204);
    assert_eq!(admin.get(&path).await.unwrap().status, 404);
}

#[tokio::test]
async fn the_shared_segment_stays_as_it_is() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let shared = admin
        .get("/v3/isolation_segments?names=shared")
        .await
        .unwrap();
    let path = format!(
        "/v3/isolation_segments/{}",
        shared.text("/resources/0/guid")
    );
    let refused = admin.patch(&path, &json!({ "name": "x" })).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Cannot update the shared Isolation Segment"
    );
    let refused = admin.delete(&path).await.unwrap();
    assert_eq!(
        refused.detail(),
        "Cannot delete the shared Isolation Segment"
    );
}

#[tokio::test]
async fn only_admins_change_segments_and_managers_put_spaces_in_them() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let place = (organization.as_str(), space.as_str());
    let manager = app
        .member(("mia", "organization_manager"), place)
        .await
        .unwrap();
    let developer = app
        .member(("dora", "space_developer"), place)
        .await
        .unwrap();
    let body = json!({ "name": "fast" });
    let made = admin.post("/v3/isolation_segments", &body).await.unwrap();
    let guid = made.text("/guid").to_owned();
    let path = format!("/v3/isolation_segments/{guid}");
    assert_eq!(
        manager
            .post("/v3/isolation_segments", &body)
            .await
            .unwrap()
            .status,
        403
    );
    assert_eq!(
        manager.get(&path).await.unwrap().detail(),
        "Isolation segment not found"
    );
    let entitled = format!("{path}/relationships/organizations");
    let body = json!({ "data": [{ "guid": organization }] });
    assert_eq!(manager.post(&entitled, &body).await.unwrap().status, 403);
    admin.post(&entitled, &body).await.unwrap();
    assert_eq!(manager.get(&path).await.unwrap().status, 200);
    let of_space = format!("/v3/spaces/{space}/relationships/isolation_segment");
    assert_eq!(
        developer
            .patch(&of_space, &one(&guid))
            .await
            .unwrap()
            .status,
        403
    );
    assert_eq!(
        manager.patch(&of_space, &one(&guid)).await.unwrap().status,
        200
    );
    let listed = developer
        .get(&format!("{path}/organizations?order_by=-name"))
        .await
        .unwrap();
    assert_eq!(listed.names(), ["acme"]);
}
