//! How apps, the platform and this machine find each other.
//!
//! [`dns`] answers for the names of the platform and of its apps.

pub mod dns;
