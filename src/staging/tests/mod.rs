//! The worker on an engine in memory, with a scripted builder.

mod bench;
mod cnb;

use self::bench::{Bench, locked};
use super::*;
use crate::blobs;
use crate::docker::{Behaviour, ContainerSpec, DockerError, Engine, FakeFile, Verb};

const BUILDER: &str = "staticfile=staticfile_buildpack";
const RESULT: &str = r#"{"process_types":{"web":"$HOME/boot.sh"},"processes":[
    {"type":"web","command":"$HOME/boot.sh"}],"sidecars":[],"execution_metadata":"",
    "lifecycle_metadata":{"buildpack_key":"staticfile","detected_buildpack":"staticfile",
    "buildpacks":[{"key":"staticfile","name":"staticfile","version":"1.0.0"}]}}"#;

fn builder() -> Behaviour {
    Behaviour::runs().works(|files| {
        let package = files.get("/tmp/app.zip").expect("the package").clone();
        assert_eq!((package.uid, &package.content[..]), (2000, &b"a zip"[..]));
        let script = files.get("/tmp/lifecycle/builder").expect("the builder");
        assert_eq!(script.mode, 0o755);
        assert!(files.get("/tmp/buildpacks/staticfile/bin/detect").is_some());
        assert!(files.get("/tmp/buildpacks/common/lib.sh").is_some());
    })
}

fn good_builder() -> Behaviour {
    builder()
        .prints("-----> Staticfile Buildpack\n")
        .complains("a warning\n")
        .writes("/tmp/result.json", RESULT)
        .writes("/tmp/droplet.tar", vec![7; 2048])
        .writes("/tmp/output-cache.tar", "cache")
        .exits(0)
}

