//! The web console, as a browser without scripts sees it.

mod admin;
mod apps;
mod browser;
mod push;
mod explain;
mod logs;
mod orgs;
mod services;
mod session;
