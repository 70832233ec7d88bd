//! The why card, in the browser and for the command line; measurements and requests.

use std::time::Duration;

use cflite::docker::LogStream;
use serde_json::{Value, json};

use super::browser::Browser;
use super::logs::Running;

/// The explanation once it names this cause.
async fn explained(running: &Running, cause: &str) -> Value {
    let path = format!("/cflite/apps/{}/explain", running.guid);
    let mut last = Value::Null;
    for _ in 0..1000 {
        last = running.admin.get(&path).await.unwrap().body;
        if last["cause"] == cause {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {cause}: {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_explained_in_the_browser_and_to_the_command_line_alike() {
    let running = Running::start().await;
    let line = "Error: Cannot find module '<b>express'";
    running.says(LogStream::Err, line).await;
    running.app.engine().exit(&running.container, 1);
    let found = explained(&running, "missing-module").await;
    assert_eq!(found["wrong"], true);
    assert_eq!(
        found["title"],
        "The module <b>express is not in the droplet"
    );
    assert_eq!(found["last_lines"], json!([line]));
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let page = browser
        .get(&format!("/console/apps/{}", running.guid))
        .await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(
        page.text
            .contains("The module &#60;b&#62;express is not in the droplet"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("<b>express"));
    assert!(page.text.contains("cflite explain web"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_is_for_who_may_see_the_app() {
    let running = Running::start().await;
    let path = format!("/cflite/apps/{}/explain", running.guid);
    let nobody = running.app.user("nobody").await.unwrap();
    assert_eq!(nobody.get(&path).await.unwrap().status, 404);
    assert_eq!(
        running.app.anonymous().get(&path).await.unwrap().status,
        401
    );
    let stop = format!("/v3/apps/{}/actions/stop", running.guid);
    running.admin.post(&stop, &json!({})).await.unwrap();
    let found = explained(&running, "stopped").await;
    assert_eq!(found["wrong"], false);
    let mut browser = Browser::sign_in(&running.app, "nobody").await;
    for tab in ["", "/metrics", "/requests"] {
        let page = browser
            .get(&format!("/console/apps/{}{tab}", running.guid))
            .await;
        assert_eq!(page.status, 404, "{tab}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn measurements_are_drawn_and_times_are_checked() {
    let running = Running::start().await;
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let page = format!("/console/apps/{}/metrics", running.guid);
    let shown = browser.get(&page).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    for title in ["Memory", "CPU", "Requests", "Response times"] {
        assert!(shown.text.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(
        shown.text.contains(">start</span>"),
        "the start is marked: {}",
        shown.text
    );
    let bad = browser.get(&format!("{page}?since=soon")).await;
    assert!(bad.text.contains("is no time"), "{}", bad.text);
    let empty = browser.get(&format!("{page}?since=2h&until=3h")).await;
    assert!(
        empty.text.contains("The time range is empty"),
        "{}",
        empty.text
    );
}
