//! What clients must not do, and the space that copies take up.

use super::*;
use crate::base::Live;

fn file(name: &str) -> String {
    format!("/pypi/files/{name}-1.0.tar.gz")
}

#[tokio::test]
async fn only_reading_is_possible() {
    let bench = bench().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::CONNECT] {
        let response = send(&bench.packages, method.clone(), WHEEL, &[]).await;
        assert_eq!(
            response.status(),
            StatusCode::METHOD_NOT_ALLOWED,
            "{method}"
        );
    }
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    let head = read(send(&bench.packages, Method::HEAD, WHEEL, &[]).await).await;
    assert_eq!((head.status, head.text()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn paths_that_lead_out_of_a_registry_are_not_asked_for() {
    let bench = bench().await;
    for path in [
        "/pypi/files/../../secret.whl",
        "/pypi/files/%2e%2e/x-1.0.tar.gz",
        "/pypi/files/a%2f..%2fx-1.0.tar.gz",
        "/pypi/files/a%5c..%5cx-1.0.tar.gz",
        "/http://example.com/x",
        "/unknown/x",
        "/",
    ] {
        let answer = bench.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.text().lines().count(), 1);
    }
    assert_eq!(bench.asked(""), 0);
}

#[tokio::test]
async fn copies_that_nobody_used_for_the_longest_time_go_first() {
    let bench = bench_with(|settings| settings.limit = Live::new(20)).await;
    for name in ["a", "b", "c"] {
        bench
            .upstream
            .add(&file(name), "application/gzip", format!("{name}: 8 byte"));
        bench.get(&file(name)).await;
        bench.clock.advance(Duration::from_secs(120));
    }
    bench.get(&file("a")).await;
    let preview = bench.packages.preview().await.expect("a preview");
    let evicted = bench.packages.sweep().await.expect("a sweep");
    assert_eq!(preview.evicted, evicted);
    let paths: Vec<&str> = evicted.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["files/b-1.0.tar.gz"]);
    bench.upstream.script.forget();
    for (name, asked) in [("a", 0), ("c", 0), ("b", 1)] {
        bench.get(&file(name)).await;
        assert_eq!(bench.asked(&file(name)), asked, "{name}");
    }
}

#[tokio::test]
async fn what_is_larger_than_the_cache_is_refused() {
    let bench = bench_with(|settings| settings.limit = Live::new(3)).await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    let answer = bench.get(WHEEL).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(
        answer.text(),
        "pypi:x==1.0 is larger than the package cache (3 bytes)\n"
    );
    bench.assert_nothing_kept().await;
}

/// A process that dies between the blob and its row.
#[tokio::test]
async fn a_blob_without_a_row_is_no_copy_and_is_swept() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    let blob = bench.blobs.put_bytes("a wheel").await.expect("stored");
    bench.assert_nothing_kept().await;
    bench.clock.advance(Duration::from_secs(7200));
    assert_eq!(bench.blobs.sweep().await.expect("a sweep").blobs, 1);
    assert_eq!(bench.get(WHEEL).await.text(), "a wheel");
    assert_eq!(bench.asked(WHEEL), 1);
    // With a row, it stays.
    bench.clock.advance(Duration::from_secs(7200));
    assert_eq!(bench.blobs.sweep().await.expect("a sweep").blobs, 0);
    let kept = bench.blobs.find(&blob.digest).await.expect("an answer");
    assert_eq!(kept, Some(blob));
}

#[tokio::test]
async fn without_space_there_is_no_cache() {
    let bench = bench_with(|settings| settings.limit = Live::new(0)).await;
    assert!(!bench.packages.is_on());
    let request =
        Request::post("/cflite/packages/prefetch").body(Body::from("{\"name\":\"pypi:x\"}"));
    let routes = bench.packages.operator_routes();
    let answer = routes
        .oneshot(request.expect("a request"))
        .await
        .expect("an answer");
    let answer = read(answer).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text().contains("package-cache"), "{answer:?}");
}

#[tokio::test]
async fn the_listener_is_on_the_gateway_alone_and_moves_with_it() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    let supervisor = crate::base::Supervisor::new();
    bench.packages.start(&supervisor);
    let mut urls = Vec::new();
    for gateway in ["127.0.0.2", "127.0.0.2", "127.0.0.3"] {
        let reach = bench
            .packages
            .reach(gateway.parse().expect("an address"))
            .await;
        let reach = reach.expect("a listener");
        assert!(
            reach.url.starts_with(&format!("http://{gateway}:")),
            "{reach:?}"
        );
        assert_eq!(reach.extra_host, None);
        let client = crate::net::http_client::plain()
            .no_proxy()
            .build()
            .expect("a client");
        let answer = client.get(format!("{}{WHEEL}", reach.url)).send().await;
        assert_eq!(
            answer.expect("an answer").text().await.expect("text"),
            "a wheel"
        );
        urls.push(reach.url);
    }
    assert!(urls[0] == urls[1] && urls[1] != urls[2]);
    // No address of this machine: the daemon runs in another one.
    let reach = bench
        .packages
        .reach("192.0.2.1".parse().expect("an address"))
        .await;
    let reach = reach.expect("a listener");
    assert!(
        reach.url.starts_with("http://host.docker.internal:"),
        "{reach:?}"
    );
    assert_eq!(
        reach.extra_host.as_deref(),
        Some("host.docker.internal:host-gateway")
    );
    assert!(supervisor.shut_down(Duration::from_secs(20)).await);
}
