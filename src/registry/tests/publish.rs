//! Publishing manifests as they came, and what the sweep keeps of them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::blobs::Sha512Digest;

use super::*;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).expect("name")
}

fn described(kind: &str, digest: &str) -> Value {
    json!({ "mediaType": kind, "digest": digest, "size": 1 })
}

impl Fixture {
    async fn publish(
        &self,
        tag: Option<&str>,
        kind: &str,
        document: &Value,
    ) -> Result<Digest, RegistryError> {
        let tag = tag.map(|tag| Tag::parse(tag).expect("tag"));
        let bytes = Bytes::from(document.to_string());
        let repository = name("x");
        let published = self
            .registry
            .publish_manifest(&repository, tag.as_ref(), kind, bytes);
        published.await
    }

    /// An image with this configuration, which is stored.
    async fn image(&self, config: &str, subject: Option<&str>) -> Value {
        let blob = self.blobs.put_bytes(config.to_owned()).await.expect("put");
        let config = described("application/x", blob.digest.as_str());
        let mut image = json!({ "schemaVersion": 2, "config": config, "layers": [] });
        if let Some(subject) = subject {
            image["subject"] = described(OCI, subject);
        }
        image
    }

    async fn sweep_later(&self) {
        self.clock.advance(Duration::from_secs(7200));
        self.registry.sweep().await.expect("sweep");
        self.blobs.sweep().await.expect("sweep");
    }

    async fn shows(&self, digest: &Digest) -> bool {
        let path = format!("/v2/x/manifests/{digest}");
        self.get(&path).await.status() == StatusCode::OK
    }
}

fn index(children: &[&str]) -> Value {
    let children: Vec<_> = children.iter().map(|child| described(OCI, child)).collect();
    json!({ "schemaVersion": 2, "mediaType": manifest::OCI_INDEX, "manifests": children })
}

#[tokio::test]
async fn a_manifest_is_served_byte_for_byte_under_its_tag_and_both_digests() {
    let f = fixture();
    let image = f.image("config", None).await;
    let text = format!("  {image}\n");
    let tag = Tag::parse("latest").expect("tag");
    let (repository, sent) = (name("x"), Bytes::from(text.clone()));
    let published = f
        .registry
        .publish_manifest(&repository, Some(&tag), OCI, sent);
    let digest = published.await.expect("publish");
    assert_eq!(digest, Digest::of(text.as_bytes()));
    let other = Sha512Digest::of(text.as_bytes());
    for reference in ["latest", digest.as_str(), other.as_str()] {
        let answer = f.get(&format!("/v2/x/manifests/{reference}")).await;
        assert_eq!(header(&answer, "content-type"), OCI);
        assert_eq!(bytes(answer).await, text.as_bytes(), "{reference}");
    }
    let config = Digest::of(b"config");
    let answer = f.get(&format!("/v2/x/blobs/{config}")).await;
    assert_eq!(bytes(answer).await, b"config");
}

#[tokio::test]
async fn a_manifest_without_its_blobs_is_rejected_and_leaves_no_trace() {
    let f = fixture();
    let mut image = f.image("config", None).await;
    let missing = Digest::of(b"missing");
    image["layers"] = json!([described("application/y", missing.as_str())]);
    let error = f.publish(Some("latest"), OCI, &image).await.expect_err("x");
    let expected = [missing.to_string()];
    assert!(matches!(error, RegistryError::MissingParts(found) if found == expected));
    let list = f.get("/v2/x/tags/list").await;
    assert_eq!(code(list).await, "NAME_UNKNOWN");

    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    image["layers"] = json!([described(foreign, missing.as_str())]);
    let published = f.publish(Some("latest"), OCI, &image).await;
    published.expect("the vendor has it");
}

#[tokio::test]
async fn a_manifest_pushed_by_digest_is_swept_unless_it_gets_a_tag() {
    let f = fixture();
    let (one, two) = (f.image("one", None).await, f.image("two", None).await);
    let swept = f.publish(None, OCI, &one).await.expect("publish");
    let kept = f.publish(None, OCI, &two).await.expect("publish");
    f.publish(Some("latest"), OCI, &two).await.expect("publish");
    f.publish(None, OCI, &two).await.expect("again");
    f.registry.sweep().await.expect("sweep");
    assert!(f.shows(&swept).await, "young");
    f.sweep_later().await;
    assert!(!f.shows(&swept).await);
    assert!(f.shows(&kept).await);
}

#[tokio::test]
async fn an_index_keeps_its_children_until_it_goes() {
    let f = fixture();
    let image = f.image("config", None).await;
    let child = f.publish(None, OCI, &image).await.expect("child");
    let other = Sha512Digest::of(image.to_string().as_bytes());
    let kind = manifest::OCI_INDEX;
    let inner = index(&[other.as_str(), Digest::of(b"never pushed").as_str()]);
    let inner = f.publish(None, kind, &inner).await.expect("index");
    let outer = index(&[inner.as_str()]);
    f.publish(Some("latest"), kind, &outer).await.expect("tag");
    f.sweep_later().await;
    f.sweep_later().await;
    assert!(f.shows(&child).await && f.shows(&inner).await);
    f.publish(Some("latest"), kind, &index(&[]))
        .await
        .expect("tag moves");
    f.sweep_later().await;
    assert!(!f.shows(&child).await && !f.shows(&inner).await);
    assert!(!f.blobs.path(&Digest::of(b"config")).exists());
}

#[tokio::test]
async fn a_referrer_lives_as_long_as_its_subject() {
    let f = fixture();
    let subject = f.image("subject", None).await;
    let text = subject.to_string();
    let digest = Digest::of(text.as_bytes());
    let other = Sha512Digest::of(text.as_bytes());
    let mut referrers = Vec::new();
    for (config, subject) in [("one", digest.as_str()), ("two", other.as_str())] {
        // Pushed before its subject, as signers may do.
        let referrer = f.image(config, Some(subject)).await;
        referrers.push(f.publish(None, OCI, &referrer).await.expect("referrer"));
    }
    f.publish(Some("latest"), OCI, &subject)
        .await
        .expect("subject");
    f.sweep_later().await;
    for referrer in &referrers {
        assert!(f.shows(referrer).await);
    }
    let empty = index(&[]);
    f.publish(Some("latest"), manifest::OCI_INDEX, &empty)
        .await
        .expect("tag moves");
    f.sweep_later().await;
    for gone in referrers.iter().chain([&digest]) {
        assert!(!f.shows(gone).await);
    }
}

#[tokio::test]
async fn links_and_other_names_go_with_their_blobs() {
    let f = fixture();
    let image = f.image("config", None).await;
    f.publish(None, OCI, &image).await.expect("publish");
    let rows = async || {
        let count = |tx: &crate::db::ReadTx<'_>| {
            let sql = "select (select count(*) from registry_blobs)
                            + (select count(*) from registry_digests)";
            Ok::<i64, DbError>(tx.sql().query_row(sql, [], |row| row.get(0))?)
        };
        f.registry.db().read(count).await.expect("count")
    };
    assert_eq!(rows().await, 3);
    f.sweep_later().await;
    f.registry.sweep().await.expect("sweep");
    assert_eq!(rows().await, 0);
}
