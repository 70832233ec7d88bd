//! Removes the images of droplets from the Docker daemon once no app uses them: the registry keeps
//! what can be run again. Also removes volumes of earlier versions. Checks after changes of the
//! database, at a limited rate.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::guid::DropletGuid;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model;
use crate::db::Db;
use crate::docker::trust::Trust;
use crate::docker::{DockerError, Engine, Image, LABEL_OWNER};
use crate::scheduler::Lifecycle;
use crate::staging::{LABEL_DROPLET, droplets_labels};

/// Delay of a check: a droplet that was just staged is not yet assigned, and a pull may be running.
const DELAY: Duration = Duration::from_secs(120);

/// Removes images of unused droplets.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) platform_id: String,
    /// What the names of the registry's images begin with.
    pub(super) prefix: String,
    pub(super) lifecycle: Lifecycle,
    pub(super) trust: Trust,
    pub(super) db: Db,
    pub(super) engine: Arc<dyn Engine>,
}

impl Collector {
    /// Runs until cancelled.
    pub(super) async fn run(self, token: CancellationToken) -> Result<(), Error> {
        let mut changes = self.db.changes();
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                () = tokio::time::sleep(DELAY) => {}
            }
            changes.mark_unchanged();
            self.remove_unused().await?;
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Removes unused images and volumes; those that containers use are kept until the next check.
    async fn remove_unused(&self) -> Result<(), Error> {
        let engine = &*self.engine;
        let lifecycle = self.lifecycle.remove_unused(engine);
        let trust = self.trust.remove_unused(engine, &self.platform_id);
        let (lifecycle, trust) = tokio::join!(lifecycle, trust);
        if let Err(error) = lifecycle.and(trust) {
            tracing::warn!(%error, "cannot remove unused volumes");
        }
        let listed = async {
            let images = engine.images(&droplets_labels(&self.platform_id)).await?;
            let pulled = pulled_images(engine, &self.prefix).await?;
            Ok::<_, DockerError>((images, pulled))
        };
        let (images, pulled) = match listed.await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "cannot list images");
                return Ok(());
            }
        };
        let runnable = self.db.read(model::desired::runnable_droplets).await?;
        for image in images {
            let droplet = image.labels.get(LABEL_DROPLET).map(String::as_str);
            if droplet.is_some_and(|guid| runnable.contains(&DropletGuid::from(guid))) {
                continue;
            }
            match remove(engine, &image).await {
                Ok(()) => tracing::info!(droplet, "removed the image of an unused droplet"),
                Err(DockerError::Conflict(_)) => {}
                Err(error) => tracing::warn!(%error, droplet, "cannot remove an unused image"),
            }
        }
        for Pulled { name, droplet } in pulled {
            if runnable.contains(&droplet) {
                continue;
            }
            match engine.remove_image(&name).await {
                Ok(()) => tracing::info!(%droplet, "removed the image of an unused droplet"),
                Err(DockerError::Conflict(_)) => {}
                Err(error) => tracing::warn!(%error, %droplet, "cannot remove an unused image"),
            }
        }
        Ok(())
    }
}

/// The name under which the daemon pulled a droplet that is a Docker image.
pub(super) struct Pulled {
    pub(super) name: String,
    pub(super) droplet: DropletGuid,
}

/// The images of droplets that carry nobody's label, as Docker images do, among those whose names
/// begin with `prefix`: `127.0.0.1:`, with or without a port.
pub(super) async fn pulled_images(
    engine: &dyn Engine,
    prefix: &str,
) -> Result<Vec<Pulled>, DockerError> {
    let mut pulled = Vec::new();
    for name in engine.image_names(prefix).await? {
        let Some(droplet) = droplet_of(&name) else {
            continue;
        };
        let image = engine.image(&name).await?;
        if image.is_some_and(|image| !image.labels.contains_key(LABEL_OWNER)) {
            pulled.push(Pulled { name, droplet });
        }
    }
    Ok(pulled)
}

/// The guid in `127.0.0.1:5000/GUID@sha256:…`.
fn droplet_of(name: &str) -> Option<DropletGuid> {
    let (repository, _) = name.split_once('/')?.1.split_once(['@', ':'])?;
    let is_guid = uuid::Uuid::try_parse(repository).is_ok();
    is_guid.then(|| DropletGuid::from(repository))
}

