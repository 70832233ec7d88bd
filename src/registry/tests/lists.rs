//! Lists of tags and referrers.

use serde_json::json;

use super::service::{LAYER, OCI, Service, descriptor};
use super::*;

const INDEX: &str = manifest::OCI_INDEX;

#[tokio::test]
async fn an_empty_repository_has_no_tags_and_no_referrers() {
    let s = Service::start().await;
    s.call("GET", "/v2/").await.expect(200);
    s.call("GET", "/v2").await.expect(200);
    s.call("GET", "/v2/empty/tags/list").await.expect(404);
    let path = format!("/v2/empty/referrers/{}", Digest::of(b"x"));
    let answer = s.call("GET", &path).await.expect(200);
    assert_eq!(answer.header("content-type"), INDEX);
    let expected = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    assert_eq!(answer.json(), expected);
    s.call("GET", "/v2/empty/referrers/sha256:bad")
        .await
        .expect(400);
}

#[tokio::test]
async fn tags_are_listed_behind_the_last_one() {
    let s = Service::start().await;
    let image = s.image("a", &["config"]).await.to_string();
    for tag in ["c", "a", "b", "B"] {
        let path = format!("/v2/a/manifests/{tag}");
        s.put_manifest(&path, OCI, image.as_bytes())
            .await
            .expect(201);
    }
    for (query, expected, next) in [
        ("", json!(["B", "a", "b", "c"]), None),
        ("?n=0", json!([]), None),
        (
            "?n=2",
            json!(["B", "a"]),
            Some("</v2/a/tags/list?n=2&last=a>; rel=\"next\""),
        ),
        ("?n=2&last=a", json!(["b", "c"]), None),
        ("?last=b", json!(["c"]), None),
        ("?last=z", json!([]), None),
    ] {
        let path = format!("/v2/a/tags/list{query}");
        let answer = s.call("GET", &path).await.expect(200);
        assert_eq!(answer.json()["tags"], expected, "{query}");
        let link = answer
            .headers
            .get("link")
            .map(|link| link.to_str().expect("text"));
        assert_eq!(link, next, "{query}");
    }
}

/// Pushes a manifest that refers to `subject`.
async fn refer(s: &Service, subject: &AnyDigest, kind: Option<&str>, note: &str) -> Value {
    let mut document = s.image("a", &["config", "layer"]).await;
    document["subject"] = json!({ "mediaType": OCI, "digest": subject.as_str(), "size": 1 });
    document["annotations"] = json!({ "note": note });
    if let Some(kind) = kind {
        document["artifactType"] = json!(kind);
    }
    let text = document.to_string();
    let path = format!("/v2/a/manifests/{}", Digest::of(text.as_bytes()));
    let pushed = s.put_manifest(&path, OCI, text.as_bytes()).await;
    assert_eq!(pushed.expect(201).header("oci-subject"), subject.as_str());
    let mut expected = descriptor(OCI, text.as_bytes());
    expected["artifactType"] = json!(kind.unwrap_or("application/vnd.oci.image.config.v1+json"));
    expected["annotations"] = json!({ "note": note });
    expected
}

async fn listed(s: &Service, subject: &AnyDigest, query: &str) -> Vec<Value> {
    let path = format!("/v2/a/referrers/{subject}{query}");
    let answer = s.call("GET", &path).await.expect(200);
    let applied = answer.headers.get("oci-filters-applied");
    assert_eq!(applied.is_some(), query.contains("artifactType"));
    let mut found = answer.json()["manifests"].as_array().expect("list").clone();
    found.sort_by_key(|found| found["digest"].to_string());
    found
}

fn sorted(mut expected: Vec<Value>) -> Vec<Value> {
    expected.sort_by_key(|one| one["digest"].to_string());
    expected
}

