//! `cflite upgrade`: goes on with this cflite where another version runs, or says what that would do.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;

use super::process::{Recorded, State};
use super::{Session, process, show};
use crate::db::{self, DbError};
use crate::platform::Running;
use crate::snapshots::Places;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What to do.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only say what would be done, and whether it can be
    #[arg(long)]
    check: bool,
}

/// What an upgrade means for the database.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Migration {
    /// There is none yet.
    None,
    /// It has the schema of this cflite.
    Current,
    /// It is copied, then migrated.
    Needed {
        /// Its schema.
        from: i64,
        /// Bytes of the copy.
        size: u64,
        /// Whether there is space for it.
        fits: bool,
    },
    /// It was written by a newer cflite.
    Newer(i64),
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let (running, recorded) = match process::find(&config.data_dir)? {
        State::Running(running, holder) => (Some(running), Recorded::of(holder.pid)),
        State::Stopped => (None, None),
        State::Changing(_) => bail!("cflite is starting or stopping: try again in a moment"),
    };
    let migration = migration(&config.data_dir)?;
    if arguments.check {
        report(running.as_ref(), &migration, session.json);
        return Ok(if fault(&migration).is_some() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        });
    }
    if let Some(fault) = fault(&migration) {
        bail!("{fault}");
    }
    if recorded.as_ref().is_some_and(Recorded::is_service) {
        bail!(
            "the platform runs as a service: `systemctl restart cflite` goes on with the installed cflite"
        );
    }
    let Some(recorded) = recorded else {
        bail!("cflite is not running: `cflite up` starts this version of it");
    };
    let step = show::Step::begin("stop the cflite that runs");
    process::stop(&config.data_dir, Duration::from_secs(30))?;
    step.done("apps keep running");
    let step = show::Step::begin(&format!("start cflite {VERSION}"));
    let mut child = recorded.start(&config.data_dir)?;
    let limit = Duration::from_secs(120);
    let running = process::wait_until_ready(Some(&mut child), &config.data_dir, limit)?;
    step.done("");
    if session.json {
        show::json(&json!({ "version": running.version, "api": running.api_url() }));
    } else {
        show::line(&format!(
            "cflite {} runs: {}",
            running.version,
            running.api_url()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn migration(data_dir: &Path) -> anyhow::Result<Migration> {
    let database = Places::of(data_dir).database;
    if !database.exists() {
        return Ok(Migration::None);
    }
    match db::version(&database) {
        Ok(db::CURRENT_VERSION) => Ok(Migration::Current),
        Ok(0) => Ok(Migration::None),
        Ok(from) => {
            let size = std::fs::metadata(&database)?.len();
            let free = nix::sys::statvfs::statvfs(data_dir)?;
            let free = free.blocks_available().saturating_mul(free.fragment_size());
            Ok(Migration::Needed {
                from,
                size,
                // The migration writes as much again at most.
                fits: free > size.saturating_mul(2),
            })
        }
        Err(DbError::TooNew { found, .. }) => Ok(Migration::Newer(found)),
        Err(error) => Err(error.into()),
    }
}

/// Why this cflite cannot go on with the data.
fn fault(migration: &Migration) -> Option<String> {
    match migration {
        Migration::Newer(found) => Some(format!(
            "the database has schema version {found}, this cflite {VERSION} knows versions up to {}: use a newer \
             cflite; nothing was changed",
            db::CURRENT_VERSION
        )),
        Migration::Needed {
            size, fits: false, ..
        } => Some(format!(
            "there is no space for a copy of the database ({}), which is made before it is migrated",
            show::bytes(*size)
        )),
        _ => None,
    }
}

fn report(running: Option<&Running>, migration: &Migration, as_json: bool) {
    let does = match migration {
        Migration::None => "there is none yet".to_owned(),
        Migration::Current => format!("schema version {}, nothing to migrate", db::CURRENT_VERSION),
        Migration::Needed { from, size, .. } => format!(
            "schema version {from} is migrated to {}, after a copy of {}",
            db::CURRENT_VERSION,
            show::bytes(*size)
        ),
        Migration::Newer(found) => format!("schema version {found}, of a newer cflite"),
    };
    let fault = fault(migration);
    if as_json {
        let from = match migration {
            Migration::None => None,
            Migration::Current => Some(db::CURRENT_VERSION),
            Migration::Needed { from, .. } | Migration::Newer(from) => Some(*from),
        };
        show::json(&json!({
            "version": VERSION,
            "schema": db::CURRENT_VERSION,
            "running_version": running.map(|running| &running.version),
            "database_schema": from,
            "migrates": matches!(migration, Migration::Needed { .. }),
            "fault": fault,
        }));
        return;
    }
    let runs = running.map_or_else(
        || "nothing".to_owned(),
        |running| format!("cflite {} (process {})", running.version, running.pid),
    );
    let rows = [
        ("this cflite", VERSION.to_owned()),
        ("runs now", runs),
        ("database", does),
        ("apps", "keep running while cflite restarts".to_owned()),
    ];
    let rows = rows.map(|(what, value)| vec![what.to_owned(), value]);
    show::table(&["what", "value"], &rows);
    match fault {
        Some(fault) => show::note(&fault),
        None => show::note("`cflite upgrade` goes on with this version."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;

    #[test]
    fn what_an_upgrade_means_depends_on_the_database() {
        let place = tempfile::tempdir().expect("temporary folder");
        let of = |place: &Path| migration(place).expect("read");
        assert_eq!(of(place.path()), Migration::None);
        let database = Places::of(place.path()).database;
        drop(Db::open(&database).expect("opened"));
        assert_eq!(of(place.path()), Migration::Current);
        let mark = |version: i64| {
            let connection = rusqlite::Connection::open(&database).expect("opened");
            let marked = connection.pragma_update(None, "user_version", version);
            marked.expect("marked");
        };
        mark(db::CURRENT_VERSION - 1);
        let needed = of(place.path());
        assert!(
            matches!(needed, Migration::Needed { fits: true, .. }),
            "{needed:?}"
        );
        assert_eq!(fault(&needed), None);
        mark(db::CURRENT_VERSION + 1);
        let newer = of(place.path());
        assert_eq!(newer, Migration::Newer(db::CURRENT_VERSION + 1));
        assert!(fault(&newer).is_some_and(|text| text.contains("nothing was changed")));
    }
}
