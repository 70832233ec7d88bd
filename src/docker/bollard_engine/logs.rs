//! Container logs with the daemon's timestamps.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures_util::StreamExt;

use super::translate;
use crate::docker::{DockerError, EngineStream, LONGEST_FRAME, LogFrame, LogReading, LogStream};

const NANOS: i64 = 1_000_000_000;

/// Opens the log of a container. The daemon takes `since` in whole seconds only.
pub(super) async fn open(
    docker: &Docker,
    id: &str,
    since_nanos: i64,
    reading: LogReading,
) -> Result<EngineStream<LogFrame>, DockerError> {
    let since = i32::try_from(since_nanos.div_euclid(NANOS).max(0)).unwrap_or(i32::MAX);
    let options = LogsOptionsBuilder::default()
        .follow(reading == LogReading::Follow)
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .since(since)
        .build();
    // A missing container is reported here, not by the first frame.
    super::within(super::QUICK, docker.inspect_container(id, None)).await?;
    let frames = docker.logs(id, Some(options)).map(|output| match output {
        Ok(LogOutput::StdOut { message }) => frame(LogStream::Out, message),
        Ok(LogOutput::StdErr { message }) => frame(LogStream::Err, message),
        Ok(LogOutput::StdIn { message } | LogOutput::Console { message }) => Err(
            DockerError::Failed(String::from_utf8_lossy(&message).trim().to_owned()),
        ),
        Err(error) => Err(translate::error(error)),
    });
    Ok(Box::pin(frames))
}

/// Splits `2023-11-14T22:13:20.123456789Z text`.
fn frame(stream: LogStream, mut message: Bytes) -> Result<LogFrame, DockerError> {
    let end = message.iter().position(|b| *b == b' ');
    let time = end
        .and_then(|end| std::str::from_utf8(&message[..end]).ok())
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (Some(end), Some(time)) = (end, time) else {
        return Err(DockerError::Failed("a log frame without a time".into()));
    };
    let nanos = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
    let mut data = message.split_off(end + 1);
    // The `local` driver loses the newline of a line that it split; only the last part is shorter
    // than the others.
    if data.len() < LONGEST_FRAME && !data.ends_with(b"\n") {
        data = [&data[..], b"\n"].concat().into();
    }
    Ok(LogFrame {
        stream,
        nanos,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_split_into_time_and_bytes() {
        let message = Bytes::from_static(b"2023-11-14T22:13:20.000000042Z two words\n");
        let frame = frame(LogStream::Err, message).expect("a frame");
        assert_eq!(frame.nanos, 1_700_000_000_000_000_042);
        assert_eq!(&frame.data[..], b"two words\n");
        assert_eq!(frame.stream, LogStream::Err);
    }

    #[test]
    fn the_last_part_of_a_line_ends_with_a_newline() {
        let cases = [
            (b"x".repeat(LONGEST_FRAME), LONGEST_FRAME),
            (b"x".repeat(LONGEST_FRAME - 1), LONGEST_FRAME),
            (Vec::new(), 1),
            (b"\n".to_vec(), 1),
        ];
        for (data, length) in cases {
            let message = [b"2023-11-14T22:13:20.000000042Z ", &data[..]].concat();
            let frame = frame(LogStream::Out, message.into()).expect("a frame");
            assert_eq!(frame.data.len(), length);
        }
    }

    #[test]
    fn a_frame_without_a_time_is_an_error() {
        for bytes in ["", "nonsense", "nonsense and more"] {
            assert!(
                frame(LogStream::Out, Bytes::from(bytes)).is_err(),
                "{bytes}"
            );
        }
    }
}
