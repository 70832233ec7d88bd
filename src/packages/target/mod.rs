//! What a request asks for: a file or a document of a public registry.

mod segments;
mod sources;

use super::accept::{Form, choose};
use super::failure::Failure;
use super::source::{Server, Source};
use super::store::Key;

/// How long a copy is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its name has a version or a digest: it never changes.
    File,
    /// An index: its registry is asked again.
    Document,
}

/// What the cache says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixed {
    /// The start of a Composer repository.
    ComposerRoot,
    /// The checksum database of Go can be read here.
    GoSums,
}

/// A file or document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) source: Source,
    /// Below the registry's folder, in one way of writing it.
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) server: Server,
    /// Below the server's base URL.
    pub(super) upstream_path: String,
    /// As `cflite packages prefetch` takes it: `pypi:flask`.
    pub(super) package: String,
    /// Of a document with several forms, both and the one that is wanted.
    pub(super) forms: Option<(&'static [Form; 2], Form)>,
    pub(super) fixed: Option<Fixed>,
}

/// The parts of a target that each registry knows.
struct Found {
    kind: Kind,
    server: Server,
    upstream_path: String,
    /// Without the registry's name.
    package: String,
    forms: Option<&'static [Form; 2]>,
    fixed: Option<Fixed>,
}

impl Target {
    /// What the path of a request names. With `other_server`, the configuration names a server of
    /// its own for the registry: then everything below it can be asked for.
    pub(super) fn parse(
        path: &str,
        accept: Option<&str>,
        other_server: impl Fn(Source) -> bool,
    ) -> Result<Self, Failure> {
        let refused = |text: &str| Failure::NoSuchPath(format!("{path:?}: {text}"));
        let (parts, folder) = segments::split(path).map_err(refused)?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let Some((first, parts)) = parts.split_first() else {
            return Err(refused("no package registry"));
        };
        let Some(source) = Source::named(first) else {
            let known = Source::ALL.map(Source::name).join(", ");
            return Err(refused(&format!(
                "{first} is no package registry that cflite knows; these are: {known}"
            )));
        };
        let other = other_server(source);
        let found = sources::find(source, parts, folder);
        let found = match found {
            Some(mut found) if other => {
                if found.server != Server::Main {
                    found.server = Server::Main;
                    found.upstream_path = segments::join(parts);
                }
                found.fixed = found.fixed.filter(|fixed| *fixed != Fixed::GoSums);
                Some(found)
            }
            None if other => sources::of_other_server(parts),
            found => found,
        };
        let Some(found) = found else {
            return Err(refused(&format!("the registry {source} has no such path")));
        };
        let chosen = found.forms.map(|forms| (forms, choose(accept, forms)));
        Ok(Self {
            source,
            path: segments::join(parts),
            kind: found.kind,
            server: found.server,
            upstream_path: found.upstream_path,
            package: format!("{source}:{}", found.package),
            forms: chosen,
            fixed: found.fixed,
        })
    }

    /// The name of its copy.
    pub(super) fn key(&self) -> Key {
        Key {
            source: self.source,
            path: self.path.clone(),
            variant: self.forms.map_or("", |(_, form)| form.variant),
        }
    }

    /// The same document in its other form.
    pub(super) fn other_form(&self) -> Option<Self> {
        let (forms, form) = self.forms?;
        let other = forms.iter().find(|other| **other != form)?;
        let mut same = self.clone();
        same.forms = Some((forms, *other));
        Some(same)
    }
}

/// The path of a PyPI page.
pub(super) fn pypi_page(project: &str) -> String {
    segments::join(&["simple", project])
}

#[cfg(test)]
mod tests;
