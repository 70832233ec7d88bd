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
    // Started again, the crash says nothing any more. Times of events are whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let restart = format!("/v3/apps/{}/actions/restart", running.guid);
    let restarted = running.admin.post(&restart, &json!({})).await.unwrap();
    assert_eq!(restarted.status, 200, "{restarted:?}");
    assert_eq!(explained(&running, "no-route").await["wrong"], false);
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
    let ages = browser
        .get(&format!("{page}?since=4294967295d&until=1m"))
        .await;
    assert_eq!(ages.status, 200, "{ages:?}");
    let empty = browser.get(&format!("{page}?since=2h&until=3h")).await;
    assert!(
        empty.text.contains("The time range is empty"),
        "{}",
        empty.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_with_what_hostile_clients_sent() {
    let running = Running::start().await;
    let admin = &running.admin;
    let domains = admin.get("/v3/domains").await.unwrap();
    let domain = domains.body["resources"].as_array().unwrap().iter();
    let domain = domain.clone().find(|one| one["name"] == "cf.localhost");
    let domain = domain.unwrap_or_else(|| panic!("{domains:?}"))["guid"].clone();
    let route = json!({
        "host": "shop",
        "relationships": {
            "space": { "data": { "guid": running.space } },
            "domain": { "data": { "guid": domain } },
        },
    });
    let made = admin.post("/v3/routes", &route).await.unwrap();
    let path = format!("/v3/routes/{}/destinations", made.text("/guid"));
    let body = json!({ "destinations": [{ "app": { "guid": running.guid } }] });
    assert_eq!(admin.post(&path, &body).await.unwrap().status, 200);
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let page = format!("/console/apps/{}/requests", running.guid);
    let mut shown = String::new();
    for _ in 0..300 {
        let answer = browser
            .send(
                reqwest::Method::GET,
                "/cart?id='x'",
                None,
                &[("host", "shop.cf.localhost"), ("user-agent", "<img src=x>")],
            )
            .await;
        shown = browser.get(&page).await.text;
        if answer.status != 404 && shown.contains("GET /cart?id=") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        shown.contains("GET /cart?id=&#39;x&#39;") || shown.contains("GET /cart?id=%27x%27"),
        "{shown}"
    );
    assert!(
        shown.contains("&#60;img src=x&#62;") && !shown.contains("<img src=x"),
        "{shown}"
    );
    assert!(shown.contains(">502</span>"), "nothing listens: {shown}");
    assert!(shown.contains("Lines with its id"), "{shown}");
    let none = browser.get(&format!("{page}?status=2")).await;
    assert!(none.text.contains("No request matches"), "{}", none.text);
    let slow = browser.get(&format!("{page}?path=%2Fcart&since=10m")).await;
    assert!(slow.text.contains("GET /cart"), "{}", slow.text);
}
