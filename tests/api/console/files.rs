//! Files of instances: for those who may get in, as the container's own tools tell them.

use serde_json::json;

use super::browser::Browser;
use super::logs::Running;

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_files_are_shown_as_text_and_downloaded() {
    let running = Running::start().await;
    let engine = running.app.engine();
    let listed = "41ed 4096 1700000000 vcap ./css\n81a4 12 1700000001 vcap ./<b>.html\n";
    engine.program("stat -c", move |_| (0, listed.to_owned()));
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let tab = format!("/console/apps/{}/files", running.guid);
    let page = browser.get(&tab).await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text.contains("&#60;b&#62;.html"), "{}", page.text);
    assert!(!page.text.contains("<b>.html"), "{}", page.text);
    assert!(page.text.contains("12 B"), "{}", page.text);
    let below = "path=%2Fhome%2Fvcap%2Fapp%2Fcss";
    assert!(page.text.contains(below), "{}", page.text);
    let teaches = "cf ssh web -c &#39;ls -la /home/vcap/app&#39;";
    assert!(page.text.contains(teaches), "{}", page.text);

    // What the tools answer with is what the page says.
    for (status, text) in [
        (71, "may not read this"),
        (73, "There is no such file or folder."),
        (127, "has no shell to look with"),
    ] {
        engine.program("stat -c", move |_| (status, String::new()));
        let page = browser.get(&tab).await;
        assert_eq!(page.status, 200, "{status}: {page:?}");
        assert!(page.text.contains(text), "{status}: {}", page.text);
    }
    engine.program("stat -c", |_| (72, String::new()));
    engine.program("exec head", |_| (0, "<script>hi</script>\n".to_owned()));
    let path = format!("{tab}?path=/etc/x%20y");
    let page = browser.get(&path).await;
    let shown = "&#60;script&#62;hi&#60;/script&#62;";
    assert!(page.text.contains(shown), "{}", page.text);
    let path = format!("{tab}/download?path=/etc/x%20y");
    let file = browser.get(&path).await;
    assert_eq!(
        (file.status, file.text.as_str()),
        (200, "<script>hi</script>\n")
    );
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert!(file.header("content-disposition").starts_with("attachment"));
    let words = engine.commands().pop().expect("a command").words;
    assert_eq!(words[4], "/etc/x y", "a path is one word: {words:?}");

    // Half a file must not pass for the whole.
    engine.program("exec head", |_| (137, "<script>".to_owned()));
    assert!(browser.breaks_off(&path).await);

    engine.program("exec head", |_| (71, String::new()));
    assert_eq!(browser.get(&path).await.status, 403);
    engine.program("exec head", |_| (73, String::new()));
    assert_eq!(browser.get(&path).await.status, 404);
    let bad = browser.get(&format!("{tab}?path=etc")).await;
    assert_eq!(bad.status, 422, "{bad:?}");
    let gone = browser.get(&format!("{tab}?index=7")).await;
    assert!(gone.text.contains("does not run"), "{}", gone.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_for_those_who_may_get_in() {
    let running = Running::start().await;
    let engine = running.app.engine();
    engine.program("stat -c", |_| (0, "81a4 12 1 vcap ./secret\n".to_owned()));
    engine.program("exec head", |_| (0, "secret".to_owned()));
    let app = running
        .admin
        .get(&format!("/v3/apps/{}", running.guid))
        .await;
    let app = app.expect("the app");
    let space = app.text("/relationships/space/data/guid").to_owned();
    let place = running.admin.get(&format!("/v3/spaces/{space}")).await;
    let place = place.expect("the space");
    let organization = place.text("/relationships/organization/data/guid");
    let place = (organization, space.as_str());
    let tab = format!("/console/apps/{}/files", running.guid);
    let download = format!("{tab}/download?path=/secret");
    for (role, may) in [
        ("space_developer", true),
        ("space_auditor", false),
        ("space_supporter", false),
        ("space_manager", false),
    ] {
        let member = running.app.member((role, role), place).await;
        member.expect("a member");
        let mut browser = Browser::sign_in(&running.app, role).await;
        let page = browser.get(&tab).await;
        assert_eq!(page.text.contains("secret"), may, "{role}: {}", page.text);
        let status = browser.get(&download).await.status;
        assert_eq!(status, if may { 200 } else { 403 }, "{role}");
    }
    running.app.user("stranger").await.expect("a user");
    let mut stranger = Browser::sign_in(&running.app, "stranger").await;
    assert_eq!(stranger.get(&tab).await.status, 404);
    assert_eq!(stranger.get(&download).await.status, 404);

    // Where nobody gets in by SSH, nobody reads files.
    let feature = format!("/v3/spaces/{space}/features/ssh");
    let off = running
        .admin
        .patch(&feature, &json!({ "enabled": false }))
        .await;
    assert_eq!(off.expect("an answer").status, 200);
    let mut admin = Browser::sign_in(&running.app, "admin").await;
    let page = admin.get(&tab).await;
    assert!(page.text.contains("where SSH is allowed"), "{}", page.text);
    assert!(!page.text.contains("secret"), "{}", page.text);
    assert_eq!(admin.get(&download).await.status, 403);
}
