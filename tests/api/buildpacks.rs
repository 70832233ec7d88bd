//! Admins add, order, change and delete buildpacks; everybody sees them.

use std::io::Write;

use cflite::testing::{TestApp, TestClient};
use serde_json::{Value, json};

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

async fn made(admin: &TestClient, body: Value) -> String {
    let made = admin.post("/v3/buildpacks", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

async fn names(client: &TestClient, query: &str) -> Vec<String> {
    let list = client
        .get(&format!("/v3/buildpacks?{query}"))
        .await
        .unwrap();
    assert_eq!(list.status, 200, "{list:?}");
    list.names().iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_new_buildpack_waits_for_its_files_at_the_position_asked_for() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let before = names(&admin, "").await;
    let body = json!({
        "name": "mine", "stack": "cflinuxfs4", "position": 2, "enabled": false,
        "metadata": { "labels": { "team": "a" } },
    });
    let mine = admin.post("/v3/buildpacks", &body).await.unwrap();
    assert_eq!(mine.status, 201, "{mine:?}");
    assert_eq!(mine.text("/state"), "AWAITING_UPLOAD");
    assert_eq!(mine.text("/lifecycle"), "buildpack");
    assert_eq!(mine.body["position"], 2);
    assert_eq!(mine.body["filename"], Value::Null);
    assert_eq!(mine.body["enabled"], false);
    assert_eq!(mine.text("/metadata/labels/team"), "a");
    let after = names(&admin, "").await;
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1], "mine");
    assert_eq!(after[2..], before[1..]);
    assert_eq!(names(&admin, "label_selector=team").await, ["mine"]);
    assert_eq!(
        names(&admin, "names=mine&stacks=cflinuxfs4").await,
        ["mine"]
    );
    assert_eq!(names(&admin, "stacks=").await, Vec::<String>::new());
    assert_eq!(names(&admin, "lifecycle=cnb").await, Vec::<String>::new());

    for (body, text) in [
        (
            json!({ "name": "mine", "stack": "cflinuxfs4" }),
            "Buildpack with name 'mine', stack 'cflinuxfs4' and lifecycle 'buildpack' already exists",
        ),
        (
            json!({ "name": "other", "stack": "windows" }),
            "Stack 'windows' does not exist",
        ),
    ] {
        let refused = admin.post("/v3/buildpacks", &body).await.unwrap();
        assert_eq!((refused.status, refused.detail()), (422, text));
    }
    made(&admin, json!({ "name": "mine" })).await;
    let refused = admin
        .post("/v3/buildpacks", &json!({ "name": "mine" }))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "Buildpack with name 'mine' and an unassigned stack already exists"
        )
    );
    assert_eq!(names(&admin, "stacks=").await, ["mine"]);
}

#[tokio::test]
async fn moving_one_buildpack_moves_those_between() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let before = names(&admin, "").await;
    let last = before.len();
    let guid = made(&admin, json!({ "name": "mine" })).await;
    let path = format!("/v3/buildpacks/{guid}");
    for (asked, got) in [(3, 3), (1, 1), (99, last + 1), (2, 2)] {
        let moved = admin
            .patch(&path, &json!({ "position": asked }))
            .await
            .unwrap();
        assert_eq!(moved.body["position"], got, "{moved:?}");
        let list = admin.get("/v3/buildpacks").await.unwrap();
        let positions: Vec<i64> = list.body["resources"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|b| b["position"].as_i64())
            .collect();
        let expected: Vec<i64> = (1..).take(last + 1).collect();
        assert_eq!(positions, expected, "asked for {asked}");
        let mut others = names(&admin, "").await;
        assert_eq!(others.remove(got - 1), "mine");
        assert_eq!(others, before);
    }
    let deleted = admin.delete(&path).await.unwrap();
    assert_eq!(deleted.status, 202);
    let job = admin.job_of(&deleted).await.unwrap();
    assert_eq!(
        (job.text("/operation"), job.text("/state")),
        ("buildpack.delete", "COMPLETE")
    );
    assert_eq!(names(&admin, "").await, before);
    let gone = admin.get(&path).await.unwrap();
    assert_eq!((gone.status, gone.detail()), (404, "Buildpack not found"));
}

