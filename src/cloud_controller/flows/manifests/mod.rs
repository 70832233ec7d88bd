//! Manifests.

pub(crate) mod apply;
pub(crate) mod written;
