//! Puts a platform back to a snapshot. Nothing runs on its data dir meanwhile.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::create::{copy_file, link_all, remove_file};
use super::manifest::{Check, Manifest};
use super::places::{Folder, Places};
use super::volumes::{Volumes, remove_services};
use super::{Error, Name, Snapshots};
use crate::base::private_file;
use crate::data_services;

/// What a marker file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The snapshot that the platform is put back to.
    pub snapshot: String,
}

impl Pending {
    /// What a platform is being put back to.
    pub fn read(places: &Places) -> Result<Option<Self>, Error> {
        let marker = &places.marker;
        match fs::read(marker) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| Error::damaged(marker.display().to_string(), error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::storage("read", marker)(error)),
        }
    }

    fn write(&self, places: &Places) -> Result<(), Error> {
        let marker = &places.marker;
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::damaged("the marker", error.to_string()))?;
        private_file::replace(marker, &text).map_err(Error::storage("write", marker))
    }
}

impl Snapshots {
    /// Whether the platform can be put back to a snapshot; changes nothing.
    pub async fn check(&self, name: &Name) -> Result<Manifest, Error> {
        let name = name.clone();
        self.with_files(move |places| {
            let folder = places.snapshot(&name);
            let manifest = Manifest::read(&folder)?;
            let manifest = manifest.ok_or_else(|| Error::Missing(name.to_string()))?;
            manifest.check(&folder, Check::Quick)?;
            Ok(manifest)
        })
        .await
    }

    /// Puts the platform back to a snapshot. The caller has the lock on the data dir.
    pub async fn put_back(
        &self,
        name: &Name,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Manifest, Error> {
        let manifest = self.check(name).await?;
        let pending = Pending {
            snapshot: name.to_string(),
        };
        self.with_files(move |places| pending.write(places)).await?;
        self.apply(&self.places().snapshot(name), &manifest, progress)
            .await?;
        Ok(manifest)
    }

    /// Ends what was cut off; returns the name of the snapshot. The caller has the lock on the data dir.
    pub async fn finish(&self) -> Result<Option<Name>, Error> {
        let Some(pending) = Pending::read(self.places())? else {
            return Ok(None);
        };
        let name = Name::parse(&pending.snapshot)?;
        let manifest = self.check(&name).await?;
        self.apply(&self.places().snapshot(&name), &manifest, &|_| ())
            .await?;
        Ok(Some(name))
    }

    async fn apply(
        &self,
        folder: &Folder,
        manifest: &Manifest,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Error> {
        let (engine, platform_id) = (&*self.0.parts.engine, self.0.parts.platform_id.as_str());
        progress("ending data services");
        remove_services(engine, platform_id).await?;
        let volumes = Volumes::new(engine, platform_id);
        for guid in data_services::instances_with_volume(engine, platform_id).await? {
            if !{ manifest.volumes.iter() }.any(|volume| volume.instance_guid == guid) {
                volumes.remove(&guid).await?;
            }
        }
        for volume in &manifest.volumes {
            let guid = &volume.instance_guid;
            progress(&format!("putting back the data of the service {guid}"));
            volumes.load(guid, &folder.volume(guid)).await?;
        }
        progress("putting back the database");
        let (folder, manifest) = (folder.clone(), manifest.clone());
        self.with_files(move |places| put_back_files(places, &folder, &manifest))
            .await
    }
}

fn put_back_files(places: &Places, folder: &Folder, manifest: &Manifest) -> Result<(), Error> {
    if let Some(missing) = link_all(&manifest.blobs, &folder.blobs(), &places.blobs)?.first() {
        return Err(Error::damaged(
            format!("the blob {missing}"),
            "its file is missing",
        ));
    }
    let database = &places.database;
    // What the log of the old database holds must not reach the new one.
    for suffix in ["-wal", "-shm"] {
        remove_file(&with_suffix(database, suffix))?;
    }
    copy_file(&folder.database(), database).map_err(Error::storage("write", database))?;
    remove_file(&places.marker)?;
    private_file::sync_folder(&places.marker).map_err(Error::storage("write", &places.marker))
}

fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
