//! `…/logs.txt` and `…/logs.json`: the lines that an address asks for as a file.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};

use super::asked::Asked;
use super::scope::Scope;
use super::{line, search};
use crate::db::DbError;
use crate::logs::{Bounds, Search};
use crate::web::Console;
use crate::web::show::Refused;
use crate::web::when;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) enum Format {
    /// As the cf CLI shows lines.
    Text,
    /// One object of JSON per line.
    Json,
}

impl Console {
    /// All lines that an address asks for, in order of time. `name` is the start of the file's
    /// name.
    pub(in crate::web) async fn file(
        &self,
        scope: &Scope,
        asked: &Asked,
        (name, format): (&str, Format),
    ) -> Result<Response, Refused> {
        let now = self.parts().clock.now();
        let range = asked.range(now)?;
        // A file has an end.
        let until = range.until.min(now.as_nanos());
        let search = Search {
            bounds: Bounds::default(),
            ..search(scope, &asked.filter()?, (range.since, until))
        };
        let results = self.parts().logs.search(search).await?;
        let style = scope.style().clone();
        // An error breaks the answer off: nobody must take it for complete.
        let lines = stream::try_unfold(results, move |mut results| {
            let style = style.clone();
            async move {
                let found = results.next().await;
                let found =
                    found.inspect_err(|error| tracing::error!(%error, "reading logs failed"))?;
                Ok::<_, DbError>(found.map(|found| {
                    let lines = found.iter().map(|one| match format {
                        Format::Text => line::text(one, &style),
                        Format::Json => line::json(one),
                    });
                    (Bytes::from(lines.collect::<String>()), results)
                }))
            }
        });
        let filtered = if asked.hides() { "-filtered" } else { "" };
        let at = when::iso(now.as_nanos()).replace(':', "");
        let at = at.split('.').next().unwrap_or_default();
        let (ending, kind) = match format {
            Format::Text => ("txt", "text/plain; charset=utf-8"),
            Format::Json => ("json", "application/x-ndjson"),
        };
        let safe = |letter: char| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        };
        let name: String = name.chars().map(safe).take(100).collect();
        let disposition = format!("attachment; filename=\"{name}-{at}{filtered}.{ending}\"");
        let disposition = HeaderValue::from_str(&disposition)
            .map_err(|error| Refused::internal(&error.to_string()))?;
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            (header::CONTENT_DISPOSITION, disposition),
        ];
        Ok((headers, Body::from_stream(lines)).into_response())
    }
}
