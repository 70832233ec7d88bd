//! Who speaks in the output of a container: its process, or one of the sidecars beside it.
//!
//! A container with sidecars begins their lines with a mark: `\x1e`, the number of the sidecar in
//! [`LABEL_SIDECARS`], and a zero byte (`images/lifecycle/sidecars` writes it). Lines without a mark
//! are the process's. Containers without that label have no marks, so that nothing is taken from
//! their lines.

use std::sync::Arc;

use super::envelope::Tags;
use super::inbox::Origin;
use super::{
    LABEL_INSTANCE_ID, LABEL_SIDECARS, LABEL_SOURCE_ID, LABEL_SOURCE_TYPE, LABEL_TAG_PREFIX,
};
use crate::docker::Labels;

/// The origins of a container's lines.
#[derive(Debug)]
pub(super) struct Speakers {
    /// The source of all.
    pub(super) source_id: Arc<str>,
    process: Arc<Origin>,
    sidecars: Vec<Arc<Origin>>,
}

impl Speakers {
    /// Those that a container's labels name.
    pub(super) fn of(labels: &Labels) -> Self {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        let tags = labels.iter().filter_map(|(name, value)| {
            let tag = name.strip_prefix(LABEL_TAG_PREFIX)?;
            Some((tag.to_owned(), value.clone()))
        });
        let tags: Tags = tags.collect();
        let origin = |source_type: Option<String>| {
            Arc::new(Origin {
                instance_id: label(LABEL_INSTANCE_ID).into(),
                source_type,
                tags: tags.clone(),
            })
        };
        let source_type = labels.get(LABEL_SOURCE_TYPE).cloned();
        let names: Vec<String> = serde_json::from_str(label(LABEL_SIDECARS)).unwrap_or_default();
        let base = source_type.as_deref().unwrap_or("APP");
        let sidecars = names.iter().map(|name| {
            let name = name.to_uppercase();
            origin(Some(format!("{base}/SIDECAR/{name}")))
        });
        Self {
            source_id: label(LABEL_SOURCE_ID).into(),
            sidecars: sidecars.collect(),
            process: origin(source_type),
        }
    }

    /// Whether lines may have marks.
    pub(super) fn are_several(&self) -> bool {
        !self.sidecars.is_empty()
    }

    /// The origin of a sidecar's line, or of the process's.
    pub(super) fn origin(&self, sidecar: Option<usize>) -> &Arc<Origin> {
        sidecar
            .and_then(|number| self.sidecars.get(number))
            .unwrap_or(&self.process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecars_have_their_name_in_their_type() {
        let labels = [
            (LABEL_SOURCE_ID, "app"),
            (LABEL_SOURCE_TYPE, "APP/PROC/WEB"),
            (LABEL_INSTANCE_ID, "2"),
            (LABEL_SIDECARS, r#"["cache","log agent"]"#),
            ("cflite.log.tag.process_id", "p"),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let speakers = Speakers::of(&Labels::from(labels));
        let of = |sidecar| speakers.origin(sidecar).source_type.clone();
        assert_eq!(of(None).as_deref(), Some("APP/PROC/WEB"));
        assert_eq!(of(Some(0)).as_deref(), Some("APP/PROC/WEB/SIDECAR/CACHE"));
        assert_eq!(
            of(Some(1)).as_deref(),
            Some("APP/PROC/WEB/SIDECAR/LOG AGENT")
        );
        assert_eq!(of(Some(2)).as_deref(), Some("APP/PROC/WEB"));
        assert_eq!(speakers.origin(Some(0)).tags["process_id"], "p");
        assert!(speakers.are_several() && !Speakers::of(&Labels::new()).are_several());
    }
}
