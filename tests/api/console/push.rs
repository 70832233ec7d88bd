//! Pushing from the browser: what is pushed is staged and started without the page.

use std::time::Duration;

use cflite::testing::{TestApp, app_in_space, organization_and_space};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::browser::Browser;

/// Reads the page of a push until it tells that the app runs.
async fn runs(browser: &mut Browser, page: &str) -> String {
    for _ in 0..400 {
        let shown = browser.get(page).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        if shown.text.contains("The app runs") {
            return shown.text;
        }
        assert!(!shown.text.contains(">failed<"), "{}", shown.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the push does not end");
}

async fn upload(browser: &Browser, form: Form) -> (u16, Value) {
    let cookies: Vec<String> = { browser.cookies.iter() }
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let answer = reqwest::Client::new()
        .post(format!("{}/console/push/files", browser.origin))
        .header("cookie", cookies.join("; "))
        .header("origin", &browser.origin)
        .header("x-cflite-script", "1")
        .header("x-cflite-form", &browser.form_token)
        .multipart(form)
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_staged_and_started() -> anyhow::Result<()> {
    let app = TestApp::with_stack().await?;
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    let place = (organization.as_str(), space.as_str());
    app.member(("dev", "space_developer"), place).await?;
    let mut dev = Browser::sign_in(&app, "dev").await;
    let form = [
        ("name", "hello"),
        ("space", space.as_str()),
        ("memory", "64"),
    ];
    let done = dev.post("/console/push/sample", &form).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(done.json()["command"], "cf push hello -m 64M");
    let page = done.json()["next"].as_str().expect("a page").to_owned();
    let text = runs(&mut dev, &page).await;
    assert!(text.contains("http://hello."), "its address: {text}");

    // What the push did, call by call, also for the one who pushed.
    let (shown, _) = page.split_once("/pushes/").expect("a push");
    let xray = dev.get(&format!("{shown}/xray")).await;
    assert!(
        xray.text.contains("actions/apply_manifest"),
        "{}",
        xray.text
    );
    assert!(xray.text.contains("/v3/builds"), "{}", xray.text);
    app.member(("other", "space_developer"), place).await?;
    let mut other = Browser::sign_in(&app, "other").await;
    let xray = other.get(&format!("{shown}/xray")).await;
    assert!(!xray.text.contains("apply_manifest"), "{}", xray.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_packed_while_it_arrives() -> anyhow::Result<()> {
    let app = TestApp::with_stack().await?;
    let admin = app.admin().await?;
    let (_, space) = organization_and_space(&admin, "acme").await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let file = |path: &str, text: &str| Part::text(text.to_owned()).file_name(path.to_owned());
    let fields = || {
        Form::new()
            .text("name", "site")
            .text("space", space.clone())
            .text("memory", "64")
    };
    let form = fields()
        .part("files", file("index.html", "<h1>here</h1>"))
        .part("files", file("css/site.css", "h1 {}"));
    let (status, done) = upload(&browser, form).await;
    assert_eq!(status, 200, "{done}");
    runs(&mut browser, done["next"].as_str().expect("a page")).await;

    let found = admin.get("/v3/packages?order_by=-created_at").await?;
    let package = found.text("/resources/0/guid").to_owned();
    let zip = admin
        .download(&format!("/v3/packages/{package}/download"))
        .await?;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zip))?;
    assert!(zip.by_name("css/site.css").is_ok());

    // What leads out of the folder, comes twice or is nothing, is refused and makes no app.
    for (form, text) in [
        (
            Form::new()
                .text("name", "bad")
                .text("space", space.clone())
                .part("files", file("../../etc/passwd", "x")),
            "is not a path inside of a folder",
        ),
        (
            Form::new()
                .text("name", "bad")
                .text("space", space.clone())
                .part("files", file("a", "x"))
                .part("files", file("a", "y")),
            "was sent twice",
        ),
        (
            Form::new().text("name", "bad").text("space", space.clone()),
            "Files can't be blank",
        ),
    ] {
        let (status, refused) = upload(&browser, form).await;
        let detail = refused["errors"][0]["detail"].as_str().unwrap_or_default();
        assert_eq!(status, 422, "{refused}");
        assert!(detail.contains(text), "{refused}");
    }
    let apps = admin.get("/v3/apps?names=bad").await?;
    assert_eq!(apps.names(), Vec::<&str>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_without_the_role_makes_nothing() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    let place = (organization.as_str(), space.as_str());
    app.member(("auditor", "space_auditor"), place).await?;
    let mut auditor = Browser::sign_in(&app, "auditor").await;
    let form = [("name", "hello"), ("space", space.as_str())];
    let refused = auditor.post("/console/push/sample", &form).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(admin.get("/v3/apps").await?.names(), Vec::<&str>::new());
    // A large folder is refused before it is received.
    let file = Part::text("x").file_name("index.html");
    let form = Form::new()
        .text("name", "hello")
        .text("space", space.clone())
        .part("files", file);
    let (status, refused) = upload(&auditor, form).await;
    assert_eq!(status, 403, "{refused}");
    assert_eq!(admin.get("/v3/apps").await?.names(), Vec::<&str>::new());

    // Nor does it go on with what somebody else pushed.
    let guid = app_in_space(&admin, &space, "hello").await?;
    let body = json!({
        "type": "bits",
        "relationships": { "app": { "data": { "guid": guid } } },
    });
    let package = admin.post("/v3/packages", &body).await?;
    let push = format!("/console/apps/{guid}/pushes/{}", package.text("/guid"));
    let refused = auditor.post(&format!("{push}/continue"), &[]).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let mut browser = Browser::sign_in(&app, "admin").await;
    let refused = browser.post(&format!("{push}/continue"), &[]).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let shown = browser.get(&push).await;
    assert!(
        shown.text.contains("the files did not arrive"),
        "{}",
        shown.text
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_step_is_told_and_tried_again() -> anyhow::Result<()> {
    let app = TestApp::with_stack().await?;
    let admin = app.admin().await?;
    let (organization, space) = organization_and_space(&admin, "acme").await?;
    let body = json!({
        "name": "tiny",
        "apps": { "total_memory_in_mb": 32 },
        "relationships": { "organizations": { "data": [{ "guid": organization }] } },
    });
    let quota = admin.post("/v3/organization_quotas", &body).await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    // A name with a comma, which filters of the API take for two names.
    let form = [
        ("name", "a,b"),
        ("space", space.as_str()),
        ("memory", "64"),
        ("route", "none"),
    ];
    let done = browser.post("/console/push/sample", &form).await;
    assert_eq!(done.status, 200, "{done:?}");
    let page = done.json()["next"].as_str().expect("a page").to_owned();
    let mut text = String::new();
    for _ in 0..400 {
        text = browser.get(&page).await.text;
        if text.contains(">failed<") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(text.contains(">failed<"), "{text}");
    assert!(text.contains("memory limit exceeded"), "{text}");

    let path = format!("/v3/organization_quotas/{}", quota.text("/guid"));
    let body = json!({ "apps": { "total_memory_in_mb": 4096 } });
    admin.patch(&path, &body).await?;
    let goes_on = browser.post(&format!("{page}/continue"), &[]).await;
    assert_eq!(goes_on.status, 200, "{goes_on:?}");
    runs(&mut browser, &page).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_is_in_no_x_ray() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (_, space) = organization_and_space(&admin, "acme").await?;
    let guid = app_in_space(&admin, &space, "shop").await?;
    let body = json!({
        "type": "bits",
        "relationships": { "app": { "data": { "guid": guid } } },
    });
    let package = admin.post("/v3/packages", &body).await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let users = admin.get("/v3/users?usernames=admin").await?;
    let user = json!({ "user_id": users.text("/resources/0/guid"), "user_name": "admin" });
    let part = |value: Value| base64(&value.to_string());
    let token = format!("{}.{}.none", part(json!({ "alg": "none" })), part(user));
    let path = format!("/v3/packages/{}?forged", package.text("/guid"));
    let headers = [
        ("user-agent", "cf/8.18.4"),
        ("authorization", &*format!("bearer {token}")),
    ];
    let refused = Browser::new(&app)
        .send(Method::GET, &path, None, &headers)
        .await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let xray = browser.get(&format!("/console/apps/{guid}/xray")).await;
    assert_eq!(xray.status, 200, "{xray:?}");
    assert!(!xray.text.contains("forged"), "{}", xray.text);
    Ok(())
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}
