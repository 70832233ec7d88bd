//! Packages: bits in and out, copies, Docker images, and builds of them.

use std::io::Write;

use cflite::testing::{TestApp, TestClient, organization_and_space, related};
use serde_json::json;

fn zip_of(files: &[&str]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in files {
        if let Some(folder) = name.strip_suffix('/') {
            zip.add_directory(folder, options).unwrap();
        } else {
            zip.start_file(*name, options).unwrap();
            zip.write_all(b"hello").unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

fn names_in(zip: Vec<u8>) -> Vec<String> {
    let zip = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    zip.file_names()
        .map(|name| name.unwrap().into_owned())
        .collect()
}

async fn app_in(client: &TestClient, space: &str, name: &str, kind: &str) -> String {
    let body = json!({
        "name": name,
        "relationships": related("space", space),
        "lifecycle": { "type": kind, "data": {} },
    });
    let made = client.post("/v3/apps", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

async fn package_of(client: &TestClient, app: &str) -> String {
    let body = json!({ "type": "bits", "relationships": related("app", app) });
    let made = client.post("/v3/packages", &body).await.unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    made.text("/guid").to_owned()
}

#[tokio::test]
async fn bits_come_back_as_they_were_without_empty_folders() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web", "buildpack").await;
    let guid = package_of(&admin, &app).await;
    let path = format!("/v3/packages/{guid}");
    let early = admin.get(&format!("{path}/download")).await.unwrap();
    assert_eq!(
        (early.status, early.detail()),
        (422, "Package has no bits to download.")
    );
    let uploaded = admin
        .upload(&guid, zip_of(&["a/", "a/b", "empty/"]))
        .await
        .unwrap();
    assert_eq!(uploaded.text("/state"), "READY", "{uploaded:?}");
    assert_eq!(uploaded.text("/data/checksum/type"), "sha256");
    let zip = admin.download(&format!("{path}/download")).await.unwrap();
    assert_eq!(names_in(zip), ["a/b"]);
    let twice = admin.upload(&guid, zip_of(&["a"])).await.unwrap();
    assert_eq!(
        (twice.status, twice.title()),
        (400, "CF-PackageBitsAlreadyUploaded")
    );
    let labelled = json!({ "metadata": { "labels": { "v": "1" } } });
    assert_eq!(admin.patch(&path, &labelled).await.unwrap().status, 200);
    for (query, count) in [
        ("label_selector=v%3D1", 1),
        ("label_selector=v%21%3D1", 0),
        ("states=READY&types=bits", 1),
        ("types=docker", 0),
        ("space_guids=", 0),
    ] {
        let list = admin.get(&format!("/v3/packages?{query}")).await.unwrap();
        assert_eq!(list.body["pagination"]["total_results"], count, "{query}");
    }
    let credentials = json!({ "username": "me" });
    let refused = admin.patch(&path, &credentials).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Cannot update Docker credentials for a buildpack app.")
    );
}

#[tokio::test]
async fn a_copied_package_outlives_its_source() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web", "buildpack").await;
    let other = app_in(&admin, &space, "other", "buildpack").await;
    let source = package_of(&admin, &app).await;
    let path = format!("/v3/packages?source_guid={source}");
    let to = |app: &str| json!({ "relationships": related("app", app) });
    let refused = admin.post(&path, &to(&app)).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Source and destination app cannot be the same")
    );
    let empty = admin.post(&path, &to(&other)).await.unwrap();
    assert_eq!(empty.text("/state"), "FAILED", "{empty:?}");
    assert_eq!(
        empty.text("/data/error"),
        "failed to copy - the source package has no bits"
    );
    admin.upload(&source, zip_of(&["a"])).await.unwrap();
    let copy = admin.post(&path, &to(&other)).await.unwrap();
    assert_eq!((copy.status, copy.text("/state")), (201, "READY"));
    let deleted = admin
        .delete(&format!("/v3/packages/{source}"))
        .await
        .unwrap();
    let job = admin.job_of(&deleted).await.unwrap();
    assert_eq!(job.text("/operation"), "package.delete");
    let copied = copy.text("/guid");
    let zip = admin
        .download(&format!("/v3/packages/{copied}/download"))
        .await
        .unwrap();
    assert_eq!(names_in(zip), ["a"]);
    let gone = admin.post(&path, &to(&other)).await.unwrap();
    assert_eq!(
        (gone.status, gone.detail()),
        (
            422,
            "Source package is invalid. Ensure it exists and you have access to it."
        )
    );
}

#[tokio::test]
async fn docker_packages_keep_their_secret() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let on = json!({ "enabled": true });
    admin
        .patch("/v3/feature_flags/diego_docker", &on)
        .await
        .unwrap();
    let app = app_in(&admin, &space, "image", "docker").await;
    let data = json!({ "image": "nginx:1", "username": "me", "password": "hush" });
    let body = json!({ "type": "docker", "data": data, "relationships": related("app", &app) });
    let made = admin.post("/v3/packages", &body).await.unwrap();
    assert_eq!((made.status, made.text("/state")), (201, "READY"));
    assert_eq!(
        made.body["data"],
        json!({ "image": "nginx:1", "username": "me", "password": "***" })
    );
    assert_eq!(made.body["links"]["upload"], json!(null));
    let path = format!("/v3/packages/{}", made.text("/guid"));
    let changed = admin
        .patch(&path, &json!({ "username": "you" }))
        .await
        .unwrap();
    assert_eq!(changed.text("/data/username"), "you");
    let other = app_in(&admin, &space, "second", "docker").await;
    let copy = format!("/v3/packages?source_guid={}", made.text("/guid"));
    let body = json!({ "relationships": related("app", &other) });
    let copied = admin.post(&copy, &body).await.unwrap();
    assert_eq!(
        copied.body["data"],
        json!({ "image": "nginx:1", "username": null, "password": null })
    );
    let bits = json!({ "type": "bits", "relationships": related("app", &app) });
    let refused = admin.post("/v3/packages", &bits).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Cannot create bits package for a Docker app.")
    );
}

