//! The stack images: built from the recipe in this binary, identified by the recipe's hash, and
//! imported into the registry as the base of droplets.
//!
//! A stack is two images of one repository: `run-<recipe>` for apps and tasks, and on top of it
//! `build-<recipe>` for staging. `<recipe>` is a hash of all build inputs, so an existing image is
//! up to date, a build is idempotent, and a new cflite builds its own images. Images belong to the
//! machine and not to one platform: the last platform that uses an image removes it ([`users`]).
//!
//! Decisions:
//! - No image depends on the machine that built it: authorities of its owner are trusted by a stage
//!   of the build that only downloads, and which goes again. Containers get those of the machine
//!   they run on ([`crate::docker::trust`]).
//! - The base is Debian's own image if it is present or can be pulled quickly, else one built with
//!   mmdebstrap: no image registry is needed.
//! - The run image is imported into the registry and pulled back once: from then on the daemon
//!   knows its layers by the registry's digests and pulls only a droplet's own layer.
//! - Where the layers of the run image came with the daemon ([`HELD`]), the import is left out: the
//!   registry asks the daemon for a layer when somebody reads it.
//! - An image that the registry has (from a bundle, or since it was imported) is pulled from there
//!   and not built again.

mod base;
mod build;
mod held;
mod recipe;
mod report;
mod users;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Mutex;

use self::build::{build, is_built};
use self::recipe::Recipe;
use self::report::Reporter;
use self::users::Others;
use crate::blobs::Digest;
use crate::docker::trust::Authority;
use crate::docker::{DockerError, Engine, Image, Labels, Progress};
use crate::registry::{Registry, RegistryError};

/// Label: hash of the recipe an image was built from.
pub const LABEL_RECIPE: &str = "cflite.recipe";
/// Label: the stack an image belongs to.
pub const LABEL_STACK: &str = "cflite.stack";
/// Label: `run` or `build`.
const LABEL_ROLE: &str = "cflite.role";
/// The role of the image that droplets are based on.
pub const RUN: &str = "run";

/// The stack that recipes are for.
pub const STACK: &str = "cflinuxfs4";
const REPOSITORY: &str = "cflite/cflinuxfs4";
/// Folder with a description of each run image that came to this machine together with its daemon,
/// as in a box.
pub const HELD: &str = "/usr/share/cflite/stack";
/// A build image and a run image.
pub const PER_STACK: usize = 2;

/// Why a stack is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The stack does not exist.
    #[error("there is no stack {0}")]
    UnknownStack(String),
    /// Images are missing, and building them needs a network.
    #[error(
        "the images of the stack are not on this Docker daemon, and cflite works offline: load them with \
         `cflite bundle load FILE`, or build them with `cflite images build` while there is a network"
    )]
    Offline,
    /// No base image is available.
    #[error(
        "no Debian base image: {pull}; and {bootstrap}. Install mmdebstrap, or run \
         `docker pull debian:bookworm-slim` where a registry is reachable"
    )]
    NoBase {
        /// Why pulling failed.
        pull: String,
        /// Why building one failed.
        bootstrap: String,
    },
    /// Docker failed.
    #[error("stack images: {0}")]
    Docker(#[from] DockerError),
    /// The registry failed.
    #[error("stack images: {0}")]
    Registry(#[from] RegistryError),
}

/// The images of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackImages {
    /// Image that buildpacks run in.
    pub build: String,
    /// Base image of droplets, in the daemon.
    pub run: String,
    /// The same in the registry.
    pub base: Digest,
}

/// An image as `cflite images list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Stack.
    pub stack: String,
    /// `run` or `build`.
    pub role: String,
    /// Reference.
    pub reference: String,
    /// Bytes, shared layers included.
    pub size: u64,
    /// Whether this binary uses it.
    pub current: bool,
}

/// The result of removing unused images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many were removed.
    pub count: usize,
    /// Ids of the other platforms on the daemon, if images were kept for them.
    pub kept_for: Vec<String>,
}

/// Removes the stack images that no other platform uses, and the base they were built on together
/// with the last ones. `platform_id` is the platform that stops using them.
pub async fn remove_unused(
    engine: &dyn Engine,
    platform_id: Option<&str>,
) -> Result<Removed, ImagesError> {
    if let Some(platform_id) = platform_id {
        users::unmark(engine, platform_id).await?;
    }
    let others = Others::find(engine, platform_id).await?;
    let mut removed = Removed::default();
    let mut kept = false;
    for (reference, image) in references(engine).await? {
        if others.use_image(&image) {
            kept = true;
            continue;
        }
        match engine.remove_image(&reference).await {
            Ok(()) => removed.count += 1,
            // A foreign container uses it.
            Err(DockerError::Conflict(_)) => kept = true,
            Err(error) => return Err(error.into()),
        }
    }
    if kept {
        removed.kept_for = others.all().into_iter().collect();
    } else {
        removed.count += usize::from(base::remove(engine).await?);
    }
    Ok(removed)
}

