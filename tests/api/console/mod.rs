//! The web console, as a browser without scripts sees it.

mod admin;
mod app_environment;
mod app_manifest;
mod app_tabs;
mod app_versions;
mod apps;
mod browser;
mod explain;
mod files;
mod logs;
mod orgs;
mod push;
mod services;
mod session;
mod shop;
