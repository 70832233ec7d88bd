//! A TLS client whose segments the test controls.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pki::Pki;

/// Settings of a client that supports one version and resumes sessions.
pub(super) fn settings(
    pki: &Pki,
    version: &'static SupportedProtocolVersion,
    protocol: &[u8],
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(pki.authority_pem().as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut settings = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    settings.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(settings)
}

/// The client's side of a connection.
pub(super) struct TlsClient {
    socket: TcpStream,
    tls: ClientConnection,
    read: Vec<u8>,
}

impl TlsClient {
    /// Does the handshake; its last message and `first` are sent in one write.
    pub(super) async fn connect(
        socket: TcpStream,
        settings: Arc<ClientConfig>,
        first: &[u8],
    ) -> Self {
        let name = ServerName::try_from("api.cf.localhost").unwrap();
        let mut client = Self {
            socket,
            tls: ClientConnection::new(settings, name).unwrap(),
            read: Vec::new(),
        };
        while client.tls.is_handshaking() {
            client.send(b"").await;
            client.receive().await;
        }
        client.send(first).await;
        client
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// One record, not sent yet, with what TLS has to send before it.
    pub(super) fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        self.tls.writer().write_all(text).unwrap();
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Writes raw bytes.
    pub(super) async fn send_raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    pub(super) async fn send(&mut self, text: &[u8]) {
        let bytes = self.seal(text);
        self.send_raw(&bytes).await;
    }

    async fn receive(&mut self) {
        let mut bytes = vec![0; 65536];
        let count = self.socket.read(&mut bytes).await.unwrap();
        assert!(count > 0, "the connection ended");
        let mut bytes = &bytes[..count];
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).unwrap();
            let state = self.tls.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut plain).unwrap();
            self.read.extend_from_slice(&plain);
        }
    }

    pub(super) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            self.receive().await;
        }
        self.read.drain(..count).collect()
    }

    /// Reads until `text` has arrived.
    pub(super) async fn until(&mut self, text: &str) -> String {
        loop {
            let all = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = all.find(text) {
                self.read.drain(..at + text.len());
                return all;
            }
            self.receive().await;
        }
    }

    /// The next HTTP/2 frame: its type, its stream, its content.
    pub(super) async fn frame(&mut self) -> (u8, u32, Vec<u8>) {
        let head = self.bytes(9).await;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let content = self.bytes(length as usize).await;
        (head[3], stream, content)
    }

    /// Reads frames until one of this type and stream has arrived.
    pub(super) async fn frame_of(&mut self, kind: u8, stream: u32) -> Vec<u8> {
        loop {
            let (found, at, content) = self.frame().await;
            if (found, at) == (kind, stream) {
                return content;
            }
        }
    }
}

/// The preface of an HTTP/2 connection and empty settings.
pub(super) const HTTP2_PREFACE: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// A frame with a GET of `path` on a stream.
pub(super) fn http2_get(stream: u8, path: &str) -> Vec<u8> {
    // `:method: GET`, `:scheme: https`, then `:path` and `:authority` without Huffman coding.
    let mut block = vec![0x82, 0x87, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(b"\x01\x09localhost");
    let length = u8::try_from(block.len()).unwrap();
    // HEADERS with END_HEADERS and END_STREAM.
    let mut frame = vec![0, 0, length, 1, 5, 0, 0, 0, stream];
    frame.extend_from_slice(&block);
    frame
}
