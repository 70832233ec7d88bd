//! The input files of a build's container.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tar::{Builder, EntryType};

use super::bundle::{add_buildpacks, add_folder, add_lifecycle, has_buildpack, header};
use super::zips::add_zip;
use super::{BuildpackSource, Lifecycle, PackageStaging, cnb};
use crate::blobs::{Blob, Blobs, Digest};
use crate::registry::ImageParts;

/// A file of the blob store, and its size.
type Located = (PathBuf, u64);

/// The files of one build.
pub(super) struct Files {
    app: Located,
    cache: Option<Located>,
    built_in: Vec<String>,
    uploaded: Vec<(String, PathBuf)>,
    /// Cloud Native Buildpacks: archives as they were uploaded, and images.
    archives: BTreeMap<String, Located>,
    images: BTreeMap<String, Layout>,
}

/// An image in the layout that its specification defines for files.
struct Layout {
    manifest: Vec<u8>,
    blobs: Vec<(Digest, Located)>,
}

impl Files {
    /// Finds all files of a request; `images` are those of its buildpacks, by their keys. A missing
    /// cache is not an error: it only saves time.
    pub(super) async fn find(
        blobs: &Blobs,
        request: &PackageStaging,
        images: BTreeMap<String, ImageParts>,
    ) -> Result<Self, String> {
        let app = blobs
            .find(&request.package)
            .await
            .map_err(|e| e.to_string())?;
        let app = app.ok_or("the package's bits are missing: push the app again")?;
        let cache = match &request.cache {
            Some(digest) => blobs.find(digest).await.ok().flatten(),
            None => None,
        };
        let located = |blob: &Blob| (blobs.path(&blob.digest), blob.size);
        let layout = |parts: ImageParts| Layout {
            blobs: parts
                .blobs
                .iter()
                .map(|blob| (blob.digest.clone(), located(blob)))
                .collect(),
            manifest: parts.manifest,
        };
        let images = images.into_iter();
        let mut files = Self {
            app: located(&app),
            cache: cache.as_ref().map(located),
            built_in: Vec::new(),
            uploaded: Vec::new(),
            archives: BTreeMap::new(),
            images: images.map(|(key, parts)| (key, layout(parts))).collect(),
        };
        match request.lifecycle {
            Lifecycle::Buildpack => files.find_buildpacks(blobs, request)?,
            Lifecycle::Cnb(_) => files.find_archives(blobs, request).await?,
        }
        Ok(files)
    }

    /// Of files that no blob store has: the app's zip, an earlier build cache, and the zips of
    /// buildpacks by their keys.
    pub(super) fn of_paths(
        app: PathBuf,
        cache: Option<PathBuf>,
        built_in: Vec<String>,
        uploaded: Vec<(String, PathBuf)>,
    ) -> io::Result<Self> {
        let located = |path: PathBuf| {
            let size = path.metadata()?.len();
            Ok::<_, io::Error>((path, size))
        };
        Ok(Self {
            app: located(app)?,
            cache: cache.map(located).transpose()?,
            built_in,
            uploaded,
            archives: BTreeMap::new(),
            images: BTreeMap::new(),
        })
    }

    fn find_buildpacks(&mut self, blobs: &Blobs, request: &PackageStaging) -> Result<(), String> {
        for choice in &request.buildpacks {
            match &choice.source {
                BuildpackSource::BuiltIn(folder) if has_buildpack(folder) => {
                    self.built_in.push(folder.clone());
                }
                BuildpackSource::BuiltIn(folder) => {
                    return Err(format!("there is no built-in buildpack {folder}"));
                }
                BuildpackSource::Uploaded(digest) => {
                    let (key, path) = (choice.source.key(), blobs.path(digest));
                    self.uploaded.push((key, path));
                }
                BuildpackSource::Url(_) | BuildpackSource::Image(_) => {}
            }
        }
        self.built_in.sort();
        self.built_in.dedup();
        self.uploaded.sort();
        self.uploaded.dedup();
        Ok(())
    }

    async fn find_archives(
        &mut self,
        blobs: &Blobs,
        request: &PackageStaging,
    ) -> Result<(), String> {
        for choice in &request.buildpacks {
            let BuildpackSource::Uploaded(digest) = &choice.source else {
                continue;
            };
            let found = blobs.find(digest).await.map_err(|e| e.to_string())?;
            let found = found.ok_or_else(|| {
                let name = &choice.name;
                format!("the files of the buildpack {name} are missing: upload it again")
            })?;
            let located = (blobs.path(digest), found.size);
            self.archives.insert(cnb::key(&choice.source), located);
        }
        Ok(())
    }

    pub(super) fn app_size(&self) -> u64 {
        self.app.1
    }

    pub(super) fn cache_size(&self) -> Option<u64> {
        self.cache.as_ref().map(|(_, size)| *size)
    }

    /// Writes all files as one tar for `/tmp`.
    pub(super) fn write(self, writer: impl Write) -> io::Result<()> {
        let mut tar = Builder::new(writer);
        add_lifecycle(&mut tar, "")?;
        add_buildpacks(&mut tar, &self.built_in)?;
        for (key, path) in &self.uploaded {
            add_zip(&mut tar, &format!("buildpacks/{key}"), path)?;
        }
        if !self.archives.is_empty() || !self.images.is_empty() {
            add_folder(&mut tar, "buildpacks")?;
        }
        for (key, file) in &self.archives {
            add_file(&mut tar, &format!("buildpacks/{key}"), file)?;
        }
        for (key, image) in &self.images {
            image.add(&mut tar, &format!("buildpacks/{key}"))?;
        }
        let named = [
            ("app.zip", Some(&self.app)),
            ("cache.tar", self.cache.as_ref()),
        ];
        for (name, file) in named {
            if let Some(file) = file {
                add_file(&mut tar, name, file)?;
            }
        }
        tar.finish()
    }
}

impl Layout {
    fn add(&self, tar: &mut Builder<impl Write>, folder: &str) -> io::Result<()> {
        let manifest = Digest::of(&self.manifest);
        let index = json!({
            "schemaVersion": 2,
            "manifests": [{ "digest": manifest, "size": self.manifest.len() }],
        });
        for inner in ["", "/blobs", "/blobs/sha256"] {
            add_folder(tar, &format!("{folder}{inner}"))?;
        }
        let place = |digest: &Digest| format!("{folder}/blobs/sha256/{}", digest.hex());
        add_bytes(
            tar,
            &format!("{folder}/index.json"),
            index.to_string().as_bytes(),
        )?;
        add_bytes(tar, &place(&manifest), &self.manifest)?;
        for (digest, file) in &self.blobs {
            add_file(tar, &place(digest), file)?;
        }
        Ok(())
    }
}

fn add_file(tar: &mut Builder<impl Write>, name: &str, (path, size): &Located) -> io::Result<()> {
    let path: &Path = path;
    let mut header = header(EntryType::Regular, 0o644, *size);
    tar.append_data(&mut header, name, File::open(path)?)
}

fn add_bytes(tar: &mut Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = header(EntryType::Regular, 0o644, bytes.len() as u64);
    tar.append_data(&mut header, name, bytes)
}
