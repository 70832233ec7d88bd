//! Droplets come and go as archives, and apps share them.

use std::io::Read;

use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

fn tgz_of(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn files_in(tgz: &[u8]) -> Vec<(String, String)> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(tgz));
    let entries = tar.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let path = entry.path().unwrap().display().to_string();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            (path, content)
        })
        .collect()
}

async fn app_in(client: &TestClient, space: &str, name: &str) -> String {
    let body = json!({ "name": name, "relationships": related("space", space) });
    let made = client.post("/v3/apps", &body).await.unwrap();
    made.text("/guid").to_owned()
}

async fn droplet_for(client: &TestClient, app: &str) -> Answer {
    let body = json!({ "relationships": related("app", app) });
    client.post("/v3/droplets", &body).await.unwrap()
}

/// A platform whose daemon can make the stack.
async fn platform() -> TestApp {
    let app = TestApp::start().await.unwrap();
    app.engine().offer("debian:bookworm-slim");
    app
}

/// Uploads a droplet of one file and gives its guid.
async fn uploaded(client: &TestClient, app: &str) -> String {
    let guid = droplet_for(client, app).await.text("/guid").to_owned();
    let tgz = tgz_of(&[("./app/index.html", "hello")]);
    let path = format!("/v3/droplets/{guid}/upload");
    let accepted = client.upload_file(&path, "droplet.tgz", tgz).await.unwrap();
    assert_eq!(accepted.status, 202, "{accepted:?}");
    loop {
        let job = client.job_of(&accepted).await.unwrap();
        match job.text("/state") {
            "PROCESSING" => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            state => {
                assert_eq!(state, "COMPLETE", "{job:?}");
                return guid;
            }
        }
    }
}

#[tokio::test]
async fn an_uploaded_droplet_can_be_run_and_downloaded() {
    let platform = platform().await;
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web").await;
    let made = droplet_for(&admin, &app).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.text("/state"), "AWAITING_UPLOAD");
    assert_eq!(made.body["process_types"], json!({ "web": "" }));
    assert_eq!(made.body["checksum"], Value::Null);
    assert_eq!(made.text("/links/upload/method"), "POST");
    assert_eq!(made.body["links"]["download"], Value::Null);

    let guid = uploaded(&admin, &app).await;
    let droplet = admin.get(&format!("/v3/droplets/{guid}")).await.unwrap();
    assert_eq!(droplet.text("/state"), "STAGED");
    assert_eq!(droplet.text("/checksum/type"), "sha256");
    let tgz = admin
        .download(&format!("/v3/droplets/{guid}/download"))
        .await
        .unwrap();
    let files = files_in(&tgz);
    assert!(
        files.contains(&("./app/index.html".to_owned(), "hello".to_owned())),
        "{files:?}"
    );

    let current = format!("/v3/apps/{app}/relationships/current_droplet");
    let assigned = admin
        .patch(&current, &json!({ "data": { "guid": guid } }))
        .await
        .unwrap();
    assert_eq!(assigned.status, 200, "{assigned:?}");
    let started = admin
        .post(&format!("/v3/apps/{app}/actions/start"), &json!({}))
        .await
        .unwrap();
    assert_eq!(started.status, 200, "{started:?}");
    let list = admin
        .get(&format!("/v3/apps/{app}/droplets?current=true"))
        .await
        .unwrap();
    assert_eq!(list.body["pagination"]["total_results"], 1);
    assert_eq!(list.text("/resources/0/guid"), guid);
    assert_eq!(
        list.text("/resources/0/process_types/redacted_message"),
        "[PRIVATE DATA HIDDEN IN LISTS]"
    );
    let refused = admin.delete(&format!("/v3/droplets/{guid}")).await.unwrap();
    assert_eq!(
        (refused.status, refused.detail().to_owned()),
        (
            422,
            format!("The droplet is currently used by app with guid \"{app}\".")
        )
    );
}

