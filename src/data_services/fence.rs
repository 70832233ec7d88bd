//! Ends whoever else has the volume of an instance, before its container starts.

use std::time::Duration;

use super::Inner;
use super::failure::Failure;

/// Before a stranger is killed.
const GRACE: Duration = Duration::from_secs(10);

impl Inner {
    /// Afterwards no container has the volume. Each step is told to the developer; when a container
    /// cannot be ended the volume stays closed.
    pub(super) async fn fence_others(&self, guid: &str) -> Result<(), Failure> {
        let volume = self.volume_name(guid);
        for other in self.engine.list_by_volume(&volume).await? {
            if other.is_running() {
                let text = format!("the container {} has the volume: stopping it", other.name);
                self.note(guid, text).await?;
                self.engine.stop(&other.id, GRACE).await?;
            }
            let still = self.engine.inspect(&other.id).await?;
            if still.is_some_and(|found| found.is_running()) {
                let text = format!("the container {} still runs: killing it", other.name);
                self.note(guid, text).await?;
                // It may end by itself meanwhile.
                drop(self.engine.kill(&other.id, "SIGKILL").await);
            }
        }
        for other in self.engine.list_by_volume(&volume).await? {
            if other.is_running() {
                let text = format!(
                    "the container {} has the volume {volume} and cannot be ended: not starting a second one",
                    other.name
                );
                self.note(guid, text.clone()).await?;
                return Err(Failure::new(text));
            }
        }
        Ok(())
    }
}
