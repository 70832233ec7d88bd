//! From a package or a Docker image to a droplet: runs buildpacks in temporary containers, copies
//! images into the registry, and builds the stack images that buildpacks run on.
//!
//! ```text
//! Builds::pending -> worker -> container from the build image: files in, builder runs, files out
//!                                   | output lines -> logs (STG)
//!                  layer -> blobs -> registry: stack + layer = image -> Builds::staged
//! ```
//!
//! A request is a row of the Cloud Controller; this module reads it through [`Builds`] and writes
//! the result in one transaction. Staging is repeatable: only the result is kept, so a build that
//! was interrupted (kill -9, a Docker restart) is staged again from scratch, once; its container is
//! labelled with the attempt, so that no build is retried forever.
//!
//! Invariants:
//! - No container outlives its build: each is removed at the end, and leftovers of an earlier
//!   process are removed before the first build.
//! - Environment values are never logged.
//! - The output of containers is not trusted: sizes are bounded, and `result.json` is validated.
//!
//! Decisions: output is followed here and not by the log ingest, because an interrupted staging
//! restarts and needs no cursor.

mod bundle;
mod cnb;
mod compose;
mod container;
mod engine;
mod failure;
mod fault;
mod files;
mod image;
pub mod images;
mod local;
mod network;
mod output;
mod outputs;
mod parts;
mod result;
mod run;
mod slots;
mod zips;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::base::Megabytes;
use crate::base::guid::{AppGuid, BuildGuid, DropletGuid};
use crate::blobs::{Blob, Digest};
use crate::db::{DbError, ReadTx, WriteTx};
use crate::registry::upstream::Credentials;

pub use bundle::{BuiltInBuildpack, built_in_buildpacks, lifecycle_files};
pub use cnb::{CnbStaging, HostCredentials};
pub use compose::{ComposeError, DropletImages};
pub use container::{LABEL_DROPLET, droplets_labels};
pub use engine::Staging;
pub use failure::{error_ids, failure_text};
pub use local::{LocalError, LocalStaging};
pub use network::staging_network;
pub use parts::{Settings, StagingParts};

/// Owner kind of a droplet's layer in `blob_references`; the owner's name is the droplet's guid.
pub const OWNER_DROPLET: &str = "droplet";
/// Owner kind of a build cache; the owner's name is the app's guid.
pub const OWNER_CACHE: &str = "build_cache";

/// The registry's repository for a droplet.
pub fn droplet_repository(droplet: &DropletGuid) -> String {
    droplet.as_str().to_lowercase()
}

/// The rows of builds, as staging sees them. Implemented by the Cloud Controller.
pub trait Builds: Send + Sync + 'static {
    /// Builds that are to be staged, oldest first. A build that is no longer among them is
    /// cancelled.
    fn pending(&self, tx: &ReadTx<'_>) -> Result<PendingBuilds, DbError>;

    /// Records a success; false if the build is no longer wanted, then nothing is kept. Otherwise
    /// layer and cache are referenced in the same transaction.
    fn staged(&self, tx: &WriteTx<'_>, staged: &Staged) -> Result<bool, DbError>;

    /// Records a failure.
    fn failed(&self, tx: &WriteTx<'_>, failure: &StagingFailure) -> Result<(), DbError>;
}

/// The builds that are to be staged.
#[derive(Clone, Debug, Default)]
pub struct PendingBuilds {
    /// Oldest first.
    pub requests: Vec<StagingRequest>,
    /// Builds whose rows are unreadable, and why.
    pub unreadable: Vec<(BuildGuid, String)>,
}

impl PendingBuilds {
    /// Whether a build is pending, readable or not.
    fn has(&self, guid: &BuildGuid) -> bool {
        let mut unreadable = self.unreadable.iter();
        self.requests.iter().any(|one| one.build_guid() == guid)
            || unreadable.any(|(build, _)| build == guid)
    }
}

/// A staging request.
#[derive(Clone, Debug)]
pub enum StagingRequest {
    /// A package and buildpacks.
    Package(PackageStaging),
    /// A Docker image.
    Image(ImageStaging),
}

impl StagingRequest {
    /// The build.
    pub fn build_guid(&self) -> &BuildGuid {
        match self {
            Self::Package(request) => &request.build_guid,
            Self::Image(request) => &request.build_guid,
        }
    }

    /// Its app.
    pub fn app_guid(&self) -> &AppGuid {
        match self {
            Self::Package(request) => &request.app_guid,
            Self::Image(request) => &request.app_guid,
        }
    }
}

/// An image that becomes a droplet: a copy in the embedded registry.
#[derive(Clone, Debug)]
pub struct ImageStaging {
    /// The build.
    pub build_guid: BuildGuid,
    /// Its app.
    pub app_guid: AppGuid,
    /// The droplet to create.
    pub droplet_guid: DropletGuid,
    /// The image as the user wrote it.
    pub image: String,
    /// For this build only.
    pub credentials: Option<Credentials>,
    /// The image of the app's newest droplet from the same reference.
    pub previous: Option<Digest>,
    /// The limit for the whole copy.
    pub timeout: Duration,
}

/// A package that buildpacks turn into a droplet.
#[derive(Clone)]
pub struct PackageStaging {
    /// The build.
    pub build_guid: BuildGuid,
    /// Its app.
    pub app_guid: AppGuid,
    /// The droplet to create.
    pub droplet_guid: DropletGuid,
    /// The package's zip.
    pub package: Digest,
    /// Which kind of buildpacks these are.
    pub lifecycle: Lifecycle,
    /// Buildpacks in order.
    pub buildpacks: Vec<BuildpackChoice>,
    /// Use all buildpacks; otherwise the first one that detects the app.
    pub skip_detect: bool,
    /// The stack.
    pub stack: String,
    /// The environment of staging, without the container's own variables.
    pub environment: Vec<(String, String)>,
    /// Memory limit.
    pub memory: Megabytes,
    /// Disk limit.
    pub disk: Megabytes,
    /// Bytes of output a second, -1 for no limit.
    pub log_rate_limit: i64,
    /// The build cache of an earlier staging.
    pub cache: Option<Digest>,
    /// The limit from the container's creation to its end.
    pub timeout: Duration,
}

impl fmt::Debug for PackageStaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackageStaging")
            .field("build_guid", &self.build_guid)
            .field("app_guid", &self.app_guid)
            .field("package", &self.package)
            .field("stack", &self.stack)
            .finish_non_exhaustive()
    }
}

