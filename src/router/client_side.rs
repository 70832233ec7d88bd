//! The client's side of an exchange, while an attempt waits for an instance's response.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderName, StatusCode};

use crate::net::server::Interim;

use super::headers::prepare_interim;
use super::instance_stream::InterimHead;
use super::request_body::{Signal, Upload};

/// The client of an exchange.
#[derive(Default)]
pub(crate) struct ClientSide<'c> {
    /// Receives interim responses, if the client's protocol supports them.
    pub(crate) interim: Option<&'c Interim>,
    /// Releases the body when the app sends `100 Continue`.
    pub(crate) signal: Option<Arc<Signal>>,
    /// The body being sent.
    pub(crate) upload: Option<Rc<Upload>>,
}

impl ClientSide<'_> {
    /// Whether the request body was sent completely.
    pub(crate) fn sent_all(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| upload.ended.get())
    }

    /// Relays interim responses. hyper itself sends a `100 Continue` that the client expects, as
    /// soon as the body is read.
    pub(crate) fn relay(&self, heads: Vec<InterimHead>) {
        for head in heads {
            match (&self.signal, self.interim) {
                (Some(signal), _) if head.status == StatusCode::CONTINUE => signal.give(),
                (_, Some(interim)) => interim.send(&encode(head)),
                (_, None) => {}
            }
        }
    }
}

/// Encodes a head for HTTP/1.1.
fn encode(mut head: InterimHead) -> Vec<u8> {
    prepare_interim(&mut head.headers);
    let status = head.status;
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in &head.headers {
        write_title_case(&mut bytes, name);
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn write_title_case(bytes: &mut Vec<u8>, name: &HeaderName) {
    let mut begins = true;
    for byte in name.as_str().bytes() {
        bytes.push(if begins {
            byte.to_ascii_uppercase()
        } else {
            byte
        });
        begins = byte == b'-';
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn an_interim_response_is_written_without_hop_by_hop_fields() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("link", "</a.css>; rel=preload"),
            ("link", "</b.js>"),
            ("connection", "x-mine"),
            ("x-mine", "1"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let shown = |status: u16, headers: &HeaderMap| {
            let status = StatusCode::from_u16(status).unwrap();
            let headers = headers.clone();
            String::from_utf8(encode(InterimHead { status, headers })).unwrap()
        };
        assert_eq!(
            shown(103, &headers),
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\n\r\n"
        );
        assert_eq!(shown(199, &HeaderMap::new()), "HTTP/1.1 199 \r\n\r\n");
    }
}
