//! `X-Forwarded-Client-Cert`: what an app learns of the certificate that its client showed.
//!
//! Source: gorouter's `handlers/clientcert.go`.

use clap::ValueEnum;
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use crate::net::Scheme;
use crate::net::server::Peer;

const FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// What apps get as `X-Forwarded-Client-Cert`; the values are gorouter's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum ForwardedClientCert {
    /// What the client sends.
    #[default]
    AlwaysForward,
    /// What the client sends, if it showed a certificate.
    Forward,
    /// The certificate that the client showed, as DER in base64.
    SanitizeSet,
}

/// Sets the header for an app. `came_back` = the request was at a route service, which got the header
/// that is for the app.
pub(super) fn forward(
    headers: &mut HeaderMap,
    peer: &Peer,
    mode: ForwardedClientCert,
    came_back: bool,
) {
    match mode {
        ForwardedClientCert::AlwaysForward => {}
        ForwardedClientCert::Forward => {
            if peer.certificate.is_none() || came_back {
                headers.remove(FORWARDED_CLIENT_CERT);
            }
        }
        ForwardedClientCert::SanitizeSet if came_back && peer.scheme == Scheme::Https => {}
        ForwardedClientCert::SanitizeSet => {
            headers.remove(FORWARDED_CLIENT_CERT);
            if let Some(certificate) = &peer.certificate {
                headers.insert(FORWARDED_CLIENT_CERT, certificate.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The modes, with clients over HTTP, TLS and mTLS that send the header.
    #[test]
    fn each_mode_says_what_an_app_gets() {
        use ForwardedClientCert::{AlwaysForward, Forward, SanitizeSet};
        use Scheme::{Http, Https};
        let cases = [
            (AlwaysForward, Http, None, false, Some("sent")),
            (AlwaysForward, Https, Some("shown"), false, Some("sent")),
            (AlwaysForward, Https, None, true, Some("sent")),
            (Forward, Http, None, false, None),
            (Forward, Https, None, false, None),
            (Forward, Https, Some("shown"), false, Some("sent")),
            (Forward, Https, Some("shown"), true, None),
            (SanitizeSet, Http, None, false, None),
            (SanitizeSet, Https, None, false, None),
            (SanitizeSet, Https, Some("shown"), false, Some("shown")),
            (SanitizeSet, Https, Some("service"), true, Some("sent")),
            (SanitizeSet, Http, None, true, None),
        ];
        for (mode, scheme, shown, came_back, expected) in cases {
            let mut peer = Peer::new("10.0.0.9:5000".parse().unwrap(), scheme);
            peer.certificate = shown.map(HeaderValue::from_static);
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_CLIENT_CERT, HeaderValue::from_static("sent"));
            forward(&mut headers, &peer, mode, came_back);
            let found = headers.get(FORWARDED_CLIENT_CERT);
            let found = found.map(|value| value.to_str().unwrap());
            assert_eq!(found, expected, "{mode:?} {scheme} {shown:?} {came_back}");
        }
    }
}
