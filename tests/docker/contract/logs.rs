//! What containers wrote.

use std::sync::Arc;
use std::time::Duration;

use cflite::docker::{Behaviour, LogFrame, LogReading, LogStream};
use futures_util::StreamExt;

use crate::bench::{Bench, soon};

async fn frames(bench: &Bench, id: &str, since: i64, reading: LogReading) -> Vec<LogFrame> {
    let stream = bench.engine.logs(id, since, reading).await.expect("logs");
    soon(stream.map(|frame| frame.expect("a frame")).collect()).await
}

fn texts(frames: &[LogFrame], stream: LogStream) -> Vec<&[u8]> {
    let mine = frames.iter().filter(|frame| frame.stream == stream);
    mine.map(|frame| &frame.data[..]).collect()
}

pub(super) async fn logs_come_in_frames_with_times(bench: Arc<Bench>) {
    let script = "printf 'one\\n\\ntwo\\n'; echo oops >&2; \
        head -c 40000 /dev/zero | tr '\\0' x; printf '\\nno end'";
    let long = "x".repeat(40_000);
    let behaviour = Behaviour::runs()
        .prints("one\n\ntwo\n")
        .complains("oops\n")
        .prints(format!("{long}\nno end"))
        .exits(0);
    let id = bench.started("frames", script, behaviour).await;
    soon(bench.engine.wait(&id)).await.expect("waited");
    let frames = frames(&bench, &id, 0, LogReading::Once).await;

    let out = texts(&frames, LogStream::Out);
    assert_eq!(out[..3], [&b"one\n"[..], b"\n", b"two\n"]);
    let lengths: Vec<usize> = out[3..].iter().map(|data| data.len()).collect();
    assert_eq!(lengths, [16_384, 16_384, 7_233, 7]);
    assert_eq!(out[6], b"no end\n");
    assert_eq!(texts(&frames, LogStream::Err), [b"oops\n"]);

    let times: Vec<i64> = frames
        .iter()
        .filter(|frame| frame.stream == LogStream::Out)
        .map(|frame| frame.nanos)
        .collect();
    assert!(times[0] > 1_600_000_000_000_000_000);
    assert!(times[0] < times[1] && times[1] < times[2] && times[2] < times[3]);
    assert!(
        times[3] == times[4] && times[4] == times[5],
        "parts share a time: {times:?}"
    );
    assert!(times[5] < times[6]);
}

pub(super) async fn logs_start_where_asked(bench: Arc<Bench>) {
    let behaviour = Behaviour::runs()
        .prints("early\n")
        .waits(Duration::from_millis(2100))
        .prints("late\n")
        .exits(0);
    let id = bench
        .started("since", "echo early; sleep 2.1; echo late", behaviour)
        .await;
    soon(bench.engine.wait(&id)).await.expect("waited");
    let all = frames(&bench, &id, 0, LogReading::Once).await;
    assert_eq!(texts(&all, LogStream::Out), [&b"early\n"[..], b"late\n"]);
    let late = frames(&bench, &id, all[1].nanos, LogReading::Once).await;
    assert_eq!(late, all[1..]);
    assert!(
        frames(
            &bench,
            &id,
            all[1].nanos + 2_000_000_000,
            LogReading::Follow
        )
        .await
        .is_empty()
    );
}

pub(super) async fn following_ends_with_the_container(bench: Arc<Bench>) {
    let behaviour = Behaviour::runs()
        .prints("first\n")
        .waits(Duration::from_millis(400))
        .prints("second\n")
        .exits(0);
    let id = bench
        .started("follow", "echo first; sleep 0.4; echo second", behaviour)
        .await;
    let begin = tokio::time::Instant::now();
    let mut stream = bench
        .engine
        .logs(&id, 0, LogReading::Follow)
        .await
        .expect("logs");
    let first = soon(stream.next())
        .await
        .expect("a frame")
        .expect("a frame");
    assert_eq!(&first.data[..], b"first\n");
    assert!(
        begin.elapsed() < Duration::from_millis(395),
        "comes before the end"
    );
    let second = soon(stream.next())
        .await
        .expect("a frame")
        .expect("a frame");
    assert_eq!(&second.data[..], b"second\n");
    assert!(soon(stream.next()).await.is_none());
    assert_eq!(frames(&bench, &id, 0, LogReading::Follow).await.len(), 2);
}
