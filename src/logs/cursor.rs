//! The read position in one output of a container, which decides which of Docker's frames are new.
//!
//! Docker gives every line of an output a timestamp that is unique and increasing within that
//! output; a line longer than 16 KiB arrives as several frames with one timestamp, only the last of
//! which ends with a newline. A [`Cursor`] names the last stored line and, if it is stored
//! partially, how many bytes of it. [`Track`] turns frames into pieces and advances the cursor;
//! reading again from any earlier point gives the rest without duplicates or losses.

use bytes::Bytes;

use super::marks::Mark;
use super::split;
use crate::docker::LogFrame;

/// The last stored line of one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cursor {
    /// Its timestamp from Docker; zero before the first line.
    pub(super) nanos: i64,
    /// The number of stored bytes if the line is stored partially; `None` if it is complete.
    pub(super) open_offset: Option<u64>,
}

/// A piece of output to store: a complete line, or a part of one that is too long for one envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) nanos: i64,
    /// The sidecar that wrote it.
    pub(super) sidecar: Option<usize>,
    pub(super) data: Bytes,
}

/// Reads one output of one container.
#[derive(Debug)]
pub(super) struct Track {
    cursor: Cursor,
    /// Whether lines may begin with a [`Mark`].
    marked: bool,
    open: Option<Open>,
}

/// A line whose end was not received yet.
#[derive(Debug)]
struct Open {
    nanos: i64,
    mark: Option<Mark>,
    /// Bytes of the line before `buffer`.
    offset: u64,
    /// Bytes to skip because they are stored already.
    skip: u64,
    buffer: Vec<u8>,
}

impl Track {
    /// Continues after `cursor`; `marked` when lines may begin with a mark.
    pub(super) fn new(cursor: Cursor, marked: bool) -> Self {
        Self {
            cursor,
            marked,
            open: None,
        }
    }

    /// The position from which a later reading has to continue.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Drops an unfinished line: the next reading starts at the cursor again.
    pub(super) fn rewind(&mut self) {
        self.open = None;
    }

    /// Whether the frame starts a new line.
    pub(super) fn is_new(&self, frame: &LogFrame) -> bool {
        let seen = self.open.as_ref().map_or(0, |open| open.nanos);
        frame.nanos > self.cursor.nanos.max(seen)
    }

    /// Processes a frame and appends completed pieces to `pieces`.
    pub(super) fn feed(&mut self, frame: LogFrame, pieces: &mut Vec<Piece>) {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.nanos != frame.nanos)
        {
            // The rest of that line was lost by log rotation; a frame with another timestamp never
            // continues it.
            self.finish(pieces);
        }
        let stored = self.cursor.nanos > frame.nanos
            || (self.cursor.nanos == frame.nanos && self.cursor.open_offset.is_none());
        if stored {
            return;
        }
        let ends = frame.data.last() == Some(&b'\n');
        if self.open.is_none() && ends && self.cursor.nanos != frame.nanos {
            let mark = self.mark(&frame.data);
            self.complete(piece(frame.nanos, frame.data, mark, 0), pieces);
            return;
        }
        self.extend(&frame);
        if ends {
            self.finish(pieces);
        } else {
            self.cut_long(pieces);
        }
    }

    /// The output ended: an open line has no newline.
    pub(super) fn finish(&mut self, pieces: &mut Vec<Piece>) {
        if let Some(open) = self.open.take() {
            let data = open.buffer.into();
            self.complete(piece(open.nanos, data, open.mark, open.offset), pieces);
        }
    }

    fn complete(&mut self, piece: Piece, pieces: &mut Vec<Piece>) {
        self.cursor = Cursor {
            nanos: piece.nanos,
            open_offset: None,
        };
        if !piece.data.is_empty() {
            pieces.push(piece);
        }
    }

    fn mark(&self, line: &[u8]) -> Option<Mark> {
        self.marked.then(|| Mark::of(line)).flatten()
    }

    fn extend(&mut self, frame: &LogFrame) {
        let (cursor, mark) = (self.cursor, self.mark(&frame.data));
        let open = self.open.get_or_insert_with(|| {
            let skip = match cursor.open_offset {
                Some(offset) if cursor.nanos == frame.nanos => offset,
                _ => 0,
            };
            Open {
                nanos: frame.nanos,
                mark,
                offset: skip,
                skip,
                buffer: Vec::new(),
            }
        });
        let length = u64::try_from(frame.data.len()).unwrap_or(u64::MAX);
        let skipped = open.skip.min(length);
        open.skip -= skipped;
        let from = usize::try_from(skipped).unwrap_or(frame.data.len());
        open.buffer.extend_from_slice(&frame.data[from..]);
    }

    /// Emits the front of an over-long line, so that memory stays bounded.
    fn cut_long(&mut self, pieces: &mut Vec<Piece>) {
        let Some(open) = &mut self.open else { return };
        while open.buffer.len() > split::LONGEST_LINE {
            let rest = open.buffer.split_off(split::cut(&open.buffer));
            let data = Bytes::from(std::mem::replace(&mut open.buffer, rest));
            let offset = open.offset;
            open.offset += u64::try_from(data.len()).unwrap_or(0);
            self.cursor = Cursor {
                nanos: open.nanos,
                open_offset: Some(open.offset),
            };
            pieces.push(piece(open.nanos, data, open.mark, offset));
        }
    }
}

