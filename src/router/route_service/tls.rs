//! TLS to route services elsewhere: the authorities of this machine and of the platform are trusted.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, ClientConfig, Error};
use tokio::sync::OnceCell;

use super::super::failure::{Failure, TlsFault};
use crate::pki::client;

/// The settings of TLS, made when they are first needed: reading the store of this machine takes
/// time and memory.
pub(in crate::router) struct ServiceTls {
    authority: String,
    config: OnceCell<Arc<ClientConfig>>,
}

impl ServiceTls {
    /// `authority` is the platform's, as PEM.
    pub(in crate::router) fn new(authority: String) -> Self {
        Self {
            authority,
            config: OnceCell::new(),
        }
    }

    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        let config = self.config.get_or_try_init(async || {
            let authority = self.authority.clone();
            let built = tokio::task::spawn_blocking(move || {
                let roots = client::roots(&authority);
                let config = client::trusting(roots)?.with_no_client_auth();
                Ok::<_, Error>(Arc::new(config))
            });
            let built = built.await.map_err(|error| error.to_string())?;
            built.map_err(|error| error.to_string())
        });
        let config = config.await.cloned();
        config.map_err(|cause: String| Failure::tls(TlsFault::Handshake, cause))
    }
}

/// A handshake that failed.
pub(super) fn failed(error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let fault = match inner {
        Some(Error::InvalidCertificate(reason)) => match reason {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::WrongName
            }
            _ => TlsFault::Untrusted,
        },
        Some(Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        )) => TlsFault::OurCertificate,
        _ => TlsFault::Handshake,
    };
    let cause = match inner {
        // Another authority of the same name.
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => "x509: certificate signed by unknown authority".to_owned(),
        _ => error.to_string(),
    };
    Failure::tls(fault, cause)
}
