//! What is staged: the folder, and what its manifest and the command line say of it.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use super::super::app_folder::AppFolder;
use crate::base::yaml::{self, Node, Value};
use crate::base::{Bytes, Megabytes};
use crate::blobs::Digest;
use crate::cloud_controller::flows::seed::BUILDPACKS;
use crate::staging::{BuildpackChoice, BuildpackSource};

/// What a manifest says of an app.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) name: Option<String>,
    pub(super) buildpacks: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) memory: Option<Megabytes>,
}

impl Manifest {
    /// The folder's own; an empty one if there is none.
    pub(super) fn of(folder: &AppFolder) -> anyhow::Result<Self> {
        for name in ["manifest.yml", "manifest.yaml"] {
            if let Some(text) = folder.text(name) {
                return Self::parse(&text).with_context(|| format!("cannot use {name}"));
            }
        }
        Ok(Self::default())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let document = yaml::read(text)?;
        let Some(Node {
            value: Value::List(apps),
            ..
        }) = document.get("applications")
        else {
            return Ok(Self::default());
        };
        let [app] = &apps[..] else {
            bail!("it describes {} apps; give the folder of one", apps.len());
        };
        if app.get("docker").is_some()
            || app
                .get("lifecycle")
                .and_then(Node::as_text)
                .is_some_and(|kind| kind != "buildpack")
        {
            bail!("only apps that are staged with Cloud Foundry's buildpacks can be run");
        }
        let text = |node: &Node| node.clone().into_text();
        let several = match app.get("buildpacks").map(|node| &node.value) {
            Some(Value::List(all)) => all.iter().map(text).collect(),
            _ => Vec::new(),
        };
        let single = app.get("buildpack").map(text);
        let environment = match app.get("env").map(|node| &node.value) {
            Some(Value::Map(pairs)) => pairs
                .iter()
                .map(|(key, value)| (text(key), text(value)))
                .collect(),
            _ => Vec::new(),
        };
        let memory = app.get("memory").map(text);
        Ok(Self {
            name: app.get("name").map(text),
            buildpacks: if several.is_empty() {
                single.into_iter().collect()
            } else {
                several
            },
            environment,
            memory: memory.as_deref().map(parse_memory).transpose()?,
        })
    }
}

/// `512M`.
pub(super) fn parse_memory(text: &str) -> anyhow::Result<Megabytes> {
    let bytes = Bytes::parse_short(text).filter(|bytes| bytes.0 >= 1 << 20);
    let bytes = bytes.with_context(|| format!("{text} is not an amount of memory such as 512M"))?;
    Ok(Megabytes(bytes.0 >> 20))
}

/// The buildpacks to use, and the zips of those that are files.
pub(super) struct Buildpacks {
    pub(super) choices: Vec<BuildpackChoice>,
    pub(super) archives: Vec<tempfile::NamedTempFile>,
    /// Whether they are used without asking them.
    pub(super) skip_detect: bool,
}

impl Buildpacks {
    /// Names of built-in buildpacks, URLs, folders and zips; without any, the built-in ones detect
    /// the app in their usual order.
    pub(super) fn of(given: &[String]) -> anyhow::Result<Self> {
        let mut all = Self {
            choices: Vec::new(),
            archives: Vec::new(),
            skip_detect: !given.is_empty(),
        };
        if given.is_empty() {
            all.choices = BUILDPACKS
                .iter()
                .map(|(name, folder)| built_in(name, folder))
                .collect();
        }
        for one in given {
            all.add(one)?;
        }
        Ok(all)
    }

    fn add(&mut self, given: &str) -> anyhow::Result<()> {
        let known = BUILDPACKS
            .iter()
            .find(|(name, folder)| *name == given || *folder == given);
        if let Some((name, folder)) = known {
            self.choices.push(built_in(name, folder));
            return Ok(());
        }
        let path = Path::new(given);
        if path.exists() {
            let zip = zip_of(path)?;
            let digest = Digest::of_file(zip.path())?;
            self.choices.push(BuildpackChoice {
                name: given.to_owned(),
                source: BuildpackSource::Uploaded(digest),
            });
            self.archives.push(zip);
            return Ok(());
        }
        if !given.contains("://") && !given.starts_with("git@") {
            let names: Vec<&str> = BUILDPACKS.iter().map(|(name, _)| *name).collect();
            bail!(
                "{given} is no buildpack: give a URL, a folder, a zip, or one of {}",
                names.join(", ")
            );
        }
        self.choices.push(BuildpackChoice {
            name: given.to_owned(),
            source: BuildpackSource::Url(given.to_owned()),
        });
        Ok(())
    }
}

fn built_in(name: &str, folder: &str) -> BuildpackChoice {
    BuildpackChoice {
        name: name.to_owned(),
        source: BuildpackSource::BuiltIn(folder.to_owned()),
    }
}

fn zip_of(path: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let mut zip = tempfile::NamedTempFile::new()?;
    if path.is_dir() {
        let folder = AppFolder::open(path)?;
        folder.write_zip(&folder.files()?, zip.as_file_mut())?;
    } else {
        fs::copy(path, zip.path()).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(zip)
}

/// Splits `NAME=VALUE`.
pub(super) fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("give NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_one_app_counts() {
        let manifest = Manifest::parse(
            "applications:\n- name: web\n  memory: 1G\n  buildpack: python_buildpack\n  env: {A: 1, B: on}\n",
        );
        let manifest = manifest.expect("a manifest");
        assert_eq!(manifest.memory, Some(Megabytes(1024)));
        assert_eq!(manifest.buildpacks, ["python_buildpack"]);
        assert_eq!(manifest.environment.len(), 2);
        for refused in [
            "applications: [{name: a}, {name: b}]",
            "applications: [{name: a, docker: {image: x}}]",
            "applications: [{name: a, lifecycle: cnb}]",
            "applications: [{name: a, memory: much}]",
        ] {
            assert!(Manifest::parse(refused).is_err(), "{refused}");
        }
        assert_eq!(Manifest::parse("a: b").expect("read"), Manifest::default());
    }

    #[test]
    fn buildpacks_are_names_urls_and_files() {
        let detected = Buildpacks::of(&[]).expect("built in");
        assert!(!detected.skip_detect);
        assert_eq!(detected.choices[0].name, "staticfile_buildpack");
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(dir.path().join("bin")).expect("created");
        let path = dir.path().display().to_string();
        let given = [
            "python".to_owned(),
            "https://example.com/b.zip".to_owned(),
            path,
        ];
        let found = Buildpacks::of(&given).expect("found");
        assert!(found.skip_detect && found.archives.len() == 1);
        let sources: Vec<_> = found.choices.iter().map(|one| &one.source).collect();
        assert!(matches!(
            sources[..],
            [
                BuildpackSource::BuiltIn(_),
                BuildpackSource::Url(_),
                BuildpackSource::Uploaded(_)
            ]
        ));
        let unknown = Buildpacks::of(&["pyhton".to_owned()])
            .err()
            .expect("refused");
        assert!(
            unknown.to_string().contains("python_buildpack"),
            "{unknown}"
        );
    }
}
