//! Certificates of the configuration: files with a certificate, its chain and its key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::PkiError;
use super::named::Named;

/// Where a certificate and its key are: `CERTIFICATE,KEY`, or one file with both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// From `CERTIFICATE,KEY` or the name of one file.
    pub fn of(text: &str) -> Self {
        let (certificate, key) = text.split_once(',').unwrap_or((text, text));
        Self {
            certificate: certificate.trim().into(),
            key: key.trim().into(),
        }
    }
}

impl std::fmt::Display for CertificateFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.certificate.display())?;
        if self.key != self.certificate {
            write!(f, ",{}", self.key.display())?;
        }
        Ok(())
    }
}

/// A certificate of the configuration, with the names that it has.
pub(super) fn read(files: &CertificateFiles) -> Result<Named, PkiError> {
    let text = |path: &Path| {
        std::fs::read(path).map_err(|source| PkiError::File {
            path: path.to_owned(),
            source,
        })
    };
    let unusable = |path: &Path, why: String| PkiError::Unusable {
        path: path.to_owned(),
        why,
    };
    let pem = text(&files.certificate)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&files.certificate, error.to_string()))?;
    let none = || unusable(&files.certificate, "it has no certificate".to_owned());
    let names = names(chain.first().ok_or_else(none)?)
        .ok_or_else(|| unusable(&files.certificate, "it is for no host name".to_owned()))?;
    let key = PrivateKeyDer::from_pem_slice(&text(&files.key)?)
        .map_err(|_| unusable(&files.key, "it has no private key".to_owned()))?;
    let provider = rustls::crypto::ring::default_provider();
    let key = CertifiedKey::from_der(chain, key, &provider)
        .map_err(|error| unusable(&files.certificate, error.to_string()))?;
    let key = Arc::new(key);
    Ok(Named { names, key })
}

/// The host names of a certificate, lower case.
fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternatives = parsed.subject_alternative_name().ok().flatten()?;
    let names: Vec<String> = { alternatives.value.general_names.iter() }
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    (!names.is_empty()).then_some(names)
}
