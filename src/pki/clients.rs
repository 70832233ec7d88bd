//! Certificates of clients (mTLS): whether they are asked for, and who signs them.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use serde::{Deserialize, Serialize};

use super::PkiError;

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    None,
    /// They may show one; one that is not valid ends the handshake.
    Request,
    /// They must show one.
    Require,
}

/// What verifies clients' certificates, by authorities as PEM; `None` when none is asked for.
pub(super) fn verifier(
    wanted: ClientCertificates,
    authorities: &str,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, PkiError> {
    if wanted == ClientCertificates::None {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    let all = super::client::certificates(authorities).unwrap_or_default();
    roots.add_parsable_certificates(all);
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match wanted {
        ClientCertificates::Require => builder,
        ClientCertificates::None | ClientCertificates::Request => builder.allow_unauthenticated(),
    };
    let verifier = builder.build();
    let unusable = |error: rustls::server::VerifierBuilderError| {
        PkiError::ClientAuthorities(error.to_string())
    };
    Ok(Some(verifier.map_err(unusable)?))
}
