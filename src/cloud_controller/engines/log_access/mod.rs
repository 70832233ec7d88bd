//! Who may read whose logs: callers who may see the app (CC requires the same as for
//! `/v3/apps/:guid`), and those with `doppler.firehose` or `logs.admin`, who read everything. Also
//! the names of apps on log lines.

mod names;

pub(crate) use names::*;

use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::caller_of;

use crate::db::{DbError, ReadTx};
use crate::logs::SourceOwners;

/// Logs belong to apps, and are kept as long as their app exists.
pub(crate) struct Apps;

impl SourceOwners for Apps {
    fn keep(&self, tx: &ReadTx<'_>, source_id: &str) -> Result<bool, DbError> {
        model::log_access::is_app(tx, source_id)
    }
}

/// The bearer of a token, as a reader of logs.
pub struct LogReader {
    cc: CloudController,
    caller: Option<Caller>,
    everything: bool,
}

impl CloudController {
    /// The bearer of this `Authorization` header; `None` without a valid token.
    pub fn log_reader(&self, authorization: Option<&str>) -> Option<LogReader> {
        let (scheme, token) = authorization?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let claims = self.uaa().verify(token.trim()).ok()?;
        let everything = claims.has_scope("doppler.firehose") || claims.has_scope("logs.admin");
        let caller = caller_of(&claims).ok();
        (everything || caller.is_some()).then(|| LogReader {
            cc: self.clone(),
            caller,
            everything,
        })
    }
}

impl LogReader {
    /// Whether the reader may read all sources, including those that belong to no app.
    pub fn reads_all(&self) -> bool {
        self.everything || self.caller.as_ref().is_some_and(Caller::sees_all)
    }

    /// Whether the reader may read this source.
    pub async fn may_read(&self, source_id: &str) -> bool {
        self.reads_all() || self.readable().await.iter().any(|guid| guid == source_id)
    }

    /// The apps whose logs may be read.
    pub async fn readable(&self) -> Vec<String> {
        let Some(caller) = self.caller.clone() else {
            return Vec::new();
        };
        let found: Result<Vec<String>> = self
            .cc
            .db()
            .read(move |tx| model::log_access::visible_apps(tx, &caller))
            .await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot check who may read logs");
            Vec::new()
        })
    }
}
