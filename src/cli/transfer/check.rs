//! `cflite check`: what would differ for an app on another platform.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::super::client::Client;
use super::super::{Session, block_on, credentials, explain, process, show};
use super::assess::{Finding, assess};
use super::offers;
use super::parcel::Parcel;
use super::place::There;

/// Which app, and where.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 0 when the app could run there, also where something differs, and with 1 when it could not.
Nothing is changed on either side.

cflite check shop --against https://api.example.com --org acme --space dev
CFLITE_TARGET_PASSWORD=… cflite check acme/dev/shop --against https://api.example.com --user ada")]
pub(in crate::cli) struct Check {
    /// APP, SPACE/APP or ORGANIZATION/SPACE/APP
    app: String,
    /// The API of the other Cloud Foundry
    #[arg(long, value_name = "API")]
    against: String,
    #[command(flatten)]
    there: There,
    /// Domain there for the routes of the app [default: the usual one]
    #[arg(long = "to-domain", value_name = "NAME")]
    to_domain: Option<String>,
}

pub(in crate::cli) fn run(session: Session, arguments: &Check) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let running = process::get(&config.data_dir)?;
    let password = credentials::password(&config)?;
    let findings = block_on(async {
        let here = Client::sign_in(&running, &password).await?;
        let guid = explain::find(&here, &arguments.app).await?;
        let parcel = Parcel::read(&here, &guid).await?;
        let there = arguments.there.sign_in(&arguments.against).await?;
        let domain = arguments.to_domain.as_deref();
        let offers = offers::find(&here, &there, &parcel, domain).await?;
        Ok(assess(&parcel, &offers))
    })?;
    let blocked = super::is_blocked(&findings);
    if session.json {
        let all: Value = findings.iter().map(Finding::as_json).collect();
        show::json(&json!({ "runs": !blocked, "findings": all }));
    } else {
        super::table(&findings);
    }
    Ok(if blocked {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
