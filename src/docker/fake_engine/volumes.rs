//! Volumes in memory, and the files that containers see in them.

use super::files::Files;
use super::state::{FakeContainer, FakeVolume, State};
use crate::docker::{Access, DockerError, Labels, Volume};

impl State {
    pub(super) fn ensure_volume(&mut self, name: &str, labels: &Labels) {
        let volumes = &mut self.volumes;
        volumes
            .entry(name.to_owned())
            .or_insert_with(|| FakeVolume {
                labels: labels.clone(),
                files: Files::default(),
            });
    }

    pub(super) fn volume(&self, name: &str) -> Option<Volume> {
        self.volumes.get(name).map(|volume| Volume {
            name: name.to_owned(),
            labels: volume.labels.clone(),
        })
    }

    pub(super) fn remove_volume(&mut self, name: &str) -> Result<(), DockerError> {
        let mut used = self.containers.iter().flat_map(FakeContainer::volumes);
        if used.any(|volume| volume == name) {
            let text = format!("remove {name}: volume is in use");
            return Err(DockerError::Conflict(text));
        }
        self.volumes.remove(name);
        Ok(())
    }

    /// All files that a container sees: its own and those of its volumes.
    pub(super) fn files(&self, id: &str) -> Option<Files> {
        let container = self.find(id)?;
        let mut all = container.files.clone();
        for mount in &container.spec.volumes {
            let Some(volume) = self.volumes.get(&mount.volume) else {
                continue;
            };
            for path in volume.files.paths() {
                if let Some(file) = volume.files.get(&path) {
                    all.put(&format!("{}{path}", mount.folder), file.clone());
                }
            }
        }
        Some(all)
    }

    /// Whether a volume is at a path of a container.
    pub(super) fn is_mounted(&self, id: &str, path: &str) -> bool {
        let mounts = self.find(id).map(|container| &container.spec.volumes);
        mounts.is_some_and(|all| all.iter().any(|mount| mount.folder == path))
    }

    /// Puts files into a container, or into its volumes below their folders.
    pub(super) fn put_files(&mut self, id: &str, files: Files) -> Result<(), DockerError> {
        let Some(container) = self.containers.iter_mut().find(|c| c.is(id)) else {
            return Ok(());
        };
        for path in files.paths() {
            let Some(file) = files.get(&path).cloned() else {
                continue;
            };
            let mut mounts = container.spec.volumes.iter();
            let below = mounts.find_map(|mount| {
                let inside = path.strip_prefix(&mount.folder)?;
                inside.starts_with('/').then_some((mount, inside))
            });
            match below {
                None => container.files.put(&path, file),
                Some((mount, _)) if mount.access == Access::ReadOnly => {
                    let text = format!("{path}: read-only file system");
                    return Err(DockerError::Failed(text));
                }
                Some((mount, inside)) => {
                    if let Some(volume) = self.volumes.get_mut(&mount.volume) {
                        volume.files.put(inside, file);
                    }
                }
            }
        }
        Ok(())
    }
}
