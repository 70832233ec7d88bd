//! What spans resources: starting and deleting apps, staging, tasks, deployments, manifests. Every
//! function runs inside its caller's transaction; nothing here waits or talks to an engine.

pub(crate) mod cascades;
pub(crate) mod catalog;
pub(crate) mod deletion;
pub(crate) mod deployments;
pub(crate) mod desired;
pub(crate) mod development;
pub(crate) mod embedded_broker;
pub(crate) mod manifests;
pub(crate) mod running;
pub(crate) mod seed;
pub(crate) mod staging;
pub(crate) mod tasks;
