//! Uploads of blobs: their rows and files together, and blobs that repositories share.
//!
//! An upload is a row, which says whose it is, and a file, which says how much arrived. The file is
//! created first and removed first: a row without a file is an unknown upload. A complete upload
//! becomes a blob, and the repository shows it in the transaction that deletes the upload's row.

use std::collections::HashSet;
use std::time::Duration;

use crate::blobs::{Digest, ResumeError, Sha512Digest, Upload, UploadId};
use crate::db::DbError;

use super::digest::AnyDigest;
use super::name::RepositoryName;
use super::store::{self, Link};
use super::{Registry, RegistryError, UNTAGGED_GRACE};

/// How long an upload waits for its next piece.
const UPLOAD_LIFETIME: Duration = Duration::from_secs(24 * 3600);

impl Registry {
    /// Begins an upload to a repository.
    pub(super) async fn begin_upload(
        &self,
        repository: &RepositoryName,
    ) -> Result<UploadId, RegistryError> {
        let id = self.blobs().begin_upload().await?;
        let (row, now) = ((id.clone(), repository.to_string()), self.now());
        let begun = self
            .db()
            .write_without_wake(move |tx| store::insert_upload(tx, row.0.as_str(), &row.1, now));
        match begun.await {
            Ok(true) => Ok(id),
            Ok(false) => {
                self.blobs().remove_upload(&id).await.map_err(resumed)?;
                Err(RegistryError::TooManyUploads)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Continues an upload to a repository.
    pub(super) async fn resume_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<Upload, RegistryError> {
        self.check_upload(repository, id).await?;
        self.blobs().resume_upload(id).await.map_err(resumed)
    }

    /// How many bytes of an upload arrived.
    pub(super) async fn upload_size(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<u64, RegistryError> {
        self.check_upload(repository, id).await?;
        let size = self.blobs().upload_size(id).await?;
        size.ok_or(RegistryError::UnknownUpload)
    }

    /// Returns when all bytes of an upload are on disk.
    pub(super) async fn sync_upload(
        &self,
        id: &UploadId,
        upload: Upload,
    ) -> Result<Upload, RegistryError> {
        let upload = self.blobs().sync_upload(upload).await?;
        let (id, now) = (id.clone(), self.now());
        let touched = self
            .db()
            .write_without_wake(move |tx| store::touch_upload(tx, id.as_str(), now));
        touched.await?;
        Ok(upload)
    }

    /// Removes an upload.
    pub(super) async fn cancel_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<(), RegistryError> {
        self.check_upload(repository, id).await?;
        self.blobs().remove_upload(id).await.map_err(resumed)?;
        self.delete_upload_row(id).await
    }

    /// Ends an upload: its bytes become a blob that the repository shows. If they are not those of
    /// the digest, nothing is kept.
    pub(super) async fn store_upload(
        &self,
        repository: &RepositoryName,
        upload: Upload,
        wanted: &AnyDigest,
        id: Option<&UploadId>,
    ) -> Result<(), RegistryError> {
        let sealed = self.blobs().seal_upload(upload).await?;
        let (found, alias) = match wanted {
            AnyDigest::Sha256(_) => (AnyDigest::Sha256(sealed.blob().digest.clone()), None),
            AnyDigest::Sha512(_) => {
                let sha512 = self.blobs().sha512(&sealed).await?;
                (AnyDigest::Sha512(sha512.clone()), Some(sha512))
            }
        };
        if found != *wanted {
            drop(sealed);
            if let Some(id) = id {
                self.delete_upload_row(id).await?;
            }
            let wanted = wanted.clone();
            return Err(RegistryError::WrongDigest { wanted, found });
        }
        let blob = self.blobs().keep(sealed).await?;
        let link = Link {
            repository: repository.to_string(),
            digest: blob.digest.clone(),
            alias,
            ended: id.map(|id| id.as_str().to_owned()),
        };
        self.write_link(link).await
    }

    /// Shows a blob that is in the store in a repository, and restarts the time it is kept without a
    /// manifest.
    pub(super) async fn show_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        alias: Option<Sha512Digest>,
    ) -> Result<(), RegistryError> {
        let link = Link {
            repository: repository.to_string(),
            digest: digest.clone(),
            alias,
            ended: None,
        };
        self.write_link(link).await
    }

    async fn write_link(&self, link: Link) -> Result<(), RegistryError> {
        let (digest, now) = (link.digest.clone(), self.now());
        let shown = self
            .db()
            .write_without_wake(move |tx| store::show_blob(tx, &link, now));
        if shown.await? {
            Ok(())
        } else {
            Err(RegistryError::NotFound(digest))
        }
    }

    /// Shows a blob of one repository in another; false if `source` does not show it.
    pub(super) async fn mount(
        &self,
        source: &RepositoryName,
        target: &RepositoryName,
        digest: &AnyDigest,
    ) -> Result<bool, RegistryError> {
        let (source, target) = (source.to_string(), target.to_string());
        let (digest, now) = (digest.clone(), self.now());
        let mounted = self
            .db()
            .write_without_wake(move |tx| store::mount(tx, &source, &target, &digest, now));
        Ok(mounted.await?)
    }

    /// Some repositories that show a blob.
    pub(super) async fn repositories_with(
        &self,
        digest: &AnyDigest,
    ) -> Result<Vec<RepositoryName>, RegistryError> {
        let digest = digest.clone();
        let read = move |tx: &crate::db::ReadTx<'_>| store::repositories_with(tx, &digest);
        let names: Vec<String> = self.db().read(read).await?;
        let names = names.iter().filter_map(|name| RepositoryName::parse(name));
        Ok(names.collect())
    }

    /// Removes uploads whose next piece never came, and files whose row was never written.
    pub(super) async fn sweep_uploads(&self) -> Result<(), RegistryError> {
        let now = self.now();
        let files = self
            .blobs()
            .uploads_older_than(now.minus(UNTAGGED_GRACE))
            .await?;
        let old = now.minus(UPLOAD_LIFETIME);
        let read = move |tx: &crate::db::ReadTx<'_>| {
            Ok::<_, DbError>((store::upload_ids(tx, now)?, store::upload_ids(tx, old)?))
        };
        let (listed, old) = self.db().read(read).await?;
        let listed: HashSet<String> = listed.into_iter().collect();
        let old = old.iter().filter_map(|id| UploadId::parse(id));
        let unlisted = files.into_iter().filter(|id| !listed.contains(id.as_str()));
        for id in old.chain(unlisted) {
            match self.blobs().remove_upload(&id).await {
                // A piece that arrives for a day is no reason to stop it.
                Err(ResumeError::Busy) => {}
                Ok(()) | Err(ResumeError::Unknown) => self.delete_upload_row(&id).await?,
                Err(ResumeError::Blob(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn check_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<(), RegistryError> {
        let (repository, id) = (repository.to_string(), id.clone());
        let read =
            move |tx: &crate::db::ReadTx<'_>| store::upload_exists(tx, id.as_str(), &repository);
        if self.db().read(read).await? {
            Ok(())
        } else {
            Err(RegistryError::UnknownUpload)
        }
    }

    /// Forgets an upload whose file is gone.
    pub(super) async fn delete_upload_row(&self, id: &UploadId) -> Result<(), RegistryError> {
        let id = id.clone();
        let deleted = self
            .db()
            .write_without_wake(move |tx| store::delete_upload(tx, id.as_str()));
        Ok(deleted.await?)
    }
}

fn resumed(error: ResumeError) -> RegistryError {
    match error {
        ResumeError::Unknown => RegistryError::UnknownUpload,
        ResumeError::Busy => RegistryError::UploadBusy,
        ResumeError::Blob(error) => error.into(),
    }
}
