//! Where a drain leads, from its URL. What is shown of a URL has no user, password or query.

use url::Url;

use super::options::Options;

/// How messages get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// Octet counting over TCP.
    Tcp,
    /// The same over TLS.
    Tls,
    /// A request for each message.
    Https,
    /// A request for many.
    HttpsBatch,
}

/// A drain's URL, understood.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) transport: Transport,
    pub(super) host: String,
    pub(super) port: u16,
    /// For messages to users.
    pub(super) shown: String,
    pub(super) options: Options,
    /// Where requests go.
    pub(super) url: Url,
}

impl Target {
    /// Parses a URL; the error is for the app's log.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let unparsable = || "Cannot parse syslog drain URL.".to_owned();
        let mut url = Url::parse(text).map_err(|_| unparsable())?;
        let shown = shown(&url);
        let (transport, default_port) = match url.scheme() {
            "syslog" => (Transport::Tcp, 514),
            "syslog-tls" => (Transport::Tls, 6514),
            "https" => (Transport::Https, 443),
            "https-batch" => (Transport::HttpsBatch, 443),
            other => {
                return Err(format!(
                    "Invalid Scheme {other} for syslog drain url {shown}"
                ));
            }
        };
        let no_host = || format!("No hostname found in syslog drain url {shown}");
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(no_host)?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = url.port_or_known_default().unwrap_or(default_port);
        if transport == Transport::HttpsBatch {
            // The scheme of a URL cannot be changed to one of another kind.
            let rest = text.trim_start().get("https-batch".len()..);
            let plain = rest.map(|rest| format!("https{rest}"));
            url = plain
                .and_then(|text| Url::parse(&text).ok())
                .ok_or_else(unparsable)?;
        }
        Ok(Self {
            transport,
            host,
            port,
            options: Options::parse(url.query().unwrap_or_default()),
            shown,
            url,
        })
    }
}

/// A URL without user, password, query and fragment.
fn shown(url: &Url) -> String {
    let scheme = url.scheme();
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let path = if url.cannot_be_a_base() || url.path() == "/" {
        ""
    } else {
        url.path()
    };
    format!("{scheme}://{host}{port}{path}")
}

/// What may be shown of a URL that may be no URL.
pub fn showable(text: &str) -> String {
    Url::parse(text).map_or_else(|_| "(not a URL)".to_owned(), |url| shown(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_host_and_port() {
        for (text, transport, host, port) in [
            (
                "syslog://logs.example.com",
                Transport::Tcp,
                "logs.example.com",
                514,
            ),
            ("syslog://10.0.0.1:1514/", Transport::Tcp, "10.0.0.1", 1514),
            (
                "syslog-tls://[fd00::1]:6000?a=b",
                Transport::Tls,
                "fd00::1",
                6000,
            ),
            ("syslog-tls://h", Transport::Tls, "h", 6514),
            ("https://h/path?x", Transport::Https, "h", 443),
            ("https-batch://h:8443/p", Transport::HttpsBatch, "h", 8443),
        ] {
            let target = Target::parse(text).expect(text);
            assert_eq!(
                (target.transport, &*target.host, target.port),
                (transport, host, port)
            );
        }
        let batch = Target::parse("HTTPS-batch://u:p@h:8443/p?drain-data=all").expect("valid");
        assert_eq!(batch.url.as_str(), "https://u:p@h:8443/p?drain-data=all");
    }

    #[test]
    fn secrets_in_urls_are_never_shown() {
        for text in [
            "syslog://user:hunter2@h:1?token=hunter2#hunter2",
            "https://user:hunter2@h/p?token=hunter2",
            "ftp://user:hunter2@h/?hunter2",
            "syslog://user:hunter2@:99999/",
            "syslog:?hunter2",
            "hunter2",
        ] {
            let told = match Target::parse(text) {
                Ok(target) => target.shown,
                Err(text) => text,
            };
            assert!(!told.contains("hunter2"), "{told}");
            assert!(!showable(text).contains("hunter2"), "{text}");
        }
        let fault = |text: &str| Target::parse(text).expect_err(text);
        assert_eq!(
            fault("ftp://h/p"),
            "Invalid Scheme ftp for syslog drain url ftp://h/p"
        );
        assert_eq!(
            fault("syslog:///p"),
            "No hostname found in syslog drain url syslog:///p"
        );
        assert_eq!(fault("://"), "Cannot parse syslog drain URL.");
    }
}
