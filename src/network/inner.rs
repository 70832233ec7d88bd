//! State shared by the firewall's handle and its worker. Nothing here has to survive a restart.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::addresses::Known;
use super::settings::{Parts, Status};

pub(super) struct Inner {
    pub(super) parts: Parts,
    known: Mutex<Known>,
    /// Whether the daemon has to be asked who has which address.
    pub(super) stale: AtomicBool,
    pub(super) wake: Notify,
    pub(super) applied: watch::Sender<Applied>,
}

/// What is enforced.
#[derive(Clone, Debug, Default)]
pub(super) struct Applied {
    pub(super) status: Status,
    /// The app of each address that has its rules.
    pub(super) instances: BTreeMap<Ipv4Addr, String>,
    /// Whether the network of builds has its rules.
    pub(super) builds: bool,
}

impl Inner {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            parts,
            known: Mutex::default(),
            stale: AtomicBool::new(true),
            wake: Notify::new(),
            applied: watch::Sender::default(),
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
