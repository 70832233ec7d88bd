//! Which buildpacks a build is staged with, as they are when it is asked for.

use crate::cloud_controller::buildpacks::{self, Buildpack};
use crate::cloud_controller::v3::{ApiError, ApiResult, Kind};
use crate::db::ReadTx;
use crate::staging::{BuildpackChoice, BuildpackSource};

/// The requested buildpacks in order, or all that may detect the app. Requested ones must be there
/// and enabled.
pub(super) fn choose(
    tx: &ReadTx<'_>,
    requested: &[String],
    stack: &str,
) -> ApiResult<Vec<BuildpackChoice>> {
    if requested.is_empty() {
        let all = buildpacks::store::detectable(tx, stack)?;
        let all: Vec<BuildpackChoice> = all.into_iter().filter_map(choice).collect();
        return if all.is_empty() {
            Err(ApiError::new(
                Kind::NoBuildpacksFound,
                "There are no buildpacks available",
            ))
        } else {
            Ok(all)
        };
    }
    let mut chosen = Vec::new();
    let mut disabled = Vec::new();
    for name in requested {
        if buildpacks::is_url(name) {
            chosen.push(BuildpackChoice {
                name: name.clone(),
                source: BuildpackSource::Url(name.clone()),
            });
            continue;
        }
        match buildpacks::store::for_staging(tx, name, stack)? {
            None => {
                return Err(ApiError::unprocessable(format!(
                    "Buildpack \"{name}\" for stack \"{stack}\" must be an existing admin buildpack or a valid git URI"
                )));
            }
            Some(buildpack) if !buildpack.enabled => disabled.push(format!("'{name}'")),
            Some(buildpack) => chosen.extend(choice(buildpack)),
        }
    }
    if disabled.is_empty() {
        return Ok(chosen);
    }
    Err(ApiError::new(
        Kind::BuildpackInvalid,
        format!(
            "Buildpack is invalid: Requested buildpack(s) {} are disabled and cannot be used for staging",
            disabled.join(", ")
        ),
    ))
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
