//! Requests that are meant to cost much: filters with many values and filters of many shapes.
//!
//! What a connection keeps for a statement grows with its text, and so does what it keeps for many
//! statements. So texts must be short, and few, whatever callers send.

use std::collections::BTreeSet;

use cflite::testing::{TestApp, app_in_space, organization_and_space};
use serde_json::json;

use crate::lists::{lists, world};

/// Bytes of the longest statement a connection may keep.
const LONGEST_TEXT: usize = 8 * 1024;
/// Statements that workers may use for the first time while a test runs.
const BY_WORKERS: usize = 20;

/// Asserts that hardly any statement was added to those `known`, and that all are short.
fn assert_bounded(platform: &TestApp, known: &BTreeSet<String>) {
    let texts = platform.statement_texts();
    let added: Vec<&String> = texts.difference(known).collect();
    assert!(
        added.len() <= BY_WORKERS,
        "{} texts: {added:?}",
        added.len()
    );
    for text in &texts {
        assert!(text.len() <= LONGEST_TEXT, "{} bytes: {text}", text.len());
    }
}

/// `count` values that are all different.
fn values(count: usize) -> String {
    let values: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    values.join(",")
}

#[tokio::test]
async fn statements_do_not_grow_with_the_values_of_a_filter() {
    let platform = TestApp::start().await.unwrap();
    let (admin, guids) = world(&platform).await;
    let mut known = BTreeSet::new();
    let mut asked = 0;
    for count in [2, 3, 17, 400, 1800] {
        for list in lists(&guids) {
            for filter in list.filters.iter().chain(&["guids"]) {
                let path = format!("{}?{filter}={}", list.path, values(count));
                let answer = admin.get(&path).await.unwrap();
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                asked += 1;
            }
            if list.labels {
                for operator in ["in", "notin"] {
                    let path = format!(
                        "{}?label_selector=tier%20{operator}%20({})",
                        list.path,
                        values(count)
                    );
                    let answer = admin.get(&path).await.unwrap();
                    assert_eq!(answer.status, 200, "{path}: {answer:?}");
                    asked += 1;
                }
            }
        }
        if count == 2 {
            known = platform.statement_texts();
        }
    }
    assert!(asked > 400, "{asked}");
    assert_bounded(&platform, &known);
}

#[tokio::test]
async fn statements_do_not_grow_with_times() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let app = app_in_space(&admin, &space, "web").await.unwrap();
    let app = admin.get(&format!("/v3/apps/{app}")).await.unwrap();
    let mut times = vec![app.text("/created_at").to_owned()];
    let mut known = BTreeSet::new();
    for name in ["created_ats", "updated_ats"] {
        for others in [0, 1, 2, 60, 450] {
            times.truncate(1);
            times.extend(
                (0..others).map(|n| format!("20{:02}-01-01T00:{:02}:00Z", 1 + n / 60, n % 60)),
            );
            let path = format!("/v3/apps?{name}={}", times.join(","));
            let found = admin.get(&path).await.unwrap();
            assert_eq!(found.names(), ["web"], "{path}: {found:?}");
            let path = format!("/v3/apps?{name}={}", times[1..].join(","));
            if others > 0 {
                let found = admin.get(&path).await.unwrap();
                assert_eq!(found.body["resources"], json!([]), "{path}: {found:?}");
            }
            if others == 2 && name == "updated_ats" {
                known = platform.statement_texts();
            }
        }
    }
    // One condition an operator, however often it is given.
    let many = "&created_ats[gt]=2001-01-01T00:00:00Z".repeat(200);
    let found = admin.get(&format!("/v3/apps?page=1{many}")).await.unwrap();
    assert_eq!(found.names(), ["web"]);
    assert_bounded(&platform, &known);
}

#[tokio::test]
async fn a_longer_query_than_cloud_controller_takes_is_refused() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    for query in [
        format!("names={}", ",".repeat(30_000)),
        format!("guids={}", vec!["x"; 31_000].join(",")),
        "created_ats=2001-01-01T00:00:00Z&".repeat(600),
    ] {
        let refused = admin.get(&format!("/v3/apps?{query}")).await.unwrap();
        assert_eq!(
            (refused.status, refused.title()),
            (400, "CF-BadQueryParameter")
        );
        let text = "The query parameter is invalid: Query string is longer than 10240 bytes";
        assert_eq!(refused.detail(), text);
    }
}

#[tokio::test]
async fn a_value_that_ends_in_a_nul_is_another_value() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    app_in_space(&admin, &space, "web").await.unwrap();
    for names in ["web%00", "web%00,x", "web%00x,y", "we,b"] {
        let found = admin.get(&format!("/v3/apps?names={names}")).await.unwrap();
        assert_eq!(found.status, 200, "{names}: {found:?}");
        assert_eq!(found.body["pagination"]["total_results"], 0, "{names}");
    }
}

#[tokio::test]
async fn statements_do_not_grow_with_scim_filters() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let ask = async |kind: &str, filter: String| {
        let filter = filter.replace('"', "%22").replace(' ', "+");
        admin.get(&format!("/{kind}?{filter}")).await.unwrap()
    };
    let simple = |n: usize| format!("startIndex={}&count={n}&filter=id eq \"x\"", n + 1);
    ask("Users", simple(1)).await;
    ask("Users", "filter=id eq \"a\" or id eq \"b\"".to_owned()).await;
    let known = platform.statement_texts();
    for n in 1..60 {
        assert_eq!(ask("Users", simple(n)).await.status, 200);
        let ids: Vec<String> = (0..n).map(|n| format!("id eq \"{n}\"")).collect();
        let answer = ask("Users", format!("filter={}", ids.join(" or "))).await;
        assert_eq!(
            (answer.status, &answer.body["totalResults"]),
            (200, &json!(0))
        );
        let shapes: Vec<String> = (0..=n % 30).map(|n| format!("id co \"{n}\"")).collect();
        let answer = ask("Users", format!("filter={}", shapes.join(" or "))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_bounded(&platform, &known);
    for filter in [
        vec!["id pr"; 33].join(" and "),
        format!("{}id pr{}", "(".repeat(9), ")".repeat(9)),
        format!("id eq \"{}\"", "x".repeat(4096)),
    ] {
        let refused = ask("Users", format!("filter={filter}")).await;
        assert_eq!(
            (refused.status, refused.text("/error")),
            (400, "scim"),
            "{refused:?}"
        );
    }
}
