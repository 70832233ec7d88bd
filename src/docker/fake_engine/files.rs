//! The files in a container, uploaded and downloaded as tars.

use std::collections::BTreeMap;
use std::io::Read;

use bytes::Bytes;

use crate::docker::DockerError;

/// A file inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeFile {
    /// Its bytes.
    pub content: Bytes,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
}

impl FakeFile {
    /// A file owned by root, mode 0644.
    pub fn new(content: impl Into<Bytes>) -> Self {
        Self {
            content: content.into(),
            mode: 0o644,
            uid: 0,
            gid: 0,
        }
    }
}

/// Files by absolute path.
#[derive(Debug, Clone, Default)]
pub struct Files(BTreeMap<String, FakeFile>);

impl Files {
    /// A file.
    pub fn get(&self, path: &str) -> Option<&FakeFile> {
        self.0.get(path)
    }

    /// Creates or replaces a file.
    pub fn put(&mut self, path: &str, file: FakeFile) {
        self.0.insert(path.to_owned(), file);
    }

    /// All paths.
    pub fn paths(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn size(&self) -> u64 {
        self.0.values().map(|file| file.content.len() as u64).sum()
    }

    /// A tar of nothing.
    pub(super) fn empty_folder() -> Vec<u8> {
        vec![0; 1024]
    }

    /// Unpacks a tar below `folder`.
    pub(super) fn unpack(&mut self, folder: &str, tar: &[u8]) -> Result<(), DockerError> {
        let fault = |e: std::io::Error| DockerError::Failed(format!("broken tar: {e}"));
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().map_err(fault)? {
            let mut entry = entry.map_err(fault)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().map_err(fault)?.to_string_lossy().into_owned();
            let path = path.trim_start_matches("./").trim_start_matches('/');
            let path = format!("{}/{path}", folder.trim_end_matches('/'));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(fault)?;
            let header = entry.header();
            let file = FakeFile {
                content: content.into(),
                mode: header.mode().map_err(fault)? & 0o7777,
                uid: header.uid().map_err(fault)?,
                gid: header.gid().map_err(fault)?,
            };
            self.0.insert(path, file);
        }
        Ok(())
    }

    /// A file or everything below a folder, as the daemon packs it: entry names begin with the
    /// path's last part.
    pub(super) fn pack(&self, path: &str) -> Result<Option<Bytes>, DockerError> {
        let path = path.trim_end_matches('/');
        let parent = path.rfind('/').map_or(0, |slash| slash + 1);
        let below = format!("{path}/");
        let mut builder = tar::Builder::new(Vec::new());
        let mut count = 0;
        for (name, file) in &self.0 {
            if name != path && !name.starts_with(&below) {
                continue;
            }
            let mut header = tar::Header::new_gnu();
            header.set_size(file.content.len() as u64);
            header.set_mode(file.mode);
            header.set_uid(file.uid);
            header.set_gid(file.gid);
            builder
                .append_data(&mut header, &name[parent..], &file.content[..])
                .map_err(|e| DockerError::Failed(e.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let tar = builder
            .into_inner()
            .map_err(|e| DockerError::Failed(e.to_string()))?;
        Ok(Some(tar.into()))
    }
}
