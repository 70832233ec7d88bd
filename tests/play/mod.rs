//! Requests written down as text and played against a platform: [`script`] says in which language,
//! `given.txt` and `lookups.txt` hold what many scripts share. Test programs take what they need.

#![allow(dead_code, reason = "each test program uses a part")]

mod broker;
mod files;
pub(crate) mod player;
pub(crate) mod script;