#[tokio::test]
async fn uploading_makes_a_buildpack_ready_and_its_manifest_gives_the_stack() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let guid = made(&admin, json!({ "name": "mine" })).await;
    let path = format!("/v3/buildpacks/{guid}");
    let upload = format!("{path}/upload");
    let good = zip_of(&[
        ("bin/detect", "#!/bin/sh\n"),
        ("manifest.yml", "stack: cflinuxfs4\n"),
    ]);
    let accepted = admin
        .upload_file(&upload, "mine-v1.zip", good.clone())
        .await
        .unwrap();
    assert_eq!(accepted.status, 202, "{accepted:?}");
    assert_eq!(accepted.text("/guid"), guid);
    let job = admin.job_of(&accepted).await.unwrap();
    assert_eq!(job.text("/operation"), "buildpack.upload");
    assert_eq!(job.text("/state"), "COMPLETE", "{job:?}");
    assert!(
        job.text("/links/buildpack/href").ends_with(&path),
        "{job:?}"
    );
    let ready = admin.get(&path).await.unwrap();
    assert_eq!(ready.text("/state"), "READY");
    assert_eq!(ready.text("/filename"), "mine-v1.zip");
    assert_eq!(ready.text("/stack"), "cflinuxfs4");

    let refused = admin.patch(&path, &json!({ "stack": null })).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Buildpack stack cannot be changed")
    );
    admin
        .patch(&path, &json!({ "locked": true }))
        .await
        .unwrap();
    let refused = admin.upload_file(&upload, "x.zip", good).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Buildpack is locked")
    );
    let events = admin
        .get(&format!("/v3/audit_events?target_guids={guid}"))
        .await
        .unwrap();
    let types: Vec<&str> = events.body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(
        types,
        [
            "audit.buildpack.create",
            "audit.buildpack.upload",
            "audit.buildpack.update"
        ]
    );
}

#[tokio::test]
async fn unusable_archives_fail_their_job_and_change_nothing() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let guid = made(&admin, json!({ "name": "mine", "stack": "cflinuxfs4" })).await;
    let path = format!("/v3/buildpacks/{guid}");
    let upload = format!("{path}/upload");
    let mut cut = zip_of(&[("bin/detect", "#!/bin/sh\n")]);
    cut.truncate(30);
    let cases = [
        (
            zip_of(&[("manifest.yml", "stack: other\n")]),
            "CF-BuildpackStacksDontMatch",
            "Uploaded buildpack stack (other) does not match cflinuxfs4",
        ),
        (
            zip_of(&[("manifest.yml", "a: [")]),
            "CF-BuildpackZipError",
            "Buildpack zip error: buildpack manifest is not valid",
        ),
        (
            cut,
            "CF-BuildpackZipError",
            "Buildpack zip error: buildpack zipfile is not valid",
        ),
        (
            zip_of(&[("../evil", "x")]),
            "CF-BuildpackZipError",
            "Buildpack zip error: File path '../evil' is not safe.",
        ),
    ];
    for (archive, title, text) in cases {
        let accepted = admin
            .upload_file(&upload, "mine.zip", archive)
            .await
            .unwrap();
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let job = admin.job_of(&accepted).await.unwrap();
        assert_eq!(job.text("/state"), "FAILED");
        assert_eq!((job.title(), job.detail()), (title, text));
        let same = admin.get(&path).await.unwrap();
        assert_eq!(same.text("/state"), "AWAITING_UPLOAD");
    }
    let refused = admin
        .upload_file(&upload, "mine.tgz", b"\x1f\x8b\x08abc".to_vec())
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "Uploaded buildpack file is invalid: mine.tgz is not a zip file. \
             Buildpacks of lifecycle \"buildpack\" must be valid zip files."
        )
    );
    let refused = admin.post(&upload, &json!({})).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (
            422,
            "Uploaded buildpack file is invalid: A buildpack zip file must be uploaded as 'bits'"
        )
    );
}

#[tokio::test]
async fn others_than_admins_only_look() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let user = app.user("ann").await.unwrap();
    let guid = made(&admin, json!({ "name": "mine" })).await;
    let path = format!("/v3/buildpacks/{guid}");
    assert_eq!(user.get(&path).await.unwrap().status, 200);
    assert_eq!(names(&user, "names=mine").await, ["mine"]);
    let upload = format!("{path}/upload");
    let answers = [
        user.post("/v3/buildpacks", &json!({ "name": "b" })).await,
        user.patch(&path, &json!({ "enabled": false })).await,
        user.delete(&path).await,
        user.upload_file(&upload, "b.zip", zip_of(&[("a", "b")]))
            .await,
    ];
    for answer in answers {
        assert_eq!(answer.unwrap().status, 403);
    }
    let unknown = user.delete("/v3/buildpacks/nothing").await.unwrap();
    assert_eq!(unknown.status, 404);
    assert_eq!(app.anonymous().get(&path).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_deleted_built_in_buildpack_stays_away_after_a_restart() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let list = admin
        .get("/v3/buildpacks?names=ruby_buildpack")
        .await
        .unwrap();
    let guid = list.text("/resources/0/guid").to_owned();
    admin
        .delete(&format!("/v3/buildpacks/{guid}"))
        .await
        .unwrap();
    let before = names(&admin, "").await;
    let app = app.restart().await.unwrap();
    let admin = app.admin().await.unwrap();
    assert_eq!(names(&admin, "").await, before);
    assert!(!before.contains(&"ruby_buildpack".to_owned()));
}
