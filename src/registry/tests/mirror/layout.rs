//! Images that are carried to another registry.

use std::io::Read;

use ::http::StatusCode;
use axum::body::Body;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::super::{authorized, bytes, document, fixture};
use super::*;

const BUNDLE: &str = "/cflite/registry/bundle";

/// Two copies, one of them for two platforms, and an image that cflite made.
async fn filled(bench: &Bench) -> (Object, Image, Image) {
    let (amd, arm) = (
        Image::oci(PLATFORM, &["base", "app"]),
        Image::oci("linux/arm64", &["arm"]),
    );
    let both = index(&[&arm, &amd]);
    let other = Image::docker(PLATFORM, &["base", "other"]);
    bench.upstream.add_parts(&amd);
    bench.upstream.tag("library/app:1", &both);
    bench.upstream.add("me/other:2", &other);
    for image in ["app:1", "me/other:2"] {
        bench.copied(image).await;
    }
    let tar = super::super::saved::classic_tar(&[b"stack"]);
    let stack = bench
        .fixture
        .registry
        .import_saved("cflite/stack", "run-1", tar);
    stack.await.expect("imported");
    (both, amd, other)
}

async fn export(fixture: &Fixture, query: &str) -> Vec<u8> {
    let exported = fixture.get(&format!("{BUNDLE}{query}")).await;
    assert_eq!(exported.status(), StatusCode::OK);
    bytes(exported).await
}

async fn import(fixture: &Fixture, bundle: Vec<u8>) -> (StatusCode, Value) {
    let request = authorized("POST", BUNDLE).body(Body::from(bundle));
    let answer = fixture.registry.router().oneshot(request.expect("request"));
    let answer = answer.await.expect("an answer");
    (answer.status(), document(answer).await)
}

async fn blobs(fixture: &Fixture) -> i64 {
    let count = fixture.db.read(|tx| {
        let count = "select count(*) from blobs";
        Ok::<_, crate::db::DbError>(tx.sql().query_row(count, [], |row| row.get(0))?)
    });
    count.await.expect("a number")
}

#[tokio::test]
async fn all_images_arrive_with_everything_they_need() {
    let bench = bench().await;
    let (both, amd, other) = filled(&bench).await;
    let bundle = export(&bench.fixture, "?own=cflite/stack:run-1").await;
    let there = fixture();
    let (status, loaded) = import(&there, bundle.clone()).await;
    assert_eq!(status, StatusCode::OK, "{loaded}");
    let names = json!([
        "docker.io/library/app:1",
        "docker.io/me/other:2",
        "cflite/stack:run-1"
    ]);
    assert_eq!(loaded["images"], names);
    let find = async |repository: &str, reference: &str| {
        let found = there.registry.find(repository, reference).await;
        found.expect("an answer")
    };
    let cache = "cache/docker.io/library/app";
    assert_eq!(find(cache, "1").await, Some(both.digest));
    let child = find(cache, &amd.digest().to_string()).await;
    assert_eq!(child.as_ref(), Some(amd.digest()));
    for object in amd.blobs().chain(other.blobs()) {
        assert!(holds(&there, object).await, "{}", object.kind);
    }
    let stack = find("cflite/stack", "run-1").await;
    let own = bench.found("cflite/stack", "run-1").await;
    assert!(stack.is_some() && stack == own);

    // Without a network, and after days.
    there.clock.advance(Duration::from_secs(48 * 3600));
    there.registry.sweep().await.expect("swept");
    there.blobs.sweep().await.expect("swept");
    let offline = there.again(|settings| settings.upstream.offline = true);
    let (progress, _texts) = unbounded_channel();
    for (name, digest) in [("app:1", amd.digest()), ("me/other:2", other.digest())] {
        let copied = mirror(&offline, &progress, &request(name)).await;
        assert_eq!(&copied.expect("a copy").digest, digest);
    }
    let before = blobs(&there).await;
    let (status, _) = import(&there, bundle).await;
    assert_eq!(status, StatusCode::OK, "a second time");
    assert_eq!(blobs(&there).await, before);
}

