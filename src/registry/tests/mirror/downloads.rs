//! Blobs that do not come as they should.

use std::time::Duration;

use super::*;

const LAYER: &str = "the bytes of a layer";

/// A registry with an image of one layer, and the request for that.
fn one_layer(bench: &Bench) -> (Image, String) {
    let image = Image::oci(PLATFORM, &[LAYER]);
    bench.upstream.add("library/app:1", &image);
    let line = get_blob("library/app", &image.layers[0]);
    (image, line)
}

#[tokio::test]
async fn a_download_that_broke_continues_with_the_missing_bytes() {
    let bench = bench().await;
    let (image, line) = one_layer(&bench);
    bench.upstream.fail(&line, 1, Fault::Truncated(7));
    bench.copied("app:1").await;
    assert!(bench.holds(&image.layers[0]).await);
    let asked = bench.upstream.asked(&line);
    let ranges: Vec<Option<&str>> = asked.iter().map(|one| one.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=7-")]);
}

#[tokio::test]
async fn a_download_that_stands_still_continues_on_a_new_connection() {
    let bench = bench_with(|patience| patience.idle = Duration::from_millis(100)).await;
    let (image, line) = one_layer(&bench);
    bench.upstream.fail(&line, 1, Fault::Held(7));
    bench.copied("app:1").await;
    assert!(bench.holds(&image.layers[0]).await);
    assert_eq!(
        bench.upstream.asked(&line)[1].header("range"),
        Some("bytes=7-")
    );
}

#[tokio::test]
async fn a_registry_that_ignores_ranges_sends_all_again() {
    let bench = bench().await;
    let (image, line) = one_layer(&bench);
    bench.upstream.ignore_ranges();
    bench.upstream.fail(&line, 1, Fault::Truncated(7));
    bench.copied("app:1").await;
    assert!(bench.holds(&image.layers[0]).await);
    assert_eq!(bench.upstream.asked(&line).len(), 2);
}

#[tokio::test]
async fn a_download_that_always_breaks_fails_and_leaves_nothing() {
    let bench = bench().await;
    let (image, line) = one_layer(&bench);
    bench.upstream.fail(&line, u32::MAX, Fault::Truncated(7));
    let error = bench.failure(&request("app:1")).await;
    assert!(
        matches!(
            error,
            UpstreamError::Truncated {
                received: 7,
                size: 20,
                ..
            }
        ),
        "{error}"
    );
    bench.assert_nothing_of(&image.layers[0]).await;
    assert_eq!(bench.found(REPOSITORY, "latest").await, None);
    assert_eq!(bench.caches().await, Vec::<String>::new());
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_leave_nothing() {
    for (sent, received) in [
        (
            "bytes of the same si",
            Digest::of(b"bytes of the same si").to_string(),
        ),
        (
            "the bytes of a layer and more",
            "more than its 20 bytes".to_owned(),
        ),
    ] {
        let bench = bench().await;
        let (image, line) = one_layer(&bench);
        bench.upstream.fail(&line, u32::MAX, Fault::Instead(sent));
        let error = bench.failure(&request("app:1")).await;
        assert!(
            matches!(error, UpstreamError::WrongContent { .. }),
            "{error}"
        );
        assert!(error.to_string().ends_with(&received), "{error}");
        let layer = &image.layers[0];
        bench.assert_nothing_of(layer).await;
        let other = Object::new(&layer.kind, sent);
        bench.assert_nothing_of(&other).await;
        assert_eq!(bench.upstream.asked(&line).len(), 1);
        assert_eq!(bench.found(REPOSITORY, "latest").await, None);
    }
}

#[tokio::test]
async fn an_image_can_be_copied_after_its_download_failed() {
    let bench = bench().await;
    let (image, line) = one_layer(&bench);
    bench
        .upstream
        .fail(&line, 1, Fault::Instead("bytes of the same si"));
    bench.failure(&request("app:1")).await;
    assert_eq!(&bench.copied("app:1").await.digest, image.digest());
}

#[test]
fn a_process_that_ends_during_a_download_leaves_no_listed_blob() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let (theirs, ours) = (runtime(), runtime());
    let upstream = theirs.block_on(Upstream::start());
    let image = Image::oci(PLATFORM, &[LAYER]);
    upstream.add("library/app:1", &image);
    let line = get_blob("library/app", &image.layers[0]);
    upstream.fail(&line, 1, Fault::Held(7));
    let fixture = fixture_for(upstream.port, |_| ());
    let (progress, _texts) = unbounded_channel();
    let (registry, said) = (fixture.registry.clone(), progress.clone());
    ours.spawn(async move { registry.mirror(&request("app:1"), &said).await });
    theirs.block_on(upstream.until_asked(&line));
    ours.shutdown_timeout(PATIENCE);

    let next = runtime();
    next.block_on(async {
        let clock = std::sync::Arc::new(fixture.clock.clone());
        let again = crate::blobs::Blobs::open(fixture.dir.path(), fixture.db.clone(), clock);
        again.expect("a store");
        assert_nothing_of(&fixture, &image.layers[0]).await;
    });
}
