//! Who may read whose logs: callers who may see the app (CC requires the same as for
//! `/v3/apps/:guid`), and those with `doppler.firehose` or `logs.admin`, who read everything. Also
//! the names of apps on log lines.

mod names;

pub(crate) use names::*;

use crate::cloud_controller::access::{Authority, Caller};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::caller_of;

use crate::db::{DbError, ReadTx};
use crate::logs::SourceOwners;
use crate::uaa::{Claims, bearer_token};

/// Logs belong to apps and service instances, and are kept as long as those exist; those of the
/// platform's components always.
pub(crate) struct Owners;

/// The components of the platform that are sources themselves.
pub(crate) const COMPONENTS: [&str; 4] = ["cloud_controller", "doppler", "gorouter", "rep"];

impl SourceOwners for Owners {
    fn keep(&self, tx: &ReadTx<'_>, source_id: &str) -> Result<bool, DbError> {
        Ok(COMPONENTS.contains(&source_id) || model::log_access::has_logs(tx, source_id)?)
    }
}

/// The bearer of a token, as a reader of logs.
pub struct LogReader {
    cc: CloudController,
    claims: Claims,
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
            claims,
            caller,
            everything,
        })
    }
}

/// The scopes that read the streams of all sources at once.
const FIREHOSE: &[&str] = &["doppler.firehose", "logs.admin", "cloud_controller.admin"];
/// The scopes that read every source.
const EVERYTHING: &[&str] = &[
    "doppler.firehose",
    "logs.admin",
    "cloud_controller.admin",
    "cloud_controller.admin_read_only",
    "cloud_controller.global_auditor",
];

impl CloudController {
    /// Whether the bearer of this `Authorization` header may stream everything, now: a stream asks
    /// again while it is open.
    pub async fn reads_firehose(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(bearer_token);
        let Some(claims) = token.and_then(|token| self.uaa().verify(token).ok()) else {
            return false;
        };
        self.still_holds(&claims, FIREHOSE).await
    }

    /// Whether a token has one of `scopes`, and its user still is in the group.
    async fn still_holds(&self, claims: &Claims, scopes: &'static [&'static str]) -> bool {
        let held = self.uaa().still_has(claims, scopes).await;
        held.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot check who may read all logs");
            false
        })
    }
}

impl LogReader {
    /// Whether the reader's token may read all sources, including those that belong to no app.
    pub fn reads_all(&self) -> bool {
        self.everything || self.caller.as_ref().is_some_and(Caller::sees_all)
    }

    /// Whether the reader may read this source, now: a stream asks again while it is open, and its
    /// token keeps scopes that were taken away.
    pub async fn may_read(&self, source_id: &str) -> bool {
        if self.reads_all() && self.cc.still_holds(&self.claims, EVERYTHING).await {
            return true;
        }
        let Some(mut caller) = self.caller.clone() else {
            return false;
        };
        caller.authority = Authority::Roles;
        let guid = source_id.to_owned();
        let found: Result<bool> = self
            .cc
            .db()
            .read(move |tx| model::log_access::is_visible(tx, &caller, &guid))
            .await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot check who may read logs");
            false
        })
    }

    /// The apps and service instances with this name whose logs may be read.
    pub async fn named(&self, name: &str) -> Vec<String> {
        let name = name.to_owned();
        let found: Result<Vec<String>> = self
            .cc
            .db()
            .read(move |tx| model::log_access::named(tx, &name))
            .await;
        let found = found.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot look up the name of a source of logs");
            Vec::new()
        });
        let mut readable = Vec::new();
        for guid in found {
            if self.may_read(&guid).await {
                readable.push(guid);
            }
        }
        readable
    }

    /// The apps and service instances whose logs may be read.
    pub async fn readable(&self) -> Vec<String> {
        let Some(caller) = self.caller.clone() else {
            return Vec::new();
        };
        let found: Result<Vec<String>> = self
            .cc
            .db()
            .read(move |tx| {
                let mut all = model::log_access::visible_apps(tx, &caller)?;
                all.extend(model::log_access::visible_service_instances(tx, &caller)?);
                Ok(all)
            })
            .await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot check who may read logs");
            Vec::new()
        })
    }
}
