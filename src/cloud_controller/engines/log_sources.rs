//! The names of apps and service instances, for searches in their logs.

use async_trait::async_trait;

use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::log_access::{LogSource, LogSourceKind, sources};
use crate::db::Db;
use crate::logs::{LogSources, NamedSource};

/// Looks names up in the database.
pub(crate) struct SourceNames {
    /// The database.
    pub db: Db,
}

impl SourceNames {
    async fn find(
        &self,
        kind: LogSourceKind,
        name: Option<String>,
    ) -> std::result::Result<Vec<NamedSource>, String> {
        let found: Result<Vec<LogSource>> = self
            .db
            .read(move |tx| sources(tx, kind, name.as_deref()))
            .await;
        let found = found.map_err(|error| error.to_string())?;
        let named = found.into_iter().map(|source| NamedSource {
            id: source.guid,
            name: source.name,
            space: source.space,
            organization: source.organization,
        });
        Ok(named.collect())
    }
}

#[async_trait]
impl LogSources for SourceNames {
    async fn apps(&self, name: &str) -> std::result::Result<Vec<NamedSource>, String> {
        self.find(LogSourceKind::App, Some(name.to_owned())).await
    }

    async fn services(&self, name: &str) -> std::result::Result<Vec<NamedSource>, String> {
        let kind = LogSourceKind::ServiceInstance;
        self.find(kind, Some(name.to_owned())).await
    }

    async fn all(&self) -> std::result::Result<Vec<NamedSource>, String> {
        let mut all = self.find(LogSourceKind::App, None).await?;
        all.extend(self.find(LogSourceKind::ServiceInstance, None).await?);
        Ok(all)
    }
}
