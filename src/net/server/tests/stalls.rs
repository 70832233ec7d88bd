//! Clients that send requests and do not read responses.

use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt;

use super::clients::{HTTP2_PREFACE, TlsClient, http2_get, settings};
use super::{Bench, run};
use crate::net::Scheme;

const ENDLESS: &[u8] = b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_client_that_does_not_read_loses_its_connection() {
    run(async {
        let bench = Bench::new();
        let limit = bench.thread.pace.ticks_of(bench.thread.pace.limits.write);
        let mut plain = bench.serve(Scheme::Http).await;
        plain.client.write_all(ENDLESS).await.unwrap();
        let ticks = bench.pass_until(|| plain.task.is_finished()).await;
        assert!(ticks > limit, "{ticks}");
        assert_eq!(bench.paths.endless.get(), 0);
        for version in [&TLS12, &TLS13] {
            let served = bench.serve(Scheme::Https).await;
            let settings = settings(&bench.pki, version, b"http/1.1");
            let _client = TlsClient::connect(served.client, settings, ENDLESS).await;
            bench.pass_until(|| served.task.is_finished()).await;
            assert_eq!(bench.paths.endless.get(), 0);
        }
    });
}

#[test]
fn an_http2_client_that_does_not_read_loses_its_connection() {
    run(async {
        let bench = Bench::new();
        let served = bench.serve(Scheme::Https).await;
        let settings = settings(&bench.pki, &TLS13, b"h2");
        // The largest windows there are, so that the socket's buffer fills up.
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        first.extend_from_slice(b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff");
        first.extend_from_slice(b"\0\0\x04\x08\0\0\0\0\0\x7f\0\0\0");
        first.extend_from_slice(&http2_get(1, "/endless"));
        let _client = TlsClient::connect(served.client, settings, &first).await;
        bench.pass_until(|| served.task.is_finished()).await;
        assert_eq!(bench.paths.endless.get(), 0);
    });
}

#[test]
fn only_the_http2_stream_whose_window_stays_closed_is_reset() {
    run(async {
        let bench = Bench::new();
        let served = bench.serve(Scheme::Https).await;
        let settings = settings(&bench.pki, &TLS13, b"h2");
        // The connection's window is large, the stream's is not.
        let mut first = HTTP2_PREFACE.to_vec();
        first.extend_from_slice(b"\0\0\x04\x08\0\0\0\0\0\x7f\0\0\0");
        first.extend_from_slice(&http2_get(1, "/endless"));
        let mut client = TlsClient::connect(served.client, settings, &first).await;
        let mut received = 0;
        while received < 65535 {
            received += client.frame_of(0, 1).await.len();
        }
        assert_eq!(bench.paths.endless.get(), 1);
        bench.pass_until(|| bench.paths.endless.get() == 0).await;
        // RST_STREAM.
        assert_eq!(client.frame_of(3, 1).await.len(), 4);
        client.send(&http2_get(3, "/other")).await;
        assert_eq!(client.frame_of(0, 3).await, b"[/other]");
        assert!(!served.task.is_finished());
    });
}

#[test]
fn an_idle_http2_connection_is_closed() {
    run(async {
        let bench = Bench::new();
        let served = bench.serve(Scheme::Https).await;
        let settings = settings(&bench.pki, &TLS13, b"h2");
        let first = [HTTP2_PREFACE, &http2_get(1, "/one")].concat();
        let mut client = TlsClient::connect(served.client, settings, &first).await;
        client.frame_of(0, 1).await;
        let ticks = bench.pass_until(|| served.task.is_finished()).await;
        assert!(ticks > bench.thread.pace.ticks_of(bench.thread.pace.limits.idle));
    });
}
