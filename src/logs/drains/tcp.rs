//! Delivery over TCP and TLS: each message behind its length (octet counting, RFC 6587).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::target::Target;

/// For a connection to one address.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// For agreeing on TLS, and for each write.
const WITHIN: Duration = Duration::from_secs(10);

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection to a receiver, opened when it is needed.
pub(super) struct TcpSink {
    tls: Option<Arc<ClientConfig>>,
    stream: Option<Box<dyn Stream>>,
}

impl TcpSink {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        Self { tls, stream: None }
    }

    /// Whether a connection has to be opened.
    pub(super) fn is_closed(&mut self) -> bool {
        self.stream.as_mut().is_none_or(has_ended)
    }

    /// Opens a connection to the first address that takes one.
    pub(super) async fn connect(
        &mut self,
        target: &Target,
        addresses: &[SocketAddr],
    ) -> Result<(), String> {
        self.stream = None;
        let mut last = "no address".to_owned();
        for address in addresses {
            match self.open(target, *address).await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(format!("Failed to connect to {}: {last}", target.shown))
    }

    async fn open(&self, target: &Target, address: SocketAddr) -> Result<Box<dyn Stream>, String> {
        let text = |error: std::io::Error| error.to_string();
        let late = |_| "timeout".to_owned();
        let tcp = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
        let tcp = tcp.map_err(late)?.map_err(text)?;
        tcp.set_nodelay(true).map_err(text)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
        let connecting = TlsConnector::from(tls.clone()).connect(name, tcp);
        let stream = timeout(WITHIN, connecting).await;
        Ok(Box::new(stream.map_err(late)?.map_err(text)?))
    }

    /// Sends messages and removes those that were sent completely.
    pub(super) async fn send(&mut self, messages: &mut VecDeque<Vec<u8>>) -> std::io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        let (mut bytes, mut ends) = (Vec::new(), VecDeque::new());
        for message in messages.iter() {
            bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
            bytes.extend_from_slice(message);
            ends.push_back(bytes.len());
        }
        let mut written = 0;
        let result = write(stream, &bytes, &mut written).await;
        while ends.front().is_some_and(|end| *end <= written) {
            ends.pop_front();
            messages.pop_front();
        }
        if result.is_err() {
            self.stream = None;
        }
        result
    }
}

/// Writes all bytes, counting those that are written.
async fn write(stream: &mut dyn Stream, bytes: &[u8], written: &mut usize) -> std::io::Result<()> {
    while *written < bytes.len() {
        let some = timeout(WITHIN, stream.write(&bytes[*written..])).await;
        match some.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?? {
            0 => return Err(std::io::ErrorKind::WriteZero.into()),
            count => *written += count,
        }
    }
    let flushed = timeout(WITHIN, stream.flush()).await;
    flushed.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}

/// Whether the receiver closed the connection. What it may say is ignored.
fn has_ended(stream: &mut Box<dyn Stream>) -> bool {
    let mut ignored = [0; 256];
    loop {
        match stream.read(&mut ignored).now_or_never() {
            None => return false,
            Some(Ok(0) | Err(_)) => return true,
            Some(Ok(_)) => {}
        }
    }
}
