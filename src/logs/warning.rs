//! What readers are told of envelopes that they did not get.

use std::sync::Arc;

use super::envelope::{Envelope, LogStream, Message, Tags};
use super::live::Loss;

/// The text of a loss on the way to a destination.
pub(super) fn text(loss: Loss, to: &str) -> String {
    let Loss { since, total } = loss;
    format!(
        "Log message output is too high. {since} messages dropped (Total {total} messages dropped) \
         from cflite to {to}."
    )
}

/// A line of the log system in a consumer's own stream.
pub(super) fn lost(loss: Loss, source_id: Arc<str>, to: &str, timestamp: i64) -> Envelope {
    let tags = [
        ("source_id", &*source_id),
        ("instance_id", "0"),
        ("source_type", "LGR"),
        ("origin", "cflite"),
    ];
    let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Envelope {
        timestamp,
        instance_id: "0".into(),
        tags: Arc::new(Tags::from(tags)),
        message: Message::Log {
            payload: text(loss, to).into(),
            stream: LogStream::Err,
        },
        source_id,
    }
}
