//! Carrying images to a machine without a network: a compressed OCI image layout, which other tools
//! read, too (image specification, `image-layout.md`).
//!
//! An import checks every blob against its digest before it lists any, and publishes the images when
//! all blobs are in the store: an interrupted one leaves nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncRead;

use crate::blobs::{Blob, BlobError, Blobs, Digest, PipeWriter, Sealed};
use crate::docker::ByteReader;

use super::digest::AnyDigest;
use super::manifest::{Contents, Held, OCI_INDEX};
use super::name::{RepositoryName, Tag};
use super::store::{self, NamedImage, PartsOf};
use super::upstream::ImageReference;
use super::{MAX_DOCUMENT, Registry, RegistryError};

/// Where an image was, and is published again.
const REPOSITORY: &str = "cflite.repository";
const TAG: &str = "cflite.tag";
/// The same for other tools.
const NAME: &str = "org.opencontainers.image.ref.name";
/// What the names of repositories that a bundle may hold begin with: copies of other registries'
/// images, and those that cflite made itself.
const PREFIXES: [&str; 2] = ["cache/", "cflite/"];
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256/";

/// Which images to export.
#[derive(Debug, Default)]
pub struct ExportRequest {
    /// Copies of other registries' images; all of them if there is none.
    pub copies: Vec<ImageReference>,
    /// Repository and tag of images that cflite made.
    pub own: Vec<(RepositoryName, Tag)>,
}

#[derive(Serialize, Deserialize)]
struct Index {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType")]
    media_type: String,
    manifests: Vec<Described>,
}

#[derive(Serialize, Deserialize)]
struct Described {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Registry {
    /// The images as a stream.
    pub async fn export(&self, request: ExportRequest) -> Result<ByteReader, RegistryError> {
        let names = self.names();
        let copies: Vec<ImageReference> = request
            .copies
            .into_iter()
            .map(|image| names.origin_of(image))
            .collect();
        let own = request.own;
        for (repository, tag) in &own {
            if let Some(image) = self.find(repository.as_str(), tag.as_str()).await? {
                self.restore_all(repository, &image).await?;
            }
        }
        let read = move |tx: &crate::db::ReadTx<'_>| {
            let images = find_images(tx, &copies, &own)?;
            let mut blobs = BTreeMap::new();
            for image in &images {
                for blob in store::all_blobs(tx, &image.manifest.blob.digest)? {
                    blobs.insert(blob.digest.to_string(), blob);
                }
            }
            Ok::<_, RegistryError>((images, blobs))
        };
        let (images, blobs) = self.db().read(read).await?;
        let store = self.blobs().clone();
        let write = move |pipe: &mut PipeWriter| {
            let compressed = GzEncoder::new(pipe, Compression::fast());
            write(&store, &images, blobs.values(), compressed)
        };
        Ok(Box::pin(self.blobs().produce(write)))
    }

    /// Publishes the images of a stream; returns their names.
    pub async fn import_layout(
        &self,
        source: impl AsyncRead + Send,
    ) -> Result<Vec<String>, RegistryError> {
        let blobs = self.blobs().clone();
        let read = move |source| Layout::read(&blobs, source);
        let layout = self.blobs().consume(source, read).await??;
        // Before anything is stored.
        let images: Vec<(RepositoryName, Option<Tag>, Described)> = layout
            .index
            .manifests
            .into_iter()
            .map(destination)
            .collect::<Result<_, _>>()?;
        for sealed in layout.sealed {
            self.blobs().keep(sealed).await?;
        }
        let mut names = Vec::new();
        for (repository, tag, image) in images {
            self.publish_imported(&repository, tag.as_ref(), &image)
                .await?;
            names.push(name_of(repository.as_str(), tag.as_ref().map(Tag::as_str)));
        }
        Ok(names)
    }

