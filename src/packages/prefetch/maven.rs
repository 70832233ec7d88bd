//! `maven:group:artifact`, `maven:group:artifact:version[:classifier][@type]`.

use super::{Prefetch, bad_name};
use crate::packages::failure::Failure;

/// The most parents of a POM.
const PARENTS: usize = 16;

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

fn folder(group: &str, artifact: &str) -> String {
    format!("{}/{artifact}", group.replace('.', "/"))
}

/// Group, artifact and version of a POM's parent.
fn parent(pom: &str) -> Option<(String, String, String)> {
    let parent = element(pom, "parent")?;
    let text = |name| element(parent, name).map(str::to_owned);
    Some((text("groupId")?, text("artifactId")?, text("version")?))
}

impl Prefetch<'_> {
    pub(super) async fn maven(&mut self, name: &str) -> Result<String, Failure> {
        let (name, kind) = match name.split_once('@') {
            Some((name, kind)) => (name, Some(kind)),
            None => (name, None),
        };
        let parts: Vec<&str> = name.split(':').collect();
        let (group, artifact, version, classifier) = match parts.as_slice() {
            [group, artifact] => (*group, *artifact, None, None),
            [group, artifact, version] => (*group, *artifact, Some(*version), None),
            [group, artifact, version, classifier] => {
                (*group, *artifact, Some(*version), Some(*classifier))
            }
            _ => {
                return Err(bad_name(format!(
                    "maven:{name} is not maven:GROUP:ARTIFACT:VERSION[:CLASSIFIER][@TYPE]"
                )));
            }
        };
        let base = folder(group, artifact);
        let version = match version {
            Some(version) => version.to_owned(),
            None => {
                let metadata = self
                    .document(&format!("{base}/maven-metadata.xml"), None)
                    .await?;
                let metadata = String::from_utf8_lossy(&metadata);
                let newest = element(&metadata, "release").or(element(&metadata, "latest"));
                newest
                    .ok_or_else(|| self.no_version(name, None))?
                    .to_owned()
            }
        };
        let stem = format!("{base}/{version}/{artifact}-{version}");
        let pom = self.pom(&format!("{stem}.pom")).await?;
        let packaging = match element(&pom, "packaging") {
            Some("pom") => "pom",
            Some("war") => "war",
            _ => "jar",
        };
        let kind = kind.unwrap_or(packaging);
        if kind != "pom" {
            let classifier = classifier.map_or_else(String::new, |text| format!("-{text}"));
            self.with_sum(&format!("{stem}{classifier}.{kind}")).await?;
        }
        let mut next = parent(&pom);
        for _ in 0..PARENTS {
            let Some((group, artifact, version)) = next else {
                break;
            };
            let base = folder(&group, &artifact);
            let pom = self
                .pom(&format!("{base}/{version}/{artifact}-{version}.pom"))
                .await?;
            next = parent(&pom);
        }
        Ok(format!("{group}:{artifact}:{version}"))
    }

    async fn pom(&mut self, path: &str) -> Result<String, Failure> {
        let pom = self.document(path, None).await?;
        self.take_if_there(&format!("{path}.sha1"), None).await?;
        Ok(String::from_utf8_lossy(&pom).into_owned())
    }

    async fn with_sum(&mut self, path: &str) -> Result<(), Failure> {
        self.take(path, None).await?;
        self.take_if_there(&format!("{path}.sha1"), None).await?;
        Ok(())
    }
}
