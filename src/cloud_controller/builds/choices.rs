//! Which buildpacks a build is staged with, as they are when it is asked for.

use crate::cloud_controller::buildpacks::{self, Buildpack};
use crate::cloud_controller::stacks;
use crate::cloud_controller::v3::{ApiError, ApiResult, Invalid, Kind};
use crate::db::ReadTx;
use crate::staging::{BuildpackChoice, BuildpackSource};

/// The buildpacks of a build.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    choices: Vec<BuildpackChoice>,
    /// Requested, but switched off.
    disabled: Vec<String>,
}

/// The requested buildpacks in order, or all that may detect the app. The stack and the requested
/// ones must be there.
pub(super) fn choose(tx: &ReadTx<'_>, requested: &[String], stack: &str) -> ApiResult<Chosen> {
    let mut chosen = Chosen::default();
    let mut invalid = Invalid::default();
    let stack_exists = stacks::store::exists(tx, stack)?;
    for name in requested {
        if buildpacks::is_url(name) {
            chosen.choices.push(BuildpackChoice {
                name: name.clone(),
                source: BuildpackSource::Url(name.clone()),
            });
            continue;
        }
        match buildpacks::store::for_staging(tx, name, stack)? {
            None => {
                let of_stack = if stack_exists {
                    format!(" for stack \"{stack}\"")
                } else {
                    String::new()
                };
                invalid.add(format!(
                    "Buildpack \"{name}\"{of_stack} must be an existing admin buildpack or a valid git URI"
                ));
            }
            Some(buildpack) if !buildpack.enabled => chosen.disabled.push(format!("'{name}'")),
            Some(buildpack) => chosen.choices.extend(choice(buildpack)),
        }
    }
    if !stack_exists {
        invalid.add("Stack must be an existing stack");
    }
    invalid.refuse()?;
    if requested.is_empty() {
        let all = buildpacks::store::detectable(tx, stack)?;
        chosen.choices = all.into_iter().filter_map(choice).collect();
    }
    Ok(chosen)
}

impl Chosen {
    /// The choices, if they can be used.
    pub(super) fn usable(self) -> ApiResult<Vec<BuildpackChoice>> {
        if !self.disabled.is_empty() {
            return Err(ApiError::new(
                Kind::BuildpackInvalid,
                format!(
                    "Buildpack is invalid: Requested buildpack(s) {} are disabled and cannot be used for staging",
                    self.disabled.join(", ")
                ),
            ));
        }
        if self.choices.is_empty() {
            return Err(ApiError::new(
                Kind::NoBuildpacksFound,
                "There are no buildpacks available",
            ));
        }
        Ok(self.choices)
    }
}

fn choice(buildpack: Buildpack) -> Option<BuildpackChoice> {
    let source = match (buildpack.blob_digest, buildpack.built_in) {
        (Some(digest), _) => BuildpackSource::Uploaded(digest),
        (None, Some(folder)) => BuildpackSource::BuiltIn(folder),
        (None, None) => return None,
    };
    Some(BuildpackChoice {
        name: buildpack.name,
        source,
    })
}
