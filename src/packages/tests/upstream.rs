//! The registries: documents and files by their paths.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ::http::{HeaderMap, Request, StatusCode};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::net::outside::scripted::{Fault, Script, first, redirect, serve};

pub(super) struct Upstream {
    pub(super) port: u16,
    pub(super) script: Script,
    content: Content,
    serving: JoinHandle<()>,
}

/// By path: the bytes, their type, and their name if the registry tells one.
type Entries = BTreeMap<String, (Bytes, &'static str, Option<String>)>;
type Content = Arc<Mutex<Entries>>;

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (script, content) = (Script::default(), Content::default());
        let router = Router::new()
            .fallback(answer)
            .with_state((script.clone(), content.clone()));
        Self {
            port,
            script,
            content,
            serving: Handle::current().spawn(serve(listener, router)),
        }
    }

    /// Has something, under an `ETag` that its content says.
    pub(super) fn add(&self, path: &str, kind: &'static str, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let etag = format!(
            "\"{:x}\"",
            bytes.iter().fold(7_u64, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
            })
        );
        self.content()
            .insert(path.to_owned(), (bytes, kind, Some(etag)));
    }

    /// The same without an `ETag`.
    pub(super) fn add_unnamed(&self, path: &str, bytes: impl Into<Bytes>) {
        let entry = (bytes.into(), "application/octet-stream", None);
        self.content().insert(path.to_owned(), entry);
    }

    pub(super) fn remove(&self, path: &str) {
        self.content().remove(path);
    }

    fn content(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.content.lock().expect("the content")
    }

    /// Closes all connections and the port.
    pub(super) async fn stop(&mut self) {
        self.serving.abort();
        let ended = (&mut self.serving).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State((script, content)): State<(Script, Content)>,
    request: Request<Body>,
) -> Response {
    let (request, _) = request.into_parts();
    let asked = script.note(&request);
    let fault = script.fault(&asked);
    let status = |status| {
        StatusCode::from_u16(status)
            .expect("a status")
            .into_response()
    };
    match fault {
        Some(Fault::Status(code)) => return status(code),
        Some(Fault::Late(code)) => {
            script.until_released().await;
            return status(code);
        }
        Some(Fault::Limited { retry_after }) => {
            let wait = [("retry-after", retry_after.to_string())];
            return (StatusCode::TOO_MANY_REQUESTS, wait).into_response();
        }
        Some(Fault::Elsewhere(server)) => return redirect(&server, &request),
        _ => {}
    }
    let found = content
        .lock()
        .expect("the content")
        .get(request.uri.path())
        .cloned();
    let Some((mut bytes, kind, etag)) = found else {
        return status(404);
    };
    if let Some(Fault::Instead(text)) = fault {
        bytes = Bytes::from_static(text.as_bytes());
    }
    let mut headers = HeaderMap::new();
    headers.insert("content-type", kind.parse().expect("a header"));
    if let Some(etag) = &etag {
        if asked.header("if-none-match") == Some(etag) {
            return status(304);
        }
        headers.insert("etag", etag.parse().expect("a header"));
    }
    let first = match asked.header("range") {
        Some(range) if asked.header("if-range") == etag.as_deref() => first(range),
        _ => 0,
    };
    script.send(&bytes, first, headers, fault)
}
