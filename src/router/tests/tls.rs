//! Requests over TLS: HTTP/2, or raw HTTP/1.1.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::harness::{Door, answering, door_for_clients_of, ok};
use crate::net::server::BoxError;
use crate::pki::testing::Authority;
use crate::router::{ForwardedClientCert, Settings};

async fn connect(door: &Door, protocol: &str) -> TlsStream<TcpStream> {
    connect_showing(door, protocol, None).await
}

/// The client may show a certificate and its key.
async fn connect_showing(
    door: &Door,
    protocol: &str,
    shown: Option<(String, String)>,
) -> TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let pem = door.pki.authority_pem().as_bytes();
    let authority = rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap();
    roots.add(authority).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut tls = match shown {
        None => tls.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = crate::pki::client::certificates(&certificate).unwrap();
            let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            tls.with_client_auth_cert(chain, key).unwrap()
        }
    };
    tls.alpn_protocols = vec![protocol.into()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls));
    let socket = TcpStream::connect(door.https).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("shop.cf.localhost").unwrap();
    connector.connect(name, socket).await.unwrap()
}

/// Everything that is answered to `request` by HTTP/1.1 until the server closes.
pub(super) fn ask_http1(door: &Door, request: &str) -> String {
    ask_showing(door, request, None)
}

fn ask_showing(door: &Door, request: &str, shown: Option<(String, String)>) -> String {
    door.block_on(async {
        let mut stream = connect_showing(door, "http/1.1", shown).await;
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

#[test]
fn an_app_gets_the_certificate_that_its_client_showed() {
    let company = Authority::new();
    let settings = Settings {
        forwarded_client_cert: ForwardedClientCert::SanitizeSet,
        ..Settings::default()
    };
    let door = door_for_clients_of(settings, &company.pem());
    door.routes(&[("shop.test", &[answering(ok)])]);
    let request = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\
        X-Forwarded-Client-Cert: forged\r\n\r\n";
    let (certificate, key) = company.client();
    let encoded: String = { certificate.lines() }
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let shown = ask_showing(&door, request, Some((certificate, key)));
    let got = format!("X-Forwarded-Client-Cert: {encoded}\r\n");
    assert!(shown.contains(&got), "{shown}");
    let without = ask_http1(&door, request);
    assert!(!without.contains("X-Forwarded-Client-Cert"), "{without}");
}
