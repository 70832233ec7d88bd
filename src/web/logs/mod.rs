//! Logs in the console: the lines of an app, of a space or of everything that the user may read,
//! as pages, as a stream and as files.
//!
//! The search engine of [`crate::logs`] reads history and live lines through the same filter. Who
//! may read what is decided as for the Log Cache API, and asked again while a stream lasts.
//! Everything that comes from an app is escaped here ([`ansi`], [`mod@line`]); the script only puts
//! ready blocks into the page. A block has a bound in bytes, a page a bound of what is looked at for
//! it; both say where to go on.

mod ansi;
mod asked;
mod command;
mod cursor;
pub(super) mod download;
mod intake;
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
use super::when;
use crate::db::DbError;
use crate::logs::{Bounds, Envelope, Filter, Results, Search, Stop, StopBy};

/// Lines of one page, and on each side of a time.
pub(super) const PAGE: usize = 200;
/// Lines that are looked at for what a filter hides.
const HIDDEN: usize = 1000;
/// Lines that are looked at for a page or for what a viewer missed: more than the log keeps of one
/// app.
const LOOKED: usize = 200_000;
/// Bytes of the texts of what a page or a viewer gets at once, and about those of a block of HTML.
const BYTES: usize = 4 << 20;
const BLOCK: usize = 512 << 10;

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
    /// Where the pages before and behind it go on: the times of the first and the last line, or up
    /// to where the search looked; 0 without any.
    pub(super) first: i64,
    pub(super) last: i64,
    /// How far the search looked, when it did not look at everything; otherwise empty.
    pub(super) note: String,
}

/// Lines in order of time, and where the search for them ended.
struct Found {
    lines: Vec<Envelope>,
    stop: Option<Stop>,
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
        let style = scope.style();
        let mut block = match range.at {
            None => {
                let found = { self.last(scope, &filter, (range.since, range.until)) }.await?;
                found.lines.iter().for_each(|line| cursor.saw(line));
                newest(&found, style)
            }
            Some(at) => {
                let earlier = (range.since, at.min(range.until));
                let earlier = newest(&self.last(scope, &filter, earlier).await?, style);
                let later = (at.max(range.since), range.until);
                let found = self.first(scope, &filter, later).await?;
                found.lines.iter().for_each(|line| cursor.saw(line));
                joined(earlier, oldest(&found, style))
            }
        };
        block.cursor = cursor.id();
        Ok(block)
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
        let filter = asked.filter()?;
        let found = self.last(scope, &filter, (range.since, until)).await?;
        Ok(newest(&found, scope.style()))
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
        let filter = asked.filter()?;
        let found = self.first(scope, &filter, (since, range.until)).await?;
        Ok(oldest(&found, scope.style()))
    }

    /// How many of the newest lines a filter hides, at most [`HIDDEN`].
    pub(super) async fn hidden(&self, scope: &Scope) -> Result<usize, Refused> {
        let search = Search {
            last: Some(HIDDEN),
            ..search(scope, &Filter::default(), (i64::MIN, i64::MAX))
        };
        let found = all(self.parts().logs.search(search).await?, HIDDEN).await?;
        Ok(found.lines.len())
    }

    async fn last(
        &self,
        scope: &Scope,
        filter: &Filter,
        range: (i64, i64),
    ) -> Result<Found, DbError> {
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
    ) -> Result<Found, DbError> {
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
        bounds: Bounds {
            looked: LOOKED,
            bytes: BYTES,
        },
    }
}

async fn all(mut results: Results, most: usize) -> Result<Found, DbError> {
    let mut lines = Vec::new();
    while lines.len() < most
        && let Some(mut found) = results.next().await?
    {
        lines.append(&mut found);
    }
    // Lines that are left out here come before the end of the search.
    let stop = results.stop().filter(|_| lines.len() <= most);
    lines.truncate(most);
    Ok(Found { lines, stop })
}

/// The last of the lines that fit into a block.
fn newest(found: &Found, style: &Style) -> Block {
    let mut parts = rendered(found.lines.iter().rev(), style);
    parts.reverse();
    let shown = &found.lines[found.lines.len() - parts.len()..];
    let stop = found.stop.filter(|_| shown.len() == found.lines.len());
    let looked = stop.filter(|stop| stop.by == StopBy::Looked);
    Block {
        first: stop.map_or_else(|| time(shown.first()), |stop| stop.at),
        note: looked.map_or_else(String::new, |stop| note("newest", "back", stop)),
        ..block(&parts, shown)
    }
}

/// The first of the lines that fit into a block.
fn oldest(found: &Found, style: &Style) -> Block {
    let parts = rendered(found.lines.iter(), style);
    let shown = &found.lines[..parts.len()];
    let stop = found.stop.filter(|_| shown.len() == found.lines.len());
    Block {
        last: stop.map_or_else(|| time(shown.last()), |stop| stop.at),
        note: stop.map_or_else(String::new, |stop| note("next", "up", stop)),
        ..block(&parts, shown)
    }
}

fn note(which: &str, direction: &str, stop: Stop) -> String {
    let at = when::iso(stop.at);
    format!("Of the log the {which} {LOOKED} lines were looked at, {direction} to {at}.")
}

/// The lines as HTML, as many as fit into a block; at least one.
fn rendered<'a>(lines: impl Iterator<Item = &'a Envelope>, style: &Style) -> Vec<String> {
    let (mut parts, mut bytes) = (Vec::new(), 0);
    for line in lines {
        if bytes >= BLOCK {
            break;
        }
        let mut html = String::new();
        line::html(&mut html, line, style);
        bytes += html.len();
        parts.push(html);
    }
    parts
}

fn block(parts: &[String], lines: &[Envelope]) -> Block {
    Block {
        html: Html(parts.concat()),
        count: parts.len(),
        first: time(lines.first()),
        last: time(lines.last()),
        ..Block::default()
    }
}

fn time(line: Option<&Envelope>) -> i64 {
    line.map_or(0, |line| line.timestamp)
}

/// Two blocks as one.
fn joined(earlier: Block, later: Block) -> Block {
    let either = |one: i64, other: i64| if one == 0 { other } else { one };
    let notes = [earlier.note, later.note];
    Block {
        html: Html(earlier.html.0 + &later.html.0),
        count: earlier.count + later.count,
        cursor: String::new(),
        first: either(earlier.first, later.first),
        last: either(later.last, earlier.last),
        note: notes.join(" ").trim().to_owned(),
    }
}

#[cfg(test)]
mod tests;
