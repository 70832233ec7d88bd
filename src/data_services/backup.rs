//! Dumps: made, kept as blobs, loaded.

use super::failure::Failure;
use super::hooks::DUMP_PATIENCE;
use super::store::{self, BackupRow, Instance};
use super::{Inner, Service};
use crate::base::Timestamp;
use crate::blobs::{self, Digest};
use crate::db::{ReadTx, WriteTx};

/// Kind of the references to blobs.
const OWNER: &str = "data service backup";
/// Why a backup is made before another one is loaded.
const BEFORE_RESTORE: &str = "before a restore";
/// Between the service and the store.
const PIPE: usize = 256 * 1024;

impl Inner {
    /// Makes a backup of a service that works; returns its id.
    pub(super) async fn back_up(
        &self,
        service: &Service<'_>,
        tag: &str,
        reason: &str,
    ) -> Result<String, Failure> {
        let guid = &service.instance.guid;
        let id = self.reachable(service).await?;
        self.step(guid, "making a backup").await?;
        let backup = self.save_dump(service, &id, tag, reason).await?;
        self.note(guid, format!("made the backup {backup} ({reason})"))
            .await?;
        Ok(backup)
    }

    /// Dumps what a container has; nothing is kept of a dump that failed.
    pub(super) async fn save_dump(
        &self,
        service: &Service<'_>,
        container: &str,
        tag: &str,
        reason: &str,
    ) -> Result<String, Failure> {
        let backup = Self::backup_of(service)?;
        let variables = service.variables(&self.users(&service.instance.guid).await?);
        let hooks = self.with_hooks(service, container, &variables);
        let (sink, source) = tokio::io::duplex(PIPE);
        let (dumped, stored) =
            tokio::join!(hooks.dump(&backup.dump, sink), self.blobs.put(source, None));
        dumped?;
        let blob = stored?;
        let row = BackupRow {
            guid: self.guids.next(),
            instance_guid: service.instance.guid.clone(),
            instance_name: service.instance.name.clone(),
            space_guid: service.instance.space_guid.clone(),
            offering_name: service.offering.name.clone(),
            version: service.plan.spec.version.clone(),
            extension: backup.extension.clone(),
            digest: blob.digest.to_string(),
            size: blob.size,
            tag: tag.to_owned(),
            reason: reason.to_owned(),
            created_at: self.now(),
            expires_at: None,
        };
        let guid = row.guid.clone();
        let insert = move |tx: &WriteTx<'_>| {
            blobs::reference(tx, &blob.digest, OWNER, &row.guid)?;
            store::insert_backup(tx, &row)
        };
        self.db.write(insert).await?;
        Ok(guid)
    }

    fn backup_of<'a>(service: &'a Service<'_>) -> Result<&'a super::catalog::Backup, Failure> {
        service.plan.spec.backup.as_ref().ok_or_else(|| {
            Failure::new(format!(
                "the offering {} has no backups",
                service.offering.name
            ))
        })
    }

    /// Whether a backup can be loaded into a service; nothing is touched.
    pub(super) fn check_backup(service: &Service<'_>, row: &BackupRow) -> Result<(), Failure> {
        if row.offering_name != service.offering.name {
            return Err(Failure::new(format!(
                "the backup {} is of {}, this service is {}",
                row.guid, row.offering_name, service.offering.name
            )));
        }
        if row.space_guid != service.instance.space_guid {
            return Err(Failure::new(format!(
                "there is no backup {} in this space",
                row.guid
            )));
        }
        if newer(&row.version, &service.plan.spec.version) {
            return Err(Failure::new(format!(
                "the backup {} is of version {}, this service has the older version {}",
                row.guid, row.version, service.plan.spec.version
            )));
        }
        Ok(())
    }

    /// Replaces all data of a running service; what it had is saved before.
    pub(super) async fn restore(&self, service: &Service<'_>, backup: &str) -> Result<(), Failure> {
        let row = self.find_backup(backup).await?;
        Self::check_backup(service, &row)?;
        let guid = &service.instance.guid;
        // Where this was cut off before, what is there now may be half of the backup.
        let before = match self.before_restore(service.instance).await? {
            Some(before) => before,
            None => self.back_up(service, "", BEFORE_RESTORE).await?,
        };
        let id = self.reachable(service).await?;
        self.step(guid, "loading the backup").await?;
        if let Err(error) = self.load(service, &id, backup).await {
            return Err(self.undo(service, error, &before).await);
        }
        let text = format!("restored the backup {backup}");
        Ok(self.note(guid, text).await?)
    }

    /// The backup that the present operation of an instance made before it loaded another one.
    async fn before_restore(&self, instance: &Instance) -> Result<Option<String>, Failure> {
        let (guid, since) = (instance.guid.clone(), instance.updated_at);
        let all = self.db.read(|tx: &ReadTx<'_>| store::backups(tx)).await?;
        let mut made = all.into_iter().filter(|row| {
            row.instance_guid == guid && row.reason == BEFORE_RESTORE && row.created_at >= since
        });
        Ok(made.next().map(|row| row.guid))
    }

    /// After a load that failed half-way, what was there before is loaded again where the service does
    /// not see to that itself. Returns the failure, with what became of the data.
    async fn undo(&self, service: &Service<'_>, failed: LoadFailure, before: &str) -> Failure {
        let undoes = service
            .plan
            .spec
            .backup
            .as_ref()
            .is_some_and(|backup| backup.undo);
        let error = failed.error;
        // It is tried again, or the data are as they were.
        if error.is_passing() || !undoes || !failed.touched {
            return error;
        }
        let guid = &service.instance.guid;
        let back = async {
            self.step(guid, "loading what was there before").await?;
            let id = self.reachable(service).await?;
            self.load(service, &id, before)
                .await
                .map_err(|failed| failed.error)
        };
        match back.await {
            Ok(()) => Failure::new(format!("{error}; the data are as they were before")),
            Err(again) => Failure::new(format!(
                "{error}; the data before are in the backup {before}, which could not be loaded either: {again}"
            )),
        }
    }

    /// Loads a backup into a container.
    pub(super) async fn load(
        &self,
        service: &Service<'_>,
        container: &str,
        backup: &str,
    ) -> Result<(), LoadFailure> {
        let row = self.find_backup(backup).await?;
        Self::check_backup(service, &row)?;
        let recipe = Self::backup_of(service)?;
        let digest = Digest::parse(&row.digest)
            .map_err(|_| Failure::new(format!("the backup {backup} has no valid digest")))?;
        let variables = service.variables(&self.users(&service.instance.guid).await?);
        let hooks = self.with_hooks(service, container, &variables);
        for (number, hook) in recipe.load.iter().enumerate() {
            let dump = self.blobs.read(&digest).await.map_err(Failure::from)?;
            let dump = dump.ok_or_else(|| {
                Failure::new(format!("the file of the backup {backup} is missing"))
            })?;
            let done = hooks.one(hook, Some(Box::pin(dump))).await;
            done.map_err(|error| LoadFailure {
                error,
                touched: number + 1 == recipe.load.len(),
            })?;
        }
        Ok(())
    }

    pub(super) async fn find_backup(&self, guid: &str) -> Result<BackupRow, Failure> {
        let wanted = guid.to_owned();
        let found = self
            .db
            .read(move |tx: &ReadTx<'_>| store::find_backup(tx, &wanted))
            .await?;
        found.ok_or_else(|| Failure::missing(format!("there is no backup {guid}")))
    }

    /// Removes a backup.
    pub(super) async fn remove_backup(&self, guid: &str) -> Result<(), Failure> {
        let guid = guid.to_owned();
        let remove = move |tx: &WriteTx<'_>| {
            store::remove_backup(tx, &guid)?;
            blobs::release(tx, OWNER, &guid)
        };
        Ok(self.db.write(remove).await?)
    }

    /// Removes the backups whose time is over.
    pub(super) async fn remove_expired(&self, now: Timestamp) -> Result<(), Failure> {
        let all = self.db.read(|tx: &ReadTx<'_>| store::backups(tx)).await?;
        for row in all {
            if row.expires_at.is_some_and(|at| at <= now) {
                self.remove_backup(&row.guid).await?;
            }
        }
        Ok(())
    }
}

/// Why a backup could not be loaded.
#[derive(Debug)]
pub(super) struct LoadFailure {
    pub(super) error: Failure,
    /// Whether the data may be changed: the last hook of a load replaces them, others only check.
    touched: bool,
}

impl From<Failure> for LoadFailure {
    fn from(error: Failure) -> Self {
        Self {
            error,
            touched: false,
        }
    }
}

impl From<LoadFailure> for Failure {
    fn from(failed: LoadFailure) -> Self {
        failed.error
    }
}

/// Whether a version is newer than another one, as semantic versions.
fn newer(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let core = text.split(['-', '+']).next().unwrap_or_default();
        core.split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    numbers(version) > numbers(than)
}

/// How long an operation on dumps may take at most.
const _: () = assert!(DUMP_PATIENCE.as_secs() < super::LONGEST_OPERATION.as_secs());

#[cfg(test)]
mod tests {
    use super::newer;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(newer("15.10.0", "15.9.1"));
        assert!(!newer("15.9.0", "15.9.0"));
        assert!(!newer("7.0.15", "7.2.0"));
    }
}
