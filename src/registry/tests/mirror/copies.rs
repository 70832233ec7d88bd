//! What is copied, and what is asked for it.

use std::collections::BTreeSet;

use tokio::runtime::Handle;

use super::*;

fn two_platforms(bench: &Bench) -> (Object, Image, Image) {
    let amd = Image::oci(PLATFORM, &["base for amd", "app for amd"]);
    let arm = Image::oci("linux/arm64", &["base for arm", "app for arm"]);
    let both = index(&[&arm, &amd]);
    for image in [&amd, &arm] {
        bench.upstream.add_parts(image);
    }
    bench.upstream.tag("library/app:1", &both);
    (both, amd, arm)
}

#[tokio::test]
async fn an_image_is_copied_for_the_daemons_platform_and_published_twice() {
    let mut bench = bench().await;
    let (both, amd, arm) = two_platforms(&bench);
    let copied = bench.copied("app:1").await;
    assert_eq!(&copied.digest, amd.digest());
    assert_eq!(copied.config.command, ["run", "base for amd+app for amd"]);
    assert_eq!(copied.config.ports, [(8080, "tcp".to_owned())]);
    let size: usize = amd.layers.iter().map(|layer| layer.bytes.len()).sum();
    assert_eq!(copied.size, size as u64);
    for blob in amd.blobs() {
        assert!(bench.holds(blob).await, "{}", blob.digest);
    }
    for blob in arm.blobs() {
        bench.assert_nothing_of(blob).await;
    }
    let own = bench.found(REPOSITORY, "latest").await;
    assert_eq!(own.as_ref(), Some(amd.digest()));
    let cache = "cache/docker.io/library/app";
    assert_eq!(bench.found(cache, "1").await, Some(both.digest));
    let child = bench.found(cache, &amd.digest().to_string()).await;
    assert_eq!(child.as_ref(), Some(amd.digest()));
    assert!(bench.texts().contains(&format!("Digest: {}", amd.digest())));
}

#[tokio::test]
async fn a_copy_is_served_with_its_blobs() {
    let bench = bench().await;
    let image = Image::docker(PLATFORM, &["base", "app"]);
    bench.upstream.add("me/app:latest", &image);
    bench.copied("me/app").await;
    let manifest = format!("/v2/{REPOSITORY}/manifests/{}", image.digest());
    let served = bench.fixture.get(&manifest).await;
    assert_eq!(
        super::super::header(&served, "content-type"),
        image.manifest.kind
    );
    assert_eq!(super::super::bytes(served).await, image.manifest.bytes);
    for blob in image.blobs() {
        for repository in [REPOSITORY, "cache/docker.io/me/app"] {
            let path = format!("/v2/{repository}/blobs/{}", blob.digest);
            let served = bench.fixture.get(&path).await;
            assert_eq!(super::super::bytes(served).await, blob.bytes);
        }
    }
}

#[tokio::test]
async fn a_second_copy_of_an_image_asks_only_for_its_digest() {
    let bench = bench().await;
    let (_, amd, _) = two_platforms(&bench);
    bench.copied("app:1").await;
    bench.upstream.forget();
    let again = MirrorRequest {
        repository: Some("droplets/two".to_owned()),
        ..request("app:1")
    };
    let copied = bench.copy(&again).await.expect("a copy");
    assert_eq!(&copied.digest, amd.digest());
    let asked = bench.upstream.asked("");
    let lines: Vec<&str> = asked.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(lines, ["HEAD /v2/library/app/manifests/1"]);
    let own = bench.found("droplets/two", "latest").await;
    assert_eq!(own.as_ref(), Some(amd.digest()));
}

