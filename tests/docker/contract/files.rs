//! Files into and out of containers, and images.

use std::sync::Arc;

use bytes::Bytes;
use cflite::docker::{Behaviour, BuildSpec, ByteReader, DockerError, Upload};
use tokio::io::AsyncReadExt;

use crate::bench::{Bench, soon};

pub(super) fn tar_of(name: &str, content: &[u8], mode: u32) -> ByteReader {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_uid(2000);
    header.set_gid(2000);
    builder
        .append_data(&mut header, name, content)
        .expect("a tar");
    Box::pin(std::io::Cursor::new(builder.into_inner().expect("a tar")))
}

pub(super) async fn read(mut reader: ByteReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).await.expect("all bytes");
    bytes
}

/// Names, modes and contents of the files in a tar.
pub(super) fn entries(tar: &[u8]) -> Vec<(String, u32, Bytes)> {
    let mut archive = tar::Archive::new(tar);
    let mut found = Vec::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).expect("content");
            let name = entry.path().expect("a path").to_string_lossy().into_owned();
            let mode = entry.header().mode().expect("a mode") & 0o777;
            found.push((name, mode, content.into()));
        }
    }
    found.sort();
    found
}

pub(super) async fn files_go_in_and_come_out(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let behaviour = Behaviour::runs()
        .works(|files| {
            let given = files.get("/tmp/in/hello").expect("uploaded").clone();
            files.put("/tmp/out/copy", given);
        })
        .exits(0);
    let spec = bench.shell(
        "files",
        "mkdir /tmp/out; exec cp -p /tmp/in/hello /tmp/out/copy",
        behaviour,
    );
    let id = engine.create(&spec).await.expect("created");
    let content = vec![b'z'; 300_000];
    let upload = Upload {
        folder: "/tmp".into(),
        tar: tar_of("in/hello", &content, 0o750),
    };
    engine
        .upload(&id, upload)
        .await
        .expect("uploaded before the start");
    engine.start(&id).await.expect("started");
    assert_eq!(soon(engine.wait(&id)).await.expect("waited"), 0);

    let file = engine.download(&id, "/tmp/out/copy").await.expect("a file");
    assert_eq!(
        entries(&read(file).await),
        [("copy".to_owned(), 0o750, content.clone().into())]
    );
    let folder = engine.download(&id, "/tmp/out").await.expect("a folder");
    assert_eq!(
        entries(&read(folder).await),
        [("out/copy".to_owned(), 0o750, content.into())]
    );
    let missing = engine.download(&id, "/tmp/nothing").await.err();
    assert!(
        matches!(missing, Some(DockerError::NotFound(_))),
        "{missing:?}"
    );
    let upload = Upload {
        folder: "/tmp".into(),
        tar: tar_of("x", b"x", 0o644),
    };
    let gone = engine.upload("no-such-container", upload).await;
    assert!(matches!(gone, Err(DockerError::NotFound(_))), "{gone:?}");
}

pub(super) async fn images_are_made_named_saved_and_removed(bench: Arc<Bench>) {
    let engine = &bench.engine;
    let base = bench.name("base");
    engine
        .import(&base, tar_of("etc/motd", b"hello", 0o644))
        .await
        .expect("imported");
    let image = engine.image(&base).await.expect("asked").expect("there");
    assert!(image.id.starts_with("sha256:"));
    assert_eq!(image.diff_ids.len(), 1);
    assert_eq!(image.tags, [format!("{base}:latest")]);

    let first = format!("{}:one", bench.name("built"));
    let recipe = b"ARG BASE\nFROM ${BASE}\nLABEL colour=red\nCOPY Recipe /etc/recipe\n";
    let build = BuildSpec {
        reference: first.clone(),
        dockerfile: "Recipe".into(),
        arguments: [("BASE".to_owned(), base.clone())].into(),
        labels: bench.labels(),
    };
    let (progress, mut reported) = tokio::sync::mpsc::unbounded_channel();
    soon(engine.build(build, tar_of("Recipe", recipe, 0o644), progress))
        .await
        .expect("built");
    assert!(reported.recv().await.is_some());
    let result = engine.image(&first).await.expect("asked").expect("there");
    assert_eq!(result.diff_ids.len(), 2);
    assert_eq!(result.diff_ids[0], image.diff_ids[0]);
    let listed = engine.images(&bench.labels()).await.expect("listed");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, result.id);

    let saved = entries(&read(engine.save(&first).await.expect("saved")).await);
    assert!(saved.iter().any(|(name, ..)| name == "manifest.json"));
    assert!(saved.iter().any(|(name, ..)| name.ends_with("layer.tar")));

    let second = format!("{}:two", bench.name("built"));
    engine.tag(&first, &second).await.expect("named");
    let names = engine.image_names(&bench.name("built")).await;
    let mut names = names.expect("listed");
    names.sort();
    assert_eq!(names, [first.clone(), second.clone()]);
    engine.remove_image(&first).await.expect("name removed");
    assert!(engine.image(&first).await.expect("asked").is_none());
    let kept = engine.image(&second).await.expect("asked").expect("there");
    assert_eq!(kept.id, result.id);
    engine.remove_image(&second).await.expect("removed");
    engine.remove_image(&second).await.expect("removed again");
    engine.remove_image(&base).await.expect("removed");
    assert!(engine.image(&base).await.expect("asked").is_none());
    let broken = BuildSpec {
        reference: first,
        dockerfile: "Missing".into(),
        ..BuildSpec::default()
    };
    let (progress, _told) = tokio::sync::mpsc::unbounded_channel();
    let failed = engine
        .build(broken, tar_of("Recipe", recipe, 0o644), progress)
        .await;
    assert!(failed.is_err());
}

pub(super) async fn a_broken_pull_is_an_error(bench: Arc<Bench>) {
    let (progress, _told) = tokio::sync::mpsc::unbounded_channel();
    // Nothing listens on port 1.
    let pulled = soon(
        bench
            .engine
            .pull("127.0.0.1:1/nothing:here", None, progress),
    )
    .await;
    assert!(pulled.is_err());
}
