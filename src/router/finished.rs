//! What the router tells of a finished exchange with an app: its access line, and what measures it.

use super::access_log::Record;
use super::endpoint::Endpoint;
use crate::base::Timestamp;
use crate::base::guid::AppGuid;

/// Receives what there is to say of exchanges. Must not block.
pub trait AccessLog: Send + Sync + 'static {
    /// Receives an exchange with an app. Its line appears in the app's log as `[RTR/0] OUT`.
    fn finished(&self, exchange: &Finished<'_>);
}

/// Most characters of a part of a request that are passed on.
const LONGEST: usize = 2_000;

/// A finished exchange with an app.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// The app.
    pub app_guid: &'a AppGuid,
    /// The instance that answered, if one did.
    pub endpoint: Option<&'a Endpoint>,
    /// The access line.
    pub line: &'a str,
    pub(super) record: &'a Record,
}

impl Finished<'_> {
    /// When the request arrived, and when the last byte of the response was sent.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        (self.record.received, self.record.finished)
    }

    /// The status that the client got.
    pub fn status(&self) -> Option<u16> {
        self.record.status.map(|status| status.as_u16())
    }

    /// The request and the response, as the tags of a timer have them.
    pub fn tags(&self) -> Vec<(&'static str, String)> {
        let record = self.record;
        let header = |value: &Option<http::HeaderValue>| {
            let text = value.as_ref().map(|value| value.as_bytes());
            cut(&String::from_utf8_lossy(text.unwrap_or_default()))
        };
        let scheme = match header(&record.forwarded_proto) {
            proto if proto == "https" => "https",
            _ => "http",
        };
        let path = record
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = format!("{scheme}://{}{path}", header(&record.host));
        let mut tags = vec![
            ("peer_type", "Server".to_owned()),
            ("method", record.method.to_string()),
            ("uri", cut(&uri)),
            ("remote_address", record.remote.to_string()),
            ("user_agent", header(&record.user_agent)),
            ("content_length", record.response_bytes.to_string()),
        ];
        if let Some(status) = self.status() {
            tags.push(("status_code", status.to_string()));
        }
        let request_id = header(&record.request_id);
        if !request_id.is_empty() {
            tags.push(("request_id", request_id));
        }
        let forwarded = header(&record.forwarded_for);
        if !forwarded.is_empty() {
            let hops: Vec<&str> = forwarded.split(',').map(str::trim).collect();
            tags.push(("forwarded", hops.join("\n")));
        }
        tags
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, StatusCode, Uri, Version};

    use super::*;

    #[test]
    fn tags_say_what_was_asked_and_answered() {
        let record = Record {
            received: Timestamp::from_micros(1_000_000),
            proxied: None,
            finished: Timestamp::from_micros(3_000_000),
            host: Some(HeaderValue::from_static("app.example")),
            method: Method::PUT,
            uri: Uri::from_static("/a?b=c"),
            version: Version::HTTP_11,
            status: Some(StatusCode::CREATED),
            request_bytes: 1,
            response_bytes: 2,
            referer: None,
            user_agent: Some(HeaderValue::from_bytes(b"curl \xff").unwrap()),
            remote: "10.0.0.1:5000".into(),
            forwarded_for: Some(HeaderValue::from_static("1.2.3.4, 10.0.0.1")),
            forwarded_proto: Some(HeaderValue::from_static("https")),
            request_id: Some(HeaderValue::from_static("r")),
            router_error: None,
            is_unlogged: false,
        };
        let finished = Finished {
            app_guid: &AppGuid::from("a"),
            endpoint: None,
            line: "",
            record: &record,
        };
        let expected = [
            ("peer_type", "Server"),
            ("method", "PUT"),
            ("uri", "https://app.example/a?b=c"),
            ("remote_address", "10.0.0.1:5000"),
            ("user_agent", "curl \u{fffd}"),
            ("content_length", "2"),
            ("status_code", "201"),
            ("request_id", "r"),
            ("forwarded", "1.2.3.4\n10.0.0.1"),
        ];
        let expected = expected.map(|(tag, value)| (tag, value.to_owned()));
        assert_eq!(finished.tags(), expected);
        let (start, stop) = finished.times();
        assert_eq!(stop.since(start).as_secs(), 2);
    }
}
