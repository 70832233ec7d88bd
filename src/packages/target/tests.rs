//! What paths name.

use super::*;

fn parse(path: &str) -> Result<Target, Failure> {
    Target::parse(path, None, |_| false)
}

/// Path, kind, where it is asked for, and the package's name.
const PATHS: &[(&str, Kind, &str, &str)] = &[
    (
        "/pypi/simple/Flask/",
        Kind::Document,
        "https://pypi.org/simple/flask/",
        "pypi:flask",
    ),
    (
        "/pypi/files/packages/a/b/flask-3.1.0-py3-none-any.whl",
        Kind::File,
        "https://files.pythonhosted.org/packages/a/b/flask-3.1.0-py3-none-any.whl",
        "pypi:flask==3.1.0",
    ),
    (
        "/npm/express",
        Kind::Document,
        "https://registry.npmjs.org/express",
        "npm:express",
    ),
    (
        "/npm/@types%2fnode",
        Kind::Document,
        "https://registry.npmjs.org/@types/node",
        "npm:@types/node",
    ),
    (
        "/npm/@types/node/-/node-20.1.0.tgz",
        Kind::File,
        "https://registry.npmjs.org/@types/node/-/node-20.1.0.tgz",
        "npm:@types/node@20.1.0",
    ),
    (
        "/go/github.com/!azure/x/@v/list",
        Kind::Document,
        "https://proxy.golang.org/github.com/!azure/x/@v/list",
        "go:github.com/Azure/x",
    ),
    (
        "/go/golang.org/toolchain/@v/v0.0.1-go1.25.1.linux-amd64.zip",
        Kind::File,
        "https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go1.25.1.linux-amd64.zip",
        "go:golang.org/toolchain@v0.0.1-go1.25.1.linux-amd64",
    ),
    (
        "/go/rsc.io/quote/@v/master.info",
        Kind::Document,
        "https://proxy.golang.org/rsc.io/quote/@v/master.info",
        "go:rsc.io/quote@master",
    ),
    (
        "/go/sumdb/sum.golang.org/lookup/rsc.io/quote@v1.5.2",
        Kind::File,
        "https://sum.golang.org/lookup/rsc.io/quote@v1.5.2",
        "go:rsc.io/quote@v1.5.2",
    ),
    (
        "/maven/org/apache/tomcat/tomcat/11.0.9/tomcat-11.0.9.zip",
        Kind::File,
        "https://repo.maven.apache.org/maven2/org/apache/tomcat/tomcat/11.0.9/tomcat-11.0.9.zip",
        "maven:org.apache.tomcat:tomcat:11.0.9",
    ),
    (
        "/maven/a/b/1-SNAPSHOT/b-1-2.jar",
        Kind::Document,
        "https://repo.maven.apache.org/maven2/a/b/1-SNAPSHOT/b-1-2.jar",
        "maven:a:b:1-SNAPSHOT",
    ),
    (
        "/maven/a/b/maven-metadata.xml",
        Kind::Document,
        "https://repo.maven.apache.org/maven2/a/b/maven-metadata.xml",
        "maven:a:b",
    ),
    (
        "/rubygems/info/rack",
        Kind::Document,
        "https://rubygems.org/info/rack",
        "rubygems:rack",
    ),
    (
        "/rubygems/gems/rack-3.1.8.gem",
        Kind::File,
        "https://rubygems.org/gems/rack-3.1.8.gem",
        "rubygems:rack@3.1.8",
    ),
    (
        "/composer/p2/monolog/monolog~dev.json",
        Kind::Document,
        "https://repo.packagist.org/p2/monolog/monolog~dev.json",
        "composer:monolog/monolog",
    ),
    (
        "/composer/dist/api.github.com/repos/a/b/zipball/0123456789012345678901234567890123456789",
        Kind::File,
        "https://api.github.com/repos/a/b/zipball/0123456789012345678901234567890123456789",
        "composer:a/b",
    ),
    (
        "/debian/pool/main/h/hello/hello_2.10-3_amd64.deb",
        Kind::File,
        "https://deb.debian.org/debian/pool/main/h/hello/hello_2.10-3_amd64.deb",
        "debian:pool/main/h/hello/hello_2.10-3_amd64.deb",
    ),
    (
        "/debian/dists/bookworm/InRelease",
        Kind::Document,
        "https://deb.debian.org/debian/dists/bookworm/InRelease",
        "debian:dists/bookworm/InRelease",
    ),
];

#[test]
fn paths_name_files_and_documents_of_their_registry() {
    for (path, kind, url, package) in PATHS.iter().copied() {
        let target = parse(path).expect(path);
        let base = target.server.default_base(target.source);
        let found = format!("{base}{}", target.upstream_path);
        assert_eq!(
            (target.kind, found.as_str(), target.package.as_str()),
            (kind, url, package)
        );
    }
}

#[test]
fn nothing_else_can_be_reached() {
    for path in [
        "/",
        "/evil.example/x",
        "/pypi/http://evil.example/x",
        "/pypi/files/../../x.whl",
        "/pypi/files/x",
        "/npm/-/npm/v1/user",
        "/npm/express/",
        "/go/x",
        "/go/sumdb/evil.example/supported",
        "/maven/junit",
        "/rubygems/api/v1/gems",
        "/composer/dist/evil.example/repos/a/b/zipball/x",
        "/composer/dist/api.github.com/users/x",
        "/debian/README",
    ] {
        let refused = parse(path).expect_err(path);
        assert_eq!(refused.status(), 404, "{path}");
    }
}

#[test]
fn a_server_that_the_configuration_names_has_all_its_paths() {
    let parse = |path| Target::parse(path, None, |_| true).expect(path);
    for (path, kind, upstream) in [
        ("/pypi/simple/flask/", Kind::Document, "simple/flask/"),
        (
            "/pypi/files/a/flask-1.0.tar.gz",
            Kind::File,
            "files/a/flask-1.0.tar.gz",
        ),
        (
            "/pypi/+f/ab/flask-1.0-py3-none-any.whl",
            Kind::File,
            "+f/ab/flask-1.0-py3-none-any.whl",
        ),
        (
            "/go/sumdb/sum.golang.org/latest",
            Kind::Document,
            "sumdb/sum.golang.org/latest",
        ),
    ] {
        let target = parse(path);
        assert_eq!((target.kind, target.server), (kind, Server::Main), "{path}");
        assert_eq!(target.upstream_path, upstream);
    }
}