#[tokio::test]
async fn named_images_only_are_exported_and_only_if_they_are_whole() {
    let bench = bench().await;
    filled(&bench).await;
    let there = fixture();
    let bundle = export(&bench.fixture, "?image=me/other:2").await;
    let (_, loaded) = import(&there, bundle).await;
    assert_eq!(loaded["images"], json!(["docker.io/me/other:2"]));

    // Of one image only the index, of the other not all layers.
    let only = Image::oci(PLATFORM, &["only"]);
    bench.upstream.add_parts(&only);
    bench.upstream.tag("library/index:1", &index(&[&only]));
    bytes(
        bench
            .fixture
            .get("/v2/proxy/docker.io/index/manifests/1")
            .await,
    )
    .await;
    let part = Image::oci(PLATFORM, &["part"]);
    bench.upstream.add("library/part:1", &part);
    bytes(
        bench
            .fixture
            .get("/v2/proxy/docker.io/part/manifests/1")
            .await,
    )
    .await;
    for (query, status) in [
        ("?image=part:1", 404),
        ("?image=index:1", 404),
        ("?image=absent:1", 404),
        ("?own=cflite/stack:run-2", 404),
        ("?own=droplets/one:latest", 400),
        ("?image=A%20b", 400),
        ("?what=1", 400),
    ] {
        let refused = bench.fixture.get(&format!("{BUNDLE}{query}")).await;
        assert_eq!(refused.status().as_u16(), status, "{query}");
    }
}

fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &**bytes)
            .expect("written");
    }
    let packed = tar.into_inner().expect("tar");
    packed.finish().expect("gzip")
}

fn unpacked(bundle: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(GzDecoder::new(bundle));
    let entries = tar.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("bytes");
        (name, bytes)
    });
    entries.collect()
}

#[tokio::test]
async fn a_bundle_that_is_cut_changed_or_made_up_leaves_nothing() {
    let bench = bench().await;
    filled(&bench).await;
    let good = export(&bench.fixture, "").await;
    let files = unpacked(&good);
    let change = |name: &str, with: &dyn Fn(&mut Vec<u8>)| {
        let mut files = files.clone();
        let found = files.iter_mut().find(|(file, _)| file.contains(name));
        with(&mut found.expect("the file").1);
        packed(&files)
    };
    let rename = |to: &'static str| {
        change("index.json", &move |bytes| {
            let text = String::from_utf8(bytes.clone()).expect("text");
            *bytes = text.replace("cache/docker.io/library/app", to).into_bytes();
        })
    };
    let mut garbled = good.clone();
    let middle = garbled.len() / 2;
    garbled[middle] ^= 0xff;
    let without = |name: &str| {
        let mut files = files.clone();
        files.retain(|(file, _)| !file.contains(name));
        packed(&files)
    };
    let layer = Digest::of(b"base");
    let mut bundles = vec![
        ("cut", good[..good.len() - 20].to_vec()),
        ("its checksum is cut", good[..good.len() - 4].to_vec()),
        ("a layer is missing", without(layer.hex())),
        ("half", good[..good.len() / 2].to_vec()),
        ("garbled", garbled),
        ("empty", Vec::new()),
        ("no archive", b"not a bundle".to_vec()),
        ("other bytes", change("blobs/", &|bytes| bytes.push(b' '))),
        ("no index", packed(&files[2..])),
        (
            "no images",
            change("index.json", &|bytes| bytes.truncate(3)),
        ),
        ("a user's repository", rename("me/app")),
        (
            "a droplet's",
            rename("0b5e3c52-2f4d-4d3e-8d0f-3f1c6c1d7a10"),
        ),
        ("no name", rename("cache/../x")),
    ];
    // The index is at the beginning.
    for at in (12..400).step_by(13) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        bundles.push(("one bit is flipped", flipped));
    }
    for (what, bundle) in bundles {
        let there = fixture();
        let (status, refused) = import(&there, bundle).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}: {refused}");
        assert_eq!(blobs(&there).await, 0, "{what}");
        let temporary = std::fs::read_dir(there.dir.path().join("tmp"));
        assert_eq!(temporary.expect("a folder").count(), 0, "{what}");
    }
}

#[tokio::test]
async fn an_image_of_the_local_daemon_gets_one_of_cflites_names_only() {
    let f = fixture();
    let mut tar = Vec::new();
    let mut saved = super::super::saved::classic_tar(&[b"stack"]);
    tokio::io::AsyncReadExt::read_to_end(&mut saved, &mut tar)
        .await
        .expect("bytes");
    for (name, status) in [
        ("cflite/stack:build-1", 200),
        ("cache/docker.io/library/app:1", 400),
        ("me/app:1", 400),
        ("cflite/stack", 400),
    ] {
        let path = format!("/cflite/registry/saved?name={name}");
        let request = authorized("POST", &path).body(Body::from(tar.clone()));
        let answer = f.registry.router().oneshot(request.expect("request"));
        assert_eq!(
            answer.await.expect("an answer").status().as_u16(),
            status,
            "{name}"
        );
    }
    let found = f.registry.find("cflite/stack", "build-1").await;
    assert!(found.expect("an answer").is_some());
}
