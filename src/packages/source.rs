//! The public registries: a fixed table, so that nothing else can be reached through the cache.

use std::fmt;

/// A public registry of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Python.
    Pypi,
    /// JavaScript.
    Npm,
    /// Go modules and toolchains.
    Go,
    /// Maven Central.
    Maven,
    /// Ruby.
    Rubygems,
    /// PHP.
    Composer,
    /// Debian's archive.
    Debian,
}

/// Which server of a registry has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Server {
    /// Its index; all of it where the configuration names a server.
    Main,
    /// The files of PyPI.
    PypiFiles,
    /// Go's checksum database.
    GoSums,
    /// Where the PHP packages of GitHub are archives.
    GitHub,
}

impl Source {
    /// All, in the order of lists.
    pub const ALL: [Self; 7] = [
        Self::Pypi,
        Self::Npm,
        Self::Go,
        Self::Maven,
        Self::Rubygems,
        Self::Composer,
        Self::Debian,
    ];

    /// Its folder in the cache, and its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pypi => "pypi",
            Self::Npm => "npm",
            Self::Go => "go",
            Self::Maven => "maven",
            Self::Rubygems => "rubygems",
            Self::Composer => "composer",
            Self::Debian => "debian",
        }
    }

    /// The registry of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Server {
    /// What all its URLs begin with, unless the configuration names another server.
    pub(super) fn default_base(self, source: Source) -> &'static str {
        match self {
            Self::Main => match source {
                Source::Pypi => "https://pypi.org/",
                Source::Npm => "https://registry.npmjs.org/",
                Source::Go => "https://proxy.golang.org/",
                Source::Maven => "https://repo.maven.apache.org/maven2/",
                Source::Rubygems => "https://rubygems.org/",
                Source::Composer => "https://repo.packagist.org/",
                Source::Debian => "https://deb.debian.org/debian/",
            },
            Self::PypiFiles => "https://files.pythonhosted.org/",
            Self::GoSums => "https://sum.golang.org/",
            Self::GitHub => "https://api.github.com/",
        }
    }
}

/// A base URL or path with a slash at its end.
pub(super) fn with_slash(text: &str) -> String {
    if text.ends_with('/') {
        text.to_owned()
    } else {
        format!("{text}/")
    }
}
