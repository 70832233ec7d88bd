//! Where options come from, and which are refused.

use super::*;

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "http-port = 8081\ndomain = \"File.Example\"\n").expect("write");
    let options = Options {
        http_port: Some(9000),
        config: Some(path),
        ..Options::default()
    };
    let config = options.resolve().expect("valid");
    assert_eq!(config.http_port, PortChoice::Exactly(9000));
    assert_eq!(config.domain, "file.example");
    assert_eq!(config.https_port, PortChoice::HTTPS);
}

#[test]
fn an_unknown_key_is_rejected_with_a_suggestion() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "htp-port = 1\n").expect("write");
    let options = Options {
        config: Some(path),
        ..Options::default()
    };
    let error = options.resolve().expect_err("unknown key").to_string();
    assert!(
        error.ends_with("unknown key \"htp-port\"; did you mean \"http-port\"?"),
        "{error}"
    );
}

#[test]
fn ssh_has_a_port_unless_it_is_off() {
    let config = |options: Options| options.resolve().expect("valid").ssh_port;
    assert_eq!(config(Options::default()), Some(PortChoice::SSH));
    let options = Options {
        ssh_port: Some(2022),
        ..Options::default()
    };
    let port = config(options.clone());
    assert_eq!(port, Some(PortChoice::Exactly(2022)));
    let off = Options {
        ssh: Some(false),
        ..options
    };
    assert_eq!(config(off), None);
}

#[test]
fn dns_has_its_usual_port_unless_another_one_is_given() {
    let config = |options: Options| options.resolve().expect("valid").dns_port;
    assert_eq!(config(Options::default()), PortChoice::Prefer(8053, 0));
    let options = Options {
        dns_port: Some(53),
        ..Options::default()
    };
    assert_eq!(config(options), PortChoice::Exactly(53));
}

#[test]
fn upstreams_are_pairs_of_a_host_and_a_url() {
    let options = |pair: &str| Options {
        registry_upstream: Some(vec![pair.to_owned()]),
        ..Options::default()
    };
    let config = options("Docker.io=http://127.0.0.1:5001").resolve();
    let upstreams = config.expect("valid").registry_upstreams;
    assert_eq!(upstreams["docker.io"].as_str(), "http://127.0.0.1:5001/");
    for bad in [
        "docker.io",
        "=http://h",
        "h=",
        "h=ftp://x",
        "h=http://x/path",
        "h=http://u@x",
    ] {
        let error = options(bad).resolve().expect_err(bad).to_string();
        assert!(error.starts_with("registry-upstream: "), "{error}");
    }
}

#[test]
fn sizes_have_a_unit() {
    let options = |size: &str| Options {
        registry_cache: Some(size.to_owned()),
        ..Options::default()
    };
    let config = options("2G").resolve().expect("valid");
    assert_eq!(config.registry_cache, 2 << 30);
    let error = options("much").resolve().expect_err("no size").to_string();
    assert!(error.starts_with("registry-cache: "), "{error}");
}

#[test]
fn packages_come_from_known_registries() {
    let options = |pair: &str| Options {
        package_upstream: Some(vec![pair.to_owned()]),
        package_cache: Some("0".to_owned()),
        ..Options::default()
    };
    let config = options("pypi=https://mirror.example.com/root/pypi").resolve();
    let config = config.expect("valid");
    assert_eq!(config.package_cache, 0);
    let url = config.package_upstreams["pypi"].as_str();
    assert_eq!(url, "https://mirror.example.com/root/pypi");
    for bad in [
        "pypi",
        "cargo=https://x",
        "pypi=ftp://x",
        "pypi=https://u@x",
        "npm=https://x/?a",
    ] {
        let error = options(bad).resolve().expect_err(bad).to_string();
        assert!(error.starts_with("package-upstream: "), "{error}");
    }
}

#[test]
fn nonsense_is_refused() {
    let options = Options {
        domain: Some("localhost".into()),
        ..Options::default()
    };
    let error = options.resolve().expect_err("no domain").to_string();
    assert!(error.starts_with("domain: "), "{error}");
}
