//! How many builds run at once: bounded by number and by the memory of the daemon's machine. Pure.

use std::collections::BTreeMap;

use super::StagingRequest;
use crate::base::Megabytes;
use crate::base::guid::BuildGuid;

/// The builds that run, and what they may use.
#[derive(Debug, Default)]
pub(super) struct Slots {
    running: BTreeMap<BuildGuid, Megabytes>,
}

/// Bounds of [`Slots`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most builds at once.
    pub(super) builds: usize,
    /// Most memory of them together; `None` while the daemon does not tell what it has.
    pub(super) memory: Option<Megabytes>,
}

impl Slots {
    /// Whether the build runs.
    pub(super) fn has(&self, build: &BuildGuid) -> bool {
        self.running.contains_key(build)
    }

    /// Takes a slot. Otherwise says what the build waits for; a build that alone needs more than
    /// there is runs alone.
    pub(super) fn take(&mut self, request: &StagingRequest, bounds: Bounds) -> Result<(), String> {
        let (count, used) = (self.running.len(), self.used());
        let wanted = memory(request);
        if count >= bounds.builds {
            return Err(format!("{count} are running, the most at once"));
        }
        if let Some(most) = bounds.memory
            && count > 0
            && used.0 + wanted.0 > most.0
        {
            let short = |memory: Megabytes| memory.to_bytes().to_short();
            return Err(format!(
                "this one needs {}, and {count} running use {} of {}",
                short(wanted),
                short(used),
                short(most)
            ));
        }
        self.running.insert(request.build_guid().clone(), wanted);
        Ok(())
    }

    /// Gives a slot back.
    pub(super) fn leave(&mut self, build: &BuildGuid) {
        self.running.remove(build);
    }

    fn used(&self) -> Megabytes {
        Megabytes(self.running.values().map(|memory| memory.0).sum())
    }
}

/// A copy of an image has no container.
fn memory(request: &StagingRequest) -> Megabytes {
    match request {
        StagingRequest::Package(request) => request.memory,
        StagingRequest::Image(_) => Megabytes(0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ImageStaging;
    use super::*;

    fn image(build: &str) -> StagingRequest {
        StagingRequest::Image(ImageStaging {
            build_guid: build.into(),
            app_guid: "a".into(),
            droplet_guid: "d".into(),
            image: "web".to_owned(),
            credentials: None,
            previous: None,
            timeout: Duration::from_secs(1),
        })
    }

    fn slots(running: &[i64]) -> Slots {
        let all = running.iter().enumerate();
        let all = all.map(|(at, memory)| (format!("b{at}").as_str().into(), Megabytes(*memory)));
        Slots {
            running: all.collect(),
        }
    }

    #[test]
    fn number_and_memory_are_bounded() {
        let bounds = Bounds {
            builds: 2,
            memory: Some(Megabytes(1024)),
        };
        let full = slots(&[1, 1]).take(&image("x"), bounds);
        assert_eq!(full, Err("2 are running, the most at once".to_owned()));
        let mut over = slots(&[2048]);
        let text = "this one needs 0B, and 1 running use 2G of 1G";
        assert_eq!(over.take(&image("x"), bounds), Err(text.to_owned()));
        over.leave(&"b0".into());
        assert_eq!(over.take(&image("x"), bounds), Ok(()));
        assert!(over.has(&"x".into()));
        let unknown = Bounds {
            memory: None,
            ..bounds
        };
        assert_eq!(slots(&[2048]).take(&image("x"), unknown), Ok(()));
    }
}
