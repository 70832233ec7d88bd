//! The images of apps under the names of the apps: what starts an app on the platform becomes one
//! more layer, so that `docker run` starts it elsewhere.
//!
//! They are composed when they are first asked for, in repositories of their own, `cflite/apps/…`.
//! A repository that somebody pushed to is that, and no app's.

use async_trait::async_trait;
use bytes::Bytes;

use crate::blobs::Digest;
use crate::db::DbError;

use super::image::ImageChange;
use super::name::{RepositoryName, Tag};
use super::{Registry, RegistryError, store};

/// What the repositories with the images of apps begin with.
const APPS: &str = "cflite/apps/";

/// What starts an app.
#[derive(Debug, Clone)]
pub struct Starter {
    /// An uncompressed tar.
    pub layer: Bytes,
    /// How it is used.
    pub change: ImageChange,
}

/// An app's image.
#[derive(Debug, Clone)]
pub struct AppImage {
    /// The app's.
    pub guid: String,
    /// Its droplet's image.
    pub image: Digest,
    /// `None`: the image starts by itself.
    pub starter: Option<Starter>,
}

/// Finds apps by the names that clients use.
#[async_trait]
pub trait Apps: Send + Sync + 'static {
    /// The app of `organization/space/app` that has a droplet. The error goes to the log only.
    async fn find(&self, name: &RepositoryName) -> Result<Option<AppImage>, String>;
}

/// There are none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoApps;

#[async_trait]
impl Apps for NoApps {
    async fn find(&self, _: &RepositoryName) -> Result<Option<AppImage>, String> {
        Ok(None)
    }
}

impl Registry {
    /// The repository that is meant by a name: itself, or the one with the image of an app.
    pub(super) async fn meant_by(
        &self,
        name: &RepositoryName,
    ) -> Result<RepositoryName, RegistryError> {
        if name.as_str().split('/').count() != 3 {
            return Ok(name.clone());
        }
        let wanted = name.to_string();
        let read = move |tx: &crate::db::ReadTx<'_>| store::exists(tx, &wanted);
        if self.db().read(read).await? {
            return Ok(name.clone());
        }
        let found = self.0.apps.find(name).await;
        match found.map_err(RegistryError::Apps)? {
            Some(app) => self.compose(&app).await,
            None => Ok(name.clone()),
        }
    }

    /// Publishes the image of an app, unless that was done.
    async fn compose(&self, app: &AppImage) -> Result<RepositoryName, RegistryError> {
        let repository = format!("{APPS}{}", app.guid);
        let invalid = || RegistryError::InvalidName(repository.clone());
        let name = RepositoryName::parse(&repository).ok_or_else(invalid)?;
        let key = key(app);
        if self.find(&repository, &key).await?.is_some() {
            return Ok(name);
        }
        match &app.starter {
            Some(starter) => {
                let layer = self.blobs().put_bytes(starter.layer.clone()).await?;
                let change = starter.change.clone();
                self.append_layer(&app.image, &layer, &repository, &key, change)
                    .await?;
            }
            None => self.share(&app.image, &repository, &key).await?,
        }
        let image = self.find(&repository, &key).await?;
        let image = image.ok_or_else(|| RegistryError::NotFound(app.image.clone()))?;
        self.share(&image, &repository, Tag::latest().as_str())
            .await?;
        self.forget_others(&repository, &key).await?;
        Ok(name)
    }

    /// Removes the tags of images that are not the app's any more; a sweep removes those.
    async fn forget_others(&self, repository: &str, key: &str) -> Result<(), RegistryError> {
        let (repository, key, now) = (repository.to_owned(), key.to_owned(), self.now());
        let removed = self.db().write_without_wake(move |tx| {
            for tag in store::tags(tx, &repository, "", u32::MAX)? {
                let tag = Tag::parse(&tag).filter(|tag| tag.as_str() != key);
                if let Some(tag) = tag.filter(|tag| *tag != Tag::latest()) {
                    store::delete_tag(tx, &repository, &tag, now)?;
                }
            }
            Ok::<_, DbError>(())
        });
        Ok(removed.await?)
    }
}

/// A tag that names all that an image is made of.
fn key(app: &AppImage) -> String {
    let made_of = match &app.starter {
        Some(starter) => {
            let layer = Digest::of(&starter.layer);
            format!("{} {layer} {:?}", app.image, starter.change)
        }
        None => app.image.to_string(),
    };
    format!("of-{}", &Digest::of(made_of.as_bytes()).hex()[..32])
}
