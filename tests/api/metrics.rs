//! Metrics: Prometheus' endpoint, and PromQL over what is in the log store.

use std::time::Duration;

use cflite::telemetry::exposition::reader;
use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::Value;

/// The path of an instant query.
fn query(text: &str) -> String {
    let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    format!("/api/v1/query?query={text}")
}

/// The answer to a query once it has results.
async fn results(client: &TestClient, text: &str) -> Vec<Value> {
    for _ in 0..200 {
        let answer = client.get(&query(text)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let results = answer.body["data"]["result"].as_array().cloned();
        let results = results.unwrap_or_default();
        if !results.is_empty() {
            return results;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{text} has no results");
}

#[tokio::test]
async fn prometheus_gets_metrics_of_the_platform_and_its_apps() {
    let (app, admin, _, _) = crate::tasks::runnable().await;
    let text = admin.download("/metrics").await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines = reader::read(&text).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    let value = |name: &str, label: (&str, &str)| {
        let found = lines.iter().find(|line| {
            line.name == name && line.labels.get(label.0).map(String::as_str) == Some(label.1)
        });
        found.unwrap_or_else(|| panic!("no {name}\n{text}")).value
    };
    assert!((value("cflite_resources", ("kind", "apps")) - 1.0).abs() < f64::EPSILON);
    assert!((value("cflite_worker_running", ("worker", "log writer")) - 1.0).abs() < f64::EPSILON);
    let version = env!("CARGO_PKG_VERSION");
    assert!((value("cflite_build_info", ("version", version)) - 1.0).abs() < f64::EPSILON);

    let anonymous = app.anonymous().get("/metrics").await.unwrap();
    assert_eq!(anonymous.status, 401, "{anonymous:?}");
    let user = app.user("somebody").await.unwrap();
    let refused = user.get("/metrics").await.unwrap();
    assert_eq!(refused.status, 403, "{refused:?}");
}

#[tokio::test]
async fn components_of_the_platform_are_sources_for_those_who_may_read_all() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let apps = results(&admin, r#"spaces{source_id="cloud_controller"}"#).await;
    assert_eq!(apps[0]["metric"]["job"], "api", "{apps:?}");
    assert_eq!(apps[0]["metric"]["deployment"], "cflite", "{apps:?}");
    let sum = results(
        &admin,
        r#"count(sources{source_id="doppler"}) by (source_id) + 1"#,
    )
    .await;
    assert_eq!(sum[0]["value"][1], "2", "{sum:?}");
    let user = app.user("somebody").await.unwrap();
    let refused = user
        .get(&query(r#"apps{source_id="cloud_controller"}"#))
        .await
        .unwrap();
    assert_eq!(refused.status, 404, "{refused:?}");
}

#[tokio::test]
async fn the_name_of_an_app_stands_for_its_guid() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    app_in_space(&admin, &space, "web").await.unwrap();
    for (client, source, status) in [
        (&admin, "web", 200),
        (&admin, "nothing-of-this-name", 200),
        (&app.user("stranger").await.unwrap(), "web", 404),
    ] {
        let text = format!(r#"cpu{{source_id="{source}"}}"#);
        let answer = client.get(&query(&text)).await.unwrap();
        assert_eq!(answer.status, status, "{source}: {answer:?}");
    }
}

#[tokio::test]
async fn labels_of_apps_spaces_and_organizations_are_tags() {
    let app = TestApp::start().await.unwrap();
    let admin = app.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let guid = app_in_space(&admin, &space, "web").await.unwrap();
    let labels = |team: &str| {
        let label = format!("metric.tag.cloudfoundry.org/{team}");
        serde_json::json!({ "metadata": { "labels": {
            (label): team,
            "metric.tag.cloudfoundry.org/level": team,
            "metric.tag.cloudfoundry.org/source_id": "forged",
        } } })
    };
    for (path, value) in [
        (format!("/v3/organizations/{organization}"), "organization"),
        (format!("/v3/spaces/{space}"), "space"),
        (format!("/v3/apps/{guid}"), "app"),
    ] {
        let changed = admin.patch(&path, &labels(value)).await.unwrap();
        assert_eq!(changed.status, 200, "{changed:?}");
    }
    for _ in 0..200 {
        let change = serde_json::json!({ "metadata": { "annotations": { "a": "b" } } });
        admin
            .patch(&format!("/v3/apps/{guid}"), &change)
            .await
            .unwrap();
        let path = format!("/api/v1/read/{guid}?descending=true&limit=1");
        let read = admin.get(&path).await.unwrap();
        let tags = read.body["envelopes"]["batch"][0]["tags"].clone();
        if tags["app"] == "app" {
            assert_eq!(tags["level"], "app");
            assert_eq!(
                (&tags["organization"], &tags["space"]),
                (&"organization".into(), &"space".into())
            );
            assert_eq!(tags["source_id"], guid.as_str());
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the labels never became tags");
}
