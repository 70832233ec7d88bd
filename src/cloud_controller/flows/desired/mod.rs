//! Desired.

mod outside;
pub(crate) mod services;
mod snapshot;
mod tasks;
pub(crate) mod vcap_application;

pub(crate) use outside::*;
pub(crate) use snapshot::*;
pub(crate) use tasks::*;
