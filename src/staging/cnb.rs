//! Cloud Native Buildpacks: what their builder is told, and the images that hold some of them.
//!
//! They run on the stack's build image like all others, and so have the same container, limits and
//! outputs. An image is copied into the registry first, into the repository of the droplet to be, and
//! its parts are given to the container as files: the daemon needs no access to any registry, and a
//! later copy of the same image downloads nothing. The copy stays as long as the droplet, under a
//! tag of its own, so that the app can be staged again without network and credentials.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::{CNB_DOWNLOAD_CODE, Reason};
use super::fault::Fault;
use super::image::{self, Missing, Wanted};
use super::output::BuildLog;
use super::parts::Shared;
use super::{BuildpackSource, Lifecycle, PackageStaging, droplet_repository};
use crate::base::Secret;
use crate::base::guid::DropletGuid;
use crate::blobs::Digest;
use crate::docker::bound_files;
use crate::registry::upstream::{Credentials, ImageReference, UpstreamError};
use crate::registry::{ImageParts, RegistryError};

/// What staging with Cloud Native Buildpacks needs.
#[derive(Clone, Debug, Default)]
pub struct CnbStaging {
    /// For the hosts of buildpacks that have some; for this build only.
    pub credentials: HostCredentials,
    /// The app's newest droplet: it has copies of the images of its buildpacks.
    pub previous: Option<DropletGuid>,
}

/// Credentials by host, as users write them: `username` and `password`, or `token`. Neither shown
/// nor logged.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostCredentials(Map<String, Value>);

impl fmt::Debug for HostCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("credentials")
    }
}

impl HostCredentials {
    /// As in a request.
    pub fn new(by_host: Map<String, Value>) -> Self {
        Self(by_host)
    }

    /// For pulls from the host of an image; the error says why they cannot be used.
    fn for_image(&self, image: &ImageReference) -> Result<Option<Credentials>, String> {
        let same_host = |name: &str| {
            let named = ImageReference::parse(&format!("{name}/repository"));
            name == image.host() || named.is_ok_and(|named| named.host() == image.host())
        };
        let Some((host, entry)) = self.0.iter().find(|(name, _)| same_host(name)) else {
            return Ok(None);
        };
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        match (text("username"), text("password"), text("token")) {
            (Some(username), Some(password), None) => {
                let (username, password) = (username.to_owned(), password.to_owned());
                Ok(Some(Credentials::of_user(username, password)))
            }
            (None, None, Some(token)) => {
                Ok(Some(Credentials::Token(Secret::new(token.to_owned()))))
            }
            _ => Err(format!(
                "the credentials of {host} are neither username and password nor a token"
            )),
        }
    }

    /// As JSON, only for the hosts of these URLs; `None` if there are none. Credentials for a host
    /// are good for all its ports (cnbapplifecycle, `pkg/keychain`), unless the port has its own.
    fn for_urls<'a>(&self, urls: impl Iterator<Item = &'a str>) -> Option<String> {
        let mut found = Map::new();
        for url in urls {
            let Ok(url) = url::Url::parse(url) else {
                continue;
            };
            let name = url.host_str().unwrap_or_default();
            let port = url.port_or_known_default().unwrap_or_default();
            let with_port = format!("{name}:{port}");
            let host = match url.port() {
                Some(_) => with_port.clone(),
                None => name.to_owned(),
            };
            if let Some(entry) = self.0.get(&with_port).or_else(|| self.0.get(name)) {
                found.insert(host, entry.clone());
            }
        }
        (!found.is_empty()).then(|| Value::Object(found).to_string())
    }
}

/// The name of a buildpack's files in `/tmp/buildpacks`.
pub(super) fn key(source: &BuildpackSource) -> String {
    let short = |digest: &Digest| digest.hex()[..16].to_owned();
    match source {
        BuildpackSource::Uploaded(digest) => short(digest),
        BuildpackSource::BuiltIn(text)
        | BuildpackSource::Url(text)
        | BuildpackSource::Image(text) => short(&Digest::of(text.as_bytes())),
    }
}

/// The arguments of the builder.
pub(super) fn arguments(request: &PackageStaging) -> Vec<String> {
    let mut arguments = Vec::new();
    if !request.skip_detect {
        arguments.push("--auto-detect".to_owned());
    }
    let is_variable = |name: &String| !name.starts_with(bound_files::FILE);
    for name in request
        .environment
        .iter()
        .map(|(name, _)| name)
        .filter(|name| is_variable(name))
    {
        arguments.push(format!("--pass-env-var={name}"));
    }
    for choice in &request.buildpacks {
        let key = key(&choice.source);
        if let BuildpackSource::Url(url) = &choice.source {
            arguments.extend(["--download".to_owned(), format!("{key}={url}")]);
        }
        arguments.extend(["--buildpack".to_owned(), format!("{key}={}", choice.name)]);
    }
    arguments
}

/// The variables of the builder.
pub(super) fn variables(
    request: &PackageStaging,
    credentials: &HostCredentials,
) -> Vec<(String, String)> {
    let urls = request.buildpacks.iter();
    let urls = urls.filter_map(|choice| match &choice.source {
        BuildpackSource::Url(url) => Some(url.as_str()),
        BuildpackSource::BuiltIn(_) | BuildpackSource::Uploaded(_) | BuildpackSource::Image(_) => {
            None
        }
    });
    let fixed = [
        ("CNB_USER_ID", "2000"),
        ("CNB_GROUP_ID", "2000"),
        ("CNB_STACK_ID", request.stack.as_str()),
    ];
    let fixed = fixed.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let credentials = credentials.for_urls(urls);
    let credentials = credentials.map(|json| ("CNB_REGISTRY_CREDS".to_owned(), json));
    fixed.into_iter().chain(credentials).collect()
}

