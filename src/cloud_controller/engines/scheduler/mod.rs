//! What should run: Cloud Controller's side of the scheduler.
//!
//! When a process is started, a snapshot of all it runs with is written down: droplet, command,
//! limits, checks, environment ([`Snapshots`], table `desired_processes`). The scheduler's input
//! ([`DesiredApps`]) is read from the snapshots and the current number of instances alone.
//!
//! - So a change of environment, droplet, limits or routes reaches an app with its next start or
//!   restart, also when an instance crashes or is added before that: as on every Cloud Foundry.
//! - And a pass of the scheduler reads as many rows as there are started processes, however many
//!   apps there are.
//! - Tasks have a snapshot of their own while they have not ended.
//! - A process is started exactly while it has a snapshot; stopping or deleting the app removes it.
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
