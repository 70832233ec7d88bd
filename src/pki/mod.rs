//! Certificates: a local certificate authority, the server certificate it signs, TLS settings.
//!
//! Both are in one folder, one file each with key and certificate together, so that a crash cannot
//! leave a key without its certificate. They survive restarts, so that a user has to trust the
//! authority only once. A new server certificate is issued when its names change and
//! [`RENEW_BEFORE`] its expiry; running listeners use it at once, since the settings hold a
//! resolver, not a certificate.
//!
//! Names of other domains have certificates of their own, from the configuration ([`own`]) or from
//! the authority; which one a client gets is decided in [`resolver`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use crate::base::{Clock, Timestamp};

pub mod client;
mod clients;
mod files;
mod issue;
mod named;
mod own;
mod resolver;
#[cfg(test)]
pub(crate) mod testing;

pub use clients::ClientCertificates;
use issue::{Authority, Issued};
use named::Named;
pub use own::CertificateFiles;
use resolver::Resolver;

/// How long before its expiry a certificate is renewed.
pub const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
const CHECK_EVERY: Duration = Duration::from_secs(6 * 3600);
const AUTHORITY_FILE: &str = "authority.pem";
const SERVER_FILE: &str = "server.pem";

/// The certificate of the authority in a folder (PEM); `None` before the first start.
pub fn authority_in(directory: &Path) -> Result<Option<String>, PkiError> {
    let issued = files::read(&directory.join(AUTHORITY_FILE))?;
    Ok(issued.map(|issued| issue::certificates_of(&issued.pem).to_owned()))
}

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
    /// A file of the configuration has not what it should have.
    #[error("certificate file {path}: {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The authorities of clients cannot be used.
    #[error("the authorities of clients' certificates cannot be used: {0}")]
    ClientAuthorities(String),
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
    authority: Arc<Authority>,
    /// What the platform's certificate covers.
    names: Vec<String>,
    own: Mutex<Vec<CertificateFiles>>,
    resolver: Arc<Resolver>,
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
        let authority = Arc::new(open_authority(&directory.join(AUTHORITY_FILE), now)?);
        let names = names_for(domains);
        let server = open_server(&directory.join(SERVER_FILE), &authority, &names, now)?;
        let platform = named(&server)?;
        let resolver = Resolver::new(platform, authority.clone(), clock.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                directory: directory.to_owned(),
                clock,
                authority,
                names,
                own: Mutex::default(),
                resolver: Arc::new(resolver),
            }),
        })
    }

    /// TLS settings for listeners: HTTP/2 and HTTP/1.1 by ALPN, TLS 1.2 and newer.
    /// `authorities` (PEM) sign the certificates of clients, if those are asked for.
    pub fn server_config(
        &self,
        clients: ClientCertificates,
        authorities: &str,
    ) -> Result<Arc<ServerConfig>, PkiError> {
        let verifier = clients::verifier(clients, authorities)?;
        server_settings(self.inner.resolver.clone(), verifier)
    }

    /// The authority's certificate, for users to trust (PEM).
    pub fn authority_pem(&self) -> &str {
        &self.inner.authority.certificate_pem
    }

    /// Sets the domains of the platform: their names have certificates, too.
    pub fn cover(&self, domains: &[String]) {
        let lower = domains.iter().map(|domain| domain.to_ascii_lowercase());
        self.inner.resolver.domains.store(Arc::new(lower.collect()));
    }

    /// Uses certificates of the configuration for the names that they are for. Those before stay when
    /// one cannot be read.
    pub fn use_own(&self, files: Vec<CertificateFiles>) -> Result<(), PkiError> {
        let mut own = self
            .inner
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.read_own(&files)?;
        *own = files;
        Ok(())
    }

    fn read_own(&self, files: &[CertificateFiles]) -> Result<(), PkiError> {
        let read: Vec<Named> = files.iter().map(own::read).collect::<Result<_, _>>()?;
        self.inner.resolver.own.store(Arc::new(read));
        Ok(())
    }

    /// Renews the server certificate when it is due, and reads those of the configuration again.
    pub fn refresh(&self) -> Result<(), PkiError> {
        let inner = &self.inner;
        let path = inner.directory.join(SERVER_FILE);
        let server = open_server(&path, &inner.authority, &inner.names, inner.clock.now())?;
        inner.resolver.platform.store(Arc::new(named(&server)?));
        let own = inner.own.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_own(&own)
    }

    /// A worker for the supervisor: refreshes until cancelled.
    pub async fn keep_fresh(self, token: CancellationToken) -> Result<(), PkiError> {
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            let pki = self.clone();
            let refreshed = tokio::task::spawn_blocking(move || pki.refresh()).await;
            match refreshed.map_err(|_| PkiError::Interrupted)? {
                // What is in use stays so: its owner may be writing the files.
                Err(error @ (PkiError::File { .. } | PkiError::Unusable { .. })) => {
                    tracing::warn!(%error, "a certificate was not read again");
                }
                other => other?,
            }
        }
    }
}

fn server_settings(
    resolver: Arc<Resolver>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver);
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

fn named(issued: &Issued) -> Result<Named, PkiError> {
    Ok(Named {
        names: issued.names.clone(),
        key: Arc::new(certified(issued)?),
    })
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