    async fn publish_imported(
        &self,
        repository: &RepositoryName,
        tag: Option<&Tag>,
        image: &Described,
    ) -> Result<(), RegistryError> {
        let bytes = Bytes::from(self.document(&image.digest).await?);
        let tags: Vec<Tag> = tag.cloned().into_iter().collect();
        let given = (image.media_type.as_str(), bytes.clone());
        self.store_manifest(repository, &tags, given, PartsOf::Store)
            .await?;
        self.use_copy(repository, &image.digest).await?;
        for child in children(&bytes) {
            // Those for other platforms need not be here.
            if self.blobs().find(&child.digest).await?.is_none() {
                continue;
            }
            let bytes = Bytes::from(self.document(&child.digest).await?);
            let given = (child.media_type.as_str(), bytes);
            self.store_manifest(repository, &[], given, PartsOf::Store)
                .await?;
            self.use_copy(repository, &child.digest).await?;
        }
        Ok(())
    }
}

fn find_images(
    tx: &crate::db::ReadTx<'_>,
    copies: &[ImageReference],
    own: &[(RepositoryName, Tag)],
) -> Result<Vec<NamedImage>, RegistryError> {
    let mut images = if copies.is_empty() {
        store::complete_copies(tx)?
    } else {
        let mut images = Vec::new();
        for image in copies {
            let cache = image.cache_repository();
            let found = match &cache {
                Some(cache) => store::named(tx, cache, &image.target())?,
                None => None,
            };
            images.push(found.ok_or_else(|| RegistryError::NotHere(image.to_string()))?);
        }
        images
    };
    for (repository, tag) in own {
        let found = store::named(tx, repository, &super::Reference::Tag(tag.clone()))?;
        let name = || name_of(repository.as_str(), Some(tag.as_str()));
        images.push(found.ok_or_else(|| RegistryError::NotHere(name()))?);
    }
    Ok(images)
}

/// Where an image of an index goes.
fn destination(
    image: Described,
) -> Result<(RepositoryName, Option<Tag>, Described), RegistryError> {
    let invalid = |what: &str| RegistryError::InvalidImage(format!("{} has {what}", image.digest));
    let repository = image.annotations.get(REPOSITORY);
    let repository = repository.ok_or_else(|| invalid("no name: this is no bundle of cflite"))?;
    let allowed = PREFIXES.iter().any(|start| repository.starts_with(start));
    let repository = RepositoryName::parse(repository).filter(|_| allowed);
    let repository = repository.ok_or_else(|| invalid("a name that a bundle must not have"))?;
    let tag = match image.annotations.get(TAG) {
        Some(tag) => Some(Tag::parse(tag).ok_or_else(|| invalid("an invalid tag"))?),
        None => None,
    };
    Ok((repository, tag, image))
}

/// The manifests of an index.
fn children(manifest: &[u8]) -> Vec<Described> {
    #[derive(Deserialize)]
    struct Parent {
        #[serde(default)]
        manifests: Vec<Value>,
    }
    let parsed: Option<Parent> = serde_json::from_slice(manifest).ok();
    let children = parsed.into_iter().flat_map(|parent| parent.manifests);
    children
        .filter_map(|child| serde_json::from_value(child).ok())
        .collect()
}

fn name_of(repository: &str, tag: Option<&str>) -> String {
    let name = repository.strip_prefix("cache/").unwrap_or(repository);
    let name = name.replace("__", ":");
    tag.map_or_else(|| name.clone(), |tag| format!("{name}:{tag}"))
}

fn write<'a>(
    store: &Blobs,
    images: &[NamedImage],
    blobs: impl Iterator<Item = &'a Blob>,
    to: GzEncoder<impl Write>,
) -> io::Result<()> {
    let mut tar = tar::Builder::new(to);
    let layout = json!({ "imageLayoutVersion": "1.0.0" }).to_string();
    append(
        &mut tar,
        "oci-layout",
        layout.len() as u64,
        layout.as_bytes(),
    )?;
    let index = Index {
        schema_version: 2,
        media_type: OCI_INDEX.to_owned(),
        manifests: images.iter().map(described).collect(),
    };
    let index = serde_json::to_vec(&index)?;
    append(&mut tar, INDEX, index.len() as u64, &*index)?;
    for blob in blobs {
        let name = format!("{BLOBS}{}", blob.digest.hex());
        let file = File::open(store.path(&blob.digest))?;
        append(&mut tar, &name, blob.size, file.take(blob.size))?;
    }
    tar.into_inner()?.finish()?;
    Ok(())
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    name: &str,
    size: u64,
    bytes: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}

