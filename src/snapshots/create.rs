//! Makes, lists and removes snapshots.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::manifest::{Check, Manifest};
use super::places::{Folder, Places};
use super::volumes::Volumes;
use super::{Error, Name, Snapshots};
use crate::base::private_file;
use crate::blobs::{self, Blob, Digest};
use crate::{data_services, db};

/// How often rows and blobs are copied, when blobs were collected between the two.
const TRIES: usize = 3;

/// Snapshots by their names; one that cannot be read says why.
pub type Listed = Vec<(Name, Result<Manifest, Error>)>;

impl Snapshots {
    /// Makes a snapshot of what is there now. `progress` gets what is done.
    pub async fn create(
        &self,
        name: &Name,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Manifest, Error> {
        let _making = self.0.making.try_lock().map_err(|_| Error::Busy)?;
        let (places, parts) = (self.places(), &self.0.parts);
        let target = places.snapshot(name);
        if target.0.exists() {
            return Err(Error::Exists(name.to_string()));
        }
        let folder = places.unfinished();
        self.with_files(begin).await?;
        progress("waiting for operations on data services");
        let held = parts.holder.hold().await.map_err(Error::Services)?;
        progress("copying the database");
        let created_at = parts.clock.now();
        let (database, blobs, missing) = self.with_files(copy_rows).await?;
        let volumes = Volumes::new(&*parts.engine, &parts.platform_id);
        let mut copies = Vec::new();
        for guid in data_services::instances_with_volume(&*parts.engine, &parts.platform_id).await?
        {
            progress(&format!("copying the data of the service {guid}"));
            copies.push(volumes.save(&guid, &folder.volume(&guid)).await?);
        }
        drop(held);
        let about = (created_at, parts.domain.as_str());
        let manifest = Manifest::new(about, database, (blobs, missing), copies);
        let written = manifest.clone();
        self.with_files(move |places| finish(places, &target, &written))
            .await?;
        Ok(manifest)
    }

    /// All snapshots, the oldest first; one that cannot be read is an error of its own.
    pub fn list(&self) -> Result<Listed, Error> {
        list(self.places())
    }

    /// Removes a snapshot.
    pub fn remove(&self, name: &Name) -> Result<(), Error> {
        let places = self.places();
        let (folder, removed) = (places.snapshot(name).0, places.removed());
        remove_folder(&removed)?;
        match private_file::rename(&folder, &removed) {
            Ok(()) => remove_folder(&removed),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::Missing(name.to_string()))
            }
            Err(error) => Err(Error::storage("remove", &folder)(error)),
        }
    }

    /// Reads every byte of a snapshot.
    pub fn verify(&self, name: &Name) -> Result<Manifest, Error> {
        let folder = self.places().snapshot(name);
        let manifest = Manifest::read(&folder)?.ok_or_else(|| Error::Missing(name.to_string()))?;
        manifest.check(&folder, Check::Whole)?;
        Ok(manifest)
    }
}

pub(super) fn list(places: &Places) -> Result<Listed, Error> {
    let entries = match fs::read_dir(&places.snapshots) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::storage("list", &places.snapshots)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::storage("list", &places.snapshots))?;
        let Ok(name) = Name::parse(&entry.file_name().to_string_lossy()) else {
            continue;
        };
        let read = match Manifest::read(&places.snapshot(&name)) {
            Ok(None) => Err(Error::damaged("the snapshot", "it has no snapshot.json")),
            Ok(Some(manifest)) => Ok(manifest),
            Err(error) => Err(error),
        };
        found.push((name, read));
    }
    found.sort_by_key(|(name, manifest)| {
        let at = manifest.as_ref().ok().map(|manifest| manifest.created_at);
        (at, name.clone())
    });
    Ok(found)
}

/// An empty folder, and nothing of one that was cut off.
pub(super) fn begin(places: &Places) -> Result<(), Error> {
    let folder = places.unfinished();
    remove_folder(&folder.0)?;
    remove_folder(&places.removed())?;
    for path in [&folder.0, &folder.volumes()] {
        private_file::create_folder(path).map_err(Error::storage("create", path))?;
    }
    Ok(())
}

pub(super) fn finish(places: &Places, target: &Folder, manifest: &Manifest) -> Result<(), Error> {
    let folder = places.unfinished();
    manifest.write(&folder)?;
    private_file::rename(&folder.0, &target.0).map_err(Error::storage("write", &target.0))
}

/// The database, the blobs it references, and those of them that have no file.
type Rows = (Blob, Vec<Blob>, Vec<Digest>);

fn copy_rows(places: &Places) -> Result<Rows, Error> {
    let folder = places.unfinished();
    let mut tries = 1;
    loop {
        let database = folder.database();
        remove_file(&database)?;
        let listed = db::copy(&places.database, &database, blobs::keep_referenced)?;
        let missing = link_all(&listed, &places.blobs, &folder.blobs())?;
        if missing.is_empty() || tries == TRIES {
            let described = describe(&database)?;
            let kept = listed
                .into_iter()
                .filter(|blob| !missing.contains(&blob.digest));
            return Ok((described, kept.collect(), missing));
        }
        tries += 1;
    }
}

pub(super) fn describe(path: &Path) -> Result<Blob, Error> {
    let digest = Digest::of_file(path).map_err(Error::storage("read", path))?;
    let size = fs::metadata(path)
        .map_err(Error::storage("read", path))?
        .len();
    Ok(Blob { digest, size })
}

/// Links blobs into another store, whose folders are on disk afterwards; those that `to` has already are
/// left. Returns those that `from` does not have.
pub(super) fn link_all(blobs: &[Blob], from: &Path, to: &Path) -> Result<Vec<Digest>, Error> {
    let mut missing = Vec::new();
    let mut folders = std::collections::BTreeSet::new();
    for blob in blobs {
        let (source, target) = (
            blobs::path_in(from, &blob.digest),
            blobs::path_in(to, &blob.digest),
        );
        let folder = target.parent().unwrap_or(to).to_owned();
        if !folders.contains(&folder) {
            fs::create_dir_all(&folder).map_err(Error::storage("create", &folder))?;
        }
        match link(&source, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                missing.push(blob.digest.clone());
            }
            Err(error) => return Err(Error::storage("write", &target)(error)),
        }
        folders.insert(folder);
    }
    let parents: Vec<_> = folders
        .iter()
        .filter_map(|folder| folder.parent())
        .collect();
    let all = folders
        .iter()
        .map(std::path::PathBuf::as_path)
        .chain(parents);
    for folder in all.collect::<std::collections::BTreeSet<_>>() {
        let synced = fs::File::open(folder).and_then(|file| file.sync_all());
        synced.map_err(Error::storage("write", folder))?;
    }
    Ok(missing)
}

/// A hard link, or a copy where the two are on different file systems.
fn link(source: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(source, target) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => copy_file(source, target),
        linked => linked,
    }
}

/// A copy that is complete and on disk, or not there.
pub(super) fn copy_file(source: &Path, target: &Path) -> io::Result<()> {
    let mut from = fs::File::open(source)?;
    let mut new = private_file::NewFile::begin(target)?;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match io::Read::read(&mut from, &mut chunk)? {
            0 => return new.finish(),
            read => new.append(&chunk[..read])?,
        }
    }
}

pub(super) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::storage("remove", path)(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::storage("remove", path)(error))
        }
        _ => Ok(()),
    }
}
