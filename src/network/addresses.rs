//! Who has which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::time::Instant;

use crate::docker::{Container, LABEL_BUILD, LABEL_KIND, LABEL_SOURCE_ID};

/// How long an address waits for its container to be listed: creating one may take a pull.
const PATIENCE: Duration = Duration::from_secs(120);

/// The containers of instances, tasks and builds by their addresses.
#[derive(Debug, Default)]
pub(super) struct Known {
    listed: BTreeMap<Ipv4Addr, String>,
    /// Not listed yet.
    admitted: BTreeMap<Ipv4Addr, (String, Instant)>,
    services: BTreeSet<Ipv4Addr>,
    builds: BTreeMap<Ipv4Addr, String>,
    builds_expected: bool,
}

impl Known {
    /// A container of an app is about to get an address.
    pub(super) fn admit(&mut self, address: Ipv4Addr, app: &str, now: Instant) {
        self.admitted.insert(address, (app.to_owned(), now));
    }

    /// A build is about to start.
    pub(super) fn expect_builds(&mut self) {
        self.builds_expected = true;
    }

    /// Takes over what the daemon has; `service` is the kind of the containers of data services.
    pub(super) fn observe(&mut self, containers: &[Container], service: &str, now: Instant) {
        let is_service = |container: &&Container| {
            { container.labels.get(LABEL_KIND) }.is_some_and(|kind| kind == service)
        };
        let services = containers.iter().filter(is_service);
        self.services = services
            .filter_map(|container| container.assigned)
            .collect();
        self.listed = { containers.iter() }
            .filter(|container| !is_service(container))
            .filter_map(|container| {
                let app = container.labels.get(LABEL_SOURCE_ID)?;
                Some((container.assigned?, app.clone()))
            })
            .collect();
        self.builds = { containers.iter() }
            .filter_map(|container| {
                let build = container.labels.get(LABEL_BUILD)?;
                match container.ip? {
                    IpAddr::V4(address) => Some((address, build.clone())),
                    IpAddr::V6(_) => None,
                }
            })
            .collect();
        let listed = &self.listed;
        self.admitted.retain(|address, (_, since)| {
            !listed.contains_key(address) && now.saturating_duration_since(*since) < PATIENCE
        });
    }

    /// The app of each address.
    pub(super) fn instances(&self) -> BTreeMap<Ipv4Addr, String> {
        let mut all = self.listed.clone();
        let admitted = self.admitted.iter();
        all.extend(admitted.map(|(address, (app, _))| (*address, app.clone())));
        all
    }

    /// The addresses of data services.
    pub(super) fn services(&self) -> &BTreeSet<Ipv4Addr> {
        &self.services
    }

    /// The build of each address.
    pub(super) fn builds(&self) -> &BTreeMap<Ipv4Addr, String> {
        &self.builds
    }

    /// Whether builds run or may run.
    pub(super) fn has_builds(&self) -> bool {
        self.builds_expected || !self.builds.is_empty()
    }

    /// Whether nobody needs rules.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.admitted.is_empty() && !self.has_builds()
    }
}

/// The apps of these addresses.
pub(super) fn apps(instances: &BTreeMap<Ipv4Addr, String>) -> BTreeSet<String> {
    instances.values().cloned().collect()
}
