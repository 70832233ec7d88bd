//! Which buildpacks a build is staged with, as they are when it is asked for.

use crate::cloud_controller::body::Invalid;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{LifecycleType, is_cnb_url};
use crate::cloud_controller::model::buildpacks::Buildpack;
use crate::db::ReadTx;
use crate::staging::{BuildpackChoice, BuildpackSource};

/// What to say when Cloud Native Buildpacks are to detect an app, and there are none.
const NO_CNB: &str = "There are no buildpacks available for the lifecycle cnb: name one with -b docker://IMAGE, or upload one with \
                      cf create-buildpack NAME FILE.cnb 1 --lifecycle cnb";

/// The buildpacks of a build.
#[derive(Debug)]
pub(crate) struct Chosen {
    kind: LifecycleType,
    choices: Vec<BuildpackChoice>,
    /// Requested, but switched off.
    disabled: Vec<String>,
}

/// The requested buildpacks in order, or all that may detect the app. The stack and the requested
/// ones must be there.
pub(crate) fn choose(
    tx: &ReadTx<'_>,
    kind: LifecycleType,
    requested: &[String],
    stack: &str,
) -> Result<Chosen> {
    let mut chosen = Chosen {
        kind,
        choices: Vec::new(),
        disabled: Vec::new(),
    };
    let mut invalid = Invalid::default();
    let stack_exists = model::stacks::exists(tx, stack)?;
    for name in requested {
        if let Some(source) = source_of_url(kind, name) {
            chosen.choices.push(BuildpackChoice {
                name: name.clone(),
                source,
            });
            continue;
        }
        match model::buildpacks::for_staging(tx, kind.as_str(), name, stack)? {
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
        let all = model::buildpacks::detectable(tx, kind.as_str(), stack)?;
        chosen.choices = all.into_iter().filter_map(choice).collect();
    }
    Ok(chosen)
}

impl Chosen {
    /// The choices, if they can be used.
    pub(crate) fn usable(self) -> Result<Vec<BuildpackChoice>> {
        if !self.disabled.is_empty() {
            return Err(Error::new(
                Kind::BuildpackInvalid,
                format!(
                    "Buildpack is invalid: Requested buildpack(s) {} are disabled and cannot be used for staging",
                    self.disabled.join(", ")
                ),
            ));
        }
        if self.choices.is_empty() {
            let text = match self.kind {
                LifecycleType::Cnb => NO_CNB,
                LifecycleType::Buildpack | LifecycleType::Docker => {
                    "There are no buildpacks available"
                }
            };
            return Err(Error::new(Kind::NoBuildpacksFound, text));
        }
        Ok(self.choices)
    }
}

/// Where a buildpack is that is named by URL.
fn source_of_url(kind: LifecycleType, name: &str) -> Option<BuildpackSource> {
    let url = || BuildpackSource::Url(name.to_owned());
    match (kind, name.strip_prefix("docker://")) {
        (LifecycleType::Cnb, _) if !is_cnb_url(name) => None,
        (LifecycleType::Cnb, Some(image)) => Some(BuildpackSource::Image(image.to_owned())),
        _ => model::buildpacks::is_url(name).then(url),
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
