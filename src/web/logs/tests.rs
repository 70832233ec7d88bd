//! Pages of lines.

use super::*;
use crate::logs::{LogStream, Message, Tags};

/// A line of a source.
pub(super) fn line(source: &str, timestamp: i64, source_type: &str, text: &str) -> Envelope {
    let tag = ("source_type".to_owned(), source_type.to_owned());
    Envelope {
        timestamp,
        source_id: source.into(),
        instance_id: "0".into(),
        tags: std::sync::Arc::new(Tags::from([tag])),
        message: Message::Log {
            payload: text.to_owned().into(),
            stream: LogStream::Out,
        },
    }
}

fn found(text: &str, stop: Option<Stop>) -> Found {
    let lines = (1..=100).map(|at| line("app", at, "APP", text)).collect();
    Found { lines, stop }
}

#[test]
fn a_page_ends_at_its_bytes_and_says_where_to_go_on() {
    let found = found(
        &"x".repeat(60_000),
        Some(Stop {
            at: 1,
            by: StopBy::Count,
        }),
    );
    let style = Style::default();
    let (end, begin) = (newest(&found, &style), oldest(&found, &style));
    for block in [&end, &begin] {
        assert!(block.html.0.len() < BLOCK + 20_000);
        assert!((2..100).contains(&block.count));
        assert_eq!(
            block.last - block.first + 1,
            i64::try_from(block.count).expect("small")
        );
        assert_eq!(block.note, "");
    }
    assert_eq!((end.last, begin.first), (100, 1));
    let both = joined(newest(&found, &style), oldest(&found, &style));
    assert_eq!((both.first, both.last), (end.first, begin.last));
}

#[test]
fn a_page_says_how_far_a_search_looked() {
    let stop = Some(Stop {
        at: 7_000_000,
        by: StopBy::Looked,
    });
    let style = Style::default();
    let empty = Found {
        lines: Vec::new(),
        stop,
    };
    let (end, begin) = (newest(&empty, &style), oldest(&empty, &style));
    assert_eq!((end.first, end.last, end.count), (7_000_000, 0, 0));
    assert_eq!((begin.first, begin.last, begin.count), (0, 7_000_000, 0));
    assert_eq!(
        end.note,
        "Of the log the newest 200000 lines were looked at, back to 1970-01-01T00:00:00.007Z."
    );
    assert_eq!(
        begin.note,
        "Of the log the next 200000 lines were looked at, up to 1970-01-01T00:00:00.007Z."
    );
    let all = newest(&found("x", None), &style);
    assert_eq!((all.count, all.first, all.note.as_str()), (100, 1, ""));
}
