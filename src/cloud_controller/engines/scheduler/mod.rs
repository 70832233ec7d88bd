//! Cloud Controller's side of the scheduler: the desired state.
//!
//! When a process is started, a snapshot of everything it runs with is stored: droplet, command,
//! limits, checks, environment ([`Snapshots`], table `desired_processes`). The scheduler's input
//! ([`DesiredApps`]) is read from the snapshots and the current number of instances alone.
//!
//! - A change of environment, droplet, limits or routes takes effect with the app's next start or
//!   restart, not when an instance crashes or is added before that: as on every Cloud Foundry.
//! - A pass of the scheduler reads as many rows as there are started processes, however many apps
//!   there are.
//! - Tasks have snapshots of their own until they end.
//! - A process is started exactly while it has a snapshot; stopping or deleting the app deletes it.
//!
//! [`Snapshots`]: crate::cloud_controller::flows::desired::Snapshots

mod loader;
mod observer;
mod tasks;
#[cfg(test)]
mod tests;

pub(crate) use loader::*;
pub(crate) use observer::*;
pub(crate) use tasks::*;
