//! Snapshots of a data dir with Docker in memory.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::archive::{Contents, Source, Target, is_encrypted};
use super::*;
use crate::base::{Secret, SystemClock};
use crate::blobs::{self, Blobs};
use crate::db::{Db, DbError, WriteTx};
use crate::docker::FakeEngine;

struct World {
    place: tempfile::TempDir,
    db: Db,
    blobs: Blobs,
    snapshots: Snapshots,
}

impl World {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("temporary folder");
        let places = Places::of(place.path());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let db = Db::open(&places.database).expect("opened");
        let blobs = Blobs::open(&places.blobs, db.clone(), clock.clone()).expect("opened");
        let engine = Arc::new(FakeEngine::new(clock.clone()));
        let snapshots = Snapshots::new(Parts {
            places,
            engine,
            clock,
            platform_id: "abc".to_owned(),
            domain: "cf.localhost".to_owned(),
            holder: Arc::new(Nobody),
        });
        Self {
            place,
            db,
            blobs,
            snapshots,
        }
    }

    /// Stores a blob that a package needs.
    async fn package(&self, name: &'static str) -> blobs::Blob {
        let blob = self.blobs.put_bytes(name).await.expect("stored");
        let digest = blob.digest.clone();
        let write = move |tx: &WriteTx<'_>| blobs::reference(tx, &digest, "package", name);
        self.db.write(write).await.expect("referenced");
        blob
    }

    async fn release(&self, name: &'static str) {
        let write = move |tx: &WriteTx<'_>| blobs::release(tx, "package", name);
        let done: Result<(), DbError> = self.db.write(write).await;
        done.expect("released");
    }

    async fn create(&self, name: &str) -> Result<Manifest, Error> {
        self.snapshots.create(&named(name), &|_| ()).await
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.place.path().join("snapshots").join(name)
    }
}

/// Spoils a part of the folder of a snapshot.
type Damage<'a> = &'a dyn Fn(&Path);

fn named(text: &str) -> Name {
    Name::parse(text).expect("valid")
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).expect("there").ino()
}

