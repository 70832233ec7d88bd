//! `result.json`, the builder's summary of the droplet. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BuildpackChoice, BuildpackSource, StagedBuildpack, StagedProcess, StagedSidecar};
use crate::base::Megabytes;

/// The maximum size of the file.
pub(super) const MAX_SIZE: u64 = 1 << 20;
const MAX_PROCESSES: usize = 200;
const MAX_NAME: usize = 255;

/// The validated content of the file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) process_types: BTreeMap<String, String>,
    pub(super) processes: Vec<StagedProcess>,
    pub(super) sidecars: Vec<StagedSidecar>,
    pub(super) buildpacks: Vec<StagedBuildpack>,
    pub(super) execution_metadata: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    process_types: BTreeMap<String, String>,
    #[serde(default)]
    processes: Vec<Process>,
    #[serde(default)]
    sidecars: Vec<Sidecar>,
    #[serde(default)]
    execution_metadata: String,
    #[serde(default)]
    lifecycle_metadata: Metadata,
}

#[derive(Deserialize)]
struct Process {
    r#type: String,
    command: String,
}

#[derive(Deserialize)]
struct Sidecar {
    name: String,
    #[serde(default)]
    process_types: Vec<String>,
    command: String,
    memory: Option<serde_json::Value>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    detected_buildpack: String,
    #[serde(default)]
    buildpacks: Vec<Buildpack>,
}

#[derive(Deserialize)]
struct Buildpack {
    key: String,
    #[serde(default)]
    name: String,
    version: Option<String>,
}

/// Parses and validates the file; `choices` map the buildpacks to their names on the platform.
pub(super) fn read(json: &[u8], choices: &[BuildpackChoice]) -> Result<Summary, String> {
    // Serde would also accept an array for a struct.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err("result.json is not an object".to_owned());
    }
    let file: File =
        serde_json::from_slice(json).map_err(|e| format!("result.json is invalid: {e}"))?;
    let types = file.process_types.keys();
    let names = types.chain(file.sidecars.iter().map(|sidecar| &sidecar.name));
    let mut count = 0;
    for name in names {
        count += 1;
        if name.is_empty() || name.len() > MAX_NAME || count > MAX_PROCESSES {
            return Err(format!("result.json has an invalid process {name:?}"));
        }
    }
    Ok(Summary {
        buildpacks: buildpacks(file.lifecycle_metadata, choices),
        process_types: file.process_types,
        processes: file.processes.into_iter().map(process).collect(),
        sidecars: file.sidecars.into_iter().map(sidecar).collect(),
        execution_metadata: file.execution_metadata,
    })
}

fn process(process: Process) -> StagedProcess {
    StagedProcess {
        process_type: process.r#type,
        command: process.command,
    }
}

fn sidecar(sidecar: Sidecar) -> StagedSidecar {
    StagedSidecar {
        name: sidecar.name,
        process_types: sidecar.process_types,
        command: sidecar.command,
        memory: sidecar.memory.and_then(|v| v.as_i64()).map(Megabytes),
    }
}

fn buildpacks(metadata: Metadata, choices: &[BuildpackChoice]) -> Vec<StagedBuildpack> {
    let last = metadata.buildpacks.len().saturating_sub(1);
    let detected = metadata.detected_buildpack;
    let shown = metadata.buildpacks.into_iter().enumerate();
    shown
        .map(|(index, buildpack)| StagedBuildpack {
            name: choices
                .iter()
                .find(|choice| choice.source.key() == buildpack.key)
                .map_or(buildpack.key, |choice| choice.name.clone()),
            detect_output: if index == last {
                detected.clone()
            } else {
                String::new()
            },
            buildpack_name: Some(buildpack.name).filter(|name| !name.is_empty()),
            version: buildpack.version.filter(|version| !version.is_empty()),
        })
        .collect()
}

impl BuildpackSource {
    /// Whether the platform has its files.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::BuiltIn(_) | Self::Uploaded(_))
    }

    /// The builder's key: the folder in `/tmp/buildpacks`, or the URL.
    pub(super) fn key(&self) -> String {
        match self {
            Self::BuiltIn(folder) => folder.clone(),
            Self::Uploaded(digest) => digest.hex()[..16].to_owned(),
            Self::Url(text) | Self::Image(text) => text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &[u8] = br#"{"process_types":{"web":"$HOME/boot.sh"},
        "processes":[{"type":"web","command":"$HOME/boot.sh"}],
        "sidecars":[{"name":"agent","process_types":["web"],"command":"run","memory":16}],
        "execution_metadata":"","lifecycle_type":"buildpack","lifecycle_metadata":{
        "buildpack_key":"staticfile","detected_buildpack":"staticfile","buildpacks":[
        {"key":"https://example.com/x.zip","name":"extra"},
        {"key":"staticfile","name":"staticfile","version":"1.0.0"}]}}"#;

    #[test]
    fn names_on_the_platform_replace_keys() {
        let choices = [BuildpackChoice {
            name: "staticfile_buildpack".into(),
            source: BuildpackSource::BuiltIn("staticfile".into()),
        }];
        let summary = read(STATIC, &choices).expect("a summary");
        assert_eq!(summary.process_types["web"], "$HOME/boot.sh");
        assert_eq!(summary.sidecars[0].memory, Some(Megabytes(16)));
        let shown: Vec<_> = summary
            .buildpacks
            .iter()
            .map(|b| {
                (
                    b.name.as_str(),
                    b.detect_output.as_str(),
                    b.version.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("https://example.com/x.zip", "", None),
                ("staticfile_buildpack", "staticfile", Some("1.0.0")),
            ]
        );
    }

    #[test]
    fn invalid_results_are_rejected() {
        let long = format!(r#"{{"process_types":{{"{}":"x"}}}}"#, "x".repeat(300));
        let cases = [
            "",
            "[]",
            r#"{"process_types":{"":"x"}}"#,
            r#"{"processes":[1]}"#,
            &long,
        ];
        for json in cases {
            assert!(read(json.as_bytes(), &[]).is_err(), "{json}");
        }
        assert_eq!(read(b"{}", &[]), Ok(Summary::default()));
    }
}
