//! The answer to a long request: a line of JSON for each thing that happens, `{"progress": TEXT}`, then
//! one `{"done": …}` or `{"error": TEXT}`.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Works as long as the client reads what happens; the work sends its texts to the channel.
pub fn lines<T, E, F>(work: impl FnOnce(UnboundedSender<String>) -> F) -> Response
where
    T: Serialize,
    E: Display,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let (progress, texts) = unbounded_channel();
    let work = work(progress);
    let work = async move {
        match work.await {
            Ok(done) => json!({ "done": done }),
            Err(error) => json!({ "error": error.to_string() }),
        }
    };
    let working = Working {
        work: Some(Box::pin(work)),
        result: None,
        texts,
    };
    let all = stream::unfold(working, |mut working| async {
        let line = working.next().await?;
        Some((Ok::<_, Infallible>(encoded(&line)), working))
    });
    let mut response = Response::new(Body::from_stream(all));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

type Work = Pin<Box<dyn Future<Output = Value> + Send>>;

/// Work that is under way, and what it says.
struct Working {
    work: Option<Work>,
    result: Option<Value>,
    texts: UnboundedReceiver<String>,
}

impl Working {
    /// The next line; the result comes after all texts.
    async fn next(&mut self) -> Option<Value> {
        loop {
            tokio::select! {
                biased;
                text = self.texts.recv() => {
                    return match text {
                        Some(text) => Some(json!({ "progress": text })),
                        None => self.result.take(),
                    };
                }
                result = ended(&mut self.work) => self.result = Some(result),
            }
        }
    }
}

/// Waits for the end of the work; it has only one.
async fn ended(work: &mut Option<Work>) -> Value {
    let Some(running) = work else {
        return std::future::pending().await;
    };
    let result = running.await;
    *work = None;
    result
}

fn encoded(line: &Value) -> Bytes {
    Bytes::from(format!("{line}\n"))
}
