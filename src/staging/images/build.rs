//! Building the images of a recipe that the daemon does not have.

use super::recipe::Recipe;
use super::report::Reporter;
use super::{ImagesError, LABEL_RECIPE, LABEL_ROLE, LABEL_STACK, RUN, STACK, base};
use crate::docker::trust::Authority;
use crate::docker::{BuildSpec, DockerError, Engine, Image, Labels};

/// The role of stages that trust the machine's authorities while an image is built.
const ROLE_DOWNLOADS: &str = "downloads";

/// Whether the daemon has both images.
pub(super) async fn is_built(engine: &dyn Engine, recipe: &Recipe) -> Result<bool, ImagesError> {
    let run = engine.image(&recipe.run_reference()).await?;
    let build = engine.image(&recipe.build_reference()).await?;
    Ok(is_current(run, recipe.run_hash()) && is_current(build, recipe.build_hash()))
}

/// Builds missing images: the run image, then the build image on top of it.
pub(super) async fn build(
    engine: &dyn Engine,
    recipe: &Recipe,
    authorities: &[Authority],
    reporter: &Reporter,
) -> Result<(), ImagesError> {
    let (run, build) = (recipe.run_reference(), recipe.build_reference());
    if !is_current(engine.image(&run).await?, recipe.run_hash()) {
        reporter.message("Building the run image of the stack (once, takes minutes)...");
        let base = base::find_or_create(engine, reporter).await?;
        let spec = build_spec(&run, RUN, recipe.run_hash(), ("BASE", &base));
        engine
            .build(spec, recipe.context(authorities), reporter.output.clone())
            .await?;
        remove_downloads(engine).await?;
    }
    if !is_current(engine.image(&build).await?, recipe.build_hash()) {
        reporter.message("Building the build image of the stack (once, takes minutes)...");
        let spec = build_spec(&build, "build", recipe.build_hash(), ("RUN", &run));
        engine
            .build(spec, recipe.context(authorities), reporter.output.clone())
            .await?;
        remove_downloads(engine).await?;
    }
    Ok(())
}

/// Removes what stages of a build downloaded, together with the authorities that they trusted; the
/// image has its own copy of the files.
async fn remove_downloads(engine: &dyn Engine) -> Result<(), DockerError> {
    let labels = Labels::from([(LABEL_ROLE.to_owned(), ROLE_DOWNLOADS.to_owned())]);
    for image in engine.images(&labels).await? {
        match engine.remove_image(&image.id).await {
            // Another build uses it, and removes it.
            Ok(()) | Err(DockerError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
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
