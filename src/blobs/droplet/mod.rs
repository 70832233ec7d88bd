//! Droplets in the clients' format: a `.tgz` of `./app`, `./deps` and so on, converted from and to
//! the layer that instances have at `/home/vcap`.
//!
//! Both directions stream: memory use does not depend on the droplet's size.

mod tar_entry;

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType};
use tokio::io::AsyncRead;

use super::safe_path::safe_path;
use super::spool::SpoolWriter;
use super::{Blob, BlobError, Blobs, Digest, Sealed};

use tar_entry::Meta;

/// The droplet's folder in an instance, as a path in a layer.
const HOME: &str = "home/vcap/";
/// User and group `vcap`.
const VCAP: u64 = 2000;
/// Names with a special meaning in a layer.
const WHITEOUT: &str = ".wh.";

/// Why an uploaded droplet is rejected.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Not a gzipped tar, or a broken one.
    #[error("the droplet is no gzipped tar archive: {0}")]
    Invalid(String),
    /// A name that leaves the droplet or is not allowed in a layer.
    #[error("file path '{0}' is not safe")]
    UnsafePath(String),
    /// A device, pipe or anything else that is not a file, folder or link.
    #[error("'{0}' is neither file nor folder nor link")]
    SpecialFile(String),
    /// The store failed, or the droplet is too large.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl From<io::Error> for LayerError {
    fn from(error: io::Error) -> Self {
        match BlobError::from_io(error) {
            BlobError::Source(error) => Self::Invalid(error.to_string()),
            other => Self::Blob(other),
        }
    }
}

impl Blobs {
    /// The droplet as `.tgz`, created from its layer independently of the reader's speed; `None` if
    /// there is no such layer.
    pub async fn droplet_tgz(
        &self,
        layer: &Digest,
    ) -> Result<Option<impl AsyncRead + Send + Unpin + 'static>, BlobError> {
        let Some(file) = self.read(layer).await? else {
            return Ok(None);
        };
        let file = file.into_std().await;
        let tgz = move |target: &mut SpoolWriter| {
            let gzip = GzEncoder::new(target, Compression::fast());
            let mut tar = Builder::new(gzip);
            tar_entry::visit(
                io::BufReader::new(file),
                |meta, content| match to_droplet_entry(meta) {
                    Some(meta) => tar_entry::write(&mut tar, &meta, content),
                    None => Ok(()),
                },
            )?;
            tar.into_inner()?.finish()?;
            Ok(())
        };
        self.spool(tgz).await.map(Some)
    }

    /// The layer of an uploaded droplet `.tgz`, of at most `limit` unpacked bytes. All entries are
    /// owned by `vcap`.
    pub async fn layer_from_tgz(
        &self,
        tgz: impl AsyncRead + Send,
        limit: u64,
    ) -> Result<Blob, LayerError> {
        let store = self.clone();
        let work = move |source| write_layer(&store, source, limit);
        let sealed = self.consume(tgz, work).await??;
        Ok(self.keep(sealed).await?)
    }
}

/// Converts an entry of the layer to one of the `.tgz`; `None` if it is not part of the droplet.
fn to_droplet_entry(mut meta: Meta) -> Option<Meta> {
    let known = meta.kind.is_file()
        || meta.kind.is_dir()
        || meta.kind.is_symlink()
        || meta.kind.is_hard_link();
    let name = meta
        .path
        .rsplit(|b| *b == b'/')
        .find(|part| !part.is_empty());
    if !known || name.is_some_and(|name| name.starts_with(WHITEOUT.as_bytes())) {
        return None;
    }
    meta.path = below_home(&meta.path)?;
    if meta.kind.is_hard_link() {
        meta.link = Some(below_home(meta.link.as_deref()?)?);
    }
    Some(meta)
}

/// `home/vcap/app` becomes `./app`.
fn below_home(path: &[u8]) -> Option<Vec<u8>> {
    let short = path.strip_prefix(b"./").or(path.strip_prefix(b"/"));
    let below = short.unwrap_or(path).strip_prefix(HOME.as_bytes())?;
    Some([b"./", below].concat())
}

fn write_layer(store: &Blobs, source: impl Read, limit: u64) -> Result<Sealed, LayerError> {
    let mut layer = Builder::new(store.draft(Some(limit))?);
    // Leaves room for the tar's headers and padding, but bounds an endless stream.
    let mut plain = MultiGzDecoder::new(source).take(limit.saturating_mul(2));
    tar_entry::visit(&mut plain, |meta, content| match to_layer_entry(meta)? {
        Some(meta) => Ok::<_, LayerError>(tar_entry::write(&mut layer, &meta, content)?),
        None => Ok(()),
    })?;
    // Reads past the tar: the gzip checksum comes last.
    io::copy(&mut plain, &mut io::sink())?;
    Ok(layer.into_inner()?.seal()?)
}

/// Converts an entry of the `.tgz` to one of the layer; `None` for the root folder.
fn to_layer_entry(meta: Meta) -> Result<Option<Meta>, LayerError> {
    let shown = String::from_utf8_lossy(&meta.path).into_owned();
    if meta.kind.is_dir() && matches!(shown.as_str(), "." | "./") {
        return Ok(None);
    }
    let checked = |path: &[u8]| {
        let text = std::str::from_utf8(path).ok().and_then(safe_path);
        let text = text.filter(|path| !path.split('/').any(|part| part.starts_with(WHITEOUT)));
        text.ok_or_else(|| LayerError::UnsafePath(String::from_utf8_lossy(path).into_owned()))
    };
    let mut path = format!("{HOME}{}", checked(&meta.path)?).into_bytes();
    let (kind, link) = match meta.kind {
        EntryType::Directory => {
            path.push(b'/');
            (meta.kind, None)
        }
        EntryType::Regular | EntryType::Continuous => (EntryType::Regular, None),
        EntryType::Symlink => (meta.kind, meta.link),
        EntryType::Link => {
            let target = checked(meta.link.as_deref().unwrap_or_default())?;
            (meta.kind, Some(format!("{HOME}{target}").into_bytes()))
        }
        _ => return Err(LayerError::SpecialFile(shown)),
    };
    Ok(Some(Meta {
        path,
        link,
        kind,
        mode: meta.mode & 0o777,
        uid: VCAP,
        gid: VCAP,
        ..meta
    }))
}

#[cfg(test)]
mod tests;
