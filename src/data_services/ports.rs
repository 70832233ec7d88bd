//! Ports of this machine at which services are reached from it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use super::catalog::Spec;
use super::failure::Failure;

/// Ports that services get, one after the other.
const RANGE: std::ops::RangeInclusive<u16> = 61_200..=62_199;

/// A free port for each port of a service. `taken` belong to other services, also when those do not
/// run; others may be in use by programs of this machine, or by another platform, which is why each
/// platform begins to look somewhere else.
pub(super) fn choose(
    spec: &Spec,
    taken: &[u16],
    platform_id: &str,
) -> Result<BTreeMap<String, u16>, Failure> {
    let all = RANGE.end() - RANGE.start() + 1;
    let begin = platform_id.bytes().fold(0_u16, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    }) % all;
    let candidates = (0..all).map(|step| RANGE.start() + (begin + step) % all);
    let mut free = candidates.filter(|port| !taken.contains(port) && is_free(*port));
    let mut chosen = BTreeMap::new();
    for name in spec.ports.keys() {
        let port = free.next().ok_or_else(|| {
            Failure::new(format!(
                "all ports from {} to {} are in use",
                RANGE.start(),
                RANGE.end()
            ))
        })?;
        chosen.insert(name.clone(), port);
    }
    Ok(chosen)
}

/// Whether a start failed because somebody else took a port.
pub(super) fn is_taken(failure: &Failure) -> bool {
    let text = failure.to_string();
    text.contains("port is already allocated") || text.contains("address already in use")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
