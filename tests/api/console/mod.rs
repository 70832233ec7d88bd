//! The web console, as a browser without scripts sees it.

mod admin;
mod apps;
mod browser;
mod explain;
mod logs;
mod orgs;
mod push;
mod services;
mod session;
