#![doc = include_str!("../ARCHITECTURE.md")]

pub mod base;
pub mod blobs;
pub mod cli;
pub mod cloud_controller;
pub mod config;
pub mod db;
pub mod docker;
pub mod logs;
pub mod net;
pub mod pki;
pub mod platform;
pub mod registry;
pub mod router;
pub mod scheduler;
pub mod staging;
pub mod uaa;
