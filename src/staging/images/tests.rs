//! Building and finding the stack images on the engine in memory.

use super::*;
use crate::base::{Live, SystemClock};
use crate::blobs::Blobs;
use crate::db::Db;
use crate::docker::{FakeEngine, Verb};

const ONLINE: Machine<'_> = Machine {
    offline: false,
    authorities: &[],
};

struct Bench {
    folder: tempfile::TempDir,
    engine: FakeEngine,
    images: Images,
    registry: Registry,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let db = Db::open(&folder.path().join("db")).expect("a database");
    let clock = Arc::new(SystemClock);
    let blobs = Blobs::open(&folder.path().join("blobs"), db.clone(), clock.clone());
    let blobs = blobs.expect("a store");
    let settings = crate::registry::Settings {
        port: 5000,
        token: crate::base::Secret::new("token".to_owned()),
        anonymous_pull: false,
        names: Vec::new(),
        upstreams: BTreeMap::new(),
        upstream: crate::registry::upstream::Settings::default(),
        cache_limit: Live::new(u64::MAX),
    };
    let registry = Registry::new(blobs, db, clock.clone(), settings);
    let engine = FakeEngine::new(clock);
    engine.offer("debian:bookworm-slim");
    let images = Images::new(
        Arc::new(engine.clone()),
        registry.clone(),
        Settings {
            platform_id: "here",
            offline: false,
            authorities: Vec::new(),
            held: folder.path().join("stack"),
        },
    );
    Bench {
        folder,
        engine,
        images,
        registry,
    }
}

fn silent() -> Progress {
    tokio::sync::mpsc::unbounded_channel().0
}

/// The image must be pullable from the registry before the first request.
async fn offer_base(bench: &Bench) {
    build_all(&bench.engine, ONLINE, &silent())
        .await
        .expect("built");
    let recipe = Recipe::embedded();
    let saved = bench
        .engine
        .save(&recipe.run_reference())
        .await
        .expect("saved");
    let digest = bench
        .registry
        .import_saved(REPOSITORY, &recipe.run_tag(), saved)
        .await
        .expect("imported");
    bench
        .engine
        .offer(&bench.registry.reference(REPOSITORY, &digest));
}

#[tokio::test]
async fn images_are_built_once_and_listed_as_current() {
    let bench = bench();
    build_all(&bench.engine, ONLINE, &silent())
        .await
        .expect("built");
    let listed = list(&bench.engine).await.expect("listed");
    let roles: Vec<_> = listed
        .iter()
        .map(|l| (l.role.as_str(), l.current))
        .collect();
    assert_eq!(roles, [("build", true), ("run", true)]);
    bench
        .engine
        .fail(Verb::Build, DockerError::Failed("built twice".into()));
    build_all(&bench.engine, ONLINE, &silent())
        .await
        .expect("nothing to build");
}

#[tokio::test]
async fn a_ready_stack_was_pulled_through_the_registry() {
    let bench = bench();
    offer_base(&bench).await;
    let images = bench.images.ready(STACK, &silent()).await.expect("ready");
    let reference = bench.registry.reference(REPOSITORY, &images.base);
    assert_eq!(
        bench.engine.pulled(),
        ["debian:bookworm-slim".to_owned(), reference]
    );
    let again = bench
        .images
        .ready(STACK, &silent())
        .await
        .expect("ready again");
    assert_eq!(again, images);
    assert_eq!(bench.engine.pulled().len(), 2);
}

#[tokio::test]
async fn images_of_older_recipes_are_removed_unless_used() {
    let bench = bench();
    offer_base(&bench).await;
    for tag in ["run-aaaa", "run-bbbb"] {
        let mut image = bench.engine.add_image("scratch:x");
        image.tags = vec![format!("{REPOSITORY}:{tag}")];
        image.id = format!("sha256:{tag}");
        image.labels = [(LABEL_STACK.to_owned(), STACK.to_owned())].into();
        bench.engine.add_image_like(image);
    }
    let spec = crate::docker::ContainerSpec {
        name: "user".into(),
        image: format!("{REPOSITORY}:run-bbbb"),
        ..Default::default()
    };
    bench.engine.create(&spec).await.expect("created");
    bench.images.ready(STACK, &silent()).await.expect("ready");
    let outdated: Vec<String> = list(&bench.engine)
        .await
        .expect("listed")
        .into_iter()
        .filter(|listed| !listed.current)
        .map(|listed| listed.reference)
        .collect();
    assert_eq!(outdated, [format!("{REPOSITORY}:run-bbbb")]);
}

