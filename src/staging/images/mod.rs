//! The stack images: built from the recipes in this binary, found by what they were built from,
//! and taken into the registry as the base of droplets.
//!
//! A stack is two images of one repository: `run-<recipe>` for apps and tasks, and on top of it
//! `build-<recipe>` for staging. `<recipe>` is a hash of everything that goes into the build, so an
//! image that is there is up to date, building can be repeated at any time, and a new cflite
//! brings its own images. They belong to the machine and not to one platform.
//!
//! Decisions:
//! - The base is Debian's own image when it is there or comes quickly, else one that mmdebstrap
//!   makes: no image registry is needed.
//! - The run image goes through the registry once and is pulled back from it: from then on the
//!   daemon knows its layers by the registry's digests and fetches only a droplet's own layer.

mod base;
mod recipe;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Mutex;

use self::recipe::Recipe;
use crate::blobs::Digest;
use crate::docker::{BuildSpec, DockerError, Engine, Image, Labels, Progress};
use crate::registry::{Registry, RegistryError};

/// Label: hash of the recipe an image was built from.
pub const LABEL_RECIPE: &str = "cflite.recipe";
/// Label: the stack an image belongs to.
pub const LABEL_STACK: &str = "cflite.stack";
/// Label: `run` or `build`.
const LABEL_ROLE: &str = "cflite.role";

/// The stack that recipes are for.
pub const STACK: &str = "cflinuxfs4";
const REPOSITORY: &str = "cflite/cflinuxfs4";

