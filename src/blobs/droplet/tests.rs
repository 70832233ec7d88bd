//! Droplet archives to layers and back.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use tokio::io::AsyncReadExt;

use super::*;
use crate::blobs::tests::{Fixture, fixture};

/// Kind, mode, owner, link target and content of an entry.
type Entry = (u8, u32, u64, String, String);

struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, path: &str, link: &str, content: &str) -> Self {
        let meta = Meta {
            path: path.into(),
            link: (!link.is_empty()).then(|| link.into()),
            kind,
            size: content.len() as u64,
            mode: 0o4755,
            uid: 7,
            gid: 7,
            mtime: 1,
        };
        tar_entry::write(&mut self.0, &meta, &mut content.as_bytes()).expect("entry");
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, path, "", content)
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("tar")
    }

    fn gzipped(self) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&self.bytes()).expect("gzip");
        gzip.finish().expect("gzip")
    }
}

fn read_entries(tar: impl Read) -> BTreeMap<String, Entry> {
    let mut entry_of = BTreeMap::new();
    tar_entry::visit(tar, |meta, content| {
        let mut text = String::new();
        content.read_to_string(&mut text)?;
        let link = String::from_utf8(meta.link.unwrap_or_default()).expect("text");
        let path = String::from_utf8(meta.path).expect("text");
        let entry = (meta.kind.as_byte(), meta.mode, meta.uid, link, text);
        entry_of.insert(path, entry);
        Ok::<_, io::Error>(())
    })
    .expect("tar");
    entry_of
}

async fn upload(f: &Fixture, tgz: Vec<u8>) -> Result<Blob, LayerError> {
    f.blobs.layer_from_tgz(Cursor::new(tgz), 100_000).await
}

fn entry_of(kind: u8, mode: u32, link: &str, content: &str) -> Entry {
    (kind, mode, 2000, link.to_owned(), content.to_owned())
}

#[tokio::test]
async fn an_uploaded_droplet_round_trips_through_a_layer_of_vcap() {
    let f = fixture();
    let long = format!("./app/{}/file", "x".repeat(150));
    let tgz = Tar::new()
        .entry(EntryType::Directory, "./", "", "")
        .entry(EntryType::Directory, "./app/", "", "")
        .file("./app/run", "run")
        .file(&long, "long")
        .entry(EntryType::Symlink, "app/link", "/dev/stdout", "")
        .entry(EntryType::Link, "app/same", "./app/run", "")
        .file("staging_info.yml", "{}");
    let layer = upload(&f, tgz.gzipped()).await.expect("layer");
    let file = std::fs::File::open(f.blobs.path(&layer.digest)).expect("blob");
    let inside = read_entries(file);
    let expected = BTreeMap::from([
        ("home/vcap/app/".to_owned(), entry_of(b'5', 0o755, "", "")),
        (
            "home/vcap/app/link".to_owned(),
            entry_of(b'2', 0o755, "/dev/stdout", ""),
        ),
        (
            "home/vcap/app/run".to_owned(),
            entry_of(b'0', 0o755, "", "run"),
        ),
        (
            "home/vcap/app/same".to_owned(),
            entry_of(b'1', 0o755, "home/vcap/app/run", ""),
        ),
        (
            format!("home/vcap/{}", &long[2..]),
            entry_of(b'0', 0o755, "", "long"),
        ),
        (
            "home/vcap/staging_info.yml".to_owned(),
            entry_of(b'0', 0o755, "", "{}"),
        ),
    ]);
    assert_eq!(inside, expected);

    let mut back = Vec::new();
    let stream = f.blobs.droplet_tgz(&layer.digest).await.expect("stream");
    let mut stream = stream.expect("there");
    stream.read_to_end(&mut back).await.expect("whole");
    let outside = read_entries(MultiGzDecoder::new(&back[..]));
    let stripped: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(path, mut entry)| {
            entry.3 = entry.3.replace("home/vcap/", "./");
            (path.replacen("home/vcap/", "./", 1), entry)
        })
        .collect();
    assert_eq!(outside, stripped);
}

#[tokio::test]
async fn a_download_contains_only_the_droplet() {
    let f = fixture();
    let tar = Tar::new()
        .entry(EntryType::Directory, "home/", "", "")
        .entry(EntryType::Directory, "home/vcap/", "", "")
        .file("./home/vcap/app/run", "run")
        .file("home/vcap/app/.wh.old", "")
        .file("etc/passwd", "x")
        .file("home/vcapother", "x");
    let layer = f.blobs.put_bytes(tar.bytes()).await.expect("put");
    let stream = f.blobs.droplet_tgz(&layer.digest).await.expect("stream");
    let mut tgz = Vec::new();
    let mut stream = stream.expect("there");
    stream.read_to_end(&mut tgz).await.expect("whole");
    let paths: Vec<String> = read_entries(MultiGzDecoder::new(&tgz[..]))
        .into_keys()
        .collect();
    assert_eq!(paths, ["./", "./app/run"]);
    let missing = f.blobs.droplet_tgz(&Digest::of(b"missing")).await;
    assert!(missing.expect("answer").is_none());
}

#[tokio::test]
async fn a_broken_layer_gives_an_error_and_not_a_short_droplet() {
    let f = fixture();
    let tar = Tar::new()
        .file("home/vcap/app/run", &"x".repeat(5000))
        .bytes();
    let layer = f.blobs.put_bytes(tar[..2000].to_vec()).await.expect("put");
    let stream = f.blobs.droplet_tgz(&layer.digest).await.expect("stream");
    let mut stream = stream.expect("there");
    assert!(stream.read_to_end(&mut Vec::new()).await.is_err());
}

#[tokio::test]
async fn unsafe_and_broken_droplets_are_rejected_and_leave_nothing() {
    let f = fixture();
    let whole = Tar::new().file("app/run", &"x".repeat(5000)).gzipped();
    let long = Tar::new().file(&"x/".repeat(3000), "").gzipped();
    for (case, tgz, expected) in [
        (
            "traversal",
            Tar::new().file("./app/../../x", "").gzipped(),
            "UnsafePath",
        ),
        (
            "absolute",
            Tar::new().file("/etc/passwd", "").gzipped(),
            "UnsafePath",
        ),
        (
            "whiteout",
            Tar::new().file("app/.wh..wh..opq", "").gzipped(),
            "UnsafePath",
        ),
        (
            "link outside",
            Tar::new()
                .entry(EntryType::Link, "app/x", "../../etc/shadow", "")
                .gzipped(),
            "UnsafePath",
        ),
        (
            "device",
            Tar::new().entry(EntryType::Char, "app/x", "", "").gzipped(),
            "SpecialFile",
        ),
        (
            "pipe",
            Tar::new().entry(EntryType::Fifo, "app/x", "", "").gzipped(),
            "SpecialFile",
        ),
        ("cut", whole[..whole.len() - 9].to_vec(), "Invalid"),
        ("no gzip", Tar::new().file("app/run", "").bytes(), "Invalid"),
        ("endless name", long, "Invalid"),
        (
            "large",
            Tar::new().file("app/run", &"x".repeat(100_001)).gzipped(),
            "Blob(TooLarge",
        ),
    ] {
        let error = upload(&f, tgz).await.expect_err(case);
        let text = format!("{error:?}");
        assert!(text.starts_with(expected), "{case}: {text}");
    }
    assert_eq!(f.temporary_files(), 0);
}