/// Marks the current images, which must exist, as used by a platform.
pub async fn mark(engine: &dyn Engine, platform_id: &str) -> Result<(), ImagesError> {
    Ok(users::mark(engine, platform_id, &Recipe::embedded()).await?)
}

/// Removes a platform's marks from all stack images; the images stay.
pub async fn unmark(engine: &dyn Engine, platform_id: &str) -> Result<(), ImagesError> {
    Ok(users::unmark(engine, platform_id).await?)
}

/// Builds the images that are missing. For the command line: no registry is involved.
pub async fn build_all(
    engine: &dyn Engine,
    machine: Machine<'_>,
    progress: &Progress,
) -> Result<(), ImagesError> {
    let recipe = Recipe::embedded();
    if machine.offline && !is_built(engine, &recipe).await? {
        return Err(ImagesError::Offline);
    }
    let reporter = Reporter::everything(progress);
    build(engine, &recipe, machine.authorities, &reporter).await
}

/// The reference of the Debian image that images are built on; it is pulled or built where it is
/// missing.
pub async fn debian_base(engine: &dyn Engine, progress: &Progress) -> Result<String, ImagesError> {
    base::find_or_create(engine, &Reporter::everything(progress)).await
}

/// The names of all stack images, each with its image, without the marks of their users.
async fn references(engine: &dyn Engine) -> Result<Vec<(String, Image)>, ImagesError> {
    let labels = Labels::from([(LABEL_STACK.to_owned(), STACK.to_owned())]);
    let mut found = Vec::new();
    for image in engine.images(&labels).await? {
        let names = image.tags.iter().filter(|tag| tag.starts_with(REPOSITORY));
        found.extend(names.map(|name| (name.clone(), image.clone())));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// All stack images the daemon has.
pub async fn list(engine: &dyn Engine) -> Result<Vec<Listed>, ImagesError> {
    let recipe = Recipe::embedded();
    let listed = references(engine).await?.into_iter();
    let listed = listed.map(|(reference, image)| Listed {
        stack: STACK.to_owned(),
        role: image.labels.get(LABEL_ROLE).cloned().unwrap_or_default(),
        size: image.size,
        current: recipe.names(&reference),
        reference,
    });
    Ok(listed.collect())
}

/// What the machine gives a build.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// Nothing is built, since that needs a network.
    pub offline: bool,
    /// Authorities of its owner, which downloads trust.
    pub authorities: &'a [Authority],
}

/// Whose images these are, and how they come.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The platform.
    pub platform_id: &'a str,
    /// Nothing is built, since that needs a network.
    pub offline: bool,
    /// Authorities of the machine's owner, which downloads trust.
    pub authorities: Vec<Authority>,
    /// Usually [`HELD`].
    pub held: PathBuf,
}

/// The stacks of a running platform; cheap to clone.
#[derive(Clone)]
pub struct Images(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    registry: Registry,
    recipe: Recipe,
    platform_id: String,
    offline: bool,
    authorities: Vec<Authority>,
    held: PathBuf,
    /// Held while images are built: concurrent builds wait for the same ones.
    ready: Mutex<BTreeMap<String, StackImages>>,
}

impl Images {
    /// Stacks of this daemon, with their base in this registry, used by this platform.
    pub fn new(engine: Arc<dyn Engine>, registry: Registry, settings: Settings<'_>) -> Self {
        Self(Arc::new(Inner {
            engine,
            registry,
            recipe: Recipe::embedded(),
            platform_id: settings.platform_id.to_owned(),
            offline: settings.offline,
            authorities: settings.authorities,
            held: settings.held,
            ready: Mutex::default(),
        }))
    }

