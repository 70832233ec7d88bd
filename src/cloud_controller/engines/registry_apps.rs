//! The images of apps under their names, `organization/space/app`, for clients of the registry.

use async_trait::async_trait;
use bytes::Bytes;

use crate::cloud_controller::error::Error;
use crate::cloud_controller::flows::desired::outside_image;
use crate::cloud_controller::model;
use crate::db::Db;
use crate::registry::{AppImage, Apps, RepositoryName, Starter};

/// Finds apps for the registry.
pub(crate) struct RegistryApps {
    db: Db,
    /// The scripts that start apps, as a layer.
    lifecycle: Bytes,
}

impl RegistryApps {
    pub(crate) fn new(db: Db, lifecycle: Bytes) -> Self {
        Self { db, lifecycle }
    }
}

#[async_trait]
impl Apps for RegistryApps {
    async fn find(&self, name: &RepositoryName) -> Result<Option<AppImage>, String> {
        let name = name.clone();
        let found = self.db.read(move |tx| {
            let Some(app) = model::repositories::app(tx, &name)? else {
                return Ok(None);
            };
            let outside = outside_image(tx, &app)?;
            Ok::<_, Error>(outside.map(|outside| (app.guid.to_string(), outside)))
        });
        let found = found.await.map_err(|error| error.to_string())?;
        Ok(found.map(|(guid, outside)| AppImage {
            guid,
            image: outside.image,
            starter: outside.change.map(|change| Starter {
                layer: self.lifecycle.clone(),
                change,
            }),
        }))
    }
}
