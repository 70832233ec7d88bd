//! The addresses of a drain's host. Names below `localhost` are this machine, also where the
//! system's resolver does not know them: apps have such names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Settings;
use super::target::Target;

const WITHIN: Duration = Duration::from_secs(10);

/// The addresses; the error is for the app's log.
pub(super) async fn addresses(
    target: &Target,
    settings: &Settings,
) -> Result<Vec<SocketAddr>, String> {
    let found = look_up(&target.host, target.port).await;
    let shown = &target.shown;
    if found.is_empty() {
        return Err(format!(
            "Cannot resolve ip address for syslog drain with url {shown}"
        ));
    }
    let is_blocked = |address: &SocketAddr| {
        let mut blocked = settings.blocked.iter();
        blocked.any(|network| network.contains(address.ip()))
    };
    if found.iter().any(is_blocked) {
        return Err(format!(
            "Resolved ip address for syslog drain with url {shown} is blacklisted"
        ));
    }
    if settings.offline && !found.iter().all(|address| address.ip().is_loopback()) {
        return Err(format!(
            "cflite is offline, and the syslog drain with url {shown} is not on this machine"
        ));
    }
    Ok(found)
}

async fn look_up(host: &str, port: u16) -> Vec<SocketAddr> {
    let lower = host.to_ascii_lowercase();
    if lower == "localhost" || lower.ends_with(".localhost") {
        return vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)];
    }
    let found = tokio::time::timeout(WITHIN, tokio::net::lookup_host((host, port))).await;
    match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}