#[tokio::test]
async fn blobs_are_shared_and_only_those_that_are_needed() {
    let world = World::new();
    let needed = world.package("needed").await;
    let unneeded = world.blobs.put_bytes("unneeded").await.expect("stored");
    let manifest = world.create("one").await.expect("made");
    assert_eq!(manifest.blobs, std::slice::from_ref(&needed));
    assert_eq!(manifest.shared_size(), 6);
    let store = world.folder("one").join("blobs");
    let linked = blobs::path_in(&store, &needed.digest);
    assert_eq!(inode(&linked), inode(&world.blobs.path(&needed.digest)));
    assert!(!blobs::path_in(&store, &unneeded.digest).exists());
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
    assert_eq!(mode(&world.folder("one")) & 0o777, 0o700);
    assert_eq!(mode(&world.folder("one").join("cflite.db")) & 0o777, 0o600);
    world.snapshots.verify(&named("one")).expect("sound");

    let again = world.create("one").await.expect_err("in use");
    assert!(matches!(again, Error::Exists(_)), "{again}");
    world.create("two").await.expect("made");
    let names = |world: &World| -> Vec<String> {
        let all = world.snapshots.list().expect("listed");
        all.iter().map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(names(&world), ["one", "two"]);
    world.snapshots.remove(&named("one")).expect("removed");
    assert_eq!(names(&world), ["two"]);
    let missing = world.snapshots.remove(&named("one"));
    assert!(matches!(missing, Err(Error::Missing(_))));
    let missing = world.snapshots.verify(&named("one"));
    assert!(matches!(missing, Err(Error::Missing(_))));
}

#[tokio::test]
async fn what_was_deleted_comes_back_with_its_bytes() {
    let world = World::new();
    let blob = world.package("lost").await;
    world.create("one").await.expect("made");
    world.release("lost").await;
    std::fs::remove_file(world.blobs.path(&blob.digest)).expect("collected");
    let World {
        place,
        db,
        blobs,
        snapshots,
    } = world;
    drop((db, blobs));
    let name = named("one");
    let put_back = snapshots.put_back(&name, &|_| ()).await;
    put_back.expect("put back");
    let places = Places::of(place.path());
    assert!(!places.marker.exists());
    let db = Db::open(&places.database).expect("opened");
    let blobs = Blobs::open(&places.blobs, db.clone(), Arc::new(SystemClock)).expect("opened");
    let found = blobs.find(&blob.digest).await.expect("read");
    assert_eq!(found, Some(blob.clone()));
    let bytes = std::fs::read(blobs.path(&blob.digest)).expect("there");
    assert_eq!(bytes, b"lost");
    let read = db.read(move |tx| blobs::referenced(tx, "package", "lost"));
    assert_eq!(read.await.expect("read"), [blob]);
}

#[tokio::test]
async fn rows_of_the_log_of_the_old_database_do_not_come_back() {
    let world = World::new();
    world.create("one").await.expect("made");
    world.package("after").await;
    // As after kill -9: its log is not written into the database.
    let wal = world.place.path().join("cflite.db-wal");
    assert!(std::fs::metadata(&wal).expect("there").len() > 0);
    let snapshots = world.snapshots.clone();
    let put_back = snapshots.put_back(&named("one"), &|_| ()).await;
    put_back.expect("put back");
    let db = Db::open(&Places::of(world.place.path()).database).expect("opened");
    let read = db.read(|tx| blobs::referenced(tx, "package", "after"));
    assert_eq!(read.await.expect("read"), []);
}

#[tokio::test]
async fn a_file_that_the_platform_does_not_have_is_told() {
    let world = World::new();
    let blob = world.package("lost").await;
    world.package("kept").await;
    std::fs::remove_file(world.blobs.path(&blob.digest)).expect("lost");
    let manifest = world.create("one").await.expect("made");
    assert_eq!(manifest.missing, [blob.digest]);
    assert_eq!(manifest.blobs.len(), 1);
    world.snapshots.verify(&named("one")).expect("as it was");
}

#[tokio::test]
async fn a_damaged_snapshot_changes_nothing() {
    let world = World::new();
    let blob = world.package("blob").await;
    let damages: &[(&str, Damage<'_>)] = &[
        ("the database is damaged", &|folder| {
            let path = folder.join("cflite.db");
            let mut bytes = std::fs::read(&path).expect("read");
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            std::fs::write(path, bytes).expect("written");
        }),
        ("should have", &|folder| {
            let path = blobs::path_in(&folder.join("blobs"), &blob.digest);
            std::fs::remove_file(&path).expect("unlinked");
            std::fs::write(path, "other bytes").expect("written");
        }),
        ("its file is missing", &|folder| {
            std::fs::remove_dir_all(folder.join("blobs")).expect("removed");
        }),
        ("snapshot.json is damaged", &|folder| {
            std::fs::write(folder.join("snapshot.json"), "{").expect("written");
        }),
        ("use a newer cflite", &|folder| {
            let path = folder.join("snapshot.json");
            let text = std::fs::read_to_string(&path).expect("read");
            let newer = text.replace("\"format\": 1", "\"format\": 2");
            std::fs::write(path, newer).expect("written");
        }),
    ];
    for (number, (expected, damage)) in damages.iter().enumerate() {
        let name = format!("s{number}");
        world.create(&name).await.expect("made");
        damage(&world.folder(&name));
        let refused = world.snapshots.put_back(&named(&name), &|_| ()).await;
        let text = refused.expect_err(&name).to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!Places::of(world.place.path()).marker.exists());
    }
    // The one whose list cannot be read is listed all the same.
    let all = world.snapshots.list().expect("listed");
    assert_eq!(all.len(), damages.len());
    assert_eq!(all.iter().filter(|(_, one)| one.is_err()).count(), 2);
}

#[tokio::test]
async fn what_a_killed_process_left_is_no_snapshot() {
    let world = World::new();
    for left in [".new", ".removed"] {
        std::fs::create_dir_all(world.folder(left).join("blobs")).expect("created");
    }
    assert_eq!(world.snapshots.list().expect("listed").len(), 0);
    world.create("one").await.expect("made");
    assert!(!world.folder(".new").exists());
    assert!(!world.folder(".removed").exists());
    world.snapshots.verify(&named("one")).expect("whole");
}

/// A backup of a platform with one package, in a folder of its own.
async fn backed_up(world: &World, passphrase: Option<&Secret<String>>) -> std::path::PathBuf {
    world.package("package").await;
    std::fs::write(world.place.path().join("secret-key"), [7; 32]).expect("written");
    std::fs::write(world.place.path().join("admin-password"), "letmein").expect("written");
    if !world.folder("one").exists() {
        world.create("one").await.expect("made");
    }
    let file = world.place.path().join("backup");
    let target = Target {
        file: &file,
        passphrase,
        progress: &|done, all| assert!(done <= all),
    };
    let written = target.write(world.place.path(), &named("one"));
    let contents = written.expect("written");
    assert_eq!(contents.files.len(), 2);
    file
}

fn verified(file: &Path, passphrase: Option<&Secret<String>>) -> Result<Contents, Error> {
    let source = Source {
        file,
        passphrase,
        progress: &|done, all| assert!(done <= all),
    };
    source.verify()
}

async fn restored(file: &Path, passphrase: Option<&Secret<String>>) -> World {
    let world = World::new();
    let source = Source {
        file,
        passphrase,
        progress: &|_, _| (),
    };
    let adapt = |tx: &WriteTx<'_>, domain: &str| {
        assert_eq!(domain, "cf.localhost");
        tx.sql()
            .execute("delete from blobs where digest = 'none'", [])?;
        Ok(())
    };
    let path = world.place.path().to_owned();
    let done = world.snapshots.restore(&source, &path, adapt, &|_| ());
    done.await.expect("restored");
    world
}

