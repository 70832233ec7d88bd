//! What of the lines that come becomes a block for a viewer: lines that it has are left out, lines of
//! the past wait for the next block when one is full, and live ones are counted then.

use std::collections::VecDeque;

use super::asked::Asked;
use super::cursor::Cursor;
use super::line::{self, Style};
use super::{BLOCK, BYTES, LOOKED};
use crate::logs::{Envelope, OWN, Stop, StopBy};

/// Lines of one block; more are counted.
const MOST: usize = 500;
/// Lines that a viewer gets who was away for long: as many as a page keeps.
pub(super) const RING: usize = 5000;

/// Lines on their way to a viewer.
pub(super) struct Intake {
    asked: Asked,
    style: Style,
    pub(super) cursor: Cursor,
    /// What the viewer had when it came.
    had: Cursor,
    /// Lines of the past that may still come at once.
    backlog: usize,
    /// Lines for which there was no room.
    waiting: VecDeque<Envelope>,
    /// What the viewer is told first.
    told: String,
}

/// Lines that wait for the next block.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) html: String,
    shown: usize,
    left_out: usize,
    /// The time of the first line that was left out.
    gap: i64,
}

impl Intake {
    /// For a viewer that has some lines; `stop` is where the search for those that it lacks ended.
    pub(super) fn new(asked: Asked, style: Style, had: Cursor, stop: Option<Stop>) -> Self {
        let mut intake = Self {
            asked,
            style,
            cursor: had.clone(),
            had,
            backlog: RING,
            waiting: VecDeque::new(),
            told: String::new(),
        };
        if let Some(stop) = stop {
            intake.told = intake.note_of_more(stop);
        }
        intake
    }

    /// Whether the viewer still gets lines of the past.
    pub(super) fn is_past(&self) -> bool {
        self.backlog > 0
    }

    /// From now on lines are live.
    pub(super) fn end_past(&mut self) {
        self.backlog = 0;
    }

    /// Takes lines that the viewer lacks.
    pub(super) fn take(&mut self, lines: Vec<Envelope>) {
        let is_wanted = |line: &Envelope| is_own(line) || self.had.lacks(line);
        self.waiting.extend(lines.into_iter().filter(is_wanted));
    }

    /// Puts what waits into a block. Of the past, what does not fit goes on waiting.
    pub(super) fn fill(&mut self, batch: &mut Batch) {
        batch.html.push_str(&std::mem::take(&mut self.told));
        while !(self.is_past() && batch.is_full())
            && let Some(line) = self.waiting.pop_front()
        {
            if !is_own(&line) {
                self.cursor.saw(&line);
            }
            if batch.is_full() {
                if batch.left_out == 0 {
                    batch.gap = line.timestamp;
                }
                batch.left_out += 1;
            } else {
                line::html(&mut batch.html, &line, &self.style);
                batch.shown += 1;
                self.backlog = self.backlog.saturating_sub(1);
            }
        }
    }

    /// The HTML of a block, with a note of what was left out.
    pub(super) fn html(&self, mut batch: Batch) -> String {
        if batch.left_out > 0 {
            let text = format!("{} lines not shown: they came too fast.", batch.left_out);
            line::note(&mut batch.html, &text, &self.around(batch.gap));
        }
        batch.html
    }

    /// The viewer missed more than it gets.
    fn note_of_more(&self, stop: Stop) -> String {
        let text = match stop.by {
            StopBy::Count => format!("More than {RING} lines came meanwhile"),
            StopBy::Bytes => format!("More than {} MB of lines came meanwhile", BYTES >> 20),
            StopBy::Looked => format!("More than {LOOKED} lines were logged meanwhile"),
        };
        let text = format!("{text}; the earlier ones are in the log.");
        let mut html = String::new();
        line::note(&mut html, &text, &self.around(self.had.newest()));
        html
    }

    /// The query of the page around a time.
    fn around(&self, at: i64) -> String {
        let around = Asked {
            at: at.to_string(),
            ..self.asked.clone()
        };
        around.query()
    }
}

/// Whether a line is the stream's own: it is in no log, and has no place in a [`Cursor`]. Lines of
/// the log system in an app's log are lines as others.
fn is_own(line: &Envelope) -> bool {
    &*line.source_id == OWN
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.html.is_empty()
    }

    /// Whether it has as many lines or bytes as a block may have.
    pub(super) fn is_full(&self) -> bool {
        self.shown >= MOST || self.html.len() >= BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::line;
    use super::*;

    fn intake() -> Intake {
        Intake::new(Asked::default(), Style::default(), Cursor::at(0), None)
    }

    fn filled(intake: &mut Intake) -> Batch {
        let mut batch = Batch::default();
        intake.fill(&mut batch);
        batch
    }

    #[test]
    fn stored_lines_of_the_log_system_come_once() {
        let stored = line("app", 5, "LGR", "2 messages dropped");
        let own = line(OWN, 6, "LGR", "3 messages dropped");
        let mut intake = intake();
        intake.take(vec![stored.clone(), own.clone()]);
        let html = filled(&mut intake).html;
        assert!(html.contains("2 messages") && html.contains("3 messages"));
        let had = Cursor::parse(&intake.cursor.id()).expect("an id");
        assert_eq!(had.newest(), 5);
        let mut again = Intake::new(Asked::default(), Style::default(), had, None);
        again.take(vec![stored, own]);
        let html = filled(&mut again).html;
        assert!(!html.contains("2 messages"), "{html}");
    }

    #[test]
    fn a_block_ends_at_its_bytes_and_the_past_goes_on_in_the_next() {
        let text = "x".repeat(60_000);
        let mut intake = intake();
        intake.take((1..=100).map(|at| line("app", at, "APP", &text)).collect());
        let mut shown = 0_i64;
        while !intake.waiting.is_empty() {
            let batch = filled(&mut intake);
            assert!(batch.html.len() < BLOCK + 20_000, "{}", batch.html.len());
            shown += i64::try_from(batch.shown).expect("few");
            assert_eq!((batch.left_out, intake.cursor.newest()), (0, shown));
        }
        assert_eq!(shown, 100);
    }

    #[test]
    fn live_lines_beyond_the_bytes_of_a_block_are_counted() {
        let text = "x".repeat(60_000);
        let mut intake = intake();
        intake.end_past();
        intake.take((1..=100).map(|at| line("app", at, "APP", &text)).collect());
        let batch = filled(&mut intake);
        assert!(intake.waiting.is_empty() && intake.cursor.newest() == 100);
        let (left_out, gap) = (batch.left_out, batch.shown + 1);
        assert!(left_out > 50 && batch.html.len() < BLOCK + 20_000);
        let html = intake.html(batch);
        let note =
            format!("{left_out} lines not shown: they came too fast. <a href=\"?at={gap}\">");
        assert!(html.contains(&note), "{}", &html[html.len() - 200..]);
    }

    #[test]
    fn what_a_viewer_missed_is_told_before_the_rest() {
        for (by, text) in [
            (StopBy::Count, "More than 5000 lines came"),
            (StopBy::Bytes, "More than 4 MB of lines came"),
            (StopBy::Looked, "More than 200000 lines were logged"),
        ] {
            let stop = Some(Stop { at: 8, by });
            let had = Cursor::at(7);
            let mut intake = Intake::new(Asked::default(), Style::default(), had, stop);
            let html = filled(&mut intake).html;
            assert!(html.contains(text) && html.contains("?at=7"), "{html}");
            assert!(filled(&mut intake).is_empty());
        }
    }
}