fn described(image: &NamedImage) -> Described {
    let mut annotations = BTreeMap::from([
        (REPOSITORY.to_owned(), image.repository.clone()),
        (
            NAME.to_owned(),
            name_of(&image.repository, image.tag.as_deref()),
        ),
    ]);
    if let Some(tag) = &image.tag {
        annotations.insert(TAG.to_owned(), tag.clone());
    }
    Described {
        media_type: image.manifest.media_type.clone(),
        digest: image.manifest.blob.digest.clone(),
        size: image.manifest.blob.size,
        annotations,
    }
}

/// What a stream holds: its index, and its blobs on disk.
struct Layout {
    index: Index,
    sealed: Vec<Sealed>,
}

impl Layout {
    fn read(blobs: &Blobs, source: impl Read) -> Result<Self, RegistryError> {
        let mut archive = tar::Archive::new(MultiGzDecoder::new(source));
        let (mut index, mut sealed) = (None, Vec::new());
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if name == INDEX {
                let mut bytes = Vec::new();
                let read = entry.take(MAX_DOCUMENT).read_to_end(&mut bytes);
                read.map_err(broken)?;
                let parsed = serde_json::from_slice(&bytes);
                index = Some(parsed.map_err(|error| damaged(format!("{INDEX}: {error}")))?);
            } else if let Some(hex) = name.strip_prefix(BLOBS) {
                let mut draft = blobs.draft(None)?;
                io::copy(&mut entry, &mut draft).map_err(broken)?;
                let blob = draft.seal()?;
                if blob.blob().digest.hex() != hex {
                    return Err(damaged(format!("{name} does not have its digest")));
                }
                sealed.push(blob);
            }
        }
        // The checksum of the compressed stream is behind the archive.
        io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
        let index = index.ok_or_else(|| damaged(format!("{INDEX} is missing")))?;
        let layout = Self { index, sealed };
        for image in &layout.index.manifests {
            layout.check(&image.digest, &image.media_type)?;
        }
        Ok(layout)
    }

    /// Everything that an image needs must be there.
    fn check(&self, digest: &Digest, media_type: &str) -> Result<(), RegistryError> {
        let Some(bytes) = self.document(digest)? else {
            return Err(damaged(format!("{digest} is missing")));
        };
        for part in Contents::parse(media_type, &bytes)?.parts {
            let here = match &part.digest {
                AnyDigest::Sha256(digest) => self.find(digest).is_some(),
                AnyDigest::Sha512(_) => false,
            };
            if !here && part.held == Held::Always {
                return Err(damaged(format!("{} is missing", part.digest)));
            }
        }
        for child in children(&bytes) {
            // Those for other platforms need not be here.
            if self.find(&child.digest).is_some() {
                self.check(&child.digest, &child.media_type)?;
            }
        }
        Ok(())
    }

    fn find(&self, digest: &Digest) -> Option<&Sealed> {
        let mut sealed = self.sealed.iter();
        sealed.find(|sealed| sealed.blob().digest == *digest)
    }

    fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        let Some(sealed) = self.find(digest) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let read = sealed.open()?.take(MAX_DOCUMENT).read_to_end(&mut bytes);
        read.map_err(broken)?;
        Ok(Some(bytes))
    }
}

fn damaged(reason: impl Into<String>) -> RegistryError {
    RegistryError::Damaged(reason.into())
}

fn broken(error: io::Error) -> RegistryError {
    match BlobError::from_io(error) {
        BlobError::Source(error) => damaged(error.to_string()),
        other => RegistryError::Blob(other),
    }
}
