//! Up to where a viewer has the lines of each source: the id of an event, with which a browser goes
//! on after a connection broke.
//!
//! Times are unique within a source, but lines of several sources arrive in no strict order. So the
//! id names the last line of every source that was heard of in the last minute, and a floor for
//! all others. Nothing is kept on the server, and a restart of the platform loses nothing.

use std::collections::HashMap;

use crate::logs::Envelope;

/// Lines of a source arrive at most so much later than those of others, in nanoseconds.
const LATEST: i64 = 60 * 1_000_000_000;
/// Sources in one id, which is a header of a request.
const MOST_SOURCES: usize = 200;

/// Where a viewer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Up to this time, for sources that are not listed.
    floor: i64,
    /// Up to these times, by the hashes of sources.
    had: HashMap<u64, i64>,
}

impl Cursor {
    /// Of a viewer who has everything up to a time.
    pub(super) fn at(floor: i64) -> Self {
        Self {
            floor,
            had: HashMap::new(),
        }
    }

    /// Notes a line that the viewer gets.
    pub(super) fn saw(&mut self, line: &Envelope) {
        let key = hash(&line.source_id);
        let had = self.had.entry(key).or_insert(line.timestamp);
        *had = line.timestamp.max(*had);
    }

    /// Whether the viewer does not have this line.
    pub(super) fn lacks(&self, line: &Envelope) -> bool {
        let had = self.had.get(&hash(&line.source_id));
        line.timestamp > *had.unwrap_or(&self.floor)
    }

    /// The time of the earliest line that the viewer may lack.
    pub(super) fn begin(&self) -> i64 {
        let least = self.had.values().min().copied();
        least
            .map_or(self.floor, |least| least.min(self.floor))
            .saturating_add(1)
    }

    /// The time of the newest line that the viewer has.
    pub(super) fn newest(&self) -> i64 {
        let most = self.had.values().max().copied();
        most.map_or(self.floor, |most| most.max(self.floor))
    }

    /// Forgets sources that said nothing for long.
    fn trim(&mut self) {
        let Some(newest) = self.had.values().max().copied() else {
            return;
        };
        let mut floor = self.floor.max(newest.saturating_sub(LATEST));
        if self.had.len() > MOST_SOURCES {
            let mut times: Vec<i64> = self.had.values().copied().collect();
            times.sort_unstable();
            floor = floor.max(times[times.len() - MOST_SOURCES - 1]);
        }
        // One that is behind the floor although it was heard of lately stays behind it.
        let oldest = newest.saturating_sub(LATEST);
        self.floor = floor;
        self.had.retain(|_, had| *had > oldest);
        if self.had.len() > MOST_SOURCES {
            self.had.retain(|_, had| *had > floor);
        }
    }

    /// As the id of an event: letters, digits, dots and dashes.
    pub(super) fn id(&mut self) -> String {
        self.trim();
        let mut id = self.floor.to_string();
        for (key, had) in &self.had {
            let part = format!(".{key:x}-{had}");
            id.push_str(&part);
        }
        id
    }

    /// Reads an id; `None` when it is none.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let mut parts = id.split('.');
        let mut cursor = Self::at(parts.next()?.parse().ok()?);
        for part in parts.take(MOST_SOURCES) {
            let (key, had) = part.split_once('-')?;
            let key = u64::from_str_radix(key, 16).ok()?;
            cursor.had.insert(key, had.parse().ok()?);
        }
        Some(cursor)
    }
}

/// FNV-1a: the same in every version of the program.
fn hash(source: &str) -> u64 {
    source.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::logs::{LogStream, Message, Tags};

    const SECOND: i64 = 1_000_000_000;

    fn line(source: &str, timestamp: i64) -> Envelope {
        Envelope {
            timestamp,
            source_id: source.into(),
            instance_id: "0".into(),
            tags: Arc::new(Tags::new()),
            message: Message::Log {
                payload: Bytes::new(),
                stream: LogStream::Out,
            },
        }
    }

    #[test]
    fn a_viewer_lacks_what_came_after_and_nothing_else() {
        let mut cursor = Cursor::at(100 * SECOND);
        cursor.saw(&line("a", 105 * SECOND));
        cursor.saw(&line("late", 99 * SECOND));
        let again = Cursor::parse(&cursor.id()).expect("an id");
        assert_eq!(again, cursor);
        for (source, at, expected) in [
            ("a", 105, false),
            ("a", 106, true),
            // Came late, after another of the same source that was late, too.
            ("late", 99, false),
            ("late", 100, true),
            ("other", 100, false),
            ("other", 101, true),
        ] {
            assert_eq!(
                again.lacks(&line(source, at * SECOND)),
                expected,
                "{source} {at}"
            );
        }
        assert_eq!(again.begin(), 99 * SECOND + 1);
        assert_eq!(again.newest(), 105 * SECOND);
    }

    #[test]
    fn an_id_stays_small() {
        let mut cursor = Cursor::at(0);
        for at in 0..1000 {
            cursor.saw(&line(&format!("app-{at}"), 1_700_000_000 * SECOND + at));
        }
        let id = cursor.id();
        assert!(id.len() < 8000, "{}", id.len());
        let again = Cursor::parse(&id).expect("an id");
        // Nothing that was seen is shown again.
        for at in 0..1000 {
            assert!(!again.lacks(&line(&format!("app-{at}"), 1_700_000_000 * SECOND + at)));
        }
    }

    #[test]
    fn quiet_sources_are_forgotten_without_repeats() {
        let mut cursor = Cursor::at(0);
        cursor.saw(&line("quiet", 10 * SECOND));
        cursor.saw(&line("loud", 100 * SECOND));
        let again = Cursor::parse(&cursor.id()).expect("an id");
        assert_eq!(again.had.len(), 1);
        assert!(!again.lacks(&line("quiet", 10 * SECOND)));
        assert!(again.lacks(&line("quiet", 101 * SECOND)));
    }

    #[test]
    fn what_is_no_id_is_none() {
        for id in [
            "",
            "x",
            "1.",
            "1.zz-1",
            "1.a",
            "1.a-",
            "99999999999999999999",
        ] {
            assert_eq!(Cursor::parse(id), None, "{id}");
        }
    }
}
