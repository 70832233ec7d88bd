//! Other registries, from which images are copied: names, tokens, manifests and blobs.
//!
//! Users name these registries, so an address of this machine or its link is refused unless the
//! configuration names it, redirects never leave HTTPS, and credentials go only to a token service
//! that belongs to the registry.
//!
//! Every wait has a deadline: 10 s to connect, 30 s for a response, 60 s between two reads. There is
//! no limit for the whole of a blob; a broken download continues where it ended.

mod authorizations;
mod blob;
mod challenge;
mod client;
mod credentials;
mod error;
mod rate_limit;
mod reference;
mod token;
mod token_service;

pub use client::{Settings, Upstreams};
pub use credentials::Credentials;
pub use error::UpstreamError;
pub use reference::ImageReference;

use crate::net::outside::Reach;

pub use crate::net::outside::Patience;

/// Which registries and token services may be asked, besides those that the configuration names.
const REACH: Reach =
    Reach::elsewhere("an address of this machine; the option registry-upstream allows it");

pub(super) use client::{Found, Identity, Session};
