//! The certificates of the platform, and who has to show one.

use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::cloud_controller::error::Error;
use crate::cloud_controller::model;
use crate::config::Config;
use crate::db::Db;
use crate::docker::trust::{Authority, Trust};
use crate::pki::{ClientCertificates, Pki};

/// The certificates, made at the first start.
pub(super) fn open(parts: &Parts) -> anyhow::Result<Pki> {
    let config = &parts.config;
    let folder = config.data_dir.join("pki");
    let domain = std::slice::from_ref(&config.domain);
    let pki = Pki::open(&folder, domain, parts.clock.clone())?;
    use_own(&pki, config)?;
    Ok(pki)
}

/// Reads the certificates of the configuration.
pub(super) fn use_own(pki: &Pki, config: &Config) -> anyhow::Result<()> {
    let files = config.tls_certificates.clone();
    pki.use_own(files).context("option tls-certificate")
}

/// TLS settings of listeners.
pub(super) fn settings(pki: &Pki, config: &Config) -> anyhow::Result<Arc<ServerConfig>> {
    let authorities = match (config.client_certificates, &config.client_authorities) {
        (ClientCertificates::None, _) => String::new(),
        (_, Some(path)) => std::fs::read_to_string(path).with_context(|| {
            let path = path.display();
            format!("option client-authorities: cannot read {path}")
        })?,
        (_, None) => bail!(
            "option client-certificates needs client-authorities, a file with the authorities (PEM) \
             that sign the certificates of clients"
        ),
    };
    Ok(pki.server_config(config.client_certificates, &authorities)?)
}

/// What containers trust: the authorities of the machine's owner and the platform's.
pub(super) fn trust(id: &str, authorities: &[Authority], pki: &Pki) -> Trust {
    let own = Authority {
        name: "cflite.crt".to_owned(),
        pem: pki.authority_pem().as_bytes().to_vec(),
    };
    Trust::new(id, [authorities, &[own]].concat())
}

/// Lets every domain of routes have a certificate, whenever one comes or goes.
pub(super) async fn follow_domains(
    pki: Pki,
    db: Db,
    token: CancellationToken,
) -> Result<(), Error> {
    let mut changes = db.changes();
    loop {
        changes.mark_unchanged();
        pki.cover(&db.read(model::route_table::http_domains).await?);
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}
