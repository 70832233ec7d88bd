//! Which parts of the platform there are: one place for every document that tells. A part that is
//! not there has no link, so that a client says so instead of running into a 404.

use std::collections::BTreeSet;

/// Parts with an address that only some platforms have.
#[derive(Debug, Clone, Default)]
pub struct OnBoard {
    /// Where `cf ssh` connects to.
    pub ssh: Option<SshDoor>,
    /// The others.
    pub parts: BTreeSet<Part>,
}

/// A part with an address of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The firehose over WebSocket (`doppler`).
    Firehose,
    /// The firehose over HTTP (`log-stream`).
    LogStream,
    /// The API of router groups for TCP routes, at `/routing`.
    Routing,
    /// The API of network policies, at `/networking`.
    NetworkPolicies,
}

/// The door for SSH.
#[derive(Debug, Clone)]
pub struct SshDoor {
    /// Its port.
    pub port: u16,
    /// SHA-256 of the host's key, base64 without padding.
    pub host_key_fingerprint: String,
    /// The client whose one-time codes open it.
    pub oauth_client: &'static str,
}
