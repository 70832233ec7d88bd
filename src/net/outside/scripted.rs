//! For tests: a server on a port of this machine that notes what is asked, and fails as the test
//! says.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long something that should happen is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// An error.
    Status(u16),
    /// The same, once the test allows it.
    Late(u16),
    /// Too many requests.
    Limited { retry_after: u64 },
    /// The connection breaks after so many bytes of the body.
    Truncated(usize),
    /// Nothing comes after so many bytes, until the test allows it.
    Held(usize),
    /// Another content.
    Instead(&'static str),
    /// The server that has it, as `http://127.0.0.1:1234`.
    Elsewhere(String),
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `GET /v2/…`.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?;
        Some(value.to_str().expect("text"))
    }
}

/// What was asked, and what will fail; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// A part of the request's line, how often, and what.
    faults: Arc<Mutex<Vec<(String, u32, Fault)>>>,
    asked: watch::Sender<Vec<Asked>>,
    released: watch::Sender<bool>,
}

impl Script {
    fn faults(&self) -> MutexGuard<'_, Vec<(String, u32, Fault)>> {
        self.faults.lock().expect("the faults")
    }

    /// The next `times` requests whose line contains `part` fail.
    pub(crate) fn fail(&self, part: &str, times: u32, fault: Fault) {
        self.faults().push((part.to_owned(), times, fault));
    }

    /// Ends everything that is held.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    /// The requests whose line contains `part`.
    pub(crate) fn asked(&self, part: &str) -> Vec<Asked> {
        let all = self.asked.borrow();
        let matching = all.iter().filter(|one| one.line.contains(part));
        matching.cloned().collect()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.asked.send_replace(Vec::new());
    }

    /// Waits for a request whose line contains `part`.
    pub(crate) async fn until_asked(&self, part: &str) {
        let mut asked = self.asked.subscribe();
        let came = asked.wait_for(|all| all.iter().any(|one| one.line.contains(part)));
        let came = tokio::time::timeout(PATIENCE, came).await;
        came.expect("a request in time").expect("requests");
    }

    pub(crate) async fn until_released(&self) {
        let mut released = self.released.subscribe();
        drop(released.wait_for(|released| *released).await);
    }

    /// Notes a request.
    pub(crate) fn note(&self, request: &Parts) -> Asked {
        let asked = Asked {
            line: format!("{} {}", request.method, request.uri),
            headers: request.headers.clone(),
        };
        self.asked.send_modify(|all| all.push(asked.clone()));
        asked
    }

    /// The next fault of a request.
    pub(crate) fn fault(&self, asked: &Asked) -> Option<Fault> {
        let mut faults = self.faults();
        let matching =
            |(part, left, _): &&mut (String, u32, Fault)| *left > 0 && asked.line.contains(&**part);
        let (_, left, fault) = faults.iter_mut().find(matching)?;
        *left -= 1;
        Some(fault.clone())
    }

    /// The bytes from `first` on, as a fault has it.
    pub(crate) fn send(
        &self,
        bytes: &Bytes,
        first: usize,
        mut headers: HeaderMap,
        fault: Option<Fault>,
    ) -> Response {
        let all = bytes.len();
        let length = (all - first).to_string();
        headers.insert("content-length", length.parse().expect("a header"));
        let mut status = StatusCode::OK;
        if first > 0 {
            status = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {first}-{}/{all}", all - 1);
            headers.insert("content-range", range.parse().expect("a header"));
        }
        (status, headers, self.body(bytes, first, fault)).into_response()
    }

    fn body(&self, bytes: &Bytes, first: usize, fault: Option<Fault>) -> Body {
        let until = |end: usize| bytes.slice(first..end.clamp(first, bytes.len()));
        match fault {
            Some(Fault::Truncated(end)) => {
                let broken = stream::once(async {
                    // Until now the bytes before are on the way.
                    tokio::task::yield_now().await;
                    Err(io::Error::other("broken"))
                });
                Body::from_stream(stream::iter([Ok(until(end))]).chain(broken))
            }
            Some(Fault::Held(end)) => {
                let (script, rest) = (self.clone(), bytes.slice(end.max(first)..));
                let held = stream::once(async move {
                    script.until_released().await;
                    Ok::<_, io::Error>(rest)
                });
                Body::from_stream(stream::iter([Ok(until(end))]).chain(held))
            }
            _ => Body::from(until(bytes.len())),
        }
    }
}

/// The first byte of `bytes=5-`.
pub(crate) fn first(range: &str) -> usize {
    let first = range
        .strip_prefix("bytes=")
        .and_then(|text| text.strip_suffix('-'));
    first.and_then(|text| text.parse().ok()).expect("a range")
}

/// An answer that sends the client elsewhere.
pub(crate) fn redirect(server: &str, request: &Parts) -> Response {
    let to = format!("{server}{}", request.uri);
    (StatusCode::TEMPORARY_REDIRECT, [("location", to)]).into_response()
}

/// Connections end with this future.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection);
    }
}
