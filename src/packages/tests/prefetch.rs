//! Packages fetched ahead.

use super::*;
use tokio::sync::mpsc::unbounded_channel;

impl Bench {
    /// The name with the version, and the paths; or the failure.
    async fn prefetch(&self, name: &str) -> Result<(String, Vec<String>), String> {
        let (texts, _heard) = unbounded_channel();
        let fetched = self.packages.prefetch(name, &texts).await;
        let fetched = fetched.map_err(|failure| failure.to_string())?;
        let document = serde_json::to_value(&fetched).expect("JSON");
        let files = serde_json::from_value(document["files"].clone()).expect("paths");
        Ok((document["name"].as_str().expect("a name").to_owned(), files))
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.upstream.port)
    }
}

#[tokio::test]
async fn a_python_package_comes_with_the_wheel_of_its_newest_release() {
    let bench = bench().await;
    let files = [
        "x-1.0-py3-none-any.whl",
        "x-2.0-cp311-cp311-win_amd64.whl",
        "x-2.0-cp311-cp311-manylinux_2_17_x86_64.whl",
        "x-2.0.tar.gz",
        "x-3.0rc1-py3-none-any.whl",
    ];
    let link = |file: &'static str| {
        bench
            .upstream
            .add(&format!("/pypi/files/{file}"), "application/zip", file);
        format!("<a href=\"{}/pypi/files/{file}\">{file}</a>", bench.base())
    };
    let page = files.into_iter().map(link).collect::<Vec<_>>().join("\n");
    bench.upstream.add("/pypi/simple/x/", "text/html", page);
    let (name, paths) = bench.prefetch("pypi:X").await.expect("fetched");
    assert_eq!(name, "pypi:x==2.0");
    let wheel = "files/x-2.0-cp311-cp311-manylinux_2_17_x86_64.whl";
    assert_eq!(paths, ["simple/x", "simple/x", wheel]);
    let (name, _) = bench.prefetch("pypi:x==1.0").await.expect("fetched");
    assert_eq!(name, "pypi:x==1.0");
    let missing = bench
        .prefetch("pypi:x==9")
        .await
        .expect_err("no such version");
    assert_eq!(missing, "pypi has no version 9 of x");
    // All of it is there without a network, in both forms of the page.
    let offline = bench.restarted(|settings| settings.offline = true);
    for accept in ["text/html", "application/vnd.pypi.simple.v1+json"] {
        let headers = [("accept", accept)];
        let page = send(&offline, Method::GET, "/pypi/simple/x/", &headers).await;
        assert_eq!(page.status(), StatusCode::OK, "{accept}");
    }
    let file = send(&offline, Method::GET, &format!("/pypi/{wheel}"), &[]).await;
    assert_eq!(file.status(), StatusCode::OK);
}

/// Packages of all registries but PyPI.
fn add_packages(bench: &Bench) {
    let base = bench.base();
    let version = |version: &str| {
        format!("\"{version}\":{{\"dist\":{{\"tarball\":\"{base}/npm/@s/x/-/x-{version}.tgz\"}}}}")
    };
    let document = format!(
        "{{\"dist-tags\":{{\"latest\":\"5.2.0\"}},\"versions\":{{{},{},{}}}}}",
        version("4.9.0"),
        version("5.2.0"),
        version("4.10.0")
    );
    let sha = "0123456789012345678901234567890123456789";
    let php = format!(
        "{{\"packages\":{{\"a/b\":[{{\"version\":\"1.1.0\",\"dist\":{{\"url\":\"{base}/composer/dist/x-{sha}.zip\"}}}}]}}}}"
    );
    for (path, content) in [
        ("/npm/@s/x", document.as_str()),
        ("/npm/@s/x/-/x-4.10.0.tgz", "tgz"),
        ("/npm/@s/x/-/x-5.2.0.tgz", "tgz 5"),
        ("/go/rsc.io/quote/@latest", "{\"Version\":\"v1.5.2\"}"),
        ("/go/rsc.io/quote/@v/list", "v1.5.2\n"),
        ("/go/rsc.io/quote/@v/v1.5.2.info", "{}"),
        ("/go/rsc.io/quote/@v/v1.5.2.mod", "module"),
        ("/go/rsc.io/quote/@v/v1.5.2.zip", "zip"),
        ("/maven/g/h/a/maven-metadata.xml", "<release>2.0</release>"),
        (
            "/maven/g/h/a/2.0/a-2.0.pom",
            "<parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version></parent>",
        ),
        ("/maven/g/h/a/2.0/a-2.0.jar", "jar"),
        ("/maven/g/h/a/2.0/a-2.0.jar.sha1", "sum"),
        ("/maven/g/p/1/p-1.pom", "<packaging>pom</packaging>"),
        ("/rubygems/versions", "x 1.0"),
        (
            "/rubygems/info/x",
            "---\n0.9 |checksum:a\n1.0 |checksum:a\n1.0-java |checksum:a\n",
        ),
        ("/rubygems/gems/x-1.0.gem", "gem"),
        ("/composer/p2/a/b.json", php.as_str()),
        (&format!("/composer/dist/x-{sha}.zip"), "zip of php"),
        ("/debian/pool/main/x.deb", "deb"),
    ] {
        bench
            .upstream
            .add(path, "application/octet-stream", content.to_owned());
    }
}