/// Removes all names of an image; the last one removes its layers.
pub(super) async fn remove(engine: &dyn Engine, image: &Image) -> Result<(), DockerError> {
    for name in image.tags.iter().chain(&image.digests) {
        engine.remove_image(name).await?;
    }
    engine.remove_image(&image.id).await
}

#[cfg(test)]
mod tests {
    use crate::base::SystemClock;
    use crate::docker::FakeEngine;

    use super::*;

    /// The apps `a` and `b` have the droplets `d1` and `…1`.
    async fn collector(dir: &tempfile::TempDir, fake: &FakeEngine) -> Collector {
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        db.write(|tx| {
            tx.sql().execute_batch(
                "pragma defer_foreign_keys = 1;
                 insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'q', 0, 0);
                 insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'o', 'q', 0, 0);
                 insert into spaces (guid, name, organization_guid, created_at, updated_at) values ('s', 's', 'o', 0, 0);
                 insert into apps (guid, name, space_guid, lifecycle_type, created_at, updated_at)
                     values ('a', 'a', 's', 'buildpack', 0, 0);
                 insert into droplets (guid, app_guid, state, lifecycle_type, created_at, updated_at) values ('d1', 'a', 'STAGED', 'buildpack', 0, 0);
                 insert into apps (guid, name, space_guid, lifecycle_type, created_at, updated_at)
                     values ('b', 'b', 's', 'docker', 0, 0);
                 insert into droplets (guid, app_guid, state, lifecycle_type, created_at, updated_at)
                     values ('00000000-0000-4000-8000-000000000001', 'b', 'STAGED', 'docker', 0, 0);
                 update apps set current_droplet_guid = '00000000-0000-4000-8000-000000000001' where guid = 'b';
                 update apps set current_droplet_guid = 'd1' where guid = 'a';",
            )?;
            Ok::<_, crate::db::DbError>(())
        })
        .await
        .expect("rows");
        Collector {
            platform_id: "here".to_owned(),
            prefix: "127.0.0.1:5000/".to_owned(),
            lifecycle: Lifecycle::new("here", bytes::Bytes::new()),
            trust: Trust::default(),
            db,
            engine: Arc::new(fake.clone()),
        }
    }

    #[tokio::test]
    async fn only_images_of_unused_droplets_are_removed() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let fake = FakeEngine::new(Arc::new(SystemClock));
        let image = |name: &str, platform: &str, droplet: &str| {
            let mut labels = droplets_labels(platform);
            labels.insert(LABEL_DROPLET.to_owned(), droplet.to_owned());
            let tags = vec![format!("{name}:latest")];
            let like = fake.add_image(&format!("base-of-{name}"));
            fake.add_image_like(Image {
                tags,
                labels,
                ..like
            });
        };
        image("current", "here", "d1");
        image("former", "here", "d2");
        image("foreign", "there", "d3");
        let collector = collector(&dir, &fake).await;
        collector.remove_unused().await.expect("checked");
        for (name, stays) in [("current", true), ("former", false), ("foreign", true)] {
            let found = fake
                .image(&format!("{name}:latest"))
                .await
                .expect("inspected");
            assert_eq!(found.is_some(), stays, "{name}");
        }
    }

    #[tokio::test]
    async fn docker_images_of_unused_droplets_are_removed_and_those_of_people_stay() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let fake = FakeEngine::new(Arc::new(SystemClock));
        let guid = |last| format!("00000000-0000-4000-8000-00000000000{last}");
        for (repository, digits) in [(guid(1), "1"), (guid(2), "2"), ("me/app".to_owned(), "3")] {
            let like = fake.add_image(&format!("like-{digits}"));
            let digests = vec![format!("127.0.0.1:5000/{repository}@sha256:{digits}")];
            fake.add_image_like(Image { digests, ..like });
        }
        let collector = collector(&dir, &fake).await;
        collector.remove_unused().await.expect("checked");
        let left = fake.image_names("127.0.0.1:5000/").await.expect("names");
        assert_eq!(
            left,
            [
                format!("127.0.0.1:5000/{}@sha256:1", guid(1)),
                "127.0.0.1:5000/me/app@sha256:3".to_owned()
            ]
        );
    }
}
