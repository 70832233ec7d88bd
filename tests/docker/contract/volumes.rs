//! Named volumes.

use std::sync::Arc;

use cflite::docker::{Access, Behaviour, ContainerSpec, DockerError, Labels, Upload, VolumeMount};

use super::files::{entries, read, tar_of};
use crate::bench::{Bench, soon};

const FOLDER: &str = "/tmp/shared";

fn mounted(mut spec: ContainerSpec, volume: &str, access: Access) -> ContainerSpec {
    spec.volumes = vec![VolumeMount {
        volume: volume.to_owned(),
        folder: FOLDER.to_owned(),
        access,
    }];
    spec
}

fn upload() -> Upload {
    Upload {
        folder: "/".to_owned(),
        tar: tar_of("tmp/shared/hello", b"hello", 0o755),
    }
}

pub(super) async fn a_volume_is_filled_through_a_container_that_never_ran(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let volume = bench.name("files");
    let made = engine.ensure_volume(&volume, &bench.labels()).await;
    made.expect("made");
    let again = engine.ensure_volume(&volume, &Labels::new()).await;
    again.expect("made again");
    let found = engine.volume(&volume).await.expect("asked").expect("there");
    assert_eq!((found.name, found.labels), (volume.clone(), bench.labels()));
    let names = engine.volume_names(&bench.name("fi")).await;
    assert_eq!(names.expect("listed"), [volume.as_str()]);
    let names = engine.volume_names("contract-").await.expect("listed");
    assert_eq!(names, Vec::<String>::new(), "names begin with the prefix");

    let spec = bench.shell("filler", "true", Behaviour::runs());
    let spec = mounted(spec, &volume, Access::ReadWrite);
    let filler = engine.create(&spec).await.expect("created");
    for _ in 0..2 {
        engine.upload(&filler, upload()).await.expect("uploaded");
    }
    let used = engine.remove_volume(&volume).await;
    assert!(matches!(used, Err(DockerError::Conflict(_))), "{used:?}");
    engine.remove(&filler).await.expect("removed");

    let script = "test -x /tmp/shared/hello && ! touch /tmp/shared/x && touch /tmp/x";
    let spec = bench.shell("reader", script, Behaviour::runs().exits(0));
    let spec = mounted(spec, &volume, Access::ReadOnly);
    let reader = engine.create(&spec).await.expect("created");
    let seen = engine.inspect(&reader).await.expect("asked");
    assert_eq!(seen.expect("there").volumes, [volume.as_str()]);
    let rejected = engine.upload(&reader, upload()).await;
    assert!(
        matches!(rejected, Err(DockerError::Failed(_))),
        "{rejected:?}"
    );
    engine.start(&reader).await.expect("started");
    assert_eq!(soon(engine.wait(&reader)).await.expect("waited"), 0);
    let files = engine.download(&reader, FOLDER).await.expect("a folder");
    let expected = ("shared/hello".to_owned(), 0o755, b"hello".as_slice().into());
    assert_eq!(entries(&read(files).await), [expected]);
    let used = engine.remove_volume(&volume).await;
    assert!(matches!(used, Err(DockerError::Conflict(_))), "{used:?}");

    engine.remove(&reader).await.expect("removed");
    engine.remove_volume(&volume).await.expect("removed");
    engine.remove_volume(&volume).await.expect("removed again");
    assert_eq!(engine.volume(&volume).await.expect("asked"), None);
}

pub(super) async fn a_volume_comes_out_of_a_container_that_never_ran(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let volume = bench.name("saved");
    let made = engine.ensure_volume(&volume, &bench.labels()).await;
    made.expect("made");
    let spec = bench.shell("saver", "true", Behaviour::runs());
    let spec = mounted(spec, &volume, Access::ReadWrite);
    let saver = engine.create(&spec).await.expect("created");
    let empty = engine.download(&saver, FOLDER).await.expect("a folder");
    assert_eq!(entries(&read(empty).await), []);
    engine.upload(&saver, upload()).await.expect("uploaded");
    let saved = engine.download(&saver, FOLDER).await.expect("a folder");
    let saved = read(saved).await;
    engine.remove(&saver).await.expect("removed");
    engine.remove_volume(&volume).await.expect("removed");

    let made = engine.ensure_volume(&volume, &bench.labels()).await;
    made.expect("made again");
    let spec = bench.shell("loader", "true", Behaviour::runs());
    let spec = mounted(spec, &volume, Access::ReadWrite);
    let loader = engine.create(&spec).await.expect("created");
    let upload = Upload {
        folder: "/tmp".to_owned(),
        tar: Box::pin(std::io::Cursor::new(saved)),
    };
    engine.upload(&loader, upload).await.expect("uploaded");
    let back = engine.download(&loader, FOLDER).await.expect("a folder");
    let expected = ("shared/hello".to_owned(), 0o755, b"hello".as_slice().into());
    assert_eq!(entries(&read(back).await), [expected]);
    engine.remove(&loader).await.expect("removed");
    engine.remove_volume(&volume).await.expect("removed");
}

pub(super) async fn a_missing_volume_is_created_without_labels(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let volume = bench.name("missing");
    let spec = bench.shell("first", "true", Behaviour::runs());
    let spec = mounted(spec, &volume, Access::ReadOnly);
    let id = engine.create(&spec).await.expect("created");
    let ensured = engine.ensure_volume(&volume, &bench.labels()).await;
    ensured.expect("it is there");
    let found = engine.volume(&volume).await.expect("asked").expect("there");
    assert_eq!(found.labels, Labels::new());
    engine.remove(&id).await.expect("removed");
    let kept = engine.volume(&volume).await.expect("asked");
    assert_eq!(kept, Some(found), "volumes outlive their containers");
}
