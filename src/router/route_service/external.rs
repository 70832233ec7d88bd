//! Requests to route services outside the platform, over HTTPS: a connection for each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::net::server::Interim;

use super::super::exchange::Exchange;
use super::super::failure::{Failure, TlsFault};
use super::super::forward::Prepared;
use super::super::headers::prepare_response;
use super::super::pool::Outgoing;
use super::super::response_body::ResponseBody;
use super::super::service_url::RouteService;
use super::super::{alone, client_side::ClientSide};
use super::tls;

/// Time limit of a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Sends a request to the service; its answer is the client's.
pub(in crate::router) async fn serve(
    mut exchange: Exchange,
    service: &RouteService,
    prepared: Prepared,
    interim: Option<&Interim>,
) -> Response<ResponseBody> {
    let (mut outgoing, client) = prepared.begin(&mut exchange, interim);
    let mut last = None;
    for _ in 0..exchange.local.router.settings().attempts {
        let mut failure = match attempt(&exchange, service, &mut outgoing, &client).await {
            Ok(response) => return respond(exchange, response),
            Err(failure) => failure,
        };
        let retry = failure.is_before_request() || outgoing.restore(&mut failure);
        last = Some(failure);
        if !retry {
            break;
        }
    }
    exchange.give_up(&client, last)
}

async fn attempt(
    exchange: &Exchange,
    service: &RouteService,
    outgoing: &mut Outgoing,
    client: &ClientSide<'_>,
) -> Result<Response<Incoming>, Failure> {
    let connected = tokio::time::timeout_at(exchange.deadline, connect(exchange, service)).await;
    let stream = connected.unwrap_or_else(|_| Err(Failure::timeout()))?;
    let Some(request) = outgoing.request.take() else {
        return Err(Failure::timeout());
    };
    alone::send(TokioIo::new(stream), *request, client, exchange.deadline).await
}

async fn connect(
    exchange: &Exchange,
    service: &RouteService,
) -> Result<TlsStream<TcpStream>, Failure> {
    let router = &exchange.local.router;
    let config = router.service_tls().config().await?;
    let limit = router.settings().dial_timeout;
    let host = service.host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::time::timeout(limit, tokio::net::lookup_host((host, service.port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => Vec::new(),
        Err(_) => return Err(Failure::lookup(host, "i/o timeout")),
    };
    let mut last = Failure::lookup(host, "no such host");
    for address in addresses {
        let error = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return handshake(host, config, socket).await,
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        last = Failure::dial(address, &error);
    }
    Err(last)
}

async fn handshake(
    host: &str,
    config: Arc<ClientConfig>,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let unnamed = |_| {
        Failure::tls(
            TlsFault::WrongName,
            format!("{host} is no name of a server"),
        )
    };
    let name = ServerName::try_from(host.to_owned()).map_err(unnamed)?;
    let connecting = TlsConnector::from(config).connect(name, socket);
    match tokio::time::timeout(HANDSHAKE, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(tls::failed(&error)),
        Err(_) => Err(Failure::tls(
            TlsFault::Handshake,
            "net/http: TLS handshake timeout",
        )),
    }
}

fn respond(exchange: Exchange, response: Response<Incoming>) -> Response<ResponseBody> {
    let (mut head, body) = response.into_parts();
    head.extensions.clear();
    prepare_response(&mut head.headers, &exchange.request_id);
    let mut trace = exchange.trace;
    // The app's line is that of the request that the service sends on.
    trace.unrouted();
    trace.answered(head.status);
    let body = ResponseBody::stream(body, exchange.deadline, trace);
    Response::from_parts(head, body)
}
