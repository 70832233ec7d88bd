//! Other registries, from which images are copied: names, tokens, manifests and blobs.
//!
//! Users name these registries, so an address of this machine or its link is refused unless the
//! configuration names it, redirects never leave HTTPS, and credentials go only to a token service
//! that belongs to the registry.
//!
//! Every wait has a deadline: 10 s to connect, 30 s for a response, 60 s between two reads. There is
//! no limit for the whole of a blob; a broken download continues where it ended.

mod address;
mod authorizations;
mod blob;
mod challenge;
mod client;
mod credentials;
mod error;
mod patience;
mod reference;
mod token;

pub use client::{Settings, Upstreams};
pub use credentials::Credentials;
pub use error::UpstreamError;
pub use patience::Patience;
pub use reference::ImageReference;

pub(super) use client::{Found, Identity, Session};
