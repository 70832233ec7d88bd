//! TLS to drains: the authorities of this machine, of the platform and of the binding are trusted,
//! and the binding's certificate is shown.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::{Settings, Tls};
use crate::pki::client::{self, certificates};

/// The settings of a drain's connections; the error is for the app's log. Reads the store of this
/// machine.
pub(super) async fn config(
    tls: &Tls,
    settings: &Settings,
    shown: &str,
) -> Result<Arc<ClientConfig>, String> {
    let (tls, shown) = (tls.clone(), shown.to_owned());
    let authority = settings.authority.clone();
    let built = tokio::task::spawn_blocking(move || build(&tls, authority.expose(), &shown));
    built
        .await
        .unwrap_or_else(|error| Err(format!("reading certificates was interrupted: {error}")))
}

fn build(tls: &Tls, authority: &str, shown: &str) -> Result<Arc<ClientConfig>, String> {
    let no_authority = || format!("failed to load root CA for {shown}");
    let no_certificate = || format!("failed to load certificate for {shown}");
    let mut roots = client::roots(authority);
    if !tls.authority.trim().is_empty() {
        let own = certificates(&tls.authority).ok_or_else(no_authority)?;
        let (added, _) = roots.add_parsable_certificates(own);
        if added == 0 {
            return Err(no_authority());
        }
    }
    let config = client::trusting(roots).map_err(|_| no_certificate())?;
    if tls.certificate.trim().is_empty() && tls.key.trim().is_empty() {
        return Ok(Arc::new(config.with_no_client_auth()));
    }
    let chain = certificates(&tls.certificate).ok_or_else(no_certificate)?;
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes()).map_err(|_| no_certificate())?;
    let config = config.with_client_auth_cert(chain, key);
    Ok(Arc::new(config.map_err(|_| no_certificate())?))
}
