//! The documents that tell clients where everything is.

use cflite::testing::TestApp;
use serde_json::Value;

/// Every address in a document, with the name it stands under.
fn addresses(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains("://") => {
            found.push((name.to_owned(), text.clone()));
        }
        Value::Object(members) => {
            for (key, value) in members {
                let name = if key == "href" { name } else { key };
                addresses(name, value, found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_link_leads_somewhere() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let mut count = 0;
    for document in ["/", "/v3", "/v3/info", "/v2/info"] {
        let answer = admin.get(document).await.unwrap();
        assert_eq!(answer.status, 200, "{document}");
        let mut links = Vec::new();
        addresses("", &answer.body, &mut links);
        for (name, link) in links {
            let path = url::Url::parse(&link).unwrap().path().to_owned();
            // What Cloud Controller links to as well, without answering a plain GET.
            let path = match name.as_str() {
                "environment_variable_groups" => format!("{path}/running"),
                "resource_matches" => continue,
                "routing" => format!("{path}/v1/router_groups"),
                _ => path,
            };
            let answer = admin.get(&path).await.unwrap();
            assert_eq!(answer.status, 200, "{document}: {name}: {link}");
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

#[tokio::test]
async fn parts_that_are_not_there_have_no_link() {
    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let root = admin.get("/").await.unwrap();
    for part in ["credhub", "network_policy_v0", "network_policy_v1"] {
        assert_eq!(root.body["links"].get(part), Some(&Value::Null), "{part}");
    }
    let (address, port) = platform.ssh_address().expect("SSH is on");
    let ssh = &root.body["links"]["app_ssh"];
    assert_eq!(ssh["href"], format!("{address}:{port}"));
    assert_eq!(ssh["meta"]["oauth_client"], "ssh-proxy");
    let fingerprint = ssh["meta"]["host_key_fingerprint"].as_str().expect("text");
    assert_eq!(fingerprint.len(), 43, "{fingerprint}");
    let stream = root.text("/links/log_stream/href");
    assert_eq!(stream, platform.url());
    let firehose = platform.url().replace("http://", "ws://");
    assert_eq!(root.text("/links/logging/href"), firehose);
    let info = admin.get("/v2/info").await.unwrap();
    assert_eq!(info.text("/doppler_logging_endpoint"), firehose);
}