/// Copies the images of a request's buildpacks; gives their parts by key.
pub(super) async fn pull(
    shared: &Shared,
    request: &PackageStaging,
    log: &BuildLog,
) -> Result<BTreeMap<String, ImageParts>, Fault> {
    let mut found = BTreeMap::new();
    let Lifecycle::Cnb(cnb) = &request.lifecycle else {
        return Ok(found);
    };
    for choice in &request.buildpacks {
        let (BuildpackSource::Image(name), key) = (&choice.source, key(&choice.source)) else {
            continue;
        };
        let image = Pulled {
            name,
            tag: format!("buildpack-{key}"),
            repository: droplet_repository(&request.droplet_guid),
        };
        if let Entry::Vacant(free) = found.entry(key) {
            free.insert(image.pull(shared, cnb, log).await?);
        }
    }
    Ok(found)
}

/// An image of buildpacks, and where its copy is.
struct Pulled<'a> {
    name: &'a str,
    tag: String,
    repository: String,
}

impl Pulled<'_> {
    async fn pull(
        self,
        shared: &Shared,
        cnb: &CnbStaging,
        log: &BuildLog,
    ) -> Result<ImageParts, Fault> {
        let name = self.name;
        let broken = |error: RegistryError| missing(error.to_string());
        let image = ImageReference::parse(name)
            .map_err(|why| missing(format!("docker://{name} is no image reference: {why}")))?;
        let registry = &shared.registry;
        let previous = match &cnb.previous {
            Some(droplet) => {
                let repository = droplet_repository(droplet);
                registry
                    .find(&repository, &self.tag)
                    .await
                    .map_err(broken)?
            }
            None => None,
        };
        let wanted = Wanted {
            name,
            credentials: cnb.credentials.for_image(&image).map_err(missing)?,
            image,
            repository: self.repository.clone(),
            previous,
        };
        let copied = image::obtain(shared, wanted, log).await;
        let digest = copied.map_err(|error| with_advice(error, name))?.digest;
        let shared = registry.share(&digest, &self.repository, &self.tag);
        shared.await.map_err(broken)?;
        registry.parts(&digest).await.map_err(broken)
    }
}

fn missing(why: String) -> Fault {
    Fault::Failed(Reason::Exit {
        code: CNB_DOWNLOAD_CODE,
        cause: Some(why),
    })
}

/// Says why an image is not here, and how else the buildpack gets here.
fn with_advice(error: Missing, image: &str) -> Fault {
    let why = match error {
        Missing::Other(fault) => return fault,
        Missing::Upstream(UpstreamError::Unauthorized {
            image,
            with_credentials: false,
        }) => format!(
            "{image} does not exist or needs credentials: give them as cnb-credentials in the manifest, or to the cf CLI in \
             CF_CNB_REGISTRY_CREDS"
        ),
        Missing::Upstream(error) => error.to_string(),
    };
    missing(format!(
        "{why}; check name, network and credentials, load it into Docker with `docker pull {image}` or `docker load`, or \
         upload its file once with `cf create-buildpack NAME FILE.cnb 1 --lifecycle cnb` and name it with -b NAME"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn credentials(by_host: Value) -> HostCredentials {
        serde_json::from_value(by_host).expect("credentials")
    }

    #[test]
    fn an_image_gets_the_credentials_of_its_host() {
        let all = credentials(json!({
            "index.docker.io": { "username": "hub", "password": "p" },
            "localhost:5000": { "username": "local", "password": "p" },
            "ghcr.io": { "token": "t" },
            "quay.io": { "username": "incomplete" },
        }));
        let refused = |why: &str| Err(why.to_owned());
        let user = |name: &str| Some(Credentials::of_user(name.to_owned(), "p".to_owned()));
        let cases = [
            ("me/buildpack", Ok(user("hub"))),
            ("docker.io/me/buildpack:1", Ok(user("hub"))),
            ("localhost:5000/me/buildpack", Ok(user("local"))),
            ("example.com/me/buildpack", Ok(None)),
            (
                "ghcr.io/me/buildpack",
                Ok(Some(Credentials::Token(Secret::new("t".to_owned())))),
            ),
            (
                "quay.io/me/buildpack",
                refused("the credentials of quay.io are neither username and password nor a token"),
            ),
        ];
        for (image, expected) in cases {
            let image = ImageReference::parse(image).expect("a reference");
            let found = all.for_image(&image);
            assert_eq!(found, expected, "{image}");
        }
        assert_eq!(format!("{all:?}"), "credentials");
    }

    #[test]
    fn the_container_gets_only_credentials_for_its_downloads() {
        let all =
            credentials(json!({ "a.test": { "token": "1" }, "b.test:8443": { "token": "2" } }));
        let urls = ["https://a.test/x.tgz", "https://c.test/x.tgz"];
        let found = all.for_urls(urls.into_iter());
        assert_eq!(found.as_deref(), Some(r#"{"a.test":{"token":"1"}}"#));
        let found = all.for_urls(["https://b.test:8443/x.tgz"].into_iter());
        assert_eq!(found.as_deref(), Some(r#"{"b.test:8443":{"token":"2"}}"#));
        assert_eq!(all.for_urls(["docker"].into_iter()), None);
    }
}
