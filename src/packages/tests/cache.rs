//! What is served from a copy, and for how long.

use super::*;

const PAGE: &str = "/pypi/simple/x/";
const MINUTE: Duration = Duration::from_secs(61);

#[tokio::test]
async fn a_file_is_fetched_once_and_never_asked_for_again() {
    let mut bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    for days in 0..3 {
        bench.clock.advance(Duration::from_secs(86_400 * days));
        let answer = bench.get(WHEEL).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "a wheel"));
        assert_eq!(answer.header("content-type"), Some("application/zip"));
        assert_eq!(answer.header("content-length"), Some("7"));
    }
    assert_eq!(bench.asked("GET"), 1);
    bench.upstream.stop().await;
    assert_eq!(bench.get(WHEEL).await.text(), "a wheel");
    let again = bench.restarted(|settings| settings.offline = true);
    let kept = read(send(&again, Method::GET, WHEEL, &[]).await).await;
    assert_eq!(kept.text(), "a wheel");
}

#[tokio::test]
async fn an_index_is_right_for_a_minute_and_then_asked_for_again() {
    let bench = bench().await;
    bench.upstream.add(PAGE, "text/html", "one");
    assert_eq!(bench.get(PAGE).await.text(), "one");
    bench.upstream.add(PAGE, "text/html", "two");
    assert_eq!(bench.get(PAGE).await.text(), "one");
    assert_eq!(bench.asked(PAGE), 1);
    bench.clock.advance(MINUTE);
    let answer = bench.get(PAGE).await;
    assert_eq!((answer.text(), answer.header("warning")), ("two", None));
    bench.clock.advance(MINUTE);
    assert_eq!(bench.get(PAGE).await.text(), "two");
    let asked = bench.upstream.script.asked(PAGE);
    assert!(asked[2].header("if-none-match").is_some());
    assert_eq!(bench.get(PAGE).await.text(), "two");
    assert_eq!(bench.asked(PAGE), 3, "confirmed for another minute");
}

#[tokio::test]
async fn an_old_index_comes_with_a_warning_when_its_registry_is_down() {
    let mut bench = bench().await;
    bench.upstream.add(PAGE, "text/html", "one");
    bench.get(PAGE).await;
    bench.clock.advance(MINUTE);
    bench.upstream.script.fail(PAGE, 3, Fault::Status(503));
    let answer = bench.get(PAGE).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "one"));
    assert_eq!(
        answer.header("warning"),
        Some("110 cflite \"Response is Stale\"")
    );
    assert_eq!(bench.asked(PAGE), 4, "an error is tried again");
    // Half a body is an outage, too.
    bench.upstream.add(PAGE, "text/html", "three");
    bench.upstream.script.fail(PAGE, 9, Fault::Truncated(2));
    let answer = bench.get(PAGE).await;
    assert_eq!(
        (answer.text(), answer.header("warning").is_some()),
        ("one", true)
    );
    bench.upstream.stop().await;
    let answer = bench.get(PAGE).await;
    assert_eq!(
        (answer.text(), answer.header("warning").is_some()),
        ("one", true)
    );
    let answer = bench.get("/pypi/simple/y/").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    let host = format!("127.0.0.1:{} cannot be reached", bench.upstream.port);
    assert!(answer.text().starts_with(&host), "{answer:?}");
    assert!(answer.text().contains("pypi:y"), "{answer:?}");
}

#[tokio::test]
async fn offline_nobody_is_asked_and_the_first_line_says_what_to_do() {
    let bench = bench_with(|settings| settings.offline = true).await;
    for (path, package) in [
        ("/pypi/simple/Flask/", "pypi:flask"),
        ("/npm/express", "npm:express"),
        ("/npm/@types%2fnode", "npm:@types/node"),
        (
            "/go/golang.org/toolchain/@v/v0.0.1-go1.25.1.linux-amd64.zip",
            "go:golang.org/toolchain@v0.0.1-go1.25.1.linux-amd64",
        ),
        (
            "/maven/org/apache/tomcat/tomcat/11.0.9/tomcat-11.0.9.jar",
            "maven:org.apache.tomcat:tomcat:11.0.9",
        ),
        ("/rubygems/info/rack", "rubygems:rack"),
        (
            "/composer/p2/monolog/monolog.json",
            "composer:monolog/monolog",
        ),
        ("/debian/pool/main/h/x.deb", "debian:pool/main/h/x.deb"),
    ] {
        let answer = bench.get(path).await;
        let line = format!(
            "cflite works offline and has no copy of {package}: run \"cflite packages prefetch \
             {package}\" with a network\n"
        );
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{path}");
        assert_eq!(answer.text(), line);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
    // npm shows nothing else.
    let accept = [("accept", "application/json")];
    let answer = bench.get_with("/npm/express", &accept).await;
    assert!(
        answer
            .text()
            .starts_with("{\"error\":\"cflite works offline"),
        "{answer:?}"
    );
    assert_eq!(bench.asked(""), 0);
}

#[tokio::test]
async fn what_a_registry_does_not_have_stays_missing_for_a_minute() {
    let bench = bench().await;
    for _ in 0..2 {
        let answer = bench.get(PAGE).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.text().contains("(pypi:x)"), "{answer:?}");
    }
    assert_eq!(bench.asked(PAGE), 1);
    bench.upstream.add(PAGE, "text/html", "one");
    bench.clock.advance(MINUTE);
    assert_eq!(bench.get(PAGE).await.text(), "one");
    // One that is gone is gone.
    bench.upstream.remove(PAGE);
    bench.clock.advance(MINUTE);
    assert_eq!(bench.get(PAGE).await.status, StatusCode::NOT_FOUND);
    bench.assert_nothing_kept().await;
}

