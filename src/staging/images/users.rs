//! Which platforms use the stack images of a daemon: several may share one.
//!
//! A platform marks the images it uses with a tag of its own, from their creation until it is
//! reset. A tag costs nothing, needs no state outside the daemon and is removed with the image. A
//! platform of an older version that sets no marks is found by its containers and droplets; it may
//! use any image.

use std::collections::BTreeSet;

use super::recipe::Recipe;
use super::{LABEL_STACK, STACK};
use crate::docker::{DockerError, Engine, Image, LABEL_OWNER, Labels};

const MARKERS: &str = "cflite/in-use";
const ROLES: [&str; 2] = [super::RUN, "build"];

/// Ids of platforms.
pub(super) type PlatformIds = BTreeSet<String>;

fn marker(platform_id: &str, role: &str) -> String {
    format!("{MARKERS}:{platform_id}-{role}")
}

/// The platforms that mark an image.
fn marked_by(image: &Image) -> PlatformIds {
    let marks = image.tags.iter().filter_map(|tag| {
        let mark = tag.strip_prefix(MARKERS)?.strip_prefix(':')?;
        ROLES
            .iter()
            .find_map(|role| mark.strip_suffix(role)?.strip_suffix('-'))
    });
    marks.map(str::to_owned).collect()
}

/// Marks the images of this recipe; this moves the marks from those of older recipes.
pub(super) async fn mark(
    engine: &dyn Engine,
    platform_id: &str,
    recipe: &Recipe,
) -> Result<(), DockerError> {
    for (role, reference) in ROLES
        .iter()
        .zip([recipe.run_reference(), recipe.build_reference()])
    {
        engine.tag(&reference, &marker(platform_id, role)).await?;
    }
    Ok(())
}

/// Removes a platform's marks; the images stay.
pub(super) async fn unmark(engine: &dyn Engine, platform_id: &str) -> Result<(), DockerError> {
    let labels = Labels::from([(LABEL_STACK.to_owned(), STACK.to_owned())]);
    for image in engine.images(&labels).await? {
        if !marked_by(&image).contains(platform_id) {
            continue;
        }
        for mark in ROLES.map(|role| marker(platform_id, role)) {
            if !image.tags.contains(&mark) {
                continue;
            }
            match engine.remove_image(&mark).await {
                // The image's last tag, and a container uses it.
                Ok(()) | Err(DockerError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// The other platforms of a daemon.
#[derive(Debug, Default)]
pub(super) struct Others {
    own: Option<String>,
    marking: PlatformIds,
    /// Platforms that set no marks.
    unmarked: PlatformIds,
}

impl Others {
    /// Finds all platforms except this one.
    pub(super) async fn find(engine: &dyn Engine, own: Option<&str>) -> Result<Self, DockerError> {
        let everything = Labels::new();
        let images = engine.images(&everything).await?;
        let marking: PlatformIds = images.iter().flat_map(marked_by).collect();
        let containers = engine.list(&everything).await?;
        let labels = images.iter().map(|image| &image.labels);
        let labels = labels.chain(containers.iter().map(|container| &container.labels));
        let owners: PlatformIds = labels
            .filter_map(|labels| labels.get(LABEL_OWNER).cloned())
            .collect();
        let mut others = Self {
            own: own.map(str::to_owned),
            unmarked: owners.difference(&marking).cloned().collect(),
            marking,
        };
        if let Some(own) = own {
            others.marking.remove(own);
            others.unmarked.remove(own);
        }
        Ok(others)
    }

    /// All of them.
    pub(super) fn all(&self) -> PlatformIds {
        self.marking.union(&self.unmarked).cloned().collect()
    }

    /// Whether one of them uses this image.
    pub(super) fn use_image(&self, image: &Image) -> bool {
        let marks = marked_by(image);
        let foreign = marks.iter().any(|mark| Some(mark) != self.own.as_ref());
        foreign || !self.unmarked.is_empty()
    }
}
