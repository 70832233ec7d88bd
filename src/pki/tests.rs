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
    let server = pki.server_config(ClientCertificates::None, "").unwrap();
    handshake_with(server, authority, name, None)
}

/// The same, with a client that may show a certificate and its key.
fn handshake_with(
    server: Arc<ServerConfig>,
    authority: &str,
    name: &str,
    shown: Option<(String, String)>,
) -> Result<Vec<u8>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = client::certificates(&certificate).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name)?;
    let mut server = ServerConnection::new(server)?;
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

    pki.cover(&["cf.localhost".to_owned(), "shop.test".to_owned()]);
    pki.refresh().unwrap();
    assert_eq!(
        second,
        read(),
        "other domains have certificates of their own"
    );
}

#[test]
fn an_error_names_the_damaged_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(AUTHORITY_FILE), "nonsense").unwrap();
    let error = Pki::open(directory.path(), &domains(), Arc::new(clock())).unwrap_err();
    assert!(error.to_string().contains(AUTHORITY_FILE), "{error}");
}

fn open(directory: &Path) -> Pki {
    let clock = ManualClock::new(crate::base::SystemClock.now());
    Pki::open(directory, &domains(), Arc::new(clock)).unwrap()
}

#[test]
fn domains_of_the_platform_have_certificates_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let pki = open(directory.path());
    let works = |name: &str| handshake(&pki, pki.authority_pem(), name).is_ok();
    assert!(!works("shop.test"));
    pki.cover(&["Shop.test".to_owned(), "cf.localhost".to_owned()]);
    for name in [
        "shop.test",
        "a.shop.test",
        "a.b.shop.test",
        "api.cf.localhost",
    ] {
        assert!(works(name), "{name}");
    }
    assert!(!works("other.test"));
    pki.cover(&[]);
    assert!(!works("shop.test"));
}

#[test]
fn a_certificate_of_the_configuration_is_for_its_names() {
    let directory = tempfile::tempdir().unwrap();
    let (pki, company) = (open(directory.path()), testing::Authority::new());
    let path = |name: &str| directory.path().join(name);
    let write = |authority: &testing::Authority| {
        let (certificate, key) = authority.issue("*.shop.test");
        std::fs::write(path("shop.pem"), certificate).unwrap();
        std::fs::write(path("shop.key"), key).unwrap();
    };
    write(&company);
    let text = format!(
        "{},{}",
        path("shop.pem").display(),
        path("shop.key").display()
    );
    let files = CertificateFiles::of(&text);
    assert_eq!(files.to_string(), text);
    pki.cover(&["shop.test".to_owned()]);
    pki.use_own(vec![files.clone()]).unwrap();
    let works = |authority: &str, name: &str| handshake(&pki, authority, name).is_ok();
    assert!(works(&company.pem(), "a.shop.test"));
    assert!(!works(pki.authority_pem(), "a.shop.test"));
    assert!(
        works(pki.authority_pem(), "shop.test"),
        "it is not for this one"
    );
    // Its owner renewed it.
    let other = testing::Authority::new();
    write(&other);
    pki.refresh().unwrap();
    assert!(works(&other.pem(), "a.shop.test"));
    // What cannot be used changes nothing.
    std::fs::write(path("shop.key"), "no key").unwrap();
    let error = pki.use_own(vec![files]).unwrap_err().to_string();
    assert!(error.contains("shop.key: it has no private key"), "{error}");
    let missing = CertificateFiles::of("/nowhere.pem");
    let error = pki.use_own(vec![missing]).unwrap_err().to_string();
    assert!(error.contains("/nowhere.pem"), "{error}");
    assert!(works(&other.pem(), "a.shop.test"));
}

#[test]
fn clients_show_certificates_as_the_configuration_wants() {
    use ClientCertificates::{None as NotAsked, Request, Require};
    let directory = tempfile::tempdir().unwrap();
    let (pki, company) = (open(directory.path()), testing::Authority::new());
    let ask = |wanted, shown| {
        let server = pki.server_config(wanted, &company.pem()).unwrap();
        handshake_with(server, pki.authority_pem(), "cf.localhost", shown).is_ok()
    };
    let known = || Some(company.client());
    let unknown = || Some(testing::Authority::new().client());
    for (wanted, shown, works) in [
        (NotAsked, unknown(), true),
        (Request, None, true),
        (Request, known(), true),
        (Request, unknown(), false),
        (Require, None, false),
        (Require, known(), true),
        (Require, unknown(), false),
    ] {
        let what = format!("{wanted:?} {}", shown.is_some());
        assert_eq!(ask(wanted, shown), works, "{what}");
    }
    let error = pki.server_config(Request, "no authority").unwrap_err();
    assert!(
        error.to_string().contains("clients' certificates"),
        "{error}"
    );
}

#[test]
fn the_authority_is_read_from_its_folder_without_its_key() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(authority_in(directory.path()).unwrap(), None);
    let pki = open(directory.path());
    let found = authority_in(directory.path()).unwrap();
    assert_eq!(found.as_deref(), Some(pki.authority_pem()));
}
