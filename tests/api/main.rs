//! The platform in process, with Docker in memory: requests as the cf CLI makes them.

mod apps;
mod errors;
mod manifests;
mod organizations;
mod roles;