#[tokio::test]
async fn a_good_build_becomes_a_droplet_with_an_image() {
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, good_builder());
    bench.stage(bench.request("build-1").await).await;

    let staged = locked(&bench.rows.staged).pop().expect("a droplet");
    assert_eq!(staged.process_types["web"], "$HOME/boot.sh");
    assert_eq!(staged.buildpacks[0].name, "staticfile_buildpack");
    assert_eq!(staged.size, 2048);
    let repository = droplet_repository(&staged.droplet_guid);
    let found = bench
        .registry
        .find(&repository, "latest")
        .await
        .expect("asked");
    assert_eq!(found, Some(staged.image_digest));
    let referenced = bench
        .db
        .read(|tx| blobs::referenced(tx, OWNER_CACHE, "app-1"))
        .await
        .expect("references");
    assert_eq!(referenced, [staged.cache.expect("a cache")]);

    let lines = bench.lines().await;
    let expected = [
        "Downloading staticfile_buildpack...",
        "Downloaded staticfile_buildpack",
        "Cell platform-1 creating container for instance build-1",
        "Cell platform-1 successfully created container for instance build-1",
        "Downloading app package...",
        "Downloaded app package (5B)",
        "-----> Staticfile Buildpack",
        "a warning",
        "Exit status 0",
        "Uploading droplet, build artifacts cache...",
        "Uploading droplet...",
        "Uploading build artifacts cache...",
        "Uploaded build artifacts cache (5B)",
        "Uploaded droplet (2K)",
        "Uploading complete",
        "Cell platform-1 stopping instance build-1",
        "Cell platform-1 destroying container for instance build-1",
        "Cell platform-1 successfully destroyed container for instance build-1",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn the_container_has_limits_and_its_environment() {
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, Behaviour::runs());
    let request = bench.request("build-1").await;
    locked(&bench.rows.pending).push(request);
    bench.staging().start(&bench.supervisor);
    let name = "cflite-staging-build-1-1";
    let spec = loop {
        match bench.engine.spec(name) {
            Some(spec) => break spec,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!(spec.command, ["--buildpack", BUILDER]);
    assert_eq!(spec.user.as_deref(), Some("2000:2000"));
    assert_eq!(spec.memory, Some(Megabytes(1024)));
    assert_eq!((spec.pids_limit, spec.nofile), (Some(1024), Some(16_384)));
    assert_eq!(spec.labels["cflite.kind"], "staging");
    let value = |name: &str| {
        let found = spec.environment.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    };
    // The gateway of the engine's networks.
    let packages = value("CFLITE_PACKAGES").expect("a package cache");
    assert!(packages.starts_with("http://127.78.0.1:"), "{packages}");
    assert_eq!(spec.network.as_deref(), Some("cflite-staging-platform-1"));
    let expected = [
        ("SECRET", Some("hush")),
        ("LANG", Some("C")),
        ("HOME", Some("/home/vcap")),
        ("CF_INSTANCE_ADDR", Some("")),
        ("CF_INSTANCE_PORTS", Some("[]")),
        ("CF_STACK", Some("cflinuxfs4")),
        ("PORT", None),
    ];
    for (name, expected) in expected {
        assert_eq!(value(name), expected, "{name}");
    }

    // The build is no longer wanted.
    bench.rows.finish(&"build-1".into());
    bench
        .db
        .write(|_| Ok::<_, DbError>(()))
        .await
        .expect("a wake-up");
    bench.settled().await;
    assert!(locked(&bench.rows.failed).is_empty() && locked(&bench.rows.staged).is_empty());
    assert!(
        bench
            .lines()
            .await
            .iter()
            .all(|line| !line.contains("hush"))
    );
}

type Failure = (&'static str, fn() -> Behaviour);

/// The error of a failed build, and the behaviour of its container.
const FAILURES: [Failure; 8] = [
    (
        "StagingError - Staging error: staging failed: the buildpack cannot be fetched",
        || {
            builder()
                .writes("/tmp/failure", "the buildpack cannot be fetched\n")
                .exits(226)
        },
    ),
    (
        "BuildpackCompileFailed - App staging failed in the buildpack compile phase: no such thing",
        || builder().writes("/tmp/failure", "no such thing").exits(223),
    ),
    (
        "NoAppDetectedError - An app was not successfully detected by any available buildpack",
        || builder().exits(222),
    ),
    (
        "BuildpackCompileFailed - App staging failed in the buildpack compile phase",
        || builder().exits(223),
    ),
    (
        "StagingError - Staging error: staging failed: out of memory (limit 1G): \
         ask for more with -m or an app manifest",
        || builder().runs_out_of_memory(),
    ),
    (
        "StagingError - Staging error: staging failed: result.json is not an object",
        || {
            builder()
                .writes("/tmp/result.json", "[]")
                .writes("/tmp/droplet.tar", "x")
                .exits(0)
        },
    ),
    (
        "StagingError - Staging error: staging failed: out of disk: 2G used of 1G: \
         ask for more with -k or an app manifest",
        || builder().grows(2 << 30).exits(0),
    ),
    (
        "StagingError - Staging error: staging failed: the build produced no /tmp/droplet.tar",
        || builder().exits(0),
    ),
];

#[tokio::test]
async fn failures_have_cloud_foundrys_names_and_say_why() {
    for (expected, behaviour) in FAILURES {
        let bench = Bench::new().await;
        bench.engine.script(BUILDER, behaviour());
        bench.stage(bench.request("build-1").await).await;
        assert_eq!(bench.failure(), expected);
        let lines = bench.lines().await;
        let last = lines.last().expect("lines").as_str();
        assert!(expected.ends_with(last), "{last}");
    }
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, Behaviour::runs().hangs());
    let mut request = bench.request("build-1").await;
    request.timeout = Duration::from_millis(50);
    bench.stage(request).await;
    assert!(
        bench.failure().ends_with("exceeded 0s timeout"),
        "{}",
        bench.failure()
    );
}

#[tokio::test]
async fn an_interrupted_build_is_staged_again_once() {
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, good_builder());
    let broken = || DockerError::Unreachable("gone".into());
    bench.engine.fail_next(Verb::Start, broken());
    bench.stage(bench.request("build-1").await).await;
    assert_eq!(locked(&bench.rows.staged).len(), 1);
    let lines = bench.lines().await;
    assert!(
        lines.iter().any(|line| line.contains("; restarting")),
        "{lines:?}"
    );

    let bench = Bench::new().await;
    bench.engine.script(BUILDER, good_builder());
    bench.engine.fail_next(Verb::Start, broken());
    bench.engine.fail_next(Verb::Start, broken());
    bench.stage(bench.request("build-1").await).await;
    assert!(
        bench.failure().contains("interrupted twice"),
        "{}",
        bench.failure()
    );
}

#[tokio::test]
async fn a_transient_database_error_interrupts_no_build() {
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, Behaviour::runs());
    for guid in ["build-1", "build-2"] {
        let mut request = bench.request(guid).await;
        request.app_guid = guid.into();
        locked(&bench.rows.pending).push(request);
    }
    bench.staging().start(&bench.supervisor);
    let until = async |condition: &dyn Fn() -> bool| {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(&|| bench.engine.container_names().len() == 2).await;
    let reads = *locked(&bench.rows.reads);
    locked(&bench.rows.faults).push(DbError::Interrupted("for a moment".to_owned()));
    let commit = bench.db.write(|_| Ok::<_, DbError>(())).await;
    commit.expect("a wake-up");
    until(&|| *locked(&bench.rows.reads) >= reads + 2).await;
    let mut names = bench.engine.container_names();
    names.sort();
    assert_eq!(
        names,
        ["cflite-staging-build-1-1", "cflite-staging-build-2-1"]
    );
    assert_eq!(bench.supervisor.status()["staging"].restarts, 0);
    for name in &names {
        bench.engine.exit(name, 223);
    }
    bench.settled().await;
    let failed = locked(&bench.rows.failed);
    assert_eq!(failed.len(), 2);
    assert!(
        failed
            .iter()
            .all(|one| one.error_id == "BuildpackCompileFailed")
    );
}

#[tokio::test]
async fn a_build_that_cannot_be_read_fails_and_the_others_are_staged() {
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, good_builder());
    let damaged = ("build-0".into(), "builds.staging_environment: x".to_owned());
    locked(&bench.rows.unreadable).push(damaged);
    bench.stage(bench.request("build-1").await).await;
    assert_eq!(locked(&bench.rows.staged).len(), 1);
    let failed = locked(&bench.rows.failed);
    assert_eq!(
        (failed.len(), failed[0].build_guid.as_str()),
        (1, "build-0")
    );
    assert_eq!(
        failed[0].message,
        "Staging error: staging failed: the build cannot be read from the database \
         (builds.staging_environment: x); push again"
    );
}

