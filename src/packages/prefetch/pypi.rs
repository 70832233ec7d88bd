//! `pypi:flask` and `pypi:flask==3.1.0`.

use serde::Deserialize;

use super::{Prefetch, version};
use crate::packages::failure::Failure;
use crate::packages::names;

const JSON: &str = "application/vnd.pypi.simple.v1+json";
/// The Python of the stack, as wheels name it.
const PYTHON: &str = "cp311";

#[derive(Deserialize)]
struct Page {
    files: Vec<File>,
}

#[derive(Debug, Clone, Deserialize)]
struct File {
    filename: String,
    url: String,
    #[serde(default)]
    yanked: serde_json::Value,
    #[serde(default, rename = "core-metadata", alias = "dist-info-metadata")]
    metadata: serde_json::Value,
}

fn is_set(value: &serde_json::Value) -> bool {
    !matches!(
        value,
        serde_json::Value::Null | serde_json::Value::Bool(false)
    )
}

/// Links of a page in either form.
fn files(page: &[u8]) -> Vec<File> {
    if let Ok(page) = serde_json::from_slice::<Page>(page) {
        return page.files;
    }
    let page = String::from_utf8_lossy(page);
    let anchors = page.split("<a ").skip(1).filter_map(|rest| {
        let tag = rest.split('>').next()?;
        let url = tag.split_once("href=\"")?.1.split('"').next()?;
        let url = url.replace("&amp;", "&");
        let filename = url.split('#').next()?.rsplit('/').next()?.to_owned();
        Some(File {
            filename,
            url: url.clone(),
            yanked: tag.contains("data-yanked").into(),
            metadata: (tag.contains("data-core-metadata")
                || tag.contains("data-dist-info-metadata"))
            .into(),
        })
    });
    anchors.collect()
}

/// Whether a wheel installs on Linux with x86-64 and the stack's Python.
fn installs(wheel: &str) -> bool {
    let mut tags = wheel.trim_end_matches(".whl").rsplit('-');
    let (Some(platform), Some(abi), Some(python)) = (tags.next(), tags.next(), tags.next()) else {
        return false;
    };
    let platform = platform.split('.').any(|one| {
        one == "any"
            || (one.ends_with("x86_64")
                && (one.starts_with("manylinux") || one.starts_with("linux")))
    });
    let own =
        |one: &str| one == "py3" || one == PYTHON || (abi == "abi3" && one.starts_with("cp3"));
    platform && python.split('.').any(own)
}

impl Prefetch<'_> {
    pub(super) async fn pypi(&mut self, name: &str) -> Result<String, Failure> {
        let (project, wanted) = match name.split_once("==") {
            Some((project, version)) => (project, Some(version)),
            None => (name, None),
        };
        let project = names::pypi(project);
        let page = format!("simple/{project}/");
        // Scripts read the other form.
        self.take(&page, Some("text/html")).await?;
        let all = files(&self.document(&page, Some(JSON)).await?);
        let usable = all.iter().filter(|file| {
            let own = names::pypi_file(&file.filename).is_some_and(|(name, _)| name == project);
            own && (wanted.is_some() || !is_set(&file.yanked))
        });
        let usable: Vec<&File> = usable.collect();
        let versions = usable
            .iter()
            .filter_map(|file| Some(names::pypi_file(&file.filename)?.1));
        let chosen = match wanted {
            Some(wanted) => versions.into_iter().find(|version| *version == wanted),
            None => version::newest(versions, version::is_early_python),
        };
        let chosen = chosen.ok_or_else(|| self.no_version(&project, wanted))?;
        let of_version = usable.iter().filter(|file| {
            names::pypi_file(&file.filename).is_some_and(|(_, version)| version == chosen)
        });
        let (wheels, archives): (Vec<&File>, Vec<&File>) =
            of_version.partition(|file| file.filename.strip_suffix(".whl").is_some());
        let mut taken: Vec<&File> = wheels
            .into_iter()
            .filter(|wheel| installs(&wheel.filename))
            .collect();
        if taken.is_empty() {
            taken = archives;
        }
        if taken.is_empty() {
            return Err(self.no_version(&format!("{project} for Linux"), Some(chosen)));
        }
        for file in taken {
            let Some(path) = self.path_of(&page, &file.url) else {
                continue;
            };
            if is_set(&file.metadata) {
                self.take_if_there(&format!("{path}.metadata"), None)
                    .await?;
            }
            self.take(&path, None).await?;
        }
        Ok(format!("{project}=={chosen}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_for_the_stack_are_chosen() {
        for (wheel, good) in [
            ("flask-3.1.0-py3-none-any.whl", true),
            ("six-1.16.0-py2.py3-none-any.whl", true),
            (
                "numpy-2.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                true,
            ),
            ("cryptography-44-cp39-abi3-manylinux_2_28_x86_64.whl", true),
            ("numpy-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", false),
            ("numpy-2.0-cp311-cp311-musllinux_1_2_x86_64.whl", false),
            ("numpy-2.0-cp311-cp311-win_amd64.whl", false),
            ("numpy-2.0-cp311-cp311-macosx_11_0_arm64.whl", false),
            ("old-1.0-py2-none-any.whl", false),
        ] {
            assert_eq!(installs(wheel), good, "{wheel}");
        }
    }
}
