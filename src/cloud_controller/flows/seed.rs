//! What a new platform finds, and what a new version adds to an old one. Safe to repeat: what is
//! there is left as it is.

use crate::cloud_controller::actions::domains::Reach;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::buildpacks::BuiltIn;
use crate::cloud_controller::{actions, model};

use crate::base::{GuidSource, Timestamp};
use crate::db::{DbError, WriteTx};

/// The stack every app without one gets.
pub(crate) const STACK: &str = "cflinuxfs4";

/// Official name, folder in the binary; in Cloud Foundry's default order.
pub(crate) const BUILDPACKS: &[(&str, &str)] = &[
    ("staticfile_buildpack", "staticfile"),
    ("java_buildpack", "java"),
    ("ruby_buildpack", "ruby"),
    ("dotnet_core_buildpack", "dotnet_core"),
    ("nodejs_buildpack", "nodejs"),
    ("go_buildpack", "go"),
    ("python_buildpack", "python"),
    ("php_buildpack", "php"),
    ("nginx_buildpack", "nginx"),
    ("r_buildpack", "r"),
    ("binary_buildpack", "binary"),
];

/// Gives the system domain another name, with the routes and domains below it: for a platform that comes
/// from another machine.
pub(crate) fn rename_domain(tx: &WriteTx<'_>, old: &str, new: &str) -> Result<(), DbError> {
    model::domains::rename(tx, old, new)
}

/// Stores what is missing.
pub(crate) fn plant(
    tx: &WriteTx<'_>,
    domain: &str,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<(), Error> {
    model::organization_quotas::ensure_default(tx, now, guids)?;
    actions::isolation_segments::ensure_shared(tx, now)?;
    actions::security_groups::ensure_defaults(tx, now, guids)?;
    let description = "Cloud Foundry Linux-based filesystem, from Debian packages";
    model::stacks::ensure(tx, STACK, description, now, guids)?;
    actions::feature_flags::enable_initially(tx, "diego_docker", now)?;
    for (name, folder) in BUILDPACKS {
        let filename = format!("{name}-{STACK}-v{}.zip", env!("CARGO_PKG_VERSION"));
        let built_in = BuiltIn {
            name,
            folder,
            stack: STACK,
            filename: &filename,
        };
        model::buildpacks::ensure_built_in(tx, built_in, now, guids)?;
    }
    actions::domains::ensure_shared(tx, domain, Reach::Public, now, guids)?;
    actions::domains::ensure_shared(tx, "apps.internal", Reach::Internal, now, guids)?;
    model::packages::reset_broken_uploads(tx)
}
