//! Requests over TLS: HTTP/2, or raw HTTP/1.1.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::harness::Door;
use crate::net::server::BoxError;

async fn connect(door: &Door, protocol: &str) -> TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let pem = door.pki.authority_pem().as_bytes();
    let authority = rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap();
    roots.add(authority).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![protocol.into()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls));
    let socket = TcpStream::connect(door.https).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("shop.cf.localhost").unwrap();
    connector.connect(name, socket).await.unwrap()
}

/// Everything that is answered to `request` by HTTP/1.1 until the server closes.
pub(super) fn ask_http1(door: &Door, request: &str) -> String {
    door.block_on(async {
        let mut stream = connect(door, "http/1.1").await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    })
}

/// One request by HTTP/2 on a connection of its own.
pub(super) fn ask(door: &Door, request: Request<Empty<Bytes>>) -> Response<String> {
    let [answer] = ask_all(door, [request]).try_into().unwrap();
    answer
}

/// One request after the other by HTTP/2 on one connection. Trailers are extensions of the answers.
pub(super) fn ask_all<B>(
    door: &Door,
    requests: impl IntoIterator<Item = Request<B>>,
) -> Vec<Response<String>>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    door.block_on(async {
        let stream = connect(door, "h2").await;
        let (mut sender, connection) =
            hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .max_header_list_size(16 << 20)
                .handshake(TokioIo::new(stream))
                .await
                .unwrap();
        let asking = async {
            let mut answers = Vec::new();
            for request in requests {
                let response = sender.send_request(request).await.unwrap();
                let (mut head, body) = response.into_parts();
                let body = body.collect().await.unwrap();
                if let Some(trailers) = body.trailers() {
                    head.extensions.insert(trailers.clone());
                }
                let body = body.to_bytes();
                let body = String::from_utf8(body.to_vec()).unwrap();
                answers.push(Response::from_parts(head, body));
            }
            answers
        };
        tokio::select! {
            answers = asking => answers,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    })
}
