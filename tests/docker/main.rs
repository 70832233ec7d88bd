//! What the Docker seam promises, on the engine in memory and on a real daemon.
//!
//! Needs a daemon at `DOCKER_HOST` or the default socket. Where none can be, set
//! `CFLITE_TEST_WITHOUT_DOCKER`: the tests that need it say in one line that they were skipped.

mod bench;
mod chaos;
mod client;
mod cnb;
mod contract;
mod daemon;
mod data_services;
mod development;
mod dns;
mod exec;
mod hostile;
mod images;
mod log_drains;
mod logs;
mod network;
mod own_image;
mod packages;
mod platform;
mod pull_through;
mod registry;
mod route_services;
mod scheduler;
mod ssh;
mod staging;
mod state;
mod survival;
mod tcp_routes;
mod trust;
mod upstream;
