//! The standard variables.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::base::Secret;
use crate::logs::showable_drain as showable;

/// How to export.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Metrics, unless they are not exported.
    pub metrics: Option<Signal>,
    /// Log lines, unless they are not exported.
    pub logs: Option<Signal>,
    /// Time between two exports of metrics.
    pub interval: Duration,
    /// Time between two looks for new lines.
    pub delay: Duration,
    /// Most lines of one request.
    pub batch: usize,
    /// Attributes of the platform, `service.name` among them.
    pub resource: BTreeMap<String, String>,
}

/// Where one kind of data goes.
#[derive(Debug, Clone)]
pub struct Signal {
    /// Where.
    pub url: Url,
    /// Headers of each request.
    pub headers: Vec<(String, Secret<String>)>,
    /// How long a request may take.
    pub timeout: Duration,
    /// The form of the bodies.
    pub encoding: Encoding,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// File with the certificate of the collector's authority.
    pub certificate: Option<String>,
}

/// The forms that OTLP has over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `http/protobuf`, the default of the specification.
    Protobuf,
    /// `http/json`.
    Json,
}

/// Reads a variable.
type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

const PREFIX: &str = "OTEL_EXPORTER_OTLP_";

impl Settings {
    /// What the variables say; nothing when they name no endpoint, or switch it off.
    pub fn read(variable: Variable<'_>) -> Result<Option<Self>, String> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is_off = variable("OTEL_SDK_DISABLED");
        if is_off.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let metrics = signal(&variable, "METRICS", "v1/metrics")?;
        let logs = signal(&variable, "LOGS", "v1/logs")?;
        if metrics.is_none() && logs.is_none() {
            return Ok(None);
        }
        let mut resource = BTreeMap::from([
            ("service.name".to_owned(), "cflite".to_owned()),
            (
                "service.version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
        ]);
        let given = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        resource.extend(pairs("OTEL_RESOURCE_ATTRIBUTES", &given)?);
        if let Some(name) = variable("OTEL_SERVICE_NAME") {
            resource.insert("service.name".to_owned(), name);
        }
        let batch = number(&variable, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 512)?;
        Ok(Some(Self {
            metrics,
            logs,
            interval: millis(&variable, "OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            delay: millis(&variable, "OTEL_BLRP_SCHEDULE_DELAY", 1_000)?,
            batch: usize::try_from(batch).unwrap_or(512).clamp(1, 10_000),
            resource,
        }))
    }
}

fn signal(variable: Variable<'_>, kind: &str, path: &str) -> Result<Option<Signal>, String> {
    let exporter = format!("OTEL_{kind}_EXPORTER");
    match variable(&exporter).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(format!("{exporter}: {other} is not otlp or none")),
    }
    let specific = |name: &str| format!("{PREFIX}{kind}_{name}");
    let either =
        |name: &str| variable(&specific(name)).or_else(|| variable(&format!("{PREFIX}{name}")));
    let url = match (
        variable(&specific("ENDPOINT")),
        variable(&format!("{PREFIX}ENDPOINT")),
    ) {
        (Some(own), _) => own,
        (None, Some(common)) => format!("{}/{path}", common.trim_end_matches('/')),
        (None, None) => return Ok(None),
    };
    let url = Url::parse(&url).map_err(|error| format!("{kind} endpoint: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let url = showable(url.as_str());
        return Err(format!("{kind} endpoint {url} is not of http or https"));
    }
    let encoding = match either("PROTOCOL").as_deref() {
        None | Some("http/protobuf") => Encoding::Protobuf,
        Some("http/json") => Encoding::Json,
        Some(other) => {
            let name = specific("PROTOCOL");
            return Err(format!(
                "{name}: {other} is not supported; http/protobuf and http/json are"
            ));
        }
    };
    let timeout = either("TIMEOUT");
    let timeout = match timeout.as_deref() {
        None => 10_000,
        Some(text) => parsed(&specific("TIMEOUT"), text)?,
    };
    let headers = pairs(&specific("HEADERS"), &either("HEADERS").unwrap_or_default())?;
    let gzip = match either("COMPRESSION").as_deref() {
        None | Some("none") => false,
        Some("gzip") => true,
        Some(other) => {
            let name = specific("COMPRESSION");
            return Err(format!("{name}: {other} is not gzip or none"));
        }
    };
    Ok(Some(Signal {
        url,
        headers: { headers.into_iter() }
            .map(|(name, value)| (name, Secret::new(value)))
            .collect(),
        timeout: Duration::from_millis(timeout),
        encoding,
        gzip,
        certificate: either("CERTIFICATE"),
    }))
}

/// `key=value` with commas between; values are percent-encoded.
fn pairs(name: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let pair = part
            .split_once('=')
            .filter(|(key, _)| !key.trim().is_empty());
        let (key, value) = pair.ok_or_else(|| format!("{name} is not of the form key=value,…"))?;
        let value = percent_encoding::percent_decode_str(value.trim());
        Ok((
            key.trim().to_owned(),
            value.decode_utf8_lossy().into_owned(),
        ))
    });
    pairs.collect()
}

fn parsed(name: &str, text: &str) -> Result<u64, String> {
    let number = text.trim().parse().ok();
    number.ok_or_else(|| format!("{name}: {text} is not a number"))
}

fn number(variable: Variable<'_>, name: &str, default: u64) -> Result<u64, String> {
    match variable(name) {
        None => Ok(default),
        Some(text) => parsed(name, &text),
    }
}

fn millis(variable: Variable<'_>, name: &str, default: u64) -> Result<Duration, String> {
    let millis = number(variable, name, default)?;
    Ok(Duration::from_millis(millis.max(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        Settings::read(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_endpoint_switches_it_on() {
        assert!(read(&[]).expect("readable").is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        assert!(
            read(&[endpoint, ("OTEL_SDK_DISABLED", "true")])
                .expect("readable")
                .is_none()
        );
        let settings = read(&[
            endpoint,
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs/ingest"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20x, a=b",
            ),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=lost,region=home"),
        ]);
        let settings = settings.expect("readable").expect("on");
        let metrics = settings.metrics.expect("metrics");
        assert_eq!(metrics.url.as_str(), "http://c:4318/v1/metrics");
        assert_eq!(metrics.timeout, Duration::from_millis(500));
        assert_eq!(metrics.headers[0].0, "authorization");
        assert_eq!(metrics.headers[0].1.expose(), "Bearer x");
        let logs = settings.logs.expect("logs");
        assert_eq!(
            (logs.url.as_str(), logs.gzip, metrics.gzip),
            ("https://logs/ingest", true, false)
        );
        assert_eq!(
            (logs.encoding, metrics.encoding),
            (Encoding::Json, Encoding::Protobuf)
        );
        assert_eq!(settings.interval, Duration::from_secs(5));
        assert_eq!(settings.resource["service.name"], "mine");
        assert_eq!(settings.resource["region"], "home");
    }

    #[test]
    fn signals_are_switched_off_one_by_one() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        let settings = read(&[endpoint, ("OTEL_LOGS_EXPORTER", "none")]).expect("readable");
        let settings = settings.expect("on");
        assert!(settings.logs.is_none() && settings.metrics.is_some());
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://c"),
        ] {
            assert!(read(&[endpoint, (name, value)]).is_err(), "{name}");
        }
    }

    #[test]
    fn passwords_are_not_told() {
        for url in ["ftp://me:hunter2@c/?key=hunter2", "http://me:hunter2@c:x"] {
            let told = read(&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", url)]);
            let told = told.expect_err(url);
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