#[tokio::test]
async fn nothing_is_kept_of_an_unwanted_build() {
    let bench = Bench::new().await;
    *locked(&bench.rows.unwanted) = true;
    bench.engine.script(BUILDER, good_builder());
    bench.stage(bench.request("build-1").await).await;
    assert!(locked(&bench.rows.staged).is_empty());
    let referenced = bench.db.read(|tx| {
        let cache = blobs::referenced(tx, OWNER_CACHE, "app-1")?;
        let count = "select count(*) from blob_references where owner_kind = 'droplet'";
        let layers: i64 = tx.sql().query_row(count, [], |row| row.get(0))?;
        Ok::<_, DbError>((cache.len(), layers))
    });
    assert_eq!(referenced.await.expect("references"), (0, 0));
}

#[tokio::test]
async fn leftovers_of_an_earlier_process_are_removed_and_counted() {
    for (attempt, succeeds) in [("1", true), ("2", false)] {
        let bench = Bench::new().await;
        bench.engine.script(BUILDER, good_builder());
        let image = bench.engine.add_image("left:over");
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let left = ContainerSpec {
            name: format!("cflite-staging-build-1-{attempt}"),
            image: image.tags[0].clone(),
            labels: [
                label("cflite.platform", "platform-1"),
                label("cflite.kind", "staging"),
                label("cflite.build", "build-1"),
                label("cflite.attempt", attempt),
            ]
            .into(),
            ..ContainerSpec::default()
        };
        bench.engine.create(&left).await.expect("created");
        bench.stage(bench.request("build-1").await).await;
        assert_eq!(locked(&bench.rows.staged).len(), usize::from(succeeds));
        if !succeeds {
            assert!(bench.failure().contains("the platform was stopped"));
        }
    }
}