#[tokio::test]
async fn a_backup_becomes_the_same_platform_elsewhere() {
    let secret = Secret::new("correct horse".to_owned());
    for passphrase in [None, Some(&secret)] {
        let world = World::new();
        let file = backed_up(&world, passphrase).await;
        let mode = std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(is_encrypted(&file).expect("read"), passphrase.is_some());
        verified(&file, passphrase).expect("sound");
        let other = restored(&file, passphrase).await;
        let path = other.place.path();
        let read = |name: &str| std::fs::read(path.join(name)).expect(name);
        assert_eq!(read("secret-key"), [7; 32]);
        assert_eq!(read("admin-password"), b"letmein");
        let db = Db::open(&Places::of(path).database).expect("opened");
        let found = db
            .read(|tx| blobs::referenced(tx, "package", "package"))
            .await;
        let digest = found.expect("read")[0].digest.clone();
        let blob = blobs::path_in(&Places::of(path).blobs, &digest);
        assert_eq!(std::fs::read(blob).expect("there"), b"package");
        assert_eq!(other.snapshots.list().expect("listed").len(), 0);
    }
}

#[tokio::test]
async fn a_backup_that_was_changed_is_refused() {
    let world = World::new();
    let file = backed_up(&world, None).await;
    let whole = std::fs::read(&file).expect("read");
    let write = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("written");
        verified(&file, None)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    write(&whole).expect("as it was");
    for end in [0, 10, whole.len() / 2, whole.len() - 20] {
        write(&whole[..end]).expect_err("cut off");
    }
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0x40;
    write(&changed).expect_err("changed");
    let text = write(b"something else").expect_err("no backup");
    assert!(text.contains("it is no backup of cflite"), "{text}");

    // Entries that the list has no place for, and those that it names and the file lacks.
    let unpacked = || {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&whole[..]));
        let entries = archive.entries().expect("entries").map(|entry| {
            let mut entry = entry.expect("entry");
            let name = entry.path().expect("path").to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("read");
            (name, bytes)
        });
        entries.collect::<Vec<_>>()
    };
    let packed = |entries: &[(String, Vec<u8>)]| {
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (name, bytes) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            header.as_gnu_mut().expect("gnu").name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, &bytes[..]).expect("appended");
        }
        tar.into_inner()
            .and_then(|gzip| gzip.finish())
            .expect("packed")
    };
    let mut more = unpacked();
    more.push(("../../etc/passwd".to_owned(), b"root".to_vec()));
    let text = write(&packed(&more)).expect_err("more than it lists");
    assert!(text.contains("which it does not list"), "{text}");
    let mut less = unpacked();
    less.pop();
    let text = write(&packed(&less)).expect_err("less than it lists");
    assert!(text.contains("it is missing in the backup"), "{text}");
    let mut other = unpacked();
    let list = String::from_utf8(other[0].1.clone()).expect("UTF-8");
    other[0].1 = list.replace("secret-key", "../secret-key").into_bytes();
    let text = write(&packed(&other)).expect_err("a file that no platform has");
    assert!(text.contains("which no platform has"), "{text}");
}
