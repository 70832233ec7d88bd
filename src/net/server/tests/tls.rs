//! Requests that TLS buffers: the socket alone does not show whether there is one.

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::clients::{HTTP2_PREFACE, TlsClient, http2_get, settings};
use super::{Bench, Served, run};
use crate::net::Scheme;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

#[test]
fn a_request_in_the_segment_that_ends_the_handshake_is_answered() {
    run(async {
        let bench = Bench::new();
        for version in VERSIONS {
            let settings = settings(&bench.pki, version, b"http/1.1");
            for resumed in [false, true, true] {
                let Served { client, .. } = bench.serve(Scheme::Https).await;
                let mut client = TlsClient::connect(client, settings.clone(), &get("/one")).await;
                assert_eq!(client.is_resumed(), resumed, "{version:?}");
                client.until("[/one]").await;
                client.send(&get("/two")).await;
                client.until("[/two]").await;
            }
        }
    });
}

#[test]
fn an_http2_request_in_the_segment_that_ends_the_handshake_is_answered() {
    run(async {
        let bench = Bench::new();
        for version in VERSIONS {
            let settings = settings(&bench.pki, version, b"h2");
            for resumed in [false, true] {
                let Served { client, .. } = bench.serve(Scheme::Https).await;
                let first = [HTTP2_PREFACE, &http2_get(1, "/one")].concat();
                let mut client = TlsClient::connect(client, settings.clone(), &first).await;
                assert_eq!(client.is_resumed(), resumed, "{version:?}");
                assert_eq!(client.frame_of(0, 1).await, b"[/one]");
                // Idle ticks do no harm.
                bench.pass(60).await;
                let more = [http2_get(3, "/two"), http2_get(5, "/three")].concat();
                client.send(&more).await;
                assert_eq!(client.frame_of(0, 3).await, b"[/two]");
                assert_eq!(client.frame_of(0, 5).await, b"[/three]");
            }
        }
    });
}

#[test]
fn half_a_record_waits_for_its_other_half_in_a_parked_connection() {
    run(async {
        let bench = Bench::new();
        for version in VERSIONS {
            let settings = settings(&bench.pki, version, b"http/1.1");
            for cut in [1, 5, 30] {
                let served = bench.serve(Scheme::Https).await;
                let mut client =
                    TlsClient::connect(served.client, settings.clone(), &get("/one")).await;
                client.until("[/one]").await;
                let record = client.seal(&get("/two"));
                client.send_raw(&record[..cut]).await;
                bench.park(&served.connection).await;
                // The next part arrives at a parked connection.
                client.send_raw(&record[cut..cut + 10]).await;
                bench.pass(20).await;
                assert!(served.connection.is_parked());
                client.send_raw(&record[cut + 10..]).await;
                client.until("[/two]").await;
            }
        }
    });
}

#[test]
fn a_first_request_may_arrive_in_parts_of_a_record() {
    run(async {
        let bench = Bench::new();
        for version in VERSIONS {
            let settings = settings(&bench.pki, version, b"http/1.1");
            let served = bench.serve(Scheme::Https).await;
            let mut client = TlsClient::connect(served.client, settings, b"").await;
            let record = client.seal(&get("/one"));
            for piece in record.chunks(7) {
                client.send_raw(piece).await;
                bench.pass(1).await;
            }
            client.until("[/one]").await;
        }
    });
}

#[test]
fn requests_pipelined_to_a_parked_connection_are_all_answered() {
    run(async {
        let bench = Bench::new();
        for version in VERSIONS {
            let settings = settings(&bench.pki, version, b"http/1.1");
            let served = bench.serve(Scheme::Https).await;
            let mut client = TlsClient::connect(served.client, settings, &get("/first")).await;
            client.until("[/first]").await;
            for round in 0..3 {
                bench.park(&served.connection).await;
                // Two in one record.
                client.send(&[get("/a"), get("/b")].concat()).await;
                client.until("[/a]").await;
                client.until("[/b]").await;
                client.send(&get(&format!("/{round}"))).await;
                client.until(&format!("[/{round}]")).await;
                bench.park(&served.connection).await;
                // Two records in one segment.
                let records = [client.seal(&get("/c")), client.seal(&get("/d"))].concat();
                client.send_raw(&records).await;
                client.until("[/c]").await;
                client.until("[/d]").await;
            }
        }
    });
}

#[test]
fn parking_keeps_what_arrived_after_a_request() {
    run(async {
        let bench = Bench::new();
        for version in VERSIONS {
            let settings = settings(&bench.pki, version, b"http/1.1");
            let served = bench.serve(Scheme::Https).await;
            let second = get("/second");
            for cut in [1, 20] {
                let served = bench.serve(Scheme::Https).await;
                let first = [&get("/first"), &second[..cut]].concat();
                let mut client = TlsClient::connect(served.client, settings.clone(), &first).await;
                client.until("[/first]").await;
                bench.pass(20).await;
                client.send(&second[cut..]).await;
                client.until("[/second]").await;
            }
            // A connection with an incomplete head is closed after the time limit.
            let first = [&get("/first"), &second[..9]].concat();
            let mut client = TlsClient::connect(served.client, settings, &first).await;
            client.until("[/first]").await;
            let limits = &bench.thread.pace.limits;
            let ticks = bench.pass_until(|| served.task.is_finished()).await;
            assert!(
                ticks < bench.thread.pace.ticks_of(limits.header_read * 2),
                "{ticks}"
            );
        }
    });
}

#[test]
fn a_client_that_leaves_ends_its_parked_connection() {
    run(async {
        let bench = Bench::new();
        for version in VERSIONS {
            let settings = settings(&bench.pki, version, b"http/1.1");
            let served = bench.serve(Scheme::Https).await;
            let mut client = TlsClient::connect(served.client, settings, &get("/one")).await;
            client.until("[/one]").await;
            bench.park(&served.connection).await;
            drop(client);
            served.task.await.unwrap();
        }
    });
}