/// The same images, which are not built.
fn offline(bench: &Bench) -> Images {
    let settings = Settings {
        platform_id: "here",
        offline: true,
        authorities: Vec::new(),
        held: bench.folder.path().join("stack"),
    };
    Images::new(
        Arc::new(bench.engine.clone()),
        bench.registry.clone(),
        settings,
    )
}

/// As in a box: the images came with the daemon.
#[tokio::test]
async fn a_described_run_image_is_not_read_from_the_daemon() {
    let bench = bench();
    offer_base(&bench).await;
    let recipe = Recipe::embedded();
    let base = bench.registry.find(REPOSITORY, &recipe.run_tag()).await;
    let base = base.expect("asked").expect("there");
    let parts = bench.registry.parts(&base);
    let manifest = parts.await.expect("parts").manifest;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let config = manifest["config"]["digest"].as_str().expect("a digest");
    let config = bench
        .folder
        .path()
        .join("blobs/sha256")
        .join(&config[7..9])
        .join(&config[7..]);
    let folder = bench.folder.path().join("stack").join(recipe.run_tag());
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(config, folder.join("config.json")).expect("copied");
    let layers = serde_json::to_vec(&manifest["layers"]).expect("JSON");
    std::fs::write(folder.join("layers.json"), layers).expect("written");

    bench
        .registry
        .remove_repository(REPOSITORY)
        .await
        .expect("removed");
    let no_import = DockerError::Failed("read the image".to_owned());
    bench.engine.fail(Verb::Save, no_import);
    bench.images.ready(STACK, &silent()).await.expect("ready");
    // The description of another image is none.
    std::fs::write(folder.join("config.json"), "{}").expect("written");
    bench
        .registry
        .remove_repository(REPOSITORY)
        .await
        .expect("removed");
    let again = offline(&bench).ready(STACK, &silent()).await;
    assert!(
        again
            .expect_err("an import")
            .to_string()
            .contains("read the image")
    );
}

#[tokio::test]
async fn nothing_is_built_offline() {
    let bench = bench();
    let offline = offline(&bench);
    let refused = offline.ready(STACK, &silent()).await;
    let refused = refused.expect_err("nothing is here").to_string();
    assert!(refused.contains("`cflite bundle load FILE`"), "{refused}");
    let machine = Machine {
        offline: true,
        ..ONLINE
    };
    let refused = build_all(&bench.engine, machine, &silent()).await;
    refused.expect_err("nothing is here");
    assert!(!offline.are_here().await.expect("an answer"));
    offer_base(&bench).await;
    assert!(offline.are_here().await.expect("an answer"));
    offline.ready(STACK, &silent()).await.expect("ready");
}

/// As after the load of a bundle.
#[tokio::test]
async fn images_that_only_the_registry_has_are_not_built() {
    let bench = bench();
    offer_base(&bench).await;
    let recipe = Recipe::embedded();
    let mut offered = Vec::new();
    for (name, tag, hash) in [
        (recipe.run_reference(), recipe.run_tag(), recipe.run_hash()),
        (
            recipe.build_reference(),
            recipe.build_tag(),
            recipe.build_hash(),
        ),
    ] {
        let saved = bench.engine.save(&name).await.expect("saved");
        let digest = bench.registry.import_saved(REPOSITORY, &tag, saved).await;
        let reference = bench
            .registry
            .reference(REPOSITORY, &digest.expect("imported"));
        let image = Image {
            id: format!("sha256:{tag}"),
            labels: [(LABEL_RECIPE.to_owned(), hash.to_owned())].into(),
            ..bench.engine.add_image("scratch:x")
        };
        bench.engine.offer_like(&reference, image);
        bench.engine.remove_image(&name).await.expect("removed");
        offered.push(reference);
    }
    assert_ne!(offered[0], offered[1]);
    let offline = offline(&bench);
    assert!(offline.are_here().await.expect("an answer"));
    offline.ready(STACK, &silent()).await.expect("ready");
    for reference in offered {
        assert!(bench.engine.pulled().contains(&reference));
    }
}

#[tokio::test]
async fn a_removed_run_image_comes_back_from_the_registry() {
    let bench = bench();
    offer_base(&bench).await;
    let images = bench.images.ready(STACK, &silent()).await.expect("ready");
    let reference = bench.registry.reference(REPOSITORY, &images.base);
    for gone in [&images.build, &images.run, &reference] {
        bench.engine.remove_image(gone).await.expect("removed");
    }
    let image = Image {
        labels: [(
            LABEL_RECIPE.to_owned(),
            Recipe::embedded().run_hash().to_owned(),
        )]
        .into(),
        ..bench.engine.add_image("scratch:x")
    };
    bench.engine.offer_like(&reference, image);
    bench
        .images
        .ready(STACK, &silent())
        .await
        .expect("ready again");
    assert_eq!(bench.engine.pulled().last(), Some(&reference));
    assert!(
        bench
            .engine
            .image(&images.run)
            .await
            .expect("asked")
            .is_some()
    );
}

