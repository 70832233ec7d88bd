//! One probe of a health or readiness check. It connects from outside to the container's address,
//! so that an app that only listens on loopback fails as it does on Cloud Foundry.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::desired::CheckKind;

const REDIRECTS: usize = 10;

/// A port to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeTarget {
    /// Port inside the container.
    pub port: u16,
    /// The container's own `IP:port`, for messages.
    pub shown: String,
    /// Where to connect to; `None` when the container has no address (yet).
    pub address: Option<SocketAddr>,
}

/// Probes an app.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// `Err` is the reason, in Cloud Foundry's words.
    async fn probe(
        &self,
        kind: &CheckKind,
        targets: &[ProbeTarget],
        limit: Duration,
    ) -> Result<(), String>;
}

/// Probes over the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkProbe;

#[async_trait]
impl Probe for NetworkProbe {
    async fn probe(
        &self,
        kind: &CheckKind,
        targets: &[ProbeTarget],
        limit: Duration,
    ) -> Result<(), String> {
        match kind {
            CheckKind::Process => Ok(()),
            CheckKind::Port => {
                for target in targets {
                    port(target, limit).await?;
                }
                Ok(())
            }
            CheckKind::Http { endpoint } => match targets.first() {
                Some(target) => http(target, endpoint, limit).await,
                None => Err(format!(
                    "failed to make HTTP request to '{endpoint}': the process has no port"
                )),
            },
        }
    }
}

async fn port(target: &ProbeTarget, limit: Duration) -> Result<(), String> {
    let shown = &target.shown;
    let failed = |why: String| format!("failed to make TCP connection to {shown}: {why}");
    let Some(address) = target.address else {
        return Err(failed("no route to host".to_owned()));
    };
    match tokio::time::timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(io_text(&error))),
        Err(_) => Err(failed(timed_out(limit))),
    }
}

async fn http(target: &ProbeTarget, endpoint: &str, limit: Duration) -> Result<(), String> {
    let started = Instant::now();
    let port = target.port;
    let failed =
        |why: String| format!("failed to make HTTP request to '{endpoint}' on port {port}: {why}");
    let Some(address) = target.address else {
        return Err(failed("no route to host".to_owned()));
    };
    match tokio::time::timeout(limit, follow(address, &target.shown, endpoint)).await {
        Ok(Ok(200)) => Ok(()),
        Ok(Ok(status)) => {
            let millis = started.elapsed().as_millis();
            Err(failed(format!(
                "received status code {status} in {millis}ms"
            )))
        }
        Ok(Err(why)) => Err(failed(why)),
        Err(_) => Err(failed(timed_out(limit))),
    }
}

/// The status after following redirects. All requests go to this container, whatever host the
/// redirect names.
async fn follow(address: SocketAddr, host: &str, endpoint: &str) -> Result<u16, String> {
    let base = format!("http://{host}");
    let base = url::Url::parse(&base).map_err(|e| e.to_string())?;
    let mut next = base.join(endpoint).map_err(|e| e.to_string())?;
    for _ in 0..=REDIRECTS {
        let (status, location) = get(address, &next).await?;
        let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308))
        else {
            return Ok(status);
        };
        next = next.join(&location).map_err(|e| e.to_string())?;
        if next.scheme() != "http" {
            return Err(format!("redirected to {next}, which is not plain HTTP"));
        }
    }
    Err(format!("stopped after {REDIRECTS} redirects"))
}

async fn get(address: SocketAddr, url: &url::Url) -> Result<(u16, Option<String>), String> {
    let stream = TcpStream::connect(address).await.map_err(|e| io_text(&e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let request = http::Request::get(path)
        .header("Host", host)
        .header("User-Agent", "diego-healthcheck")
        .header("X-Forwarded-Proto", "https")
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    // The connection is driven concurrently; if it ends first, the response is already on its way.
    let drive = async {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "health check connection closed");
        }
        std::future::pending::<()>().await;
    };
    let response = tokio::select! {
        response = sender.send_request(request) => response.map_err(|e| e.to_string())?,
        () = drive => return Err("connection closed".to_owned()),
    };
    let location = response.headers().get(http::header::LOCATION);
    let location = location.and_then(|value| value.to_str().ok());
    Ok((response.status().as_u16(), location.map(str::to_owned)))
}

fn timed_out(limit: Duration) -> String {
    format!("timed out after {:.2} seconds", limit.as_secs_f64())
}

/// The error text without Rust's `(os error N)`.
fn io_text(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        ErrorKind::HostUnreachable => "no route to host".to_owned(),
        ErrorKind::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}

