//! Cloud Native Buildpacks: what their builder gets, and what becomes of its failures.

use serde_json::json;

use super::bench::{Bench, locked};
use crate::docker::{Behaviour, FakeFile};
use crate::staging::*;

const BUILDER: &str = "=a.tgz";
const RESULT: &str = r#"{"lifecycle_type":"cnb","process_types":{"web":"serve"},
    "processes":[{"type":"web","command":"serve"}],"execution_metadata":"",
    "lifecycle_metadata":{"buildpacks":[{"key":"me/a","name":"me/a@1","version":"1"}]}}"#;

fn choice(name: &str, source: BuildpackSource) -> BuildpackChoice {
    BuildpackChoice {
        name: name.to_owned(),
        source,
    }
}

async fn request(bench: &Bench) -> PackageStaging {
    let archive = bench.blobs.put_bytes("an archive").await.expect("stored");
    let url = "https://host.test/b.cnb".to_owned();
    let credentials = json!({ "host.test": { "token": "t" }, "other.test": { "token": "u" } });
    PackageStaging {
        lifecycle: Lifecycle::Cnb(CnbStaging {
            credentials: serde_json::from_value(credentials).expect("credentials"),
            previous: None,
        }),
        buildpacks: vec![
            choice("a.tgz", BuildpackSource::Uploaded(archive.digest)),
            choice(&url.clone(), BuildpackSource::Url(url)),
        ],
        skip_detect: true,
        ..bench.request("build-1").await
    }
}

#[tokio::test]
async fn archives_are_given_as_they_are_and_the_result_becomes_a_droplet() {
    let bench = Bench::new().await;
    let builder = Behaviour::runs()
        .works(|files| {
            let script = files.get("/tmp/lifecycle/cnb-builder");
            assert_eq!(script.map(|file| file.mode), Some(0o755));
            assert!(files.get("/tmp/lifecycle/cnb/__main__.py").is_some());
            let digest = Digest::of(b"an archive");
            let archive = files.get(&format!("/tmp/buildpacks/{}", &digest.hex()[..16]));
            let found = archive.map(|file: &FakeFile| &file.content[..]);
            assert_eq!(found, Some(&b"an archive"[..]));
        })
        .writes("/tmp/result.json", RESULT)
        .writes("/tmp/droplet.tar", vec![7; 2048])
        .writes("/tmp/output-cache.tar", "cache")
        .exits(0);
    bench.engine.script(BUILDER, builder);
    bench.stage(request(&bench).await).await;
    let staged = locked(&bench.rows.staged).pop().expect("a droplet");
    assert_eq!(staged.process_types["web"], "serve");
    let shown = &staged.buildpacks[0];
    let named = (shown.name.as_str(), shown.buildpack_name.as_deref());
    assert_eq!(named, ("me/a", Some("me/a@1")));
}

#[tokio::test]
async fn the_builder_has_variables_of_its_own() {
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, Behaviour::runs());
    let request = request(&bench).await;
    let url_key = cnb::key(&request.buildpacks[1].source);
    let archive_key = cnb::key(&request.buildpacks[0].source);
    locked(&bench.rows.pending).push(request);
    bench.staging().start(&bench.supervisor);
    let spec = loop {
        match bench.engine.spec("cflite-staging-build-1-1") {
            Some(spec) => break spec,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let expected = [
        "--pass-env-var=SECRET".to_owned(),
        "--pass-env-var=LANG".to_owned(),
        "--buildpack".to_owned(),
        format!("{archive_key}=a.tgz"),
        "--download".to_owned(),
        format!("{url_key}=https://host.test/b.cnb"),
        "--buildpack".to_owned(),
        format!("{url_key}=https://host.test/b.cnb"),
    ];
    assert_eq!(spec.command, expected);
    let entrypoint = spec.entrypoint.unwrap_or_default();
    assert_eq!(entrypoint, ["/tmp/lifecycle/cnb-builder"]);
    let value = |name: &str| {
        let found = spec.environment.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    };
    let expected = [
        ("CNB_USER_ID", Some("2000")),
        ("CNB_GROUP_ID", Some("2000")),
        ("CNB_STACK_ID", Some("cflinuxfs4")),
        ("CNB_REGISTRY_CREDS", Some(r#"{"host.test":{"token":"t"}}"#)),
        ("SECRET", Some("hush")),
        ("CF_STACK", None),
    ];
    for (name, expected) in expected {
        assert_eq!(value(name), expected, "{name}");
    }
}

#[tokio::test]
async fn a_build_without_its_buildpack_says_how_to_get_it() {
    let bench = Bench::new().await;
    let mut request = request(&bench).await;
    let image = "localhost:1/me/a:1";
    let source = BuildpackSource::Image(image.to_owned());
    request.buildpacks = vec![choice(&format!("docker://{image}"), source)];
    bench.stage(request).await;
    let failure = bench.failure();
    for text in [
        "CNBDownloadBuildpackFailed - cnb: downloading buildpacks failed: ",
        "`docker pull localhost:1/me/a:1`",
        "`cf create-buildpack NAME FILE.cnb 1 --lifecycle cnb`",
    ] {
        assert!(failure.contains(text), "{failure}");
    }
}
