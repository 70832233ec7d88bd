//! A request to an app: an attempt per endpoint until one answers, and its response.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, Version, header, response};
use http_body::Body;
use hyper::body::Incoming;

use crate::net::server::Interim;

use super::backend_body::{BackendBody, ReceivedBody};
use super::client_side::ClientSide;
use super::endpoint::{EndpointState, Protocol};
use super::exchange::{Exchange, Waiting};
use super::failure::Failure;
use super::headers::{is_idempotent, set_instance_headers};
use super::pool::Outgoing;
use super::request_body::{RequestBody, Signal, Upload};
use super::response_body::ResponseBody;

/// A request that is ready to be sent.
pub(super) struct Prepared {
    outgoing: Outgoing,
    upload: Option<Rc<Upload>>,
    signal: Option<Arc<Signal>>,
}

impl Prepared {
    /// The request, and its client's side; the exchange counts the body.
    pub(super) fn begin<'c>(
        self,
        exchange: &mut Exchange,
        interim: Option<&'c Interim>,
    ) -> (Outgoing, ClientSide<'c>) {
        if let Some(upload) = &self.upload {
            exchange.trace.uploading(upload.clone());
        }
        let client = ClientSide {
            interim,
            signal: self.signal,
            upload: self.upload,
        };
        (self.outgoing, client)
    }
}

/// Joins a head whose headers are prepared with its body.
pub(super) fn prepare(mut head: Parts, body: Incoming) -> Prepared {
    let version = std::mem::replace(&mut head.version, Version::HTTP_11);
    head.extensions.clear();
    if body.is_end_stream() {
        let retry = is_idempotent(&head.method, &head.headers).then(|| Box::new(head.clone()));
        let request = Request::from_parts(head, RequestBody::Empty);
        return Prepared {
            outgoing: Outgoing {
                request: Some(Box::new(request)),
                retry_head: retry,
            },
            upload: None,
            signal: None,
        };
    }
    let expects = version != Version::HTTP_10
        && head
            .headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let upload = Rc::new(Upload::default());
    let signal = expects.then(Arc::<Signal>::default);
    let body = RequestBody::stream(body, upload.clone(), signal.clone());
    let request = Request::from_parts(head, body);
    Prepared {
        outgoing: Outgoing {
            request: Some(Box::new(request)),
            retry_head: None,
        },
        upload: Some(upload),
        signal,
    }
}

/// Sends a request to one endpoint after the other until one answers.
pub(super) async fn forward(
    mut exchange: Exchange,
    prepared: Prepared,
    interim: Option<&Interim>,
) -> Response<ResponseBody> {
    let (mut outgoing, client) = prepared.begin(&mut exchange, interim);
    let attempts = exchange.local.router.settings().attempts;
    let mut tried = Vec::new();
    let mut last: Option<Failure> = None;
    while tried.len() < attempts {
        let now = exchange.started_at;
        let Some(state) = exchange.choose(&tried, now) else {
            break;
        };
        let mut failure = match attempt(&mut exchange, &state, &mut outgoing, &client).await {
            Ok(reply) => return respond(exchange, &state, reply),
            Err(failure) => failure,
        };
        if failure.is_endpoint_failure() {
            state.mark_failed(exchange.local.now());
        }
        tried.push(state.number);
        let retry = failure.is_before_request() || outgoing.restore(&mut failure);
        last = Some(failure);
        if !retry {
            break;
        }
    }
    exchange.give_up(&client, last)
}

/// A response whose body is still being received.
struct Reply {
    head: response::Parts,
    body: ReplyBody,
}

enum ReplyBody {
    Http1(ReceivedBody),
    Http2(Incoming),
}

async fn attempt(
    exchange: &mut Exchange,
    state: &Arc<EndpointState>,
    outgoing: &mut Outgoing,
    client: &ClientSide<'_>,
) -> Result<Reply, Failure> {
    exchange.trace.attempted(state.clone());
    if let Some(request) = &mut outgoing.request {
        set_instance_headers(request.headers_mut(), state);
    }
    if let Some(head) = &mut outgoing.retry_head {
        set_instance_headers(&mut head.headers, state);
    }
    let _waiting = Waiting::on(state);
    let connections = &exchange.local.connections;
    match state.endpoint.protocol {
        Protocol::Http1 => {
            let (response, http) = connections
                .send_http1(state, outgoing, client, exchange.deadline)
                .await?;
            let (head, body) = response.into_parts();
            let pool = connections.clone();
            let body = ReplyBody::Http1(BackendBody::receive(body, http, pool, state.number));
            Ok(Reply { head, body })
        }
        Protocol::Http2 => {
            let response = connections
                .send_http2(state, outgoing, exchange.deadline)
                .await?;
            let (head, body) = response.into_parts();
            let body = ReplyBody::Http2(body);
            Ok(Reply { head, body })
        }
    }
}

fn respond(exchange: Exchange, state: &EndpointState, reply: Reply) -> Response<ResponseBody> {
    let Reply { mut head, body } = reply;
    tracing::trace!(instance = %state.endpoint.instance_guid, "instance responded");
    exchange.finish_headers(&mut head.headers, state);
    let deadline = exchange.deadline;
    let mut trace = exchange.trace;
    head.version = Version::HTTP_11;
    trace.answered(head.status);
    let body = match body {
        ReplyBody::Http1(ReceivedBody::Complete(bytes, content_length)) => {
            ResponseBody::received(bytes, content_length, trace)
        }
        ReplyBody::Http1(ReceivedBody::Partial(body)) => ResponseBody::backend(body, trace),
        ReplyBody::Http2(body) => ResponseBody::stream(body, deadline, trace),
    };
    Response::from_parts(head, body)
}
