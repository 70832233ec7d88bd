//! When certificates are kept and when they are renewed.

use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;
use crate::base::clock::ManualClock;

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::parse("2026-11-22T10:00:00Z").unwrap())
}

fn domains() -> Vec<String> {
    vec!["cf.localhost".to_owned(), "10.1.2.3".to_owned()]
}

/// A TLS handshake in memory by a client that trusts `authority`; returns the ALPN protocol.
fn handshake(pki: &Pki, authority: &str, name: &str) -> Result<Vec<u8>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let mut server = ServerConnection::new(pki.server_config())?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut input = &*bytes;
        while !input.is_empty() {
            server.read_tls(&mut input).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut input = &*bytes;
        while !input.is_empty() {
            client.read_tls(&mut input).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(client.alpn_protocol().unwrap_or_default().to_vec())
}

#[test]
fn clients_that_trust_the_authority_accept_every_name() {
    let directory = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(crate::base::SystemClock.now());
    let pki = Pki::open(directory.path(), &domains(), Arc::new(clock)).unwrap();
    for name in [
        "cf.localhost",
        "api.cf.localhost",
        "shop.apps.cf.localhost",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.1.2.3",
    ] {
        let protocol = handshake(&pki, pki.authority_pem(), name);
        assert_eq!(protocol.as_deref(), Ok(&b"h2"[..]), "{name}");
    }
    assert!(handshake(&pki, pki.authority_pem(), "example.com").is_err());
}

#[test]
fn certificates_survive_a_restart_and_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("pki");
    let read = || std::fs::read_to_string(folder.join(SERVER_FILE)).unwrap();
    let first = Pki::open(&folder, &domains(), Arc::new(clock())).unwrap();
    let server = read();
    let second = Pki::open(&folder, &domains(), Arc::new(clock())).unwrap();
    assert_eq!(first.authority_pem(), second.authority_pem());
    assert!(!first.authority_pem().contains("PRIVATE"));
    assert_eq!(server, read());
    for name in [AUTHORITY_FILE, SERVER_FILE] {
        let mode = std::fs::metadata(folder.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_certificate_is_renewed_before_its_expiry_and_for_new_names_only() {
    let directory = tempfile::tempdir().unwrap();
    let clock = clock();
    let pki = Pki::open(directory.path(), &domains(), Arc::new(clock.clone())).unwrap();
    let read = || std::fs::read_to_string(directory.path().join(SERVER_FILE)).unwrap();
    let first = read();
    clock.advance(Duration::from_secs(300 * 24 * 3600));
    pki.refresh().unwrap();
    assert_eq!(first, read());

    clock.advance(Duration::from_secs(67 * 24 * 3600));
    pki.refresh().unwrap();
    let second = read();
    assert_ne!(first, second);

    pki.cover(&["cf.localhost".to_owned(), "shop.test".to_owned()])
        .unwrap();
    assert_ne!(second, read());
    assert!(read().contains("*.shop.test"));
}

#[test]
fn an_error_names_the_damaged_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(AUTHORITY_FILE), "nonsense").unwrap();
    let error = Pki::open(directory.path(), &domains(), Arc::new(clock())).unwrap_err();
    assert!(error.to_string().contains(AUTHORITY_FILE), "{error}");
}