/// Bytes of a line from `offset` on, without the line's mark.
fn piece(nanos: i64, data: Bytes, mark: Option<Mark>, offset: u64) -> Piece {
    let length = mark.map_or(0, |mark| mark.length);
    let own = if offset == 0 {
        length.min(data.len())
    } else {
        0
    };
    Piece {
        nanos,
        sidecar: mark.map(|mark| mark.number),
        data: data.slice(own..),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::docker::LogStream;

    const FRAME: usize = 16 * 1024;

    /// The frames that Docker sends for these lines.
    fn frames(lines: &[String], ends_with_newline: bool) -> Vec<LogFrame> {
        let mut frames = Vec::new();
        for (number, line) in (1_i64..).zip(lines) {
            let last = usize::try_from(number).expect("small") == lines.len();
            let newline = if last && !ends_with_newline { "" } else { "\n" };
            let text = Bytes::from(format!("{line}{newline}"));
            for start in (0..text.len()).step_by(FRAME) {
                frames.push(LogFrame {
                    stream: LogStream::Out,
                    nanos: number * 1000,
                    data: text.slice(start..text.len().min(start + FRAME)),
                });
            }
        }
        frames
    }

    /// Lines with the sidecars that wrote them.
    fn spoken(pieces: Vec<Piece>) -> Vec<(Option<usize>, Bytes)> {
        let lines = pieces.into_iter().flat_map(|piece| {
            let sidecar = piece.sidecar;
            split::lines(piece.data).map(move |line| (sidecar, line))
        });
        lines.collect()
    }

    fn texts(pieces: Vec<Piece>) -> Vec<Bytes> {
        pieces
            .into_iter()
            .flat_map(|piece| split::lines(piece.data))
            .collect()
    }

    fn pieces(frames: &[LogFrame], marked: bool) -> Vec<Piece> {
        let mut track = Track::new(Cursor::default(), marked);
        let mut pieces = Vec::new();
        for frame in frames {
            track.feed(frame.clone(), &mut pieces);
        }
        track.finish(&mut pieces);
        pieces
    }

    fn read_all(frames: &[LogFrame]) -> Vec<Bytes> {
        texts(pieces(frames, false))
    }

    #[test]
    fn marks_name_the_sidecar_of_a_whole_line() {
        let long = "x".repeat(split::LONGEST_LINE + 9);
        let lines = [
            "\u{1e}1\0a".to_owned(),
            "b".to_owned(),
            format!("\u{1e}0\0{long}"),
        ];
        let frames = frames(&lines, true);
        let found: Vec<_> = spoken(pieces(&frames, true))
            .into_iter()
            .map(|(sidecar, text)| (sidecar, text.len()))
            .collect();
        let first = split::LONGEST_LINE;
        assert_eq!(
            found,
            [(Some(1), 1), (None, 1), (Some(0), first), (Some(0), 9)]
        );
        assert_eq!(
            read_all(&frames)[0],
            lines[0],
            "only where marks are expected"
        );
    }

    #[test]
    fn parts_of_a_line_become_one_line() {
        let long = "x".repeat(FRAME * 2 + 7);
        let frames = frames(&["a".into(), long.clone(), "b".into()], true);
        assert_eq!(frames.len(), 5);
        assert_eq!(read_all(&frames), ["a", long.as_str(), "b"]);
    }

    #[test]
    fn an_unfinished_line_waits_for_the_end_of_the_output() {
        let mut track = Track::new(Cursor::default(), false);
        let mut pieces = Vec::new();
        let frame = frames(&["half".into()], false).remove(0);
        track.feed(frame, &mut pieces);
        assert!(pieces.is_empty());
        assert_eq!(track.cursor(), Cursor::default());
        track.finish(&mut pieces);
        assert_eq!(texts(pieces), ["half"]);
        assert_eq!(track.cursor().nanos, 1000);
    }

    #[test]
    fn a_frame_at_or_before_the_cursor_is_old() {
        let all = frames(&["a".into(), "b".into(), "c".into()], true);
        let mut track = Track::new(
            Cursor {
                nanos: 2000,
                open_offset: None,
            },
            false,
        );
        let mut pieces = Vec::new();
        assert!(!track.is_new(&all[1]));
        assert!(track.is_new(&all[2]));
        for frame in all {
            track.feed(frame, &mut pieces);
        }
        assert_eq!(texts(pieces), ["c"]);
    }

    #[test]
    fn a_truncated_line_does_not_swallow_the_next() {
        let long = "x".repeat(FRAME + 1);
        let mut all = frames(&[long, "next".into()], true);
        all.remove(1);
        assert_eq!(read_all(&all), ["x".repeat(FRAME).as_str(), "next"]);
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            6 => "(\u{1e}[0-9]{0,2}\u{0}){0,2}[a-zé€ \r]{0,40}",
            1 => (1..5_usize, "[a-z€]{1,3}").prop_map(|(n, s)| s.repeat(n * 9000)),
            1 => Just("y".repeat(split::LONGEST_LINE * 2 + 5)),
            1 => Just(format!("\u{1e}3\0{}", "z".repeat(split::LONGEST_LINE * 2))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Readers that stop anywhere and restart anywhere at or before their cursor store together
        /// exactly what one reader stores.
        #[test]
        fn restarts_anywhere_neither_lose_nor_repeat(
            lines in prop::collection::vec(line(), 1..12),
            newline in any::<bool>(),
            restarts in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 0..8),
        ) {
            let frames = frames(&lines, newline);
            let expected = spoken(pieces(&frames, true));
            let mut stored = Vec::new();
            let mut cursor = Cursor::default();
            for (stop, back) in restarts {
                // The first frame that can still be needed; a reader may start earlier.
                let needed = frames.iter().position(|f| f.nanos >= cursor.nanos).unwrap_or(frames.len());
                let start = pick(needed, back);
                let end = start + pick(frames.len() - start, stop);
                let mut track = Track::new(cursor, true);
                for frame in &frames[start..end] {
                    track.feed(frame.clone(), &mut stored);
                }
                cursor = track.cursor();
            }
            let mut track = Track::new(cursor, true);
            for frame in frames {
                track.feed(frame, &mut stored);
            }
            track.finish(&mut stored);
            prop_assert_eq!(spoken(stored), expected);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a fraction of a small length"
    )]
    fn pick(length: usize, fraction: f64) -> usize {
        (length as f64 * fraction).round() as usize
    }
}
