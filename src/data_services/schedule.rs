//! Backups on schedule, made when their time has come. They are no operations, which users would have to
//! wait for or would take for their own: they hold the lock of their service.
//!
//! A time that passed while the platform was off is made up for once. The backups that a schedule
//! made are the only ones that it removes.

use std::collections::HashMap;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use serde_json::Value;

use super::Inner;
use super::failure::Failure;
use super::store::{self, BackupRow, Instance};
use crate::base::Timestamp;
use crate::db::ReadTx;

/// The parameter with the schedule.
pub(super) const SCHEDULE: &str = "backup_schedule";
/// The parameter with the number of its backups that are kept.
pub(super) const KEPT: &str = "backups_kept";
const DEFAULT_KEPT: u64 = 7;
/// Why such backups were made.
pub(super) const REASON: &str = "on schedule";

/// When a schedule of an instance was tried last, in this process.
pub(super) type Tried = HashMap<String, Timestamp>;

fn parse(text: &str) -> Result<Crontab, String> {
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::System;
    cronexpr::parse_crontab_with(text, options).map_err(|error| error.to_string())
}

/// Why a text is no schedule.
pub(super) fn fault(text: &str) -> Option<String> {
    let fault = parse(text).err()?;
    let first = fault.lines().next().unwrap_or_default();
    Some(format!("is not a schedule such as \"0 3 * * *\": {first}"))
}

/// The last time of a schedule after `since` and not after `now`.
fn due(schedule: &Crontab, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let start = MakeTimestamp::from_nanosecond(since.as_nanos().into()).ok()?;
    let next = schedule.find_next(start).ok()?.timestamp();
    let next = Timestamp::from_micros(next.as_microsecond());
    (next <= now).then_some(next)
}

impl Inner {
    /// The services whose backup is due.
    pub(super) async fn due_backups(&self, tried: &mut Tried) -> Result<Vec<String>, Failure> {
        let (store, now) = (self.store.clone(), self.now());
        let read = self.db.read(move |tx: &ReadTx<'_>| {
            Ok::<_, crate::db::DbError>((store.all(tx)?, store::backups(tx)?))
        });
        let (all, backups) = read.await?;
        tried.retain(|guid, _| all.iter().any(|instance| instance.guid == *guid));
        let mut found = Vec::new();
        for instance in all.into_iter().filter(Instance::is_at_rest) {
            let Some(text) = instance.parameters.get(SCHEDULE).and_then(Value::as_str) else {
                continue;
            };
            let Ok(schedule) = parse(text) else { continue };
            let made = backups.iter().filter(|row| is_of(row, &instance));
            let since = made.map(|row| row.created_at).max();
            let since = since.unwrap_or(instance.created_at);
            let since = tried.get(&instance.guid).map_or(since, |at| since.max(*at));
            if due(&schedule, since, now).is_some() {
                tried.insert(instance.guid.clone(), now);
                found.push(instance.guid);
            }
        }
        Ok(found)
    }

    /// Makes the backup of a service, unless it is gone or something is done with it.
    pub(super) async fn save_on_schedule(&self, guid: String) {
        let _lock = self.locks.lock(&guid).await;
        let saved = async {
            let found = self.find(&guid).await?;
            let Some(instance) = found.filter(Instance::is_at_rest) else {
                return Ok(());
            };
            let service = self.service(&instance)?;
            let id = self.reachable(&service).await?;
            let backup = self.save_dump(&service, &id, "", REASON).await?;
            self.note(&guid, format!("made the backup {backup} ({REASON})"))
                .await?;
            self.thin_out(&instance).await
        };
        if let Err(error) = saved.await {
            let text = format!("no backup on schedule: {error}");
            if let Err(error) = self.note(&guid, text).await {
                tracing::warn!(service_instance = guid, %error, "cannot note that a backup failed");
            }
        }
    }

    /// Removes the oldest backups of an instance's schedule.
    async fn thin_out(&self, instance: &Instance) -> Result<(), Failure> {
        let kept = instance.parameters.get(KEPT).and_then(Value::as_u64);
        let kept = usize::try_from(kept.unwrap_or(DEFAULT_KEPT)).unwrap_or(usize::MAX);
        let all = self.db.read(|tx: &ReadTx<'_>| store::backups(tx)).await?;
        let made: Vec<&BackupRow> = all.iter().filter(|row| is_of(row, instance)).collect();
        let surplus = made.len().saturating_sub(kept);
        for row in &made[..surplus] {
            self.remove_backup(&row.guid).await?;
        }
        Ok(())
    }
}

fn is_of(row: &BackupRow, instance: &Instance) -> bool {
    row.instance_guid == instance.guid && row.reason == REASON
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn a_time_that_passed_is_due_once() {
        let schedule = parse("0 3 * * * UTC").expect("a schedule");
        let made = at("2026-01-10T03:00:20Z");
        assert_eq!(due(&schedule, made, at("2026-01-11T02:59:59Z")), None);
        let next = Some(at("2026-01-11T03:00:00Z"));
        assert_eq!(due(&schedule, made, at("2026-01-11T03:00:00Z")), next);
        // However long the platform was off.
        assert_eq!(due(&schedule, made, at("2026-03-01T00:00:00Z")), next);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "daily",
            "61 * * * *",
            "* * * *",
            "0 3 * * * Nowhere/City",
        ] {
            let fault = fault(text).expect("refused");
            assert!(fault.starts_with("is not a schedule such as"), "{fault}");
        }
        assert_eq!(fault("*/15 2-4 * * mon-fri"), None);
    }
}
