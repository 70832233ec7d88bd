//! What a new platform finds, and what a new version adds to an old one. Safe to repeat: what is
//! there is left as it is.

use crate::cloud_controller::actions::domains::Reach;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model::buildpacks::BuiltIn;
use crate::cloud_controller::{actions, model};

use crate::base::guid::RouterGroupGuid;
use crate::base::{GuidSource, Timestamp};
use crate::db::{DbError, WriteTx};
use crate::net::PortRanges;

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

/// The ports of TCP routes, as configured.
#[derive(Debug, Clone)]
pub(crate) struct TcpPorts {
    pub ports: PortRanges,
    /// Whether somebody chose them; else they are the default of a new platform.
    pub is_chosen: bool,
}

/// The router group, and the shared domain `tcp.DOMAIN` in it. There is no such domain where an app
/// has that name: its route stays what it is.
fn plant_tcp(
    tx: &WriteTx<'_>,
    domain: &str,
    configured: &TcpPorts,
    now: Timestamp,
    guids: &GuidSource,
) -> Result<(), Error> {
    let ports = &configured.ports;
    model::router_groups::ensure_default(tx, &RouterGroupGuid::generate(guids), ports, now)?;
    if configured.is_chosen {
        model::router_groups::take_over(tx, ports, now)?;
    }
    let name = format!("tcp.{domain}");
    let group = model::router_groups::find_by_name(tx, model::router_groups::DEFAULT)?;
    let Some(group) = group else {
        return Ok(());
    };
    if model::routes::is_host_of_a_route(tx, &name)? {
        tracing::warn!(%name, "an app has this route, so that there is no domain for TCP routes of this name");
        return Ok(());
    }
    actions::domains::ensure_shared(tx, &name, Reach::Tcp(&group.guid), now, guids)
}

/// Stores what is missing.
pub(crate) fn plant(
    tx: &WriteTx<'_>,
    domain: &str,
    tcp_ports: &TcpPorts,
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
    plant_tcp(tx, domain, tcp_ports, now, guids)?;
    model::packages::reset_broken_uploads(tx)
}
