//! Files on their way, and those that do not come as they should.

use super::*;
use futures_util::StreamExt;

const LARGE: usize = 600 * 1024;

fn large() -> Vec<u8> {
    (0..=250_u8).cycle().take(LARGE).collect()
}

#[tokio::test]
async fn the_first_bytes_come_before_the_last_ones() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", large());
    bench
        .upstream
        .script
        .fail(WHEEL, 1, Fault::Held(500 * 1024));
    let response = send(&bench.packages, Method::GET, WHEEL, &[]).await;
    assert_eq!(response.headers()["content-length"], LARGE.to_string());
    let mut body = response.into_body().into_data_stream();
    let mut all = body.next().await.expect("a chunk").expect("bytes").to_vec();
    assert!(!all.is_empty());
    bench.upstream.script.release();
    while let Some(chunk) = body.next().await {
        all.extend_from_slice(&chunk.expect("bytes"));
    }
    assert!(all == large());
}

#[tokio::test]
async fn readers_of_the_same_share_one_download() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", large());
    bench
        .upstream
        .script
        .fail(WHEEL, 1, Fault::Held(500 * 1024));
    let first = send(&bench.packages, Method::GET, WHEEL, &[]).await;
    let second = send(&bench.packages, Method::GET, WHEEL, &[]).await;
    bench.upstream.script.release();
    let (first, second) = tokio::join!(read(first), read(second));
    assert!(first.body == large() && second.body == large());
    assert_eq!(bench.asked(WHEEL), 1);
}

#[tokio::test]
async fn a_download_goes_on_when_its_reader_leaves() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", large());
    bench
        .upstream
        .script
        .fail(WHEEL, 1, Fault::Held(500 * 1024));
    drop(send(&bench.packages, Method::GET, WHEEL, &[]).await);
    bench.upstream.script.release();
    bench.until_kept(1).await;
    assert!(bench.get(WHEEL).await.body == large());
    assert_eq!(bench.asked(WHEEL), 1);
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_kept() {
    let bench = bench().await;
    // Without a name, nobody knows whether the rest is the rest of the same.
    bench.upstream.add_unnamed(WHEEL, "a wheel");
    bench.upstream.script.fail(WHEEL, 1, Fault::Truncated(3));
    let answer = bench.get(WHEEL).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    let line = "ended the download of pypi:x==1.0 early, after 3 bytes\n";
    assert!(answer.text().ends_with(line), "{answer:?}");
    bench.assert_nothing_kept().await;
    assert_eq!(bench.get(WHEEL).await.text(), "a wheel");
}

#[tokio::test]
async fn a_broken_download_continues_with_the_missing_bytes() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    bench.upstream.script.fail(WHEEL, 1, Fault::Truncated(3));
    assert_eq!(bench.get(WHEEL).await.text(), "a wheel");
    let asked = bench.upstream.script.asked(WHEEL);
    let ranges: Vec<Option<&str>> = asked.iter().map(|one| one.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=3-")]);
}

#[tokio::test]
async fn content_that_differs_from_the_index_is_refused_and_not_kept() {
    let bench = bench().await;
    let base = format!("http://127.0.0.1:{}", bench.upstream.port);
    let digest = crate::blobs::Digest::of(b"a wheel");
    let page = format!("<a href=\"{base}{WHEEL}#sha256={}\">x</a>", digest.hex());
    bench.upstream.add("/pypi/simple/x/", "text/html", page);
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    bench.get("/pypi/simple/x/").await;
    bench
        .upstream
        .script
        .fail(WHEEL, 1, Fault::Instead("a trap"));
    let answer = bench.get(WHEEL).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.text().lines().count(), 1);
    let line = format!("its index says sha256:{}", digest.hex());
    assert!(answer.text().contains(&line), "{answer:?}");
    let wrong = crate::blobs::Digest::of(b"a trap");
    assert_eq!(bench.blobs.find(&wrong).await.expect("an answer"), None);
    assert_eq!(bench.get(WHEEL).await.text(), "a wheel");

    let sum = "1".repeat(40);
    let tarball = "/npm/x/-/x-1.0.0.tgz";
    let document = format!(
        "{{\"versions\":{{\"1.0.0\":{{\"dist\":{{\"tarball\":\"{base}{tarball}\",\"shasum\":\"{sum}\"}}}}}}}}"
    );
    bench.upstream.add("/npm/x", "application/json", document);
    bench.upstream.add(tarball, "application/gzip", "a tarball");
    bench.get("/npm/x").await;
    let answer = bench.get(tarball).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(answer.text().contains(&format!("sha1:{sum}")), "{answer:?}");
}

#[tokio::test]
async fn errors_are_tried_again_and_a_wish_to_wait_is_respected() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    bench.upstream.script.fail(WHEEL, 2, Fault::Status(502));
    assert_eq!(bench.get(WHEEL).await.text(), "a wheel");
    assert_eq!(bench.asked(WHEEL), 3);

    let other = "/pypi/files/y-1.0.tar.gz";
    bench.upstream.add(other, "application/gzip", "y");
    bench
        .upstream
        .script
        .fail(other, 1, Fault::Limited { retry_after: 0 });
    assert_eq!(bench.get(other).await.text(), "y");
    let third = "/pypi/files/z-1.0.tar.gz";
    bench
        .upstream
        .script
        .fail(third, 1, Fault::Limited { retry_after: 3600 });
    let answer = bench.get(third).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(answer.text().contains("answers 429"), "{answer:?}");
    assert_eq!(bench.asked(third), 1);
}

#[tokio::test]
async fn a_redirect_to_this_machine_is_refused() {
    let bench = bench().await;
    let other = Upstream::start().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    for server in [
        format!("http://127.0.0.1:{}", other.port),
        "https://10.1.2.3".to_owned(),
        "http://example.com".to_owned(),
    ] {
        bench
            .upstream
            .script
            .fail(WHEEL, 1, Fault::Elsewhere(server));
        let answer = bench.get(WHEEL).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{answer:?}");
        assert!(
            answer.text().contains("a redirect is refused"),
            "{answer:?}"
        );
    }
    assert!(other.script.asked("").is_empty());
    bench.assert_nothing_kept().await;
}
