//! Certificates: a local certificate authority, the server certificate it signs, TLS settings.
//!
//! Both are in one folder, one file each with key and certificate together, so that a crash cannot
//! leave a key without its certificate. They survive restarts, so that a user has to trust the
//! authority only once. A new server certificate is issued when its names change and
//! [`RENEW_BEFORE`] its expiry; running listeners use it at once, since the settings hold a
//! resolver, not a certificate.
//!
//! Not supported on purpose: selection by SNI. One certificate covers all names, and a client that
//! sends no name, or an unknown one, still gets a response it can read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use crate::base::{Clock, Timestamp};

pub mod client;
mod files;
mod issue;
#[cfg(test)]
pub(crate) mod testing;

use issue::{Authority, Issued};

/// How long before its expiry a certificate is renewed.
pub const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
const CHECK_EVERY: Duration = Duration::from_secs(6 * 3600);
const AUTHORITY_FILE: &str = "authority.pem";
const SERVER_FILE: &str = "server.pem";

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("certificate file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A certificate cannot be issued.
    #[error("cannot issue a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The TLS library rejects a certificate.
    #[error("cannot use the certificate for TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A file cannot be parsed.
    #[error("certificate file {0} is damaged; remove it to create a new one")]
    Damaged(PathBuf),
    /// Interrupted by shutdown.
    #[error("issuing a certificate was interrupted")]
    Interrupted,
}

/// Certificates of one platform; clones share them.
#[derive(Clone)]
pub struct Pki {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    authority: Authority,
    names: Mutex<Vec<String>>,
    resolver: Arc<Current>,
    config: Arc<ServerConfig>,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki")
            .field("directory", &self.inner.directory)
            .finish_non_exhaustive()
    }
}

impl Pki {
    /// Opens the certificates in `directory` and creates those that are missing or about to expire.
    /// They cover each of `domains` with all names one level below it, `*.apps.`, `*.login.` and
    /// `*.uaa.` too; an IP address is covered as it is. `localhost` and loopback are always
    /// covered.
    pub fn open(
        directory: &Path,
        domains: &[String],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PkiError> {
        let now = clock.now();
        files::prepare_directory(directory)?;
        let authority = open_authority(&directory.join(AUTHORITY_FILE), now)?;
        let names = names_for(domains);
        let server = open_server(&directory.join(SERVER_FILE), &authority, &names, now)?;
        let resolver = Arc::new(Current(ArcSwap::from_pointee(certified(&server)?)));
        let config = server_settings(resolver.clone())?;
        Ok(Self {
            inner: Arc::new(Inner {
                directory: directory.to_owned(),
                clock,
                authority,
                names: Mutex::new(names),
                resolver,
                config,
            }),
        })
    }

    /// TLS settings for listeners: HTTP/2 and HTTP/1.1 by ALPN, TLS 1.2 and newer.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.inner.config.clone()
    }

    /// The authority's certificate, for users to trust (PEM).
    pub fn authority_pem(&self) -> &str {
        &self.inner.authority.certificate_pem
    }

    /// Sets the covered domains, after one was added or removed.
    pub fn cover(&self, domains: &[String]) -> Result<(), PkiError> {
        *self.names() = names_for(domains);
        self.refresh()
    }

    /// Renews the server certificate when it is due; does nothing otherwise.
    pub fn refresh(&self) -> Result<(), PkiError> {
        let names = self.names();
        let path = self.inner.directory.join(SERVER_FILE);
        let now = self.inner.clock.now();
        let server = open_server(&path, &self.inner.authority, &names, now)?;
        self.inner.resolver.0.store(Arc::new(certified(&server)?));
        Ok(())
    }

    /// A worker for the supervisor: refreshes until cancelled.
    pub async fn keep_fresh(self, token: CancellationToken) -> Result<(), PkiError> {
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            let pki = self.clone();
            tokio::task::spawn_blocking(move || pki.refresh())
                .await
                .map_err(|_| PkiError::Interrupted)??;
        }
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.inner
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn server_settings(resolver: Arc<Current>) -> Result<Arc<ServerConfig>, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

fn names_for(domains: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    for domain in domains {
        let domain = domain.to_ascii_lowercase();
        if domain.parse::<std::net::IpAddr>().is_err() {
            names.push(format!("*.{domain}"));
            names.extend(["apps", "login", "uaa"].map(|name| format!("*.{name}.{domain}")));
        }
        names.push(domain);
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn open_authority(path: &Path, now: Timestamp) -> Result<Authority, PkiError> {
    if let Some(issued) = files::read(path)?
        && issued.renew_at > now
    {
        return Authority::load(issued).map_err(|_| PkiError::Damaged(path.to_owned()));
    }
    let issued = issue::authority(now)?;
    files::write(path, &issued)?;
    Authority::load(issued)
}

fn open_server(
    path: &Path,
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> Result<Issued, PkiError> {
    // No client trusts the server certificate directly, so a damaged one is replaced.
    let known = match files::read(path) {
        Err(PkiError::Damaged(_)) => None,
        other => other?,
    };
    if let Some(issued) = known
        && issued.renew_at > now
        && issued.names == names
        && issued.issuer == authority.serial
    {
        return Ok(issued);
    }
    let issued = issue::server(authority, names, now)?;
    files::write(path, &issued)?;
    Ok(issued)
}

fn certified(issued: &Issued) -> Result<CertifiedKey, PkiError> {
    let damaged = || PkiError::Damaged(PathBuf::from(SERVER_FILE));
    let chain = rustls::pki_types::CertificateDer::pem_slice_iter(issued.pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| damaged())?;
    let key = PrivateKeyDer::from_pem_slice(issued.pem.as_bytes()).map_err(|_| damaged())?;
    let provider = rustls::crypto::ring::default_provider();
    Ok(CertifiedKey::from_der(chain, key, &provider)?)
}

#[cfg(test)]
mod tests;
