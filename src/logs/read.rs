//! Reading: the newest envelopes from memory, older ones from SQLite.

use std::sync::Arc;

use super::envelope::Envelope;
use super::query::Query;
use super::{Logs, store};
use crate::db::DbError;

impl Logs {
    /// The envelopes of a source that match the query, in the order it asks for.
    pub async fn read(&self, source_id: &str, query: Query) -> Result<Vec<Envelope>, DbError> {
        // Memory before disk: a segment that is evicted from memory meanwhile was committed to disk
        // before, so no envelope is missed.
        let Some(view) = self.sources().view(source_id, &query) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        if query.descending {
            for segment in view.segments.iter().rev() {
                segment.select(&view.source_id, &query, &mut found)?;
            }
        }
        if view.older_on_disk && found.len() < query.limit {
            let older = Query {
                end: query.end.min(view.floor),
                ..query.clone()
            };
            let source_id: Arc<str> = view.source_id.clone();
            found = self
                .db()
                .read(move |tx| store::select(tx, &source_id, &older, found))
                .await?;
        }
        if !query.descending {
            for segment in &view.segments {
                segment.select(&view.source_id, &query, &mut found)?;
            }
        }
        Ok(found)
    }
}
