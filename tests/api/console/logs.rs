//! Logs: hostile lines, filters, the stream, and who may read whose.

use std::time::Duration;

use cflite::docker::LogStream;
use cflite::testing::{TestApp, TestClient};
use serde_json::json;

use super::browser::Browser;

/// A running app, its guid and space.
pub(super) struct Running {
    pub(super) app: TestApp,
    pub(super) admin: TestClient,
    pub(super) guid: String,
    pub(super) space: String,
    pub(super) container: String,
}

impl Running {
    pub(super) async fn start() -> Self {
        let (app, admin, guid, space) = crate::tasks::runnable().await;
        let path = format!("/v3/apps/{guid}/actions/start");
        assert_eq!(admin.post(&path, &json!({})).await.unwrap().status, 200);
        let mut container = None;
        for _ in 0..1000 {
            let names = app.engine().container_names();
            container = names.into_iter().find(|name| name.contains("-web-"));
            if container.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let container = container.unwrap_or_else(|| panic!("{:?}", app.engine().container_names()));
        Self {
            app,
            admin,
            guid,
            space,
            container,
        }
    }

    /// The app writes a line; returns when it can be read.
    pub(super) async fn says(&self, stream: LogStream, text: &str) {
        let known = self.count().await;
        let engine = self.app.engine();
        engine.print(&self.container, stream, format!("{text}\n"));
        for _ in 0..1000 {
            if self.count().await > known {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the line is not in the log");
    }

    /// How many lines the app itself wrote.
    async fn count(&self) -> usize {
        let path = format!("/api/v1/read/{}?limit=1000", self.guid);
        let read = self.admin.get(&path).await.unwrap();
        let batch = read.body["envelopes"]["batch"].as_array().cloned();
        let batch = batch.unwrap_or_default().into_iter();
        let own = batch.filter(|one| one["tags"]["source_type"] == "APP/PROC/WEB");
        own.count()
    }

    fn page(&self) -> String {
        format!("/console/apps/{}/logs", self.guid)
    }
}

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "</div></log-view><img src=x onerror=alert(1)>",
    "x\r\rdata: forged\r\rid: 1\r\revent: lines",
    "\u{1b}]8;;javascript:alert(1)\u{7}click\u{1b}]8;;\u{7}\u{1b}[2J\u{1b}]0;title\u{7}",
    "\" onmouseover=\"alert(1)",
    "{\"msg\":\"<img src=x>\",\"level\":\"<b>\",\"<k>\":\"</pre><script>\"}",
];

/// What no page and no event may hold.
fn assert_harmless(what: &str, text: &str) {
    for bad in [
        "<script>alert",
        "<img src=x",
        "onmouseover=\"alert",
        "href=\"javascript",
        "</pre><script",
    ] {
        assert!(!text.contains(bad), "{what} holds {bad}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{what} holds an escape");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_writes_is_text_wherever_it_is_shown() {
    let running = Running::start().await;
    for line in HOSTILE {
        running.says(LogStream::Err, line).await;
    }
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let page = running.page();
    let shown = browser.get(&page).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert!(
        shown.text.contains("&lt;script&gt;alert(1)"),
        "{}",
        shown.text
    );
    assert_harmless("the page", &shown.text);
    // What is asked for is text, too.
    let asked = browser
        .get(&format!(
            "{page}?q=%22%3E%3Cscript%3Ealert(1)&at=%3Cimg%20src"
        ))
        .await;
    assert_eq!(asked.status, 200);
    assert_harmless("the filter", &asked.text);
    let lines = browser.get(&format!("{page}/lines")).await;
    let block = lines.json();
    assert_harmless("a block", block["html"].as_str().expect("HTML"));
    assert_harmless("the explorer", &browser.get("/console/logs").await.text);
    // The events: one line of HTML for each line, and nothing that looks like another field.
    let mut stream = Events::open(&browser, &format!("{page}/stream"), "0").await;
    let event = stream.until("&quot; onmouseover").await;
    assert_harmless("the stream", &event);
    for field in event.lines().filter(|line| !line.is_empty()) {
        let known = ["id: ", "event: ", "data: ", "data:", ":"];
        assert!(
            known.iter().any(|start| field.starts_with(start)),
            "{field}"
        );
    }
    assert!(!event.contains("\nid: 1\n"), "{event}");
    let file = browser.get(&format!("{page}.txt")).await;
    assert_eq!(file.header("content-type"), "text/plain; charset=utf-8");
    assert!(
        file.header("content-disposition")
            .starts_with("attachment; filename=\"web-")
    );
    assert!(
        file.text.contains("] ERR <script>alert(1)</script>\n"),
        "{}",
        file.text
    );
    assert!(!file.text.contains('\u{1b}') && !file.text.contains('\r'));
}

/// The events of a stream as text.
struct Events {
    answer: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(browser: &Browser, path: &str, last: &str) -> Self {
        let answer = browser.stream(path, last).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let text = String::new();
        Self { answer, text }
    }

    /// All there was up to a text and the event that holds it.
    async fn until(&mut self, wanted: &str) -> String {
        let reading = async {
            loop {
                let at = self.text.find(wanted);
                if at.is_some_and(|at| self.text[at..].contains("\n\n")) {
                    return self.text.clone();
                }
                let chunk = self.answer.chunk().await.expect("a chunk");
                let chunk = chunk.unwrap_or_else(|| panic!("the stream ended: {}", self.text));
                self.text.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        let limit = Duration::from_secs(30);
        let read = tokio::time::timeout(limit, reading).await;
        read.unwrap_or_else(|_| panic!("never {wanted:?}"))
    }
}

/// The ids of the events.
fn ids(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect()
}

/// The numbers of the lines `number N`.
fn numbers(text: &str) -> Vec<u32> {
    let found = text.split("number ").skip(1);
    let digits = found.map(|rest| {
        let digits = rest.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>()
    });
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_comes_back_gets_what_it_missed_once() {
    let running = Running::start().await;
    running.says(LogStream::Out, "number 1").await;
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let page = browser.get(&running.page()).await;
    let (_, rest) = page.text.split_once("data-cursor=\"").expect("a cursor");
    let cursor = rest.split('"').next().expect("its end").to_owned();
    assert_eq!(numbers(&page.text), [1]);
    running.says(LogStream::Out, "number 2").await;
    for path in [running.page(), "/console/logs".to_owned()] {
        let path = format!("{path}/stream?after={cursor}");
        let mut stream = Events::open(&browser, &path, "").await;
        let text = stream.until("number 2").await;
        assert_eq!(numbers(&text), [2], "{path}: {text}");
    }
    let path = format!("{}/stream?after={cursor}", running.page());
    let mut stream = Events::open(&browser, &path, "").await;
    running.says(LogStream::Out, "number 3").await;
    let text = stream.until("number 3").await;
    let last = (*ids(&text).last().expect("an id")).to_owned();
    drop(stream);
    running.says(LogStream::Out, "number 4").await;
    running.says(LogStream::Out, "number 5").await;
    // The header of a browser counts more than the page's address.
    let mut again = Events::open(&browser, &path, &last).await;
    assert_eq!(numbers(&again.until("number 5").await), [4, 5]);
    let refused = browser
        .get(&format!("{}/stream?after=x", running.page()))
        .await;
    assert_eq!(refused.status, 422, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_and_live_lines_pass_the_same_filter() {
    let running = Running::start().await;
    for (stream, line) in [
        (LogStream::Out, "number 1 fine"),
        (LogStream::Err, "number 2 refused"),
        (LogStream::Out, "number 3 WARN slow"),
        (LogStream::Out, "number 4 health"),
    ] {
        running.says(stream, line).await;
    }
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let page = running.page();
    for (query, expected) in [
        ("q=NUMBER", &[1, 2, 3, 4][..]),
        ("q=%2Fnumber+[12]%2F", &[1, 2]),
        ("q=-health&not=fine", &[2, 3]),
        ("stream=err&source=APP", &[2]),
        ("level=warn&source=APP", &[2, 3]),
        ("instance=7", &[]),
        ("until=1h&q=number", &[]),
        ("since=1h&q=number", &[1, 2, 3, 4]),
    ] {
        let shown = browser.get(&format!("{page}?{query}")).await;
        assert_eq!(numbers(&shown.text), expected, "{query}: {}", shown.text);
        let file = browser.get(&format!("{page}.json?{query}")).await;
        assert_eq!(numbers(&file.text), expected, "{query}");
    }
    let nothing = browser.get(&format!("{page}?q=no-such-line")).await;
    assert!(
        nothing.text.contains("The filter hides all"),
        "{}",
        nothing.text
    );
    let bad = browser.get(&format!("{page}?q=%2F(%2F")).await;
    assert!(
        bad.text.contains("This is no regular expression"),
        "{}",
        bad.text
    );
    let bad = browser.get(&format!("{page}/lines?q=%2F(%2F")).await;
    assert_eq!(bad.status, 422, "{bad:?}");
    let path = format!("{page}/stream?q=%2Fnumber+\\d*[13579]%2F");
    let mut stream = Events::open(&browser, &path, "0").await;
    stream.until("number 3").await;
    for number in 5..8 {
        running
            .says(LogStream::Out, &format!("number {number}"))
            .await;
    }
    assert_eq!(numbers(&stream.until("number 7").await), [1, 3, 5, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_for_those_who_may_read_them() {
    let running = Running::start().await;
    running.says(LogStream::Out, "a secret plan").await;
    let space = running
        .admin
        .get(&format!("/v3/spaces/{}", running.space))
        .await
        .unwrap();
    let organization = space
        .text("/relationships/organization/data/guid")
        .to_owned();
    let place = (organization.as_str(), running.space.as_str());
    running
        .app
        .member(("dev", "space_developer"), place)
        .await
        .unwrap();
    running
        .app
        .member(("auditor", "space_auditor"), place)
        .await
        .unwrap();
    running.app.user("nobody").await.unwrap();
    let page = running.page();
    for (name, may) in [("dev", true), ("auditor", true), ("nobody", false)] {
        let mut browser = Browser::sign_in(&running.app, name).await;
        for ending in ["", "/lines", ".txt", ".json"] {
            let answer = browser.get(&format!("{page}{ending}")).await;
            let expected = if may { 200 } else { 404 };
            assert_eq!(answer.status, expected, "{name} {ending}");
            assert_eq!(
                answer.text.contains("a secret plan"),
                may,
                "{name} {ending}"
            );
        }
        let answer = browser.stream(&format!("{page}/stream"), "").await;
        assert_eq!(answer.status(), if may { 200 } else { 404 }, "{name}");
        for query in ["", "?app=", "?space="] {
            let query = match query {
                "?app=" => format!("?app={}", running.guid),
                "?space=" => format!("?space={}", running.space),
                _ => String::new(),
            };
            for ending in ["", ".txt"] {
                let answer = browser.get(&format!("/console/logs{ending}{query}")).await;
                assert_eq!(answer.status, 200, "{name} {ending}{query}");
                let shows = answer.text.contains("a secret plan");
                assert_eq!(shows, may, "{name} {ending}{query}");
            }
        }
    }
    let mut stranger = Browser::new(&running.app);
    assert_eq!(stranger.get(&format!("{page}/stream")).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_opens_what_surrounds_it() {
    let running = Running::start().await;
    for number in 1..=9 {
        running
            .says(LogStream::Out, &format!("number {number}"))
            .await;
    }
    let mut browser = Browser::sign_in(&running.app, "admin").await;
    let page = running.page();
    let all = browser.get(&format!("{page}?q=number")).await;
    let ids: Vec<String> = { all.text.split(" id=\"t").skip(1) }
        .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    assert_eq!(ids.len(), 9, "{}", all.text);
    let around = browser.get(&format!("{page}?at={}&q=number", ids[4])).await;
    assert_eq!(numbers(&around.text).len(), 9);
    assert!(!around.text.contains("data-is-live"), "{}", around.text);
    let before = browser
        .get(&format!("{page}/lines?before={}&q=number", ids[4]))
        .await
        .json();
    assert_eq!(numbers(before["html"].as_str().unwrap()), [1, 2, 3, 4]);
    assert_eq!(
        (&before["first"], &before["last"]),
        (&json!(ids[0]), &json!(ids[3]))
    );
    let from = browser
        .get(&format!("{page}/lines?from={}&q=number", ids[7]))
        .await
        .json();
    assert_eq!(numbers(from["html"].as_str().unwrap()), [8, 9]);
}
