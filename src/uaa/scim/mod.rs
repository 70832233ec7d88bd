//! SCIM: how administrators manage users (`cf create-user`, `cf delete-user`, `cf passwd`).
//!
//! Reading needs `scim.read`, writing `scim.write`; users may read themselves and change their own
//! password. Times and versions follow UAA: a change names the version it is based on in
//! `If-Match`, where `*` means any.

pub(crate) mod filter;
pub(crate) mod handlers;
pub(crate) mod password;
#[cfg(test)]
mod password_tests;
pub(crate) mod payload;
pub(crate) mod presenter;
pub(crate) mod store;
#[cfg(test)]
mod tests;
