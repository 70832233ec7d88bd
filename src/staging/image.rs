//! A Docker image becomes a droplet: it is copied into the embedded registry and pinned to its
//! digest, so that everything that starts later needs only this machine.
//!
//! An image that its registry does not give away may exist in the local Docker daemon alone
//! (`docker build -t mine .`): then that one is taken, and the log says so.

use std::collections::BTreeMap;

use serde_json::json;

use super::failure::Reason;
use super::fault::Fault;
use super::output::BuildLog;
use super::parts::Shared;
use super::{ImageStaging, Staged, StagedProcess, droplet_repository};
use crate::blobs::Digest;
use crate::docker::Image;
use crate::registry::upstream::{Credentials, ImageReference, UpstreamError};
use crate::registry::{ImageConfig, MirrorRequest, Mirrored};

/// Copies the image of a request.
pub(super) async fn stage(
    shared: &Shared,
    request: &ImageStaging,
    log: &BuildLog,
) -> Result<Staged, Fault> {
    let ended = attempt(shared, request, log).await;
    if let Err(Fault::Failed(reason)) = &ended {
        let (_, why) = reason.describe();
        let why = why.strip_prefix("Staging error: ").unwrap_or(&why);
        log.error(&format!("Staging Failed: {why}"));
    }
    ended
}

async fn attempt(shared: &Shared, request: &ImageStaging, log: &BuildLog) -> Result<Staged, Fault> {
    let failed = |why: String| Fault::Failed(Reason::Other(why));
    log.out("Staging...");
    log.out("Staging process started ...");
    let image = ImageReference::parse(&request.image)
        .map_err(|why| failed(format!("{} is no image reference: {why}", request.image)))?;
    let wanted = Wanted {
        name: &request.image,
        image,
        credentials: request.credentials.clone(),
        repository: droplet_repository(&request.droplet_guid),
        previous: request.previous.clone(),
    };
    let copied = obtain(shared, wanted, log).await;
    let copied = copied.map_err(|error| match error {
        Missing::Upstream(error) => failed(error.to_string()),
        Missing::Other(fault) => fault,
    })?;
    log.out("Staging process finished");
    log.out("Exit status 0");
    log.out("Staging Complete");
    Ok(staged(request, copied))
}

/// An image that is to be in the registry.
pub(super) struct Wanted<'a> {
    /// As the user wrote it.
    pub(super) name: &'a str,
    pub(super) image: ImageReference,
    pub(super) credentials: Option<Credentials>,
    /// Where the copy is published.
    pub(super) repository: String,
    /// The newest copy that the same owner has.
    pub(super) previous: Option<Digest>,
}

/// Why there is no copy of an image.
pub(super) enum Missing {
    /// Its registry does not give it away, and the local daemon has none.
    Upstream(UpstreamError),
    /// Anything else.
    Other(Fault),
}