#[tokio::test]
async fn layers_that_are_here_are_not_asked_for() {
    let bench = bench().await;
    let old = Image::oci(PLATFORM, &["base", "old"]);
    let new = Image::oci(PLATFORM, &["base", "new"]);
    bench.upstream.add("library/old:1", &old);
    bench.upstream.add("library/new:1", &new);
    bench.copied("old:1").await;
    bench.copied("new:1").await;
    let base = format!("/blobs/{}", new.layers[0].digest);
    assert_eq!(bench.upstream.asked(&base).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_copies_of_a_cold_image_ask_for_each_blob_once() {
    let bench = bench().await;
    let layers = ["one", "two", "three", "four", "five", "six", "seven"];
    let image = Image::oci(PLATFORM, &layers);
    bench.upstream.add("library/app:1", &image);
    let copies = (0..20).map(|n| {
        let request = MirrorRequest {
            repository: Some(format!("droplets/{n}")),
            ..request("app:1")
        };
        let (registry, progress) = (bench.fixture.registry.clone(), bench.progress.clone());
        Handle::current().spawn(async move { registry.mirror(&request, &progress).await })
    });
    let copies = futures_util::future::join_all(copies.collect::<Vec<_>>());
    let copies = tokio::time::timeout(PATIENCE, copies).await;
    for copied in copies.expect("an end in time") {
        let copied = copied.expect("no panic").expect("a copy");
        assert_eq!(&copied.digest, image.digest());
    }
    for blob in image.blobs() {
        let asked = bench.upstream.asked(&get_blob("library/app", blob)).len();
        assert_eq!(asked, 1, "{}", blob.digest);
    }
}

#[tokio::test]
async fn a_tag_that_moved_is_told_with_both_digests() {
    let mut bench = bench().await;
    let old = Image::oci(PLATFORM, &["old"]);
    bench.upstream.add("library/app:1", &old);
    bench.copied("app:1").await;
    let new = Image::oci(PLATFORM, &["new"]);
    bench.upstream.add("library/app:1", &new);
    bench.texts();
    let again = MirrorRequest {
        previous: Some(old.digest().clone()),
        ..request("app:1")
    };
    let copied = bench.copy(&again).await.expect("a copy");
    assert_eq!(&copied.digest, new.digest());
    let moved = bench
        .texts()
        .into_iter()
        .find(|text| text.contains("moved"));
    let moved = moved.expect("a text");
    for digest in [old.digest(), new.digest()] {
        assert!(moved.contains(&digest.to_string()), "{moved}");
    }
    let cached = bench.found("cache/docker.io/library/app", "1").await;
    assert_eq!(cached.as_ref(), Some(new.digest()));
}

#[tokio::test]
async fn a_digest_that_is_here_is_not_asked_for() {
    let bench = bench().await;
    let (both, amd, _) = two_platforms(&bench);
    for digest in [&both.digest, amd.digest()] {
        let by_digest = format!("app@{digest}");
        bench.copied(&by_digest).await;
        bench.upstream.forget();
        assert_eq!(&bench.copied(&by_digest).await.digest, amd.digest());
        assert_eq!(bench.upstream.asked("").len(), 0);
    }
}

#[tokio::test]
async fn a_tag_that_is_gone_is_not_found_although_there_is_a_copy() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add("library/app:1", &image);
    bench.copied("app:1").await;
    bench.upstream.remove_tag("library/app:1");
    let again = MirrorRequest {
        previous: Some(image.digest().clone()),
        ..request("app:1")
    };
    for request in [again, request("never:1")] {
        let error = bench.failure(&request).await;
        assert!(matches!(error, UpstreamError::NotFound { .. }), "{error}");
        assert!(error.to_string().contains(&request.image.to_string()));
    }
}

#[tokio::test]
async fn repeated_layers_and_empty_ones_are_copied() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["same", "", "same", ""]);
    bench.upstream.add("library/app:1", &image);
    assert_eq!(bench.copied("app:1").await.size, 8);
    let asked: BTreeSet<String> = image
        .blobs()
        .map(|blob| get_blob("library/app", blob))
        .collect();
    for line in asked {
        assert!(bench.upstream.asked(&line).len() <= 1, "{line}");
    }
}

#[tokio::test]
async fn an_image_of_this_registry_is_copied_from_itself_and_not_cached() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add("library/app:1", &image);
    bench.copied("app:1").await;
    bench.upstream.forget();
    let own = MirrorRequest {
        repository: Some("droplets/two".to_owned()),
        ..request(&format!("127.0.0.1:5000/{REPOSITORY}"))
    };
    let copied = bench.copy(&own).await.expect("a copy");
    assert_eq!(&copied.digest, image.digest());
    assert_eq!(bench.upstream.asked("").len(), 0);
    assert_eq!(bench.caches().await, ["cache/docker.io/library/app"]);
    let error = bench
        .failure(&request("127.0.0.1:5000/droplets/none"))
        .await;
    assert!(matches!(error, UpstreamError::NotFound { .. }), "{error}");
}
