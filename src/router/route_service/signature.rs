//! Signatures of requests that go to a route service: the URL and the time, encrypted and
//! authenticated with AES-128-GCM by a key that only this process knows.
//!
//! - `X-CF-Proxy-Signature`: base64url of the encrypted `{"forwarded_url", "requested_time"}`;
//! - `X-CF-Proxy-Metadata`: base64url of `{"nonce"}`, 12 bytes in base64.
//!
//! The key ends with the process: so do the connections of the requests that it signed.
//! Source: gorouter's `routeservice/header.go` and `common/secure/crypto.go`.

use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use http::HeaderValue;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use crate::base::Timestamp;

/// How long a signature is valid.
const VALID: Duration = Duration::from_secs(60);

/// Signs and verifies.
pub(in crate::router) struct Signer {
    key: LessSafeKey,
}

/// The two headers.
pub(in crate::router) struct Signed {
    pub(in crate::router) signature: HeaderValue,
    pub(in crate::router) metadata: HeaderValue,
}

/// Why a signature is not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SignatureError {
    #[error("route service request expired")]
    Expired,
    #[error("illegal base64 data in {0}")]
    Base64(&'static str),
    #[error("invalid JSON in {0}")]
    Json(&'static str),
    #[error("incorrect nonce length given to GCM")]
    Nonce,
    #[error("cipher: message authentication failed")]
    Forged,
}

const SIGNATURE: &str = "X-CF-Proxy-Signature";
const METADATA: &str = "X-CF-Proxy-Metadata";

#[derive(Serialize, Deserialize)]
struct Contents {
    forwarded_url: String,
    requested_time: String,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    nonce: String,
}

impl Signer {
    /// With a new key.
    pub(in crate::router) fn new() -> Self {
        let key: [u8; 16] = rand::random();
        let key = UnboundKey::new(&AES_128_GCM, &key).expect("AES-128 has keys of 16 bytes");
        Self {
            key: LessSafeKey::new(key),
        }
    }

    /// `None` if the URL is too long to be encrypted.
    pub(in crate::router) fn sign(&self, forwarded_url: &str, now: Timestamp) -> Option<Signed> {
        let contents = Contents {
            forwarded_url: forwarded_url.to_owned(),
            requested_time: now.to_rfc3339_nanos(),
        };
        let mut sealed = serde_json::to_vec(&contents).ok()?;
        let nonce: [u8; NONCE_LEN] = rand::random();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::empty(), &mut sealed)
            .ok()?;
        let nonce = BASE64_STANDARD.encode(nonce);
        let metadata = serde_json::to_vec(&Metadata { nonce }).ok()?;
        let header = |bytes: &[u8]| HeaderValue::try_from(BASE64_URL_SAFE.encode(bytes)).ok();
        Some(Signed {
            signature: header(&sealed)?,
            metadata: header(&metadata)?,
        })
    }

    /// The URL that was signed.
    pub(super) fn verify(
        &self,
        signature: &HeaderValue,
        metadata: Option<&HeaderValue>,
        now: Timestamp,
    ) -> Result<String, SignatureError> {
        let metadata = decode(metadata.map_or(b"", HeaderValue::as_bytes), METADATA)?;
        let metadata: Metadata =
            serde_json::from_slice(&metadata).map_err(|_| SignatureError::Json(METADATA))?;
        let nonce = BASE64_STANDARD.decode(metadata.nonce);
        let nonce = nonce.map_err(|_| SignatureError::Base64(METADATA))?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| SignatureError::Nonce)?;
        let mut sealed = decode(signature.as_bytes(), SIGNATURE)?;
        let contents = self.key.open_in_place(nonce, Aad::empty(), &mut sealed);
        let contents = contents.map_err(|_| SignatureError::Forged)?;
        let contents: Contents =
            serde_json::from_slice(contents).map_err(|_| SignatureError::Json(SIGNATURE))?;
        let requested = Timestamp::parse(&contents.requested_time);
        let requested = requested.ok_or(SignatureError::Json(SIGNATURE))?;
        if requested.plus(VALID) < now {
            return Err(SignatureError::Expired);
        }
        Ok(contents.forwarded_url)
    }
}

fn decode(bytes: &[u8], header: &'static str) -> Result<Vec<u8>, SignatureError> {
    let decoded = BASE64_URL_SAFE.decode(bytes);
    decoded.map_err(|_| SignatureError::Base64(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example/a?b=c";

    #[test]
    fn a_signature_says_its_url_for_a_minute() {
        let (signer, at) = (Signer::new(), Timestamp::from_micros(1_700_000_000_123_456));
        let signed = signer.sign(URL, at).unwrap();
        let verify = |now| signer.verify(&signed.signature, Some(&signed.metadata), now);
        assert_eq!(verify(at).as_deref(), Ok(URL));
        assert_eq!(verify(at.plus(VALID)).as_deref(), Ok(URL));
        let late = at.plus(VALID + Duration::from_millis(1));
        assert_eq!(verify(late), Err(SignatureError::Expired));
    }

    #[test]
    fn what_was_not_signed_here_is_refused() {
        let (signer, now) = (Signer::new(), Timestamp::from_micros(0));
        let signed = signer.sign(URL, now).unwrap();
        let (signature, metadata) = (&signed.signature, Some(&signed.metadata));
        let other = Signer::new().verify(signature, metadata, now);
        assert_eq!(other, Err(SignatureError::Forged));
        let again = signer.sign(URL, now).unwrap();
        let mixed = signer.verify(signature, Some(&again.metadata), now);
        assert_eq!(mixed, Err(SignatureError::Forged));
        let none = signer.verify(signature, None, now);
        assert_eq!(none, Err(SignatureError::Json(METADATA)));
        let text = |text: &str| HeaderValue::from_str(text).unwrap();
        let bad = signer.verify(&text("no base64!"), metadata, now);
        assert_eq!(bad, Err(SignatureError::Base64(SIGNATURE)));
        let short = text(&BASE64_URL_SAFE.encode(br#"{"nonce":"AAAA"}"#));
        let short = signer.verify(signature, Some(&short), now);
        assert_eq!(short, Err(SignatureError::Nonce));
    }
}