/// The kinds of buildpacks.
#[derive(Clone, Debug)]
pub enum Lifecycle {
    /// Cloud Foundry's own: supply and finalize.
    Buildpack,
    /// Cloud Native Buildpacks.
    Cnb(CnbStaging),
}

/// A buildpack to use.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BuildpackChoice {
    /// Its name on the platform, or its URL.
    pub name: String,
    /// Where its files are.
    pub source: BuildpackSource,
}

/// Where a buildpack's files are.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildpackSource {
    /// In this binary, by the name of its folder.
    BuiltIn(String),
    /// In an uploaded zip.
    Uploaded(Digest),
    /// Fetched by the builder; may hold credentials.
    Url(String),
    /// An image in a registry, without `docker://`.
    Image(String),
}

impl fmt::Debug for BuildpackChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            BuildpackSource::Url(_) => "a buildpack by URL",
            BuildpackSource::BuiltIn(_)
            | BuildpackSource::Uploaded(_)
            | BuildpackSource::Image(_) => &self.name,
        })
    }
}

/// A success.
#[derive(Clone, Debug, PartialEq)]
pub struct Staged {
    /// The build.
    pub build_guid: BuildGuid,
    /// The app.
    pub app_guid: AppGuid,
    /// The droplet.
    pub droplet_guid: DropletGuid,
    /// The droplet's files as an uncompressed tar; images from elsewhere have none.
    pub layer: Option<Blob>,
    /// Bytes of the droplet.
    pub size: u64,
    /// The reference of a Docker image.
    pub docker_image: Option<String>,
    /// The image instances start from, in [`droplet_repository`].
    pub image_digest: Digest,
    /// Start commands by process type.
    pub process_types: BTreeMap<String, String>,
    /// The same in the order of discovery.
    pub processes: Vec<StagedProcess>,
    /// Sidecars from buildpacks.
    pub sidecars: Vec<StagedSidecar>,
    /// The buildpacks that were used.
    pub buildpacks: Vec<StagedBuildpack>,
    /// How a Docker image is run, as JSON; empty for buildpack apps.
    pub execution_metadata: String,
    /// The build cache for the next staging.
    pub cache: Option<Blob>,
    /// The stack; Docker images have none.
    pub stack: Option<String>,
}

/// A process type from staging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedProcess {
    /// `web`, `worker`, …
    pub process_type: String,
    /// Start command.
    pub command: String,
}

/// A sidecar from a buildpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedSidecar {
    /// Name.
    pub name: String,
    /// Process types it belongs to.
    pub process_types: Vec<String>,
    /// Command.
    pub command: String,
    /// Part of the process's memory.
    pub memory: Option<Megabytes>,
}

/// A buildpack that was used, as droplets show it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StagedBuildpack {
    /// Name on the platform, or the URL.
    pub name: String,
    /// The output of its detection; empty for all but the last.
    pub detect_output: String,
    /// Its own name.
    pub buildpack_name: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagingFailure {
    /// The build.
    pub build_guid: BuildGuid,
    /// Name of the Cloud Controller's error, such as `BuildpackCompileFailed`.
    pub error_id: &'static str,
    /// The error's description; clients see `<error_id> - <message>`.
    pub message: String,
}

#[cfg(test)]
mod tests;