/// Why a stack is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// Nothing is known of it.
    #[error("there is no stack {0}")]
    UnknownStack(String),
    /// No base image could be had.
    #[error(
        "no Debian base image: {pull}; and {make}. Install mmdebstrap, or run \
         `docker pull debian:bookworm-slim` where a registry answers"
    )]
    NoBase {
        /// Why pulling failed.
        pull: String,
        /// Why making one failed.
        make: String,
    },
    /// Docker failed.
    #[error("the images of the stack: {0}")]
    Docker(#[from] DockerError),
    /// The registry failed.
    #[error("the images of the stack: {0}")]
    Registry(#[from] RegistryError),
}

/// What staging needs of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackImages {
    /// Image that buildpacks run in.
    pub build: String,
    /// Image that droplets are put on, in the daemon.
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

/// Removes the stack images and the base they were built on; tells how many.
pub async fn remove_all(engine: &dyn Engine) -> Result<usize, ImagesError> {
    let listed = list(engine).await?;
    for image in &listed {
        engine.remove_image(&image.reference).await?;
    }
    Ok(listed.len() + usize::from(base::remove(engine).await?))
}

/// Builds the images that are missing. For the command line: no registry is involved.
pub async fn build_all(engine: &dyn Engine, progress: &Progress) -> Result<(), ImagesError> {
    build(engine, &Recipe::embedded(), progress).await
}

/// All stack images the daemon has.
pub async fn list(engine: &dyn Engine) -> Result<Vec<Listed>, ImagesError> {
    let recipe = Recipe::embedded();
    let labels = Labels::from([(LABEL_STACK.to_owned(), STACK.to_owned())]);
    let mut listed = Vec::new();
    for image in engine.images(&labels).await? {
        for reference in &image.tags {
            // The name decides: the build image inherits the labels of the run image.
            let current =
                *reference == recipe.run_reference() || *reference == recipe.build_reference();
            listed.push(Listed {
                stack: STACK.to_owned(),
                role: image.labels.get(LABEL_ROLE).cloned().unwrap_or_default(),
                reference: reference.clone(),
                size: image.size,
                current,
            });
        }
    }
    listed.retain(|listed| listed.reference.starts_with(REPOSITORY));
    listed.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(listed)
}

/// The stacks of a running platform; cheap to clone.
#[derive(Clone)]
pub struct Images(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    registry: Registry,
    recipe: Recipe,
    /// Held while images are made: two builds that need them wait for the same ones.
    ready: Mutex<BTreeMap<String, StackImages>>,
}

impl Images {
    /// Stacks of this daemon, with their base in this registry.
    pub fn new(engine: Arc<dyn Engine>, registry: Registry) -> Self {
        Self(Arc::new(Inner {
            engine,
            registry,
            recipe: Recipe::embedded(),
            ready: Mutex::default(),
        }))
    }

    /// The images of a stack; made first where they are missing. Once made they are found in
    /// milliseconds.
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
            // Somebody may have removed it since.
            if self.0.engine.image(&images.build).await?.is_some() {
                return Ok(images.clone());
            }
        }
        let images = self.make(progress).await?;
        ready.insert(stack.to_owned(), images.clone());
        Ok(images)
    }

    /// The run image of a stack in the registry; made first where it is missing.
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
        // Nobody else makes it meanwhile.
        let _ready = self.0.ready.lock().await;
        self.make_base(progress).await
    }

    async fn make(&self, progress: &Progress) -> Result<StackImages, ImagesError> {
        let Inner {
            engine,
            registry,
            recipe,
            ..
        } = &*self.0;
        let base = self.make_base(progress).await?;
        // The daemon learns by which digests the registry knows the layers it has, and will not
        // fetch them with droplets. What names the image stays: its own tag.
        let reference = registry.reference(REPOSITORY, &base);
        let auth = Some(registry.auth());
        let silent = tokio::sync::mpsc::unbounded_channel().0;
        engine.pull(&reference, auth, silent).await?;
        engine.remove_image(&reference).await?;
        self.remove_former().await?;
        Ok(StackImages {
            build: recipe.build_reference(),
            run: recipe.run_reference(),
            base,
        })
    }

    /// Builds what is missing and takes the run image into the registry.
    async fn make_base(&self, progress: &Progress) -> Result<Digest, ImagesError> {
        let Inner {
            engine,
            registry,
            recipe,
            ..
        } = &*self.0;
        let (run, tag) = (recipe.run_reference(), recipe.run_tag());
        let known = registry.find(REPOSITORY, &tag).await?;
        if let (Some(base), None) = (&known, engine.image(&run).await?) {
            self.fetch_back(base, &run, progress).await;
        }
        build(&**engine, recipe, progress).await?;
        if let Some(base) = known {
            return Ok(base);
        }
        say(progress, "Taking the stack into the registry (once)...");
        let saved = engine.save(&run).await?;
        Ok(registry.import_saved(REPOSITORY, &tag, saved).await?)
    }

    /// Somebody removed the image from the daemon: the registry still has it. When that fails it is
    /// built anew.
    async fn fetch_back(&self, base: &Digest, run: &str, progress: &Progress) {
        let Inner {
            engine, registry, ..
        } = &*self.0;
        let reference = registry.reference(REPOSITORY, base);
        let auth = Some(registry.auth());
        let fetched = async {
            engine.pull(&reference, auth, progress.clone()).await?;
            engine.tag(&reference, run).await
        };
        if let Err(error) = fetched.await {
            tracing::warn!(%error, "the stack was not fetched back from the registry");
        }
    }

    /// Removes images of former recipes that no container uses.
    async fn remove_former(&self) -> Result<(), ImagesError> {
        let engine = &*self.0.engine;
        for listed in list(engine).await? {
            if listed.current {
                continue;
            }
            match engine.remove_image(&listed.reference).await {
                Ok(()) => tracing::info!(image = %listed.reference, "former stack image removed"),
                Err(DockerError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn say(progress: &Progress, text: &str) {
    // Nobody has to listen.
    drop(progress.send(text.to_owned()));
}

/// Builds what is missing: the run image, then the build image on top of it.
async fn build(
    engine: &dyn Engine,
    recipe: &Recipe,
    progress: &Progress,
) -> Result<(), ImagesError> {
    let (run, build) = (recipe.run_reference(), recipe.build_reference());
    if !is_current(engine.image(&run).await?, recipe.run_hash()) {
        say(
            progress,
            "Building the run image of the stack (once, takes minutes)...",
        );
        let base = base::find_or_make(engine, progress).await?;
        let spec = build_spec(&run, "run", recipe.run_hash(), ("BASE", &base));
        engine
            .build(spec, recipe.context(), progress.clone())
            .await?;
    }
    if !is_current(engine.image(&build).await?, recipe.build_hash()) {
        say(
            progress,
            "Building the build image of the stack (once, takes minutes)...",
        );
        let spec = build_spec(&build, "build", recipe.build_hash(), ("RUN", &run));
        engine
            .build(spec, recipe.context(), progress.clone())
            .await?;
    }
    Ok(())
}

fn is_current(image: Option<Image>, hash: &str) -> bool {
    image.is_some_and(|image| {
        image
            .labels
            .get(LABEL_RECIPE)
            .is_some_and(|label| label == hash)
    })
}

fn build_spec(reference: &str, role: &str, hash: &str, argument: (&str, &str)) -> BuildSpec {
    let labels = [
        (LABEL_RECIPE, hash),
        (LABEL_STACK, STACK),
        (LABEL_ROLE, role),
    ];
    BuildSpec {
        reference: reference.to_owned(),
        dockerfile: format!("{role}.Dockerfile"),
        arguments: [(argument.0.to_owned(), argument.1.to_owned())].into(),
        labels: labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

#[cfg(test)]
mod tests;
