//! Manifests.

pub(crate) mod apply;
pub(crate) mod services;
pub(crate) mod written;