/// `1m0s`, `45s`, `1m0.162s`: durations as Cloud Foundry formats them.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (minutes, seconds, rest) = (millis / 60_000, millis / 1000 % 60, millis % 1000);
    let fraction = format!("{rest:03}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let (hours, minutes) = (minutes / 60, minutes % 60);
    match (hours, minutes) {
        (0, 0) if seconds == 0 && rest > 0 => format!("{rest}ms"),
        (0, 0) => format!("{seconds}{point}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{point}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{point}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Answers each connection with the next of `answers` and returns the requests.
    async fn serve(answers: Vec<&'static str>) -> (ProbeTarget, impl Future<Output = Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let address = listener.local_addr().expect("bound");
        let target = ProbeTarget {
            port: 8080,
            shown: "10.1.2.3:8080".to_owned(),
            address: Some(address),
        };
        let requests = async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("connection");
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.expect("request");
                requests.push(String::from_utf8_lossy(&request[..length]).into_owned());
                stream.write_all(answer.as_bytes()).await.expect("answer");
            }
            requests
        };
        (target, requests)
    }

    async fn ask(answers: Vec<&'static str>) -> (Result<(), String>, Vec<String>) {
        let (target, requests) = serve(answers).await;
        let endpoint = "/health?deep=1".to_owned();
        let kind = CheckKind::Http { endpoint };
        let targets = [target];
        tokio::join!(NetworkProbe.probe(&kind, &targets, LIMIT), requests)
    }

    async fn refused() -> ProbeTarget {
        let (target, requests) = serve(vec![]).await;
        drop(requests);
        target
    }

    #[tokio::test]
    async fn a_200_passes_and_the_request_is_diegos() {
        let (result, requests) = ask(vec!["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]).await;
        assert_eq!(result, Ok(()));
        let request = requests[0].to_lowercase();
        for expected in [
            "get /health?deep=1 http/1.1\r\n",
            "\r\nhost: 10.1.2.3:8080\r\n",
            "\r\nuser-agent: diego-healthcheck\r\n",
            "\r\nx-forwarded-proto: https\r\n",
        ] {
            assert!(request.contains(expected), "{expected:?} in {request}");
        }
    }

    #[tokio::test]
    async fn any_other_status_fails_even_204() {
        let (result, _) = ask(vec!["HTTP/1.1 204 No Content\r\n\r\n"]).await;
        let text = result.expect_err("204 is not 200");
        let start = "failed to make HTTP request to '/health?deep=1' on port 8080: \
                     received status code 204 in ";
        assert!(text.starts_with(start) && text.ends_with("ms"), "{text}");
    }

    #[tokio::test]
    async fn redirects_are_followed_to_the_app_itself() {
        let (result, requests) = ask(vec![
            "HTTP/1.1 302 Found\r\nLocation: http://www.example.com/login\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ])
        .await;
        assert_eq!(result, Ok(()));
        assert!(requests[1].starts_with("GET /login HTTP/1.1\r\n"));
        assert!(requests[1].to_lowercase().contains("host: www.example.com"));
    }

    #[tokio::test]
    async fn refused_connections_are_reported_with_the_containers_address() {
        let targets = [refused().await];
        let port = NetworkProbe.probe(&CheckKind::Port, &targets, LIMIT).await;
        assert_eq!(
            port.expect_err("refused"),
            "failed to make TCP connection to 10.1.2.3:8080: connection refused"
        );
        let endpoint = "/".to_owned();
        let kind = CheckKind::Http { endpoint };
        let http = NetworkProbe.probe(&kind, &targets, LIMIT).await;
        assert_eq!(
            http.expect_err("refused"),
            "failed to make HTTP request to '/' on port 8080: connection refused"
        );
    }

    #[tokio::test]
    async fn every_port_must_accept() {
        let (open, requests) = serve(vec![]).await;
        let targets = [open.clone(), refused().await];
        let both = NetworkProbe.probe(&CheckKind::Port, &targets, LIMIT).await;
        assert!(both.is_err());
        let one = NetworkProbe.probe(&CheckKind::Port, &[open], LIMIT).await;
        assert_eq!(one, Ok(()));
        drop(requests);
    }

    #[test]
    fn durations_read_like_cloud_foundrys() {
        let table = [
            (0, "0s"),
            (5, "5ms"),
            (45_000, "45s"),
            (60_000, "1m0s"),
            (60_162, "1m0.162s"),
            (90_500, "1m30.5s"),
            (3_600_000, "1h0m0s"),
        ];
        for (millis, text) in table {
            assert_eq!(duration_text(Duration::from_millis(millis)), text);
        }
    }
}
