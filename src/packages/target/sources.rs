//! The paths of each registry.

use super::segments::join;
use super::{Fixed, Found, Kind};
use crate::packages::accept::{NPM, PYPI};
use crate::packages::names;
use crate::packages::source::{Server, Source};

/// Endings of files that never change.
const ARCHIVES: [&str; 10] = [
    ".whl",
    ".gz",
    ".tgz",
    ".zip",
    ".bz2",
    ".xz",
    ".gem",
    ".jar",
    ".deb",
    ".metadata",
];

/// What the parts of a path below a registry's folder name.
pub(super) fn find(source: Source, parts: &[&str], folder: bool) -> Option<Found> {
    match source {
        Source::Pypi => pypi(parts),
        _ if folder => None,
        Source::Npm => npm(parts),
        Source::Go => go(parts),
        Source::Maven => maven(parts),
        Source::Rubygems => rubygems(parts),
        Source::Composer => composer(parts),
        Source::Debian => debian(parts),
    }
}

fn found(kind: Kind, parts: &[&str], package: impl Into<String>) -> Found {
    Found {
        kind,
        server: Server::Main,
        upstream_path: join(parts),
        package: package.into(),
        forms: None,
        fixed: None,
    }
}

/// Anything of a server that the configuration names.
pub(super) fn of_other_server(parts: &[&str]) -> Option<Found> {
    let last = parts.last()?;
    let package = names::of_pypi_file(last).unwrap_or_else(|| join(parts));
    let archive = ARCHIVES.iter().any(|ending| last.ends_with(ending));
    let kind = if archive { Kind::File } else { Kind::Document };
    Some(found(kind, parts, package))
}

fn pypi(parts: &[&str]) -> Option<Found> {
    match parts {
        ["simple", project] => {
            let project = names::pypi(project);
            let mut page = found(Kind::Document, parts, project.clone());
            page.upstream_path = format!("{}/", join(&["simple", &project]));
            page.forms = Some(&PYPI);
            Some(page)
        }
        ["files", rest @ ..] => {
            let file = rest.last()?;
            let package = names::of_pypi_file(file)?;
            let mut file = found(Kind::File, rest, package);
            file.server = Server::PypiFiles;
            Some(file)
        }
        _ => None,
    }
}

fn npm(parts: &[&str]) -> Option<Found> {
    let (name, rest) = match parts {
        ["-", ..] => return None,
        [scope, name, rest @ ..] if scope.starts_with('@') => (format!("{scope}/{name}"), rest),
        [name, rest @ ..] if !name.starts_with('@') => ((*name).to_owned(), rest),
        _ => return None,
    };
    match rest {
        [] => {
            let mut document = found(Kind::Document, parts, name);
            document.forms = Some(&NPM);
            Some(document)
        }
        ["-", file] => {
            let short = name.rsplit('/').next().unwrap_or(&name);
            let version = file.strip_suffix(".tgz")?;
            let version = version.strip_prefix(short)?.strip_prefix('-')?;
            Some(found(Kind::File, parts, format!("{name}@{version}")))
        }
        [version] => Some(found(Kind::Document, parts, format!("{name}@{version}"))),
        _ => None,
    }
}

fn go(parts: &[&str]) -> Option<Found> {
    if let ["sumdb", "sum.golang.org", rest @ ..] = parts {
        let (kind, package) = match rest {
            ["supported"] => (Kind::Document, String::new()),
            ["latest"] => (Kind::Document, "sum.golang.org".to_owned()),
            ["lookup", name @ ..] if !name.is_empty() => {
                (Kind::File, names::go_unescaped(&name.join("/")))
            }
            ["tile", tile @ ..] if tile.len() >= 3 => (Kind::File, "sum.golang.org".to_owned()),
            _ => return None,
        };
        let mut sums = found(kind, rest, package);
        sums.server = Server::GoSums;
        if rest == ["supported"] {
            sums.fixed = Some(Fixed::GoSums);
        }
        return Some(sums);
    }
    let (last, module) = parts.split_last()?;
    let module = match module {
        [] => return None,
        [module @ .., "@v"] => module,
        module if *last == "@latest" => module,
        _ => return None,
    };
    if module.is_empty() {
        return None;
    }
    let name = names::go_unescaped(&module.join("/"));
    let version = [".info", ".mod", ".zip"]
        .iter()
        .find_map(|ending| last.strip_suffix(ending));
    match (*last, version) {
        ("@latest" | "list", _) => Some(found(Kind::Document, parts, name)),
        (_, Some(version)) => {
            let version = names::go_unescaped(version);
            let kind = if names::is_go_version(&version) {
                Kind::File
            } else {
                // A branch or a part of a version.
                Kind::Document
            };
            Some(found(kind, parts, format!("{name}@{version}")))
        }
        _ => None,
    }
}

fn maven(parts: &[&str]) -> Option<Found> {
    let (file, folders) = parts.split_last()?;
    let metadata = file.starts_with("maven-metadata.xml") || file.starts_with("archetype-catalog");
    if metadata {
        let package = match folders {
            [group @ .., artifact] if !group.is_empty() => {
                format!("{}:{artifact}", group.join("."))
            }
            _ => folders.join("."),
        };
        return Some(found(Kind::Document, parts, package));
    }
    let [group @ .., artifact, version] = folders else {
        return None;
    };
    if group.is_empty() || !file.starts_with(artifact) {
        return None;
    }
    let kind = if version.ends_with("-SNAPSHOT") {
        Kind::Document
    } else {
        Kind::File
    };
    let package = format!("{}:{artifact}:{version}", group.join("."));
    Some(found(kind, parts, package))
}

fn rubygems(parts: &[&str]) -> Option<Found> {
    match parts {
        ["versions" | "names"] => Some(found(Kind::Document, parts, "rubygems.org")),
        ["info", name] => Some(found(Kind::Document, parts, *name)),
        [specs] if specs.ends_with("specs.4.8.gz") => {
            Some(found(Kind::Document, parts, "rubygems.org"))
        }
        ["gems", file] => {
            let gem = names::of_gem(file.strip_suffix(".gem")?)?;
            Some(found(Kind::File, parts, gem))
        }
        ["quick", "Marshal.4.8", file] => {
            let gem = names::of_gem(file.strip_suffix(".gemspec.rz")?)?;
            Some(found(Kind::File, parts, gem))
        }
        _ => None,
    }
}

fn composer(parts: &[&str]) -> Option<Found> {
    match parts {
        ["packages.json"] => {
            let mut root = found(Kind::Document, parts, "packagist.org");
            root.fixed = Some(Fixed::ComposerRoot);
            Some(root)
        }
        ["p2", vendor, file] => {
            let name = file.strip_suffix(".json")?;
            let name = name.strip_suffix("~dev").unwrap_or(name);
            Some(found(Kind::Document, parts, format!("{vendor}/{name}")))
        }
        ["dist", "api.github.com", rest @ ..] => {
            let ["repos", owner, repository, "zipball" | "tarball", commit] = rest else {
                return None;
            };
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            let kind = if is_commit {
                Kind::File
            } else {
                Kind::Document
            };
            let mut archive = found(kind, rest, format!("{owner}/{repository}"));
            archive.server = Server::GitHub;
            Some(archive)
        }
        _ => None,
    }
}

fn debian(parts: &[&str]) -> Option<Found> {
    let kind = match parts {
        ["pool", _, .., _] | ["dists", _, .., "by-hash", _, _] => Kind::File,
        ["dists", _, .., _] => Kind::Document,
        _ => return None,
    };
    Some(found(kind, parts, join(parts)))
}
