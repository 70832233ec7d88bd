//! Packages fetched ahead: the index of a package and the files of one version that a staging on
//! Linux with x86-64 would take. What the package depends on is not fetched: staging an app once with
//! a network keeps all that it needs.

mod composer;
mod debian;
mod go;
mod maven;
mod npm;
mod pypi;
mod rubygems;
mod version;

use futures_util::TryStreamExt;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::UnboundedSender;

use super::failure::Failure;
use super::source::Source;
use super::target::Target;
use super::{Copied, Packages};

/// The longest index.
const LONGEST: u64 = 128 << 20;

/// What was fetched.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fetched {
    /// With the version: `pypi:flask==3.1.0`.
    name: String,
    /// Paths below the registry's folder.
    files: Vec<String>,
    /// Their bytes.
    size: u64,
}

/// One package under way.
struct Prefetch<'a> {
    packages: &'a Packages,
    source: Source,
    texts: &'a UnboundedSender<String>,
    fetched: Fetched,
}

fn bad_name(text: String) -> Failure {
    Failure::NoSuchPath(text)
}

impl Packages {
    /// Fetches a package such as `pypi:flask==3.1.0`; says each file to `texts`.
    pub(super) async fn prefetch(
        &self,
        name: &str,
        texts: &UnboundedSender<String>,
    ) -> Result<Fetched, Failure> {
        let parsed = name.split_once(':').and_then(|(source, rest)| {
            let rest = Some(rest.trim()).filter(|rest| !rest.is_empty())?;
            Some((Source::named(source)?, rest))
        });
        let (source, rest) = parsed.ok_or_else(|| {
            let known = Source::ALL.map(Source::name).join(", ");
            bad_name(format!(
                "{name:?} is not REGISTRY:NAME, such as pypi:flask; registries are {known}"
            ))
        })?;
        let mut one = Prefetch {
            packages: self,
            source,
            texts,
            fetched: Fetched::default(),
        };
        let found = match source {
            Source::Pypi => one.pypi(rest).await?,
            Source::Npm => one.npm(rest).await?,
            Source::Go => one.go(rest).await?,
            Source::Maven => one.maven(rest).await?,
            Source::Rubygems => one.rubygems(rest).await?,
            Source::Composer => one.composer(rest).await?,
            Source::Debian => one.debian(rest).await?,
        };
        one.fetched.name = format!("{source}:{found}");
        Ok(one.fetched)
    }
}

impl Prefetch<'_> {
    fn target(&self, path: &str, accept: Option<&str>) -> Result<Target, Failure> {
        let other = |source| self.packages.upstreams().other(source).is_some();
        Target::parse(&format!("/{}/{path}", self.source), accept, other)
    }

    /// Fetches a file or document.
    async fn take(&mut self, path: &str, accept: Option<&str>) -> Result<Target, Failure> {
        let target = self.target(path, accept)?;
        let size = match self.packages.get(&target).await? {
            Copied::Stored { held, .. } => held.blob.size,
            Copied::Growing { growing, .. } => growing.ended().await?.size,
        };
        self.fetched.size += size;
        self.fetched.files.push(target.path.clone());
        // Nobody may listen any more.
        drop(self.texts.send(format!("{} ({size} bytes)", target.path)));
        Ok(target)
    }

    /// The same for what a registry need not have.
    async fn take_if_there(&mut self, path: &str, accept: Option<&str>) -> Result<bool, Failure> {
        match self.take(path, accept).await {
            Ok(_) => Ok(true),
            Err(Failure::Missing { .. } | Failure::Offline { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Fetches and reads a document.
    async fn document(&mut self, path: &str, accept: Option<&str>) -> Result<Vec<u8>, Failure> {
        let target = self.take(path, accept).await?;
        let mut document = Vec::new();
        match self.packages.get(&target).await? {
            Copied::Stored { file, .. } => {
                let read = file.take(LONGEST).read_to_end(&mut document).await;
                read.map_err(|error| Failure::Storage(error.to_string()))?;
            }
            Copied::Growing { growing, .. } => {
                let mut bytes = Box::pin(growing.bytes(0..LONGEST));
                while let Some(chunk) = bytes.try_next().await? {
                    document.extend_from_slice(&chunk);
                }
            }
        }
        Ok(document)
    }

    /// A document that must be JSON.
    async fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        path: &str,
        accept: Option<&str>,
    ) -> Result<T, Failure> {
        let document = self.document(path, accept).await?;
        serde_json::from_slice(&document).map_err(|error| {
            Failure::Storage(format!(
                "the registry {} sent no usable {path}: {error}",
                self.source
            ))
        })
    }

    /// The path in the cache of a link in the document at `page`; `None` for one that leads
    /// elsewhere.
    fn path_of(&self, page: &str, link: &str) -> Option<String> {
        use super::source::Server;
        let upstreams = self.packages.upstreams();
        let main = upstreams.base(self.source, Server::Main);
        let page = url::Url::parse(&format!("{main}{page}")).ok()?;
        let mut link = page.join(link).ok()?;
        link.set_fragment(None);
        let folders = match (self.source, upstreams.other(self.source)) {
            (Source::Pypi, None) => vec![(Server::PypiFiles, "files/")],
            (Source::Composer, None) => vec![(Server::GitHub, "dist/api.github.com/")],
            _ => vec![(Server::Main, "")],
        };
        folders.into_iter().find_map(|(server, folder)| {
            let base = upstreams.base(self.source, server);
            let rest = link.as_str().strip_prefix(&base)?;
            Some(format!("{folder}{rest}"))
        })
    }

    fn no_version(&self, name: &str, wanted: Option<&str>) -> Failure {
        let wanted = wanted.map_or_else(
            || "no version".to_owned(),
            |text| format!("no version {text}"),
        );
        Failure::NoSuchPath(format!("{} has {wanted} of {name}", self.source))
    }
}
