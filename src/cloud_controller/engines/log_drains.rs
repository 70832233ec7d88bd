//! Which log drains are wanted: those of service bindings, and those of the configuration, which
//! get the logs of all apps.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::base::Live;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::model::log_drains::BoundDrain;
use crate::db::{Db, ReadTx, Vault};
use crate::logs::{Drain, DrainSource, DrainTls, drain_hostname};

/// The drains of a platform.
pub(crate) struct WantedDrains {
    /// Bindings.
    pub db: Db,
    /// Decrypts certificates.
    pub vault: Vault,
    /// URLs of drains for all apps.
    pub aggregate: Live<Vec<String>>,
}

#[async_trait]
impl DrainSource for WantedDrains {
    async fn wanted(&self) -> std::result::Result<Vec<Drain>, String> {
        let vault = self.vault.clone();
        let found: Result<Vec<Drain>> = self.db.read(move |tx| of_apps(tx, &vault)).await;
        let mut drains = found.map_err(|error| error.to_string())?;
        drains.extend(self.aggregate.get().iter().map(|url| Drain {
            source_id: None,
            url: url.clone(),
            tls: DrainTls::default(),
            hostname: "cflite".to_owned(),
        }));
        Ok(drains)
    }
}

fn of_apps(tx: &ReadTx<'_>, vault: &Vault) -> Result<Vec<Drain>> {
    let bound = model::log_drains::all(tx)?.into_iter();
    let drains = bound.map(|drain| Drain {
        source_id: Some(drain.app.as_str().into()),
        // In the database a comma would separate URLs.
        url: drain.url.replace("%2c", ","),
        tls: tls_of(tx, vault, &drain),
        hostname: drain_hostname([&drain.organization, &drain.space, &drain.app_name]),
    });
    Ok(drains.collect())
}

/// The certificates in a binding's credentials. Without readable ones the drain still runs, and
/// tells in the app's log what it lacks.
fn tls_of(tx: &ReadTx<'_>, vault: &Vault, drain: &BoundDrain) -> DrainTls {
    if !drain.has_credentials {
        return DrainTls::default();
    }
    match model::service_credential_bindings::secrets(tx, vault, &drain.binding) {
        Ok(secrets) => certificates(secrets.credentials.unwrap_or_default()),
        Err(error) => {
            tracing::error!(binding.guid = %drain.binding, %error, "cannot read the certificates of a log drain");
            DrainTls::default()
        }
    }
}

fn certificates(credentials: Map<String, Value>) -> DrainTls {
    let text = |name: &str| {
        let value = credentials.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    DrainTls {
        certificate: text("cert"),
        key: text("key"),
        authority: text("ca"),
    }
}