#[tokio::test]
async fn what_is_no_droplet_is_refused() {
    let platform = platform().await;
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web").await;
    let guid = droplet_for(&admin, &app).await.text("/guid").to_owned();
    let path = format!("/v3/droplets/{guid}/upload");
    for (name, content, text) in [
        ("droplet.zip", "x", "droplet.zip is not a tgz"),
        ("droplet.tgz", "", "droplet.tgz cannot be empty"),
    ] {
        let refused = admin
            .upload_file(&path, name, content.into())
            .await
            .unwrap();
        assert_eq!(
            (refused.status, refused.detail().to_owned()),
            (422, format!("Uploaded droplet file is invalid: {text}"))
        );
    }
    let accepted = admin
        .upload_file(&path, "droplet.tgz", b"no gzip".to_vec())
        .await
        .unwrap();
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let job = admin.job_of(&accepted).await.unwrap();
    assert_eq!(job.text("/state"), "FAILED", "{job:?}");
    assert!(
        job.detail().starts_with("Uploaded droplet file is invalid"),
        "{job:?}"
    );
    let failed = admin.get(&format!("/v3/droplets/{guid}")).await.unwrap();
    assert_eq!(failed.text("/state"), "FAILED");
    assert_eq!(failed.text("/error"), job.detail());
    let twice = admin
        .upload_file(&path, "droplet.tgz", b"x".to_vec())
        .await
        .unwrap();
    assert_eq!(
        (twice.status, twice.detail()),
        (
            422,
            "Droplet may be uploaded only once. Create a new droplet to upload bits."
        )
    );
    let unknown = droplet_for(&admin, "nothing").await;
    assert_eq!(
        (unknown.status, unknown.detail()),
        (
            422,
            "App with guid \"nothing\" does not exist, or you do not have access to it."
        )
    );
    let wrong = admin
        .get(&format!("/v3/apps/{app}/droplets?current=no"))
        .await
        .unwrap();
    assert_eq!(
        (wrong.status, wrong.detail()),
        (
            400,
            "The query parameter is invalid: Current only accepts the value 'true'"
        )
    );
}

#[tokio::test]
async fn a_copy_lives_on_when_its_source_is_deleted() {
    let platform = platform().await;
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web").await;
    let other = app_in(&admin, &space, "other").await;
    let source = uploaded(&admin, &app).await;
    let body = json!({ "relationships": related("app", &other) });
    let path = format!("/v3/droplets?source_guid={source}");
    let copy = admin.post(&path, &body).await.unwrap();
    assert_eq!(copy.status, 201, "{copy:?}");
    assert_eq!(copy.text("/relationships/app/data/guid"), other);
    let deleted = admin
        .delete(&format!("/v3/droplets/{source}"))
        .await
        .unwrap();
    assert_eq!(deleted.status, 202);
    let copied = copy.text("/guid");
    let tgz = admin
        .download(&format!("/v3/droplets/{copied}/download"))
        .await
        .unwrap();
    assert_eq!(files_in(&tgz).len(), 1);
    let gone = admin.post(&path, &body).await.unwrap();
    assert_eq!((gone.status, gone.detail()), (404, "Droplet not found"));
    let waiting = droplet_for(&admin, &app).await.text("/guid").to_owned();
    let refused = admin
        .post(&format!("/v3/droplets?source_guid={waiting}"), &body)
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "source droplet is not staged")
    );
}

#[tokio::test]
async fn only_the_newest_droplets_keep_their_files() {
    let platform = platform().await;
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in(&admin, &space, "web").await;
    let first = uploaded(&admin, &app).await;
    for _ in 0..5 {
        uploaded(&admin, &app).await;
    }
    let expired = admin
        .get(&format!("/v3/apps/{app}/droplets?states=EXPIRED"))
        .await
        .unwrap();
    assert_eq!(expired.body["pagination"]["total_results"], 1);
    assert_eq!(expired.text("/resources/0/guid"), first);
    let refused = admin
        .get(&format!("/v3/droplets/{first}/download"))
        .await
        .unwrap();
    assert_eq!(
        (refused.status, refused.detail()),
        (422, "Only staged droplets can be downloaded.")
    );
}
