//! Packages: rejected ones, and the result for valid ones.

use std::io::{Cursor, Write};
use std::time::Duration;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::blobs::resources::{self, FileKey};
use crate::blobs::tests::{Fixture, fixture};

/// Offsets of size and mode in an entry of a zip's directory.
const UNPACKED_SIZE: usize = 24;
const ATTRIBUTES: usize = 38;

struct Upload(ZipWriter<Cursor<Vec<u8>>>);

impl Upload {
    fn new() -> Self {
        Self(ZipWriter::new(Cursor::new(Vec::new())))
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.file_with_mode(path, content, 0o644)
    }

    fn file_with_mode(mut self, path: &str, content: &[u8], mode: u32) -> Self {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(mode);
        self.0.start_file(path, options).expect("entry");
        self.0.write_all(content).expect("content");
        self
    }

    fn folder(mut self, path: &str) -> Self {
        let options = SimpleFileOptions::default();
        self.0.add_directory(path, options).expect("folder");
        self
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        let options = SimpleFileOptions::default();
        self.0.add_symlink(path, target, options).expect("link");
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.finish().expect("zip").into_inner()
    }
}

/// Overwrites four bytes of the first entry's record in the zip's directory.
fn patched(mut zip: Vec<u8>, offset: usize, value: u32) -> Vec<u8> {
    let start = zip.windows(4).position(|bytes| bytes == b"PK\x01\x02");
    let start = start.expect("directory") + offset;
    zip[start..start + 4].copy_from_slice(&value.to_le_bytes());
    zip
}

async fn check(f: &Fixture, zip: Vec<u8>, unpacked: u64) -> Result<Vec<ZipEntry>, ZipError> {
    let blob = f.blobs.put_bytes(zip).await.expect("put");
    let limits = ZipLimits {
        unpacked,
        entries: 5,
    };
    f.blobs.zip_entries(&blob.digest, limits).await
}

fn file(path: &str, content: &[u8], mode: u32) -> ZipEntry {
    ZipEntry {
        path: path.to_owned(),
        kind: ZipEntryKind::File {
            size: content.len() as u64,
            sha1: Sha1::of(content),
        },
        mode,
    }
}

#[tokio::test]
async fn a_valid_zip_lists_its_entries() {
    let f = fixture();
    let zip = Upload::new()
        .folder("bin")
        .file_with_mode("./bin/run", b"#!/bin/sh", 0o755)
        .file("empty", b"")
        .link("logs", "/dev/stdout");
    let entries = check(&f, zip.bytes(), 9).await.expect("entries");
    let expected = [
        ZipEntry {
            path: "bin".to_owned(),
            kind: ZipEntryKind::Folder,
            mode: 0o755,
        },
        file("bin/run", b"#!/bin/sh", 0o755),
        file("empty", b"", 0o644),
        ZipEntry {
            path: "logs".to_owned(),
            kind: ZipEntryKind::Link {
                target: "/dev/stdout".to_owned(),
            },
            mode: 0o777,
        },
    ];
    assert_eq!(entries, expected);
}

async fn expect_refusals(cases: Vec<(&str, Vec<u8>, &str)>) {
    let f = fixture();
    for (case, zip, expected) in cases {
        let error = check(&f, zip, 1000).await.expect_err(case);
        let text = format!("{error:?}");
        assert!(text.starts_with(expected), "{case}: {text}");
    }
}

#[tokio::test]
async fn zips_with_unsafe_paths_are_rejected() {
    let zip = Upload::new;
    let pipe = patched(zip().file("a", b"").bytes(), ATTRIBUTES, 0o010_644 << 16);
    expect_refusals(vec![
        (
            "traversal",
            zip().file("a/../../b", b"").bytes(),
            "UnsafePath",
        ),
        (
            "absolute",
            zip().file("/etc/passwd", b"").bytes(),
            "UnsafePath",
        ),
        ("outside", zip().link("../a", "b").bytes(), "UnsafePath"),
        (
            "twice",
            zip().file("a", b"").file("./a", b"").bytes(),
            "Conflict",
        ),
        (
            "link",
            zip().file("a/b", b"").link("a", "/etc").bytes(),
            "Conflict",
        ),
        (
            "file",
            zip().file("a", b"").file("a/b/c", b"").bytes(),
            "Conflict",
        ),
        ("pipe", pipe, "SpecialFile"),
    ])
    .await;
}

#[tokio::test]
async fn broken_and_too_large_zips_are_rejected() {
    let plain = || Upload::new().file("a", &[b'a'; 500]).bytes();
    let cut = plain()[..100].to_vec();
    let large = Upload::new().file("a", &[0; 600]).file("b", &[0; 401]);
    let many = (0..6).fold(Upload::new(), |zip, n| zip.file(&n.to_string(), b""));
    expect_refusals(vec![
        ("says less", patched(plain(), UNPACKED_SIZE, 7), "Invalid"),
        ("says more", patched(plain(), UNPACKED_SIZE, 900), "Invalid"),
        ("cut", cut, "Invalid"),
        ("no zip", b"hello".to_vec(), "Invalid"),
        ("nothing", Vec::new(), "Invalid"),
        ("large", large.bytes(), "TooLarge"),
        ("many", many.bytes(), "TooMany"),
    ])
    .await;
}

