//! Registries that limit their clients, fail or are gone.

use std::time::{Duration, Instant};

use super::*;

async fn copied_before(bench: &mut Bench) -> Image {
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add_parts(&image);
    bench.upstream.tag("library/app:1", &index(&[&image]));
    bench.copied("app:1").await;
    bench.texts();
    bench.upstream.forget();
    image
}

async fn assert_stale(bench: &mut Bench, image: &Image, why: &str) {
    let copied = bench.copied("app:1").await;
    assert_eq!(&copied.digest, image.digest());
    let texts = bench.texts();
    let warning = texts.iter().find(|text| text.starts_with("Warning: "));
    let warning = warning.expect("a warning");
    assert!(warning.contains(why), "{warning}");
    assert!(
        warning.ends_with("; using the copy of this image from before"),
        "{warning}"
    );
}

#[tokio::test]
async fn a_registry_that_is_gone_is_replaced_by_the_copy_with_a_warning() {
    let mut bench = bench().await;
    let image = copied_before(&mut bench).await;
    bench.upstream.stop().await;
    assert_stale(&mut bench, &image, "docker.io cannot be reached").await;
    let error = bench.failure(&request("other:1")).await;
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn the_copy_of_a_private_image_is_used_by_its_owner_when_its_registry_is_gone() {
    let mut bench = bench().await;
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add("me/app:1", &image);
    bench.upstream.access(Access::Basic);
    let copied = bench.copy(&with_password("me/app:1", USER.1)).await;
    copied.expect("a copy");
    bench.upstream.stop().await;
    let owner = MirrorRequest {
        previous: Some(image.digest().clone()),
        ..request("me/app:1")
    };
    let copied = bench.copy(&owner).await.expect("a copy");
    assert_eq!(&copied.digest, image.digest());
    let error = bench.failure(&request("me/app:1")).await;
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_short_limit_is_waited_for_once() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["app"]);
    bench.upstream.add("library/app:1", &image);
    bench
        .upstream
        .fail("/manifests/1", 1, Fault::Limited { retry_after: 1 });
    let before = Instant::now();
    bench.copied("app:1").await;
    assert!(before.elapsed() >= Duration::from_secs(1));
    assert_eq!(bench.upstream.asked("/manifests/1").len(), 2);

    bench.upstream.add("library/other:1", &image);
    bench
        .upstream
        .fail("/other/manifests/1", 2, Fault::Limited { retry_after: 0 });
    let error = bench.failure(&request("other:1")).await;
    assert!(
        matches!(error, UpstreamError::RateLimited { .. }),
        "{error}"
    );
    assert_eq!(bench.upstream.asked("/other/manifests/1").len(), 2);
}

#[tokio::test]
async fn a_long_limit_is_told_with_its_numbers() {
    let bench = bench().await;
    bench.upstream.fail(
        "/manifests/1",
        u32::MAX,
        Fault::Limited { retry_after: 600 },
    );
    let error = bench.failure(&request("app:1")).await;
    assert_eq!(
        error.to_string(),
        "docker.io limits the rate of pulls: 0 of 100 pulls left in 360 min; no luck"
    );
    assert_eq!(bench.upstream.asked("").len(), 1);
}

#[tokio::test]
async fn a_limited_registry_is_replaced_by_the_copy_with_a_warning() {
    let mut bench = bench().await;
    let image = copied_before(&mut bench).await;
    bench.upstream.fail(
        "/manifests/1",
        u32::MAX,
        Fault::Limited { retry_after: 600 },
    );
    let why = "0 of 100 pulls left in 360 min; Too Many Requests; using the copy";
    assert_stale(&mut bench, &image, why).await;
}

#[tokio::test]
async fn a_failing_registry_is_asked_three_times() {
    let mut bench = bench().await;
    let image = copied_before(&mut bench).await;
    let other = Image::oci(PLATFORM, &["other"]);
    bench.upstream.add("library/other:1", &other);
    bench
        .upstream
        .fail("/other/manifests/1", 2, Fault::Status(500));
    bench.copied("other:1").await;
    assert_eq!(bench.upstream.asked("/other/manifests/1").len(), 3);

    bench
        .upstream
        .fail("/manifests/2", u32::MAX, Fault::Status(503));
    let error = bench.failure(&request("other:2")).await;
    assert_eq!(error.to_string(), "docker.io answered 503: no luck");
    assert_eq!(bench.upstream.asked("/manifests/2").len(), 3);

    bench
        .upstream
        .fail("/app/manifests/1", u32::MAX, Fault::Status(500));
    assert_stale(&mut bench, &image, "docker.io answered 500").await;
}

#[tokio::test]
async fn a_registry_that_never_answers_is_unreachable() {
    let bench = bench_with(|patience| patience.head = Duration::from_millis(50)).await;
    bench
        .upstream
        .fail("/manifests/1", u32::MAX, Fault::Late(200));
    let error = bench.failure(&request("app:1")).await;
    assert!(
        matches!(error, UpstreamError::Unreachable { .. }),
        "{error}"
    );
    assert_eq!(bench.upstream.asked("/manifests/1").len(), 3);
}
