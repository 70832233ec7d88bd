//! HTTP clients. TLS uses the same provider of cryptography as the server; reqwest brings none.

use std::sync::Arc;

use reqwest::ClientBuilder;
use rustls::crypto::ring;

/// A client that trusts the certificates of this machine's store. Building it reads them.
pub fn builder() -> ClientBuilder {
    // Fails if there is a provider already.
    drop(ring::default_provider().install_default());
    ClientBuilder::new()
}

/// A client for plain HTTP, such as to a platform on this machine; it trusts no certificate.
pub fn plain() -> ClientBuilder {
    let provider = Arc::new(ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|config| {
            config
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth()
        });
    match config {
        Ok(config) => ClientBuilder::new().tls_backend_preconfigured(config),
        // The provider supports no version of TLS: only a build without any could do that.
        Err(error) => {
            tracing::debug!(%error, "no TLS for a plain client");
            builder()
        }
    }
}