#[tokio::test]
async fn links_in_indexes_lead_back_to_the_cache() {
    let bench = bench().await;
    let base = format!("http://127.0.0.1:{}", bench.upstream.port);
    let html = format!("<a href=\"{base}/pypi/files/x-1.0.tar.gz#sha256=ab\">x</a>");
    bench.upstream.add(PAGE, "text/html", html);
    let answer = bench.get(PAGE).await;
    assert_eq!(
        answer.text(),
        "<a href=\"/pypi/files/x-1.0.tar.gz#sha256=ab\">x</a>"
    );
    assert_eq!(answer.header("vary"), Some("accept"));
    let etag = answer.header("etag").expect("a name").to_owned();
    let same = bench.get_with(PAGE, &[("if-none-match", &etag)]).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);

    let json = "{\"files\":[{\"url\":\"/pypi/files/x-1.0.tar.gz\"},{\"url\": \"../y\"}]}";
    bench
        .upstream
        .add("/pypi/simple/y/", "application/json", json);
    assert_eq!(bench.get("/pypi/simple/y/").await.text(), json);

    let npm = format!("{{\"dist\":{{\"tarball\":\"{base}/npm/x/-/x-1.0.0.tgz\"}}}}");
    bench.upstream.add("/npm/x", "application/json", npm);
    let own = format!("{{\"dist\":{{\"tarball\":\"http://{HOST}/npm/x/-/x-1.0.0.tgz\"}}}}");
    assert_eq!(bench.get("/npm/x").await.text(), own);
    let asked = bench.upstream.script.asked("/npm/x");
    assert_eq!(asked[0].header("accept"), Some("application/json"));
}

#[tokio::test]
async fn forms_of_a_document_are_copies_of_their_own_and_stand_in_for_each_other() {
    let mut bench = bench().await;
    bench.upstream.add("/npm/x", "application/json", "{}");
    let short = [("accept", "application/vnd.npm.install-v1+json")];
    bench.get_with("/npm/x", &short).await;
    let asked = bench.upstream.script.asked("/npm/x");
    assert_eq!(asked[0].header("accept"), Some(short[0].1));
    bench.upstream.stop().await;
    let answer = bench.get("/npm/x").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "{}"));
    assert!(answer.header("warning").is_some());
}

#[tokio::test]
async fn parts_of_a_copy_can_be_read() {
    let bench = bench().await;
    bench
        .upstream
        .add("/rubygems/versions", "text/plain", "one two three");
    let whole = bench.get("/rubygems/versions").await;
    let etag = whole.header("etag").expect("the registry's own").to_owned();
    assert!(
        whole
            .header("repr-digest")
            .is_some_and(|text| text.starts_with("sha-256=:"))
    );
    let rest = [("range", "bytes=8-"), ("if-none-match", "\"older\"")];
    let rest = bench.get_with("/rubygems/versions", &rest).await;
    assert_eq!(
        (rest.status, rest.text()),
        (StatusCode::PARTIAL_CONTENT, "three")
    );
    assert_eq!(rest.header("content-range"), Some("bytes 8-12/13"));
    let same = [("range", "bytes=8-"), ("if-none-match", etag.as_str())];
    let same = bench.get_with("/rubygems/versions", &same).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    let beyond = bench
        .get_with("/rubygems/versions", &[("range", "bytes=99-")])
        .await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn what_the_cache_says_itself_needs_no_registry() {
    let bench = bench_with(|settings| {
        settings.upstreams = BTreeMap::new();
        settings.offline = true;
    })
    .await;
    let root = bench.get("/composer/packages.json").await;
    assert!(
        root.text().contains("/composer/p2/%package%.json"),
        "{root:?}"
    );
    let sums = bench.get("/go/sumdb/sum.golang.org/supported").await;
    assert_eq!(sums.status, StatusCode::OK);
}

#[tokio::test]
async fn a_damaged_copy_is_fetched_again() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    bench.get(WHEEL).await;
    let digest = crate::blobs::Digest::of(b"a wheel");
    std::fs::write(bench.blobs.path(&digest), "a").expect("written");
    assert_eq!(bench.get(WHEEL).await.text(), "a wheel");
    assert_eq!(bench.asked(WHEEL), 2);
}