#[tokio::test]
async fn only_the_newest_packages_keep_their_bits() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web", "buildpack").await;
    for _ in 0..6 {
        let guid = package_of(&admin, &app).await;
        admin.upload(&guid, zip_of(&["a"])).await.unwrap();
    }
    let list = admin
        .get(&format!("/v3/apps/{app}/packages?order_by=created_at"))
        .await
        .unwrap();
    let states: Vec<&str> = (0..6)
        .map(|i| list.text(&format!("/resources/{i}/state")))
        .collect();
    assert_eq!(
        states,
        ["EXPIRED", "READY", "READY", "READY", "READY", "READY"]
    );
}

#[tokio::test]
async fn a_build_is_refused_for_a_reason() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web", "buildpack").await;
    let empty = package_of(&admin, &app).await;
    let package = package_of(&admin, &app).await;
    admin.upload(&package, zip_of(&["a"])).await.unwrap();
    let with = |data: serde_json::Value| {
        json!({
            "package": { "guid": package },
            "lifecycle": { "type": "buildpack", "data": data },
        })
    };
    let cases = [
        (json!({}), 422, "Package guid can't be blank"),
        (
            json!({ "package": { "guid": "nothing" } }),
            422,
            "Unable to use package. Ensure that the package exists and you have access to it.",
        ),
        (
            json!({ "package": { "guid": empty } }),
            400,
            "Bad request: Cannot stage package whose state is not ready.",
        ),
        (
            with(json!({ "buildpacks": ["cobol"] })),
            422,
            "Buildpack \"cobol\" for stack \"cflinuxfs4\" must be an existing admin buildpack or a valid git URI",
        ),
        (
            with(json!({ "buildpacks": ["cobol"], "stack": "none" })),
            422,
            "Buildpack \"cobol\" must be an existing admin buildpack or a valid git URI, \
             Stack must be an existing stack",
        ),
    ];
    for (body, status, text) in cases {
        let refused = admin.post("/v3/builds", &body).await.unwrap();
        assert_eq!((refused.status, refused.detail()), (status, text));
    }
    let list = admin.get("/v3/buildpacks?names=ruby_buildpack").await;
    let ruby = list.unwrap().text("/resources/0/guid").to_owned();
    let off = json!({ "enabled": false });
    admin
        .patch(&format!("/v3/buildpacks/{ruby}"), &off)
        .await
        .unwrap();
    let body = with(json!({ "buildpacks": ["ruby_buildpack"] }));
    let refused = admin.post("/v3/builds", &body).await.unwrap();
    assert_eq!(refused.title(), "CF-BuildpackInvalid");
    assert_eq!(
        refused.detail(),
        "Buildpack is invalid: Requested buildpack(s) 'ruby_buildpack' are disabled and cannot be used for staging"
    );
}

#[tokio::test]
async fn a_form_that_ends_early_is_refused_and_the_upload_can_be_tried_again() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web", "buildpack").await;
    let guid = package_of(&admin, &app).await;
    let path = format!("/v3/packages/{guid}/upload");
    let kind = "multipart/form-data; boundary=b";
    let start = b"--b\r\nContent-Disposition: form-data; name=\"bits\"\r\n\r\n".to_vec();
    for body in [
        Vec::new(),
        b"--b".to_vec(),
        start.clone(),
        [start, zip_of(&["a"])].concat(),
    ] {
        let length = body.len();
        let refused = admin.raw("POST", &path, kind, body).await.unwrap();
        assert_eq!(
            (refused.status, refused.title()),
            (400, "CF-AppBitsUploadInvalid"),
            "{length}: {refused:?}"
        );
        for _ in 0..500 {
            let package = admin.get(&format!("/v3/packages/{guid}")).await.unwrap();
            if package.text("/state") == "AWAITING_UPLOAD" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    let whole = admin.upload(&guid, zip_of(&["a"])).await.unwrap();
    assert_eq!(whole.text("/state"), "READY", "{whole:?}");
}
