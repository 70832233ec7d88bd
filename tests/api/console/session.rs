//! Signing in and out, and what a change needs: apps are on sibling names and hostile.

use cflite::testing::TestApp;
use reqwest::Method;

use super::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_by_the_form_and_out_everywhere() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    app.user("eve").await?;
    let mut browser = Browser::new(&app);
    let sent = browser.get("/console/apps?q=x").await;
    assert_eq!(sent.status, 303);
    assert_eq!(
        sent.location,
        "/console/login?next=%2Fconsole%2Fapps%3Fq%3Dx"
    );

    let page = browser
        .log_in("eve", "only-for-tests", "/console/apps?q=x")
        .await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(
        page.text.contains("value=\"x\""),
        "the page that was asked for"
    );
    assert!(page.text.contains(">eve<"), "{}", page.text);
    let session = browser.cookies.clone();
    let secret = session
        .iter()
        .find(|(name, _)| name.starts_with("__Host-cflite-console-"))
        .expect("a session");
    assert!(!page.text.contains(secret.1), "the secret is in no page");

    // The token of the session is the UAA's, and its end is the end of both.
    let fields = [("form_token", browser.form_token.clone())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let origin = browser.origin.clone();
    let out = browser
        .send(
            Method::POST,
            "/console/sign-out",
            Some(&fields),
            &[("origin", &origin)],
        )
        .await;
    assert_eq!((out.status, out.location.as_str()), (303, "/logout.do"));
    browser.follow("/logout.do").await;
    // Somebody kept the cookies.
    let mut thief = Browser::new(&app);
    thief.cookies = session;
    let page = thief.get("/console").await;
    assert_eq!(page.status, 303, "the old session is no session: {page:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_survives_a_restart_and_ends_with_its_user() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    app.user("eve").await?;
    let mut browser = Browser::sign_in(&app, "eve").await;
    let app = app.restart().await?;
    // The port is another one; the address that the browser shows is still that of the session.
    let old = std::mem::replace(&mut browser.origin, app.url());
    let authority = old.trim_start_matches("http://");
    let at = [("host", authority)];
    let page = browser.send(Method::GET, "/console", None, &at).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text.contains(">eve<"), "{}", page.text);
    if old != app.url() {
        let elsewhere = browser.get("/console").await.status;
        assert_eq!(elsewhere, 303, "a session belongs to its origin");
    }
    let admin = app.admin().await?;
    let found = admin.get("/v3/users?usernames=eve").await?;
    let guid = found.text("/resources/0/guid").to_owned();
    admin.delete(&format!("/Users/{guid}")).await?;
    let page = browser.send(Method::GET, "/console", None, &at).await;
    assert_eq!(page.status, 303, "{page:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_this_origin_and_the_token_of_the_session() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let admin = app.admin().await?;
    let (_, space) = cflite::testing::organization_and_space(&admin, "acme").await?;
    let guid = cflite::testing::app_in_space(&admin, &space, "shop").await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let other = Browser::sign_in(&app, "admin").await;
    let path = format!("/console/apps/{guid}/delete");
    let form = [("name", "shop")];
    let (origin, token) = (browser.origin.clone(), browser.form_token.clone());
    let hostile: [(&str, Vec<(&str, &str)>); 6] = [
        ("no origin", vec![("x-cflite-form", token.as_str())]),
        (
            "an app's origin",
            vec![
                ("origin", "http://shop.cf.localhost"),
                ("x-cflite-form", token.as_str()),
            ],
        ),
        (
            "null",
            vec![("origin", "null"), ("x-cflite-form", token.as_str())],
        ),
        (
            "a sibling's page",
            vec![
                ("origin", origin.as_str()),
                ("sec-fetch-site", "same-site"),
                ("x-cflite-form", token.as_str()),
            ],
        ),
        ("no token", vec![("origin", origin.as_str())]),
        (
            "another session's token",
            vec![
                ("origin", origin.as_str()),
                ("x-cflite-form", other.form_token.as_str()),
            ],
        ),
    ];
    for (what, headers) in hostile {
        let refused = browser
            .send(Method::POST, &path, Some(&form), &headers)
            .await;
        assert_eq!(refused.status, 403, "{what}: {refused:?}");
    }
    assert_eq!(admin.get(&format!("/v3/apps/{guid}")).await?.status, 200);
    let at = [("origin", origin.as_str())];
    let out = "/console/sign-out";
    let refused = browser.send(Method::POST, out, Some(&[]), &at).await;
    assert_eq!(refused.status, 403, "signing out is a change: {refused:?}");
    let done = browser.post(&path, &form).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(done.json()["command"], "cf delete shop -f");
    assert_eq!(admin.get(&format!("/v3/apps/{guid}")).await?.status, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_somebody_else_began_is_not_ended_here() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    app.user("mallory").await?;
    // Mallory signs in up to the code, and sends its address to somebody.
    let mut mallory = Browser::new(&app);
    let form = mallory.follow("/console").await;
    let fields = [
        ("X-Uaa-Csrf", form.hidden("X-Uaa-Csrf")),
        ("username", "mallory".to_owned()),
        ("password", "only-for-tests".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
    mallory
        .send(Method::POST, "/login.do", Some(&fields), &[])
        .await;
    let login = mallory.get("/console/login?next=/console").await;
    let callback = mallory.get(&login.location).await;
    assert!(
        callback.location.contains("/console/callback?code="),
        "{callback:?}"
    );
    let mut victim = Browser::new(&app);
    let page = victim.get(&callback.location).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/console"));
    assert!(victim.cookies.is_empty(), "{:?}", victim.cookies);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_a_page_that_a_person_sees() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    app.user("eve").await?;
    let mut browser = Browser::sign_in(&app, "eve").await;
    let cookies = browser.cookies.clone();
    let login = "/console/login?next=/console/apps";
    for purpose in ["iframe", "image", "empty"] {
        let from = [("sec-fetch-dest", purpose)];
        let refused = browser.send(Method::GET, login, None, &from).await;
        assert_eq!(refused.status, 403, "{purpose}: {refused:?}");
    }
    let from = [("sec-fetch-dest", "document")];
    let page = browser.send(Method::GET, login, None, &from).await;
    let sent = (page.status, page.location.as_str());
    assert_eq!(sent, (303, "/console/apps"), "who is signed in stays so");
    assert_eq!(browser.cookies, cookies);

    let stream = [("accept", "text/event-stream")];
    let path = "/console/live";
    let refused = Browser::new(&app)
        .send(Method::GET, path, None, &stream)
        .await;
    assert_eq!(refused.status, 401, "a stream has no form: {refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_forbids_framing_and_foreign_scripts() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    for path in [
        "/console",
        "/console/apps",
        "/console/apps/none",
        "/console/login",
    ] {
        let page = browser.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';")
                && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("access-control-allow-origin"), "");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_kept_for_ever_under_their_hash() -> anyhow::Result<()> {
    let app = TestApp::start().await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let home = browser.get("/console").await;
    for name in ["console.css", "console.js"] {
        let start = home.text.find("/console/assets/").expect("an asset");
        let path = home.text[start..]
            .split('"')
            .find(|part| part.ends_with(name))
            .expect("the asset");
        let asset = browser.get(path).await;
        assert_eq!(asset.status, 200, "{path}");
        assert!(
            asset.header("cache-control").contains("immutable"),
            "{path}"
        );
        let gone = path.replace("/assets/", "/assets/0");
        assert_eq!(browser.get(&gone).await.status, 404);
    }
    Ok(())
}
