//! The web console, as a browser without scripts sees it.

mod apps;
mod browser;
mod push;
mod explain;
mod logs;
mod session;