#[tokio::test]
async fn referrers_are_listed_under_both_digests_and_by_type() {
    let s = Service::start().await;
    let text = b"the subject need not exist";
    let sha256 = AnyDigest::Sha256(Digest::of(text));
    let first = refer(&s, &sha256, None, "one").await;
    let second = refer(&s, &sha256, Some("application/x+y"), "two").await;
    assert_eq!(
        listed(&s, &sha256, "").await,
        sorted(vec![first.clone(), second.clone()])
    );
    let query = "?artifactType=application%2Fx%2By";
    assert_eq!(
        listed(&s, &sha256, query).await,
        std::slice::from_ref(&second)
    );
    let none = listed(&s, &sha256, "?artifactType=none").await;
    assert_eq!(none, Vec::<Value>::new());

    // An index shows a type only if it has one.
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [],
        "subject": { "mediaType": OCI, "digest": sha256.as_str(), "size": 1 },
    });
    let index = index.to_string();
    let path = format!("/v2/a/manifests/{}", Digest::of(index.as_bytes()));
    s.put_manifest(&path, INDEX, index.as_bytes())
        .await
        .expect(201);
    let third = descriptor(INDEX, index.as_bytes());
    assert_eq!(
        listed(&s, &sha256, "").await,
        sorted(vec![first, second, third])
    );
}

#[tokio::test]
async fn a_subject_that_exists_is_known_by_both_digests() {
    let s = Service::start().await;
    let image = s.image("a", &["config"]).await.to_string();
    s.put_manifest("/v2/a/manifests/latest", OCI, image.as_bytes())
        .await
        .expect(201);
    let sha256 = AnyDigest::Sha256(Digest::of(image.as_bytes()));
    let sha512 = AnyDigest::Sha512(crate::blobs::Sha512Digest::of(image.as_bytes()));
    let one = refer(&s, &sha256, Some("a/1"), "one").await;
    let two = refer(&s, &sha512, Some("a/2"), "two").await;
    let both = sorted(vec![one.clone(), two]);
    assert_eq!(listed(&s, &sha256, "").await, both);
    assert_eq!(listed(&s, &sha512, "").await, both);
    let path = format!(
        "/v2/a/manifests/{}",
        one["digest"].as_str().expect("digest")
    );
    s.call("DELETE", &path).await.expect(202);
    assert_eq!(listed(&s, &sha256, "").await.len(), 1);
}

#[tokio::test]
async fn referrers_that_clients_listed_under_a_tag_are_shown_too() {
    let s = Service::start().await;
    let subject = AnyDigest::Sha256(Digest::of(b"subject"));
    let stored = refer(&s, &subject, Some("a/1"), "stored").await;
    let mut old = descriptor(LAYER, b"old");
    old["artifactType"] = json!("a/2");
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [stored, old],
    });
    let tag = subject.as_str().replace(':', "-");
    let path = format!("/v2/a/manifests/{tag}");
    s.put_manifest(&path, INDEX, index.to_string().as_bytes())
        .await
        .expect(201);
    let both = sorted(vec![stored, old.clone()]);
    assert_eq!(listed(&s, &subject, "").await, both);
    assert_eq!(listed(&s, &subject, "?artifactType=a/2").await, [old]);
}

#[tokio::test]
async fn a_long_list_of_referrers_comes_in_pages() {
    let s = Service::start().await;
    let subject = AnyDigest::Sha256(Digest::of(b"subject"));
    let mut expected = Vec::new();
    for number in 0..3 {
        let note = format!("{number}{}", "x".repeat(700_000));
        expected.push(refer(&s, &subject, Some("a/1"), &note).await);
    }
    let mut path = format!("/v2/a/referrers/{subject}?artifactType=a%2F1");
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let answer = s.call("GET", &path).await.expect(200);
        found.extend(answer.json()["manifests"].as_array().expect("list").clone());
        pages += 1;
        let Some(link) = answer.headers.get("link") else {
            break;
        };
        let link = link.to_str().expect("text");
        path = link[1..link.find('>').expect("end")].to_owned();
    }
    assert_eq!((found, pages), (sorted(expected), 2));
}