#[tokio::test]
async fn builds_run_with_bounded_concurrency() {
    let bench = Bench::new().await;
    bench.engine.script(BUILDER, Behaviour::runs());
    for guid in ["build-1", "build-2", "build-3"] {
        let mut request = bench.request(guid).await;
        request.app_guid = guid.into();
        locked(&bench.rows.pending).push(request);
    }
    bench.staging().start(&bench.supervisor);
    while bench.engine.container_names().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut names = bench.engine.container_names();
    names.sort();
    assert_eq!(
        names,
        ["cflite-staging-build-1-1", "cflite-staging-build-2-1"]
    );
    let others = || {
        let names = bench.engine.container_names();
        names.iter().any(|name| !name.contains("build-3"))
    };
    // A failure is recorded after the container is removed.
    while others() || locked(&bench.rows.failed).len() < 2 {
        for name in &names {
            bench.engine.exit(name, 223);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(locked(&bench.rows.failed).len() >= 2);
    assert!(bench.supervisor.shut_down(Duration::from_secs(5)).await);
    assert!(
        bench.engine.container_names().is_empty(),
        "removed at the shutdown"
    );
    assert_eq!(
        locked(&bench.rows.pending).len(),
        1,
        "continues at the next start"
    );
    let told = "Waiting for other stagings to end: 2 are running, the most at once";
    assert_eq!(bench.lines_of("build-3").await[0], told);
}

#[tokio::test]
async fn a_cache_is_restored_and_a_zip_is_unpacked() {
    let bench = Bench::new().await;
    let cache = bench.blobs.put_bytes("old cache").await.expect("stored");
    let zip = {
        use std::io::Write;
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file("bin/detect", options).expect("a file");
        zip.write_all(b"#!/bin/sh").expect("content");
        zip.finish().expect("a zip").into_inner()
    };
    let zip = bench.blobs.put_bytes(zip).await.expect("stored");
    let mut request = bench.request("build-1").await;
    request.cache = Some(cache.digest);
    request.skip_detect = true;
    request.buildpacks = vec![
        BuildpackChoice {
            name: "mine".into(),
            source: BuildpackSource::Uploaded(zip.digest.clone()),
        },
        BuildpackChoice {
            name: "https://user:pass@example.com/x.zip".into(),
            source: BuildpackSource::Url("https://user:pass@example.com/x.zip".into()),
        },
    ];
    let key = zip.digest.hex()[..16].to_owned();
    let detect = format!("/tmp/buildpacks/{key}/bin/detect");
    let script = Behaviour::runs().works(move |files| {
        let cache = files.get("/tmp/cache.tar").expect("the cache");
        assert_eq!(&cache.content[..], b"old cache");
        assert_eq!(files.get(&detect).expect("the buildpack").mode, 0o755);
        files.put("/tmp/result.json", FakeFile::new(RESULT));
        files.put("/tmp/droplet.tar", FakeFile::new("droplet"));
        files.put("/tmp/output-cache.tar", FakeFile::new("new cache"));
    });
    bench
        .engine
        .script("--skip-detect --buildpack", script.exits(0));
    bench.stage(request).await;
    assert_eq!(
        locked(&bench.rows.staged).len(),
        1,
        "{:?}",
        locked(&bench.rows.failed)
    );
    let lines = bench.lines().await;
    assert!(lines.contains(&"Downloaded build artifacts cache (9B)".to_owned()));
    assert!(lines.iter().all(|line| !line.contains("pass")), "{lines:?}");
}
