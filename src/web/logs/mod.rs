//! Logs in the console: the lines of an app, of a space or of everything that the user may read,
//! as pages, as a stream and as files.
//!
//! The search engine of [`crate::logs`] reads history and live lines through the same filter. Who
//! may read what is decided as for the Log Cache API, and asked again while a stream lasts.
//! Everything that comes from an app is escaped here ([`ansi`], [`mod@line`]); the script only puts
//! ready blocks into the page.

mod ansi;
mod asked;
mod cursor;
pub(super) mod download;
pub(super) mod line;
pub(super) mod scope;
pub(super) mod stream;

pub(super) use ansi::plain;
pub(super) use asked::Asked;

use cursor::Cursor;
use line::Style;
use scope::Scope;

use super::Console;
use super::show::Refused;
use crate::db::DbError;
use crate::logs::{Envelope, Filter, Results, Search};

/// Lines of one page, and on each side of a time.
pub(super) const PAGE: usize = 200;
/// Lines that are looked at for what a filter hides.
const HIDDEN: usize = 1000;

/// Lines as HTML; everything that came from elsewhere is escaped.
#[derive(Default)]
pub(super) struct Html(String);

impl std::fmt::Display for Html {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

// Templates take it as it is.
impl askama::filters::HtmlSafe for Html {}

/// Lines of a page.
#[derive(Default)]
pub(super) struct Block {
    pub(super) html: Html,
    pub(super) count: usize,
    /// Where a stream goes on behind them.
    pub(super) cursor: String,
    /// The times of the first and the last line; both 0 without lines.
    pub(super) first: i64,
    pub(super) last: i64,
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        Self::internal(&format!("the log cannot be read: {error}"))
    }
}

impl Console {
    /// The lines that an address asks for, oldest first: the last ones, or those around a time.
    pub(super) async fn lines(&self, scope: &Scope, asked: &Asked) -> Result<Block, Refused> {
        let filter = asked.filter()?;
        let now = self.parts().clock.now();
        let range = asked.range(now)?;
        let mut cursor = Cursor::at(now.as_nanos());
        let lines = match range.at {
            None => {
                self.last(scope, &filter, (range.since, range.until))
                    .await?
            }
            Some(at) => {
                let mut lines = self
                    .last(scope, &filter, (range.since, at.min(range.until)))
                    .await?;
                let later = (at.max(range.since), range.until);
                lines.append(&mut self.first(scope, &filter, later).await?);
                lines
            }
        };
        for line in &lines {
            cursor.saw(line);
        }
        Ok(block(&lines, cursor.id(), scope.style()))
    }

    /// The lines before a time, oldest first.
    pub(super) async fn before(
        &self,
        scope: &Scope,
        asked: &Asked,
        until: i64,
    ) -> Result<Block, Refused> {
        let range = asked.range(self.parts().clock.now())?;
        let until = until.min(range.until);
        let lines = self
            .last(scope, &asked.filter()?, (range.since, until))
            .await?;
        Ok(block(&lines, String::new(), scope.style()))
    }

    /// The lines from a time on.
    pub(super) async fn from(
        &self,
        scope: &Scope,
        asked: &Asked,
        since: i64,
    ) -> Result<Block, Refused> {
        let range = asked.range(self.parts().clock.now())?;
        let since = since.max(range.since);
        let lines = self
            .first(scope, &asked.filter()?, (since, range.until))
            .await?;
        Ok(block(&lines, String::new(), scope.style()))
    }

    /// How many of the newest lines a filter hides, at most [`HIDDEN`].
    pub(super) async fn hidden(&self, scope: &Scope) -> Result<usize, Refused> {
        let search = Search {
            last: Some(HIDDEN),
            ..search(scope, &Filter::default(), (i64::MIN, i64::MAX))
        };
        Ok(all(self.parts().logs.search(search).await?, HIDDEN)
            .await?
            .len())
    }

    async fn last(
        &self,
        scope: &Scope,
        filter: &Filter,
        range: (i64, i64),
    ) -> Result<Vec<Envelope>, DbError> {
        let search = Search {
            last: Some(PAGE),
            ..search(scope, filter, range)
        };
        all(self.parts().logs.search(search).await?, PAGE).await
    }

    async fn first(
        &self,
        scope: &Scope,
        filter: &Filter,
        range: (i64, i64),
    ) -> Result<Vec<Envelope>, DbError> {
        let search = search(scope, filter, range);
        all(self.parts().logs.search(search).await?, PAGE).await
    }
}

fn search(scope: &Scope, filter: &Filter, (since, until): (i64, i64)) -> Search {
    Search {
        sources: scope.sources(),
        filter: filter.clone(),
        since,
        until,
        last: None,
        follow: false,
    }
}

async fn all(mut results: Results, most: usize) -> Result<Vec<Envelope>, DbError> {
    let mut lines = Vec::new();
    while lines.len() < most
        && let Some(mut found) = results.next().await?
    {
        lines.append(&mut found);
    }
    lines.truncate(most);
    Ok(lines)
}

fn block(lines: &[Envelope], cursor: String, style: Style) -> Block {
    let mut html = String::with_capacity(lines.len() * 256);
    for line in lines {
        line::html(&mut html, line, style);
    }
    let time = |line: Option<&Envelope>| line.map_or(0, |line| line.timestamp);
    Block {
        html: Html(html),
        count: lines.len(),
        cursor,
        first: time(lines.first()),
        last: time(lines.last()),
    }
}
