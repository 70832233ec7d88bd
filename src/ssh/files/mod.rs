//! SFTP for images without OpenSSH's `sftp-server`: the protocol is spoken here, and each request
//! is a command of the container's own shell and tools, as the app's own user.
//!
//! A file is read and written in one direction by one command that lasts while the client goes on
//! where it left off, as clients do; a jump begins another one. What an image has no tool for fails
//! by name.

mod handler;
mod open;
mod tools;

use std::sync::Arc;

use futures_util::StreamExt;
use russh_sftp::server::{Config, run_with_config};
use tokio_util::io::ReaderStream;

use self::handler::Files;
use super::process::{Output, Streams};
use crate::docker::{DockerError, Engine, LogStream};

/// Bytes on their way between client and server.
const PIPE: usize = 256 * 1024;
/// The longest request: 256 KiB of data with its head.
const LONGEST_REQUEST: u32 = 300 * 1024;

/// A server for the files of a container; what it says and hears.
pub(super) async fn serve(engine: &Arc<dyn Engine>, container: &str) -> Streams {
    let (near, far) = tokio::io::duplex(PIPE);
    let config = Config {
        max_client_packet_len: LONGEST_REQUEST,
    };
    // It starts the server and returns; that ends when the client closes its end of the pipe.
    run_with_config(far, Files::new(engine, container), config).await;
    let (read, write) = tokio::io::split(near);
    let output = ReaderStream::with_capacity(read, 32 * 1024).map(|part| {
        let part = part.map_err(|error| DockerError::Unreachable(error.to_string()))?;
        Ok((LogStream::Out, part))
    });
    Streams {
        input: Box::pin(write),
        output: Output::of(Box::pin(output)),
    }
}