#[tokio::test]
async fn the_package_is_the_upload_completed_with_stored_files() {
    let f = fixture();
    let stored = f.blobs.put_bytes("stored").await.expect("put").digest;
    let zip = Upload::new()
        .folder("bin")
        .file_with_mode("bin/run", b"run", 0o755)
        .file("./old", b"old")
        .link("link", "old");
    let upload = f.blobs.put_bytes(zip.bytes()).await.expect("put").digest;
    let matched = |path: &str| MatchedFile {
        path: path.to_owned(),
        digest: stored.clone(),
        mode: 0o744,
    };
    let limits = ZipLimits::default();
    let files = || vec![matched("lib/a.jar"), matched("old")];
    let merged = f.blobs.merge_zip(Some(&upload), files(), limits);
    let merged = merged.await.expect("merged");
    let entries = f.blobs.zip_entries(&merged.digest, limits).await;
    let expected = [
        file("bin/run", b"run", 0o755),
        ZipEntry {
            path: "link".to_owned(),
            kind: ZipEntryKind::Link {
                target: "old".to_owned(),
            },
            mode: 0o777,
        },
        file("lib/a.jar", b"stored", 0o744),
        file("old", b"stored", 0o744),
    ];
    assert_eq!(entries.expect("entries"), expected);
    let again = f.blobs.merge_zip(Some(&upload), files(), limits).await;
    assert_eq!(again.expect("merged"), merged);

    let alone = f
        .blobs
        .merge_zip(None, files(), limits)
        .await
        .expect("merged");
    let entries = f.blobs.zip_entries(&alone.digest, limits).await;
    assert_eq!(entries.expect("entries").len(), 2);
    assert_eq!(f.temporary_files(), 0);
}

#[tokio::test]
async fn conflicting_stored_files_are_rejected() {
    let f = fixture();
    let stored = f.blobs.put_bytes("stored").await.expect("put").digest;
    let gone = Digest::of(b"gone");
    let zip = Upload::new()
        .file("a", b"a")
        .file("b/c", b"c")
        .file("b.d", b"");
    let upload = f.blobs.put_bytes(zip.bytes()).await.expect("put").digest;
    let limits = ZipLimits {
        unpacked: 8,
        entries: 2,
    };
    for (paths, digest, expected) in [
        (vec!["../x"], &stored, "UnsafePath"),
        (vec!["x"], &gone, "ResourceGone"),
        (vec!["x", "x/y"], &stored, "Conflict"),
        (vec!["1", "2", "3"], &stored, "TooMany"),
        (vec!["1", "2"], &stored, "TooLarge"),
    ] {
        let matched = matched(&paths, digest);
        let refused = f.blobs.merge_zip(None, matched, limits).await;
        let text = format!("{:?}", refused.expect_err(expected));
        assert!(text.starts_with(expected), "{paths:?}: {text}");
    }
    for (path, fits) in [
        ("a/x", false),
        ("b", false),
        ("b/c/d", false),
        ("b/x", true),
    ] {
        let matched = matched(&[path], &stored);
        let merged = f
            .blobs
            .merge_zip(Some(&upload), matched, ZipLimits::default());
        assert_eq!(merged.await.is_ok(), fits, "{path}");
    }
    assert_eq!(f.temporary_files(), 0);
}

fn matched(paths: &[&str], digest: &Digest) -> Vec<MatchedFile> {
    let file = |path: &&str| MatchedFile {
        path: (*path).to_owned(),
        digest: digest.clone(),
        mode: 0o644,
    };
    paths.iter().map(file).collect()
}

#[tokio::test]
async fn large_files_of_a_package_are_remembered_for_a_month() {
    let f = fixture();
    let large = vec![7_u8; 64 * 1024];
    let zip = Upload::new()
        .file("a.jar", &large)
        .file("copy/a.jar", &large)
        .file("small", &large[1..]);
    let package = f.blobs.put_bytes(zip.bytes()).await.expect("put").digest;
    let limits = ZipLimits::default();
    for _ in 0..2 {
        let indexed = f.blobs.index_package(&package, limits).await;
        assert_eq!(indexed.expect("indexed"), 1);
    }
    let key = |content: &[u8]| FileKey {
        sha1: Sha1::of(content),
        size: content.len() as u64,
    };
    let wanted = [key(&large[1..]), key(&large)];
    let find = async || {
        let wanted = wanted.clone();
        let found = f.db.read(move |tx| resources::match_resources(tx, &wanted));
        found.await.expect("found")
    };
    assert_eq!(find().await, [None, Some(Digest::of(&large))]);

    let month = Duration::from_secs(30 * 24 * 3600);
    f.clock.advance(month);
    f.blobs.sweep().await.expect("sweep");
    assert!(f.blobs.path(&Digest::of(&large)).exists());

    let (used, now) = (wanted.clone(), f.blobs.now());
    let touched = f.db.write(move |tx| resources::touch(tx, &used, now));
    touched.await.expect("touched");
    f.clock.advance(month);
    f.blobs.sweep().await.expect("sweep");
    assert_eq!(find().await, [None, Some(Digest::of(&large))]);

    f.clock.advance(Duration::from_secs(1));
    f.blobs.sweep().await.expect("sweep");
    assert_eq!(find().await, [None, None]);
    assert!(!f.blobs.path(&Digest::of(&large)).exists());
}

#[test]
fn sha1s_are_checked_and_lower_case() {
    let good = "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709";
    assert_eq!(Sha1::parse(good), Some(Sha1::of(b"")));
    for bad in ["", "da39", &good.replace('D', "x"), &format!("{good}0")] {
        assert_eq!(Sha1::parse(bad), None, "{bad}");
    }
}