#[tokio::test]
async fn npm_go_maven_ruby_and_php_packages_are_fetched() {
    let bench = bench().await;
    add_packages(&bench);
    for (name, found, last) in [
        ("npm:@s/x@4", "npm:@s/x@4.10.0", "@s/x/-/x-4.10.0.tgz"),
        ("npm:@s/x", "npm:@s/x@5.2.0", "@s/x/-/x-5.2.0.tgz"),
        (
            "go:rsc.io/quote",
            "go:rsc.io/quote@v1.5.2",
            "rsc.io/quote/@v/v1.5.2.zip",
        ),
        ("maven:g.h:a", "maven:g.h:a:2.0", "g/p/1/p-1.pom"),
        ("rubygems:x", "rubygems:x@1.0", "gems/x-1.0.gem"),
        (
            "debian:pool/main/x.deb",
            "debian:pool/main/x.deb",
            "pool/main/x.deb",
        ),
    ] {
        let (fetched, paths) = bench.prefetch(name).await.expect(name);
        assert_eq!(fetched, found);
        assert_eq!(paths.last().map(String::as_str), Some(last), "{paths:?}");
    }
    let (fetched, _) = bench.prefetch("composer:a/b").await.expect("fetched");
    assert_eq!(fetched, "composer:a/b@1.1.0");
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let bench = bench().await;
    for (name, error) in [
        ("flask", "is not REGISTRY:NAME"),
        ("cargo:x", "registries are pypi, npm, go"),
        ("pypi:", "is not REGISTRY:NAME"),
        ("go:rsc.io/quote@master", "no whole version"),
        ("maven:a", "is not maven:GROUP:ARTIFACT"),
        ("composer:a", "is not composer:VENDOR/NAME"),
        ("debian:../etc/passwd", "leads elsewhere"),
        ("npm:x", "has no"),
    ] {
        let refused = bench.prefetch(name).await.expect_err(name);
        assert!(refused.contains(error), "{name}: {refused}");
    }
    bench.assert_nothing_kept().await;
}

#[tokio::test]
async fn operators_see_what_is_here() {
    let bench = bench().await;
    bench.upstream.add(WHEEL, "application/zip", "a wheel");
    bench.get(WHEEL).await;
    let request = Request::get("/cflite/packages")
        .body(Body::empty())
        .expect("a request");
    let listed = bench
        .packages
        .operator_routes()
        .oneshot(request)
        .await
        .expect("an answer");
    let listed: serde_json::Value = serde_json::from_slice(&read(listed).await.body).expect("JSON");
    assert_eq!(listed["cache_bytes"], 7);
    let package = &listed["packages"][0];
    assert_eq!(
        (&package["registry"], &package["name"]),
        (&"pypi".into(), &"x==1.0".into())
    );
    assert_eq!(package["path"], "files/x-1.0-py3-none-any.whl");
}
