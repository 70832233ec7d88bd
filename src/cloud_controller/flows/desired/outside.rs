//! An app's image outside of the platform: `docker run -e PORT=8080 REGISTRY/organization/space/app`.

use super::snapshot::{CNB_VARIABLES, DEFAULT_PORT, specify};
use crate::blobs::Digest;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::apps::{App, LifecycleType};
use crate::db::ReadTx;
use crate::registry::ImageChange;

/// The image of an app, and what starts it there.
pub(crate) struct OutsideImage {
    /// The droplet's.
    pub image: Digest,
    /// `None`: the image starts by itself.
    pub change: Option<ImageChange>,
}

/// Of the current droplet; `None` without one. The app's own variables stay inside: they may be
/// secret, and who runs the image gives others.
pub(crate) fn outside_image(tx: &ReadTx<'_>, app: &App) -> Result<Option<OutsideImage>> {
    let droplet = match &app.current_droplet_guid {
        Some(guid) => model::desired::find_droplet(tx, guid)?.filter(|droplet| droplet.staged),
        None => None,
    };
    let web = model::processes::oldest_web(tx, &app.guid)?;
    let (Some(droplet), Some(web)) = (droplet, web) else {
        return Ok(None);
    };
    let Some(image) = &droplet.image_digest else {
        return Ok(None);
    };
    let image = Digest::parse(image).map_err(|error| Error::internal(error.to_string()))?;
    let kind = app.lifecycle.kind;
    let sidecars = model::sidecars::of_process(tx, &app.guid, &web.kind)?;
    let mapped = model::desired::mapped_ports(tx, &app.guid, &web.kind)?;
    let specification = specify(&web, &droplet, kind, &sidecars, &mapped);
    let has_command = web
        .command
        .as_deref()
        .is_some_and(|command| !command.is_empty());
    if kind == LifecycleType::Docker && !has_command {
        let change = None;
        return Ok(Some(OutsideImage { image, change }));
    }
    let change = ImageChange {
        environment: if kind == LifecycleType::Docker {
            Vec::new()
        } else {
            variables(app, specification.ports.first().copied())
        },
        working_dir: specification.working_dir,
        user: specification.user,
        entrypoint: specification.entrypoint,
        command: Some(specification.command),
        exposed_ports: specification.ports,
        comment: format!("starts {} outside of cflite", app.name),
        ..ImageChange::default()
    };
    Ok(Some(OutsideImage {
        image,
        change: Some(change),
    }))
}

/// What apps expect to find; whoever runs the image may replace it.
fn variables(app: &App, port: Option<u16>) -> Vec<(String, String)> {
    let name = serde_json::json!({ "application_name": app.name, "name": app.name });
    let port = port.unwrap_or(DEFAULT_PORT).to_string();
    let mut all = vec![
        ("LANG", "en_US.UTF-8".to_owned()),
        ("HOME", "/home/vcap".to_owned()),
        ("USER", "vcap".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("CF_INSTANCE_INDEX", "0".to_owned()),
        ("INSTANCE_INDEX", "0".to_owned()),
        ("PORT", port),
        ("VCAP_APPLICATION", name.to_string()),
        ("VCAP_SERVICES", "{}".to_owned()),
    ];
    if app.lifecycle.kind == LifecycleType::Cnb {
        all.extend(CNB_VARIABLES.map(|(name, value)| (name, value.to_owned())));
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    all.into_iter().map(owned).collect()
}
