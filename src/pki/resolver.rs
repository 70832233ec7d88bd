//! Which certificate a client gets, by the name that it asks for (SNI).
//!
//! 1. A certificate of the configuration for the name, an exact one before a wildcard.
//! 2. The platform's own for the system domain and the names below it.
//! 3. One that the authority issues at once, for the other domains of the platform: it covers the
//!    domain of the name with all names one level below.
//! 4. The platform's own, so that a client that sends no name, or an unknown one, gets a response it
//!    can read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::issue::{self, Authority};
use super::named::{Named, matching};
use super::{PkiError, certified};
use crate::base::{Clock, Timestamp};

/// The most certificates that are kept for other domains; all are forgotten when there are more.
const MOST_ISSUED: usize = 1000;

/// The certificates of one platform.
pub(super) struct Resolver {
    pub(super) platform: ArcSwap<Named>,
    /// Those of the configuration.
    pub(super) own: ArcSwap<Vec<Named>>,
    /// The domains of the platform, lower case.
    pub(super) domains: ArcSwap<Vec<String>>,
    issued: Mutex<HashMap<String, Kept>>,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
}

struct Kept {
    key: Arc<CertifiedKey>,
    renew_at: Timestamp,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    pub(super) fn new(platform: Named, authority: Arc<Authority>, clock: Arc<dyn Clock>) -> Self {
        Self {
            platform: ArcSwap::from_pointee(platform),
            own: ArcSwap::default(),
            domains: ArcSwap::default(),
            issued: Mutex::default(),
            authority,
            clock,
        }
    }

    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let platform = self.platform.load();
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return platform.key.clone();
        };
        let own = self.own.load();
        if let Some(key) = best(&own, &name) {
            return key;
        }
        if matching(&platform.names, &name).is_some() {
            return platform.key.clone();
        }
        let domains = self.domains.load();
        let Some(zone) = zone_of(&domains, &name) else {
            return platform.key.clone();
        };
        self.issue(&zone).unwrap_or_else(|error| {
            tracing::warn!(%error, zone, "no certificate for a domain");
            platform.key.clone()
        })
    }

    /// The certificate for a domain and the names one level below it.
    fn issue(&self, zone: &str) -> Result<Arc<CertifiedKey>, PkiError> {
        let now = self.clock.now();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = issued.get(zone).filter(|kept| kept.renew_at > now) {
            return Ok(kept.key.clone());
        }
        let names = [zone.to_owned(), format!("*.{zone}")];
        let new = issue::server(&self.authority, &names, now)?;
        let key = Arc::new(certified(&new)?);
        if issued.len() >= MOST_ISSUED {
            issued.clear();
        }
        let (kept, renew_at) = (key.clone(), new.renew_at);
        issued.insert(
            zone.to_owned(),
            Kept {
                key: kept,
                renew_at,
            },
        );
        Ok(key)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.choose(hello.server_name()))
    }
}

fn best(all: &[Named], name: &str) -> Option<Arc<CertifiedKey>> {
    let found = all
        .iter()
        .filter_map(|one| Some((matching(&one.names, name)?, one)));
    let best = found.max_by_key(|(covers, _)| *covers);
    best.map(|(_, one)| one.key.clone())
}

/// The domain whose certificate covers a name: one of the platform's, or the name's parent below one.
fn zone_of(domains: &[String], name: &str) -> Option<String> {
    let parent = name.split_once('.').map_or("", |(_, parent)| parent);
    let is_below = |domain: &String| {
        let before = parent.strip_suffix(domain.as_str());
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    if domains.iter().any(|domain| domain == name) {
        return Some(name.to_owned());
    }
    domains.iter().any(is_below).then(|| parent.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_certificate_of_its_domain() {
        let domains = ["example.org", "shop.test"].map(str::to_owned);
        let zone = |name: &str| zone_of(&domains, name);
        assert_eq!(zone("example.org").as_deref(), Some("example.org"));
        assert_eq!(zone("a.example.org").as_deref(), Some("example.org"));
        assert_eq!(zone("a.b.example.org").as_deref(), Some("b.example.org"));
        assert_eq!(zone("notexample.org"), None);
        assert_eq!(zone("org"), None);
    }
}