    /// Whether all images of the stack can be had without building them.
    pub async fn are_here(&self) -> Result<bool, ImagesError> {
        let built = list(&*self.0.engine).await?;
        if built.iter().filter(|image| image.current).count() == PER_STACK {
            return Ok(true);
        }
        let (registry, recipe) = (&self.0.registry, &self.0.recipe);
        for tag in [recipe.run_tag(), recipe.build_tag()] {
            if registry.find(REPOSITORY, &tag).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The images of a stack; builds missing ones first and reports that to `progress`. Existing
    /// images are found in milliseconds.
    pub async fn ready(
        &self,
        stack: &str,
        progress: &Progress,
    ) -> Result<StackImages, ImagesError> {
        if stack != STACK {
            return Err(ImagesError::UnknownStack(stack.to_owned()));
        }
        let mut ready = self.0.ready.lock().await;
        if let Some(images) = ready.get(stack) {
            // It may have been removed since.
            if self.0.engine.image(&images.build).await?.is_some() {
                return Ok(images.clone());
            }
        }
        let (reporter, listener) = report::summarized(progress);
        let images = listener
            .run(async move { Box::pin(self.ensure(&reporter)).await })
            .await?;
        ready.insert(stack.to_owned(), images.clone());
        Ok(images)
    }

    /// The run image of a stack in the registry; builds it first if missing.
    pub(super) async fn base(
        &self,
        stack: &str,
        progress: &Progress,
    ) -> Result<Digest, ImagesError> {
        if stack != STACK {
            return Err(ImagesError::UnknownStack(stack.to_owned()));
        }
        let tag = self.0.recipe.run_tag();
        if let Some(base) = self.0.registry.find(REPOSITORY, &tag).await? {
            return Ok(base);
        }
        // Prevents concurrent builds.
        let _ready = self.0.ready.lock().await;
        let (reporter, listener) = report::summarized(progress);
        listener
            .run(async move { Box::pin(self.ensure_base(&reporter)).await })
            .await
    }

    async fn ensure(&self, reporter: &Reporter) -> Result<StackImages, ImagesError> {
        let Inner {
            engine,
            registry,
            recipe,
            platform_id,
            ..
        } = &*self.0;
        let base = self.ensure_base(reporter).await?;
        users::mark(&**engine, platform_id, recipe).await?;
        // The pull teaches the daemon the registry's digests of the layers it already has, so it
        // does not pull them again with droplets. The image keeps its own tag.
        let reference = registry.reference(REPOSITORY, &base);
        let auth = Some(registry.auth());
        let silent = tokio::sync::mpsc::unbounded_channel().0;
        engine.pull(&reference, auth, silent).await?;
        engine.remove_image(&reference).await?;
        self.remove_outdated().await?;
        Ok(StackImages {
            build: recipe.build_reference(),
            run: recipe.run_reference(),
            base,
        })
    }

    /// Builds missing images and imports the run image into the registry.
    async fn ensure_base(&self, reporter: &Reporter) -> Result<Digest, ImagesError> {
        let Inner {
            engine,
            registry,
            recipe,
            ..
        } = &*self.0;
        let (run, tag) = (recipe.run_reference(), recipe.run_tag());
        let known = registry.find(REPOSITORY, &tag).await?;
        for (reference, tag) in [
            (recipe.run_reference(), recipe.run_tag()),
            (recipe.build_reference(), recipe.build_tag()),
        ] {
            let held = registry.find(REPOSITORY, &tag).await?;
            if let (Some(held), None) = (held, engine.image(&reference).await?) {
                self.restore(&held, &reference, reporter).await;
            }
        }
        if self.0.offline && !is_built(&**engine, recipe).await? {
            return Err(ImagesError::Offline);
        }
        build(&**engine, recipe, &self.0.authorities, reporter).await?;
        if let Some(base) = known {
            return Ok(base);
        }
        if let Some(held) = held::find(&self.0.held, &tag, engine.image(&run).await?.as_ref()) {
            return Ok(registry.adopt(REPOSITORY, &tag, held).await?);
        }
        reporter.message("Importing the stack into the registry (once)...");
        let saved = engine.save(&run).await?;
        Ok(registry.import_saved(REPOSITORY, &tag, saved).await?)
    }

    /// Gives the daemon an image that it does not have, but the registry. If that fails, the image is
    /// built again.
    async fn restore(&self, held: &Digest, name: &str, reporter: &Reporter) {
        let Inner {
            engine, registry, ..
        } = &*self.0;
        reporter.message(&format!("Restoring {name} from the registry..."));
        let reference = registry.reference(REPOSITORY, held);
        let auth = Some(registry.auth());
        let fetched = async {
            engine
                .pull(&reference, auth, reporter.output.clone())
                .await?;
            engine.tag(&reference, name).await
        };
        if let Err(error) = fetched.await {
            tracing::warn!(%error, image = name, "restoring an image from the registry failed");
        }
    }

    /// Removes images of other recipes that no container and no other platform uses.
    async fn remove_outdated(&self) -> Result<(), ImagesError> {
        let engine = &*self.0.engine;
        let mut outdated = references(engine).await?;
        outdated.retain(|(reference, _)| !self.0.recipe.names(reference));
        if outdated.is_empty() {
            return Ok(());
        }
        let others = Others::find(engine, Some(&self.0.platform_id)).await?;
        outdated.retain(|(_, image)| !others.use_image(image));
        for (reference, _) in outdated {
            match engine.remove_image(&reference).await {
                Ok(()) => tracing::info!(image = %reference, "removed outdated stack image"),
                Err(DockerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