#[tokio::test]
async fn an_unknown_stack_is_reported_by_name() {
    let error = bench().images.ready("windows", &silent()).await;
    let error = error.expect_err("no such stack");
    assert_eq!(error.to_string(), "there is no stack windows");
}

/// A droplet image that reveals another platform.
fn droplet_of(platform: &str) -> Image {
    let labels = [(crate::docker::LABEL_OWNER.to_owned(), platform.to_owned())];
    Image {
        id: format!("sha256:droplet-of-{platform}"),
        tags: vec![format!("droplet-of-{platform}:x")],
        labels: labels.into(),
        ..FakeEngine::new(Arc::new(SystemClock)).add_image("scratch:x")
    }
}

async fn names(engine: &FakeEngine) -> usize {
    list(engine).await.expect("listed").len()
}

#[tokio::test]
async fn the_last_platform_that_uses_the_images_removes_them() {
    let bench = bench();
    offer_base(&bench).await;
    bench.images.ready(STACK, &silent()).await.expect("ready");
    mark(&bench.engine, "there").await.expect("marked");
    let removed = remove_unused(&bench.engine, Some("there")).await;
    let removed = removed.expect("looked");
    assert_eq!(
        (removed.count, &*removed.kept_for),
        (0, &["here".to_owned()][..])
    );
    assert_eq!(names(&bench.engine).await, 2);
    // One that never started on this daemon.
    let removed = remove_unused(&bench.engine, None).await.expect("looked");
    assert_eq!(removed.count, 0);

    let removed = remove_unused(&bench.engine, Some("here")).await;
    assert_eq!(removed.expect("removed").count, 2);
    let labels = Labels::from([(LABEL_STACK.to_owned(), STACK.to_owned())]);
    let left = bench.engine.images(&labels).await.expect("listed");
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_platform_without_marks_keeps_all_images() {
    let bench = bench();
    offer_base(&bench).await;
    bench.images.ready(STACK, &silent()).await.expect("ready");
    bench.engine.add_image_like(droplet_of("older"));
    let removed = remove_unused(&bench.engine, Some("here")).await;
    assert_eq!(removed.expect("looked").kept_for, ["older"]);
    assert_eq!(names(&bench.engine).await, 2);
    bench
        .engine
        .remove_image("droplet-of-older:x")
        .await
        .expect("gone");
    let removed = remove_unused(&bench.engine, Some("here")).await;
    assert_eq!(removed.expect("removed").count, 2);
}

#[tokio::test]
async fn images_of_another_recipe_stay_for_the_platform_that_marked_them() {
    let bench = bench();
    offer_base(&bench).await;
    let other = format!("{REPOSITORY}:run-aaaa");
    for (tags, id) in [
        (
            vec![other.clone(), "cflite/in-use:there-run".to_owned()],
            "used",
        ),
        (vec![format!("{REPOSITORY}:run-bbbb")], "unused"),
    ] {
        bench.engine.add_image_like(Image {
            tags,
            id: format!("sha256:{id}"),
            labels: [(LABEL_STACK.to_owned(), STACK.to_owned())].into(),
            ..bench.engine.add_image("scratch:x")
        });
    }
    bench.images.ready(STACK, &silent()).await.expect("ready");
    let listed = list(&bench.engine).await.expect("listed");
    let outdated: Vec<&str> = listed
        .iter()
        .filter(|listed| !listed.current)
        .map(|listed| &*listed.reference)
        .collect();
    assert_eq!(outdated, [other]);
}

#[tokio::test]
async fn an_upgrade_moves_the_marks_to_the_new_images() {
    let bench = bench();
    offer_base(&bench).await;
    bench.engine.add_image_like(Image {
        tags: vec![
            format!("{REPOSITORY}:run-aaaa"),
            "cflite/in-use:here-run".to_owned(),
        ],
        id: "sha256:outdated".to_owned(),
        labels: [(LABEL_STACK.to_owned(), STACK.to_owned())].into(),
        ..bench.engine.add_image("scratch:x")
    });
    bench.images.ready(STACK, &silent()).await.expect("ready");
    let listed = list(&bench.engine).await.expect("listed");
    assert!(listed.iter().all(|listed| listed.current), "{listed:?}");
}
