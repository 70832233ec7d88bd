//! Delivery over HTTPS: a request for each message, or for many.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, redirect};
use rustls::ClientConfig;

use super::target::{Target, Transport};
use super::{MARK, Settings, mark};
use crate::net::http_client;
use crate::net::outside::root_cause;

/// For a request.
const WITHIN: Duration = Duration::from_secs(20);
/// The maximum body of a batch, unless one message is longer.
pub(super) const MAX_BATCH: usize = 512 * 1024;

/// A client of one receiver.
pub(super) struct HttpsSink {
    client: Client,
    settings: Settings,
}

impl HttpsSink {
    /// A client that finds the receiver at these addresses.
    pub(super) fn new(
        target: &Target,
        addresses: &[SocketAddr],
        tls: &Arc<ClientConfig>,
        settings: &Settings,
    ) -> Result<Self, String> {
        let mut builder = http_client::plain();
        if addresses.iter().all(|address| address.ip().is_loopback()) {
            // A proxy is on the way to other machines only.
            builder = builder.no_proxy();
        }
        let client = builder
            .tls_backend_preconfigured((**tls).clone())
            .redirect(redirect::Policy::none())
            .resolve_to_addrs(&target.host, addresses)
            .timeout(WITHIN)
            .user_agent(concat!("cflite/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|error| {
            let reason = root_cause(&error);
            format!("Failed to connect to {}: {reason}", target.shown)
        })?;
        Ok(Self {
            client,
            settings: settings.clone(),
        })
    }

    /// Sends messages and removes those that the receiver took; the error is for the app's log.
    pub(super) async fn send(
        &self,
        target: &Target,
        messages: &mut VecDeque<Vec<u8>>,
    ) -> Result<(), String> {
        let host = target.url.host_str().unwrap_or_default();
        let mark = mark::of_host(&self.settings.secret, host);
        while !messages.is_empty() {
            let (body, count) = body(target.transport, messages);
            let request = self
                .client
                .post(target.url.clone())
                .header("content-type", "text/plain")
                .header(MARK, mark.as_str())
                .body(body);
            let answer = request.send().await.map_err(|error| {
                let reason = root_cause(&error);
                format!("Failed to connect to {}: {reason}", target.shown)
            })?;
            let status = answer.status();
            if !status.is_success() {
                let status = status.as_u16();
                return Err(format!(
                    "Syslog drain with url {} answered with status {status}",
                    target.shown
                ));
            }
            messages.drain(..count);
        }
        Ok(())
    }
}

/// The next body and how many messages it has.
fn body(transport: Transport, messages: &VecDeque<Vec<u8>>) -> (Vec<u8>, usize) {
    let mut body = Vec::new();
    let mut count = 0;
    for message in messages {
        let is_full = transport == Transport::Https || body.len() + message.len() > MAX_BATCH;
        if count > 0 && is_full {
            break;
        }
        body.extend_from_slice(message);
        count += 1;
    }
    (body, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_a_limit_but_takes_at_least_one() {
        let messages = |sizes: &[usize]| -> VecDeque<Vec<u8>> {
            sizes.iter().map(|size| vec![b'x'; *size]).collect()
        };
        let count = |transport, sizes: &[usize]| body(transport, &messages(sizes)).1;
        assert_eq!(count(Transport::Https, &[1, 1]), 1);
        assert_eq!(count(Transport::HttpsBatch, &[1, 1]), 2);
        assert_eq!(count(Transport::HttpsBatch, &[MAX_BATCH + 1, 1]), 1);
        assert_eq!(count(Transport::HttpsBatch, &[MAX_BATCH - 1, 1, 1]), 2);
    }
}