impl<E: Into<Fault>> From<E> for Missing {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Copies an image from its registry, or else from the local daemon.
pub(super) async fn obtain(
    shared: &Shared,
    wanted: Wanted<'_>,
    log: &BuildLog,
) -> Result<Mirrored, Missing> {
    let mirror = MirrorRequest {
        image: shared.registry.names().origin_of(wanted.image),
        credentials: wanted.credentials,
        platform: shared.engine.info().await?.architecture,
        repository: Some(wanted.repository.clone()),
        previous: wanted.previous,
    };
    log.out(&format!("Pulling {}", mirror.image));
    let error = match copy(shared, &mirror, log).await {
        Ok(copied) => return Ok(copied),
        Err(error) => error,
    };
    let named = (wanted.name, wanted.repository.as_str());
    let copied = local(shared, named, &mirror, (&error, log)).await?;
    copied.ok_or(Missing::Upstream(error))
}

/// Copies the image and forwards what is said about it.
async fn copy(
    shared: &Shared,
    mirror: &MirrorRequest,
    log: &BuildLog,
) -> Result<Mirrored, UpstreamError> {
    let (progress, mut texts) = tokio::sync::mpsc::unbounded_channel::<String>();
    let forward = async {
        while let Some(text) = texts.recv().await {
            log.out(&text);
        }
    };
    let copy = async {
        let copied = shared.registry.mirror(mirror, &progress).await;
        drop(progress);
        copied
    };
    tokio::join!(copy, forward).0
}

/// The image of the local daemon, if it has one of this name and the registry gave none.
async fn local(
    shared: &Shared,
    (name, repository): (&str, &str),
    mirror: &MirrorRequest,
    (error, log): (&UpstreamError, &BuildLog),
) -> Result<Option<Mirrored>, Fault> {
    if !error.allows_local() || shared.registry.is_own(&mirror.image) {
        return Ok(None);
    }
    let found = shared.engine.image(name).await?;
    let Some(found) = found.filter(|found| is_named(found, &mirror.image)) else {
        return Ok(None);
    };
    log.out(&format!("Warning: {error}"));
    log.out(&format!(
        "Using the image {name} of the local Docker daemon ({})",
        found.id
    ));
    let saved = shared.engine.save(name).await?;
    let digest = shared
        .registry
        .import_saved(repository, "latest", saved)
        .await
        .map_err(|error| Fault::Failed(Reason::Other(error.to_string())))?;
    log.out(&format!("Digest: {digest}"));
    Ok(Some(Mirrored {
        digest,
        size: found.size,
        config: config_of(found, mirror.platform.clone()),
    }))
}

/// Whether the daemon knows an image by this name. It also finds images by the beginning of their
/// id, which would open everybody's to whoever tries some.
fn is_named(found: &Image, image: &ImageReference) -> bool {
    let names = found.tags.iter().chain(&found.digests);
    let mut parsed = names.filter_map(|name| ImageReference::parse(name).ok());
    parsed.any(|name| {
        let same = name.host() == image.host() && name.repository() == image.repository();
        same && name.target() == image.target()
    })
}

fn config_of(image: Image, platform: String) -> ImageConfig {
    let ports = image.exposed_ports.iter();
    ImageConfig {
        platform,
        entrypoint: image.entrypoint,
        command: image.command,
        working_dir: image.working_dir,
        user: image.user,
        ports: ports.map(|port| (*port, "tcp".to_owned())).collect(),
    }
}

fn staged(request: &ImageStaging, copied: Mirrored) -> Staged {
    let config = &copied.config;
    let words: Vec<&str> = config
        .entrypoint
        .iter()
        .chain(&config.command)
        .map(String::as_str)
        .collect();
    let command = words.join(" ");
    let web = (!command.is_empty()).then(|| StagedProcess {
        process_type: "web".to_owned(),
        command,
    });
    let types = web
        .iter()
        .map(|web| (web.process_type.clone(), web.command.clone()));
    Staged {
        build_guid: request.build_guid.clone(),
        app_guid: request.app_guid.clone(),
        droplet_guid: request.droplet_guid.clone(),
        layer: None,
        size: copied.size,
        docker_image: Some(request.image.clone()),
        image_digest: copied.digest.clone(),
        process_types: types.collect::<BTreeMap<_, _>>(),
        processes: web.into_iter().collect(),
        sidecars: Vec::new(),
        buildpacks: Vec::new(),
        execution_metadata: execution_metadata(config),
        cache: None,
        stack: None,
    }
}

/// How the image is run, as Diego's builder writes it.
fn execution_metadata(config: &ImageConfig) -> String {
    let ports = config.ports.iter();
    let ports: Vec<_> = ports
        .map(|(number, protocol)| json!({ "Port": number, "Protocol": protocol }))
        .collect();
    json!({
        "cmd": config.command,
        "entrypoint": config.entrypoint,
        "workdir": config.working_dir,
        "ports": ports,
        "user": config.user,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_becomes_a_web_process_with_its_facts() {
        let request = ImageStaging {
            build_guid: "b".into(),
            app_guid: "a".into(),
            droplet_guid: "d".into(),
            image: "me/app:1".to_owned(),
            credentials: None,
            previous: None,
            timeout: std::time::Duration::from_secs(1),
        };
        let config = ImageConfig {
            platform: "linux/amd64".to_owned(),
            entrypoint: vec!["/entry".to_owned()],
            command: vec!["serve".to_owned(), "-v".to_owned()],
            working_dir: "/srv".to_owned(),
            user: "app".to_owned(),
            ports: vec![(80, "tcp".to_owned())],
        };
        let copied = |config| Mirrored {
            digest: Digest::of(b"manifest"),
            config,
            size: 7,
        };
        let result = staged(&request, copied(config.clone()));
        assert_eq!(result.process_types["web"], "/entry serve -v");
        assert_eq!(
            result.execution_metadata,
            r#"{"cmd":["serve","-v"],"entrypoint":["/entry"],"workdir":"/srv","ports":[{"Port":80,"Protocol":"tcp"}],"user":"app"}"#
        );
        let bare = ImageConfig {
            entrypoint: Vec::new(),
            command: Vec::new(),
            ..config
        };
        assert!(staged(&request, copied(bare)).process_types.is_empty());
    }
}
