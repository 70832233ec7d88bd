//! Binding ports, and naming the process that holds a port when that fails.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use tokio::net::TcpSocket;

/// Why a port cannot be bound, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error(
        "port {} on {} is in use{}; stop that program or choose another port",
        address.port(), address.ip(), holder_text(holder.as_deref())
    )]
    Taken {
        /// The address.
        address: SocketAddr,
        /// `nginx (pid 42)`, if known.
        holder: Option<String>,
    },
    /// Ports below 1024 need a privilege.
    #[error(
        "this user may not bind port {} on {}; choose a port above 1023, or allow it with `sysctl net.ipv4.ip_unprivileged_port_start={}`",
        address.port(), address.ip(), address.port()
    )]
    Denied {
        /// The address.
        address: SocketAddr,
    },
    /// Any other error, such as an address that this machine does not have.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
}

fn holder_text(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(" by {holder}"))
}

/// Which port to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// This port only; 0 for any free one.
    Exactly(u16),
    /// The first when it can be bound, else the second.
    Prefer(u16, u16),
}

impl PortChoice {
    /// 80, else 8080.
    pub const HTTP: Self = Self::Prefer(80, 8080);
    /// 443, else 8443.
    pub const HTTPS: Self = Self::Prefer(443, 8443);
    /// 2222, else any free one.
    pub const SSH: Self = Self::Prefer(2222, 0);
    /// 8053, else any free one.
    pub const DNS: Self = Self::Prefer(8053, 0);
}

/// Binds the chosen port, for [`super::server::Listener`].
pub fn bind(ip: IpAddr, choice: PortChoice) -> Result<TcpListener, BindError> {
    match choice {
        PortChoice::Exactly(port) => bind_one(SocketAddr::new(ip, port)),
        PortChoice::Prefer(first, second) => {
            bind_one(SocketAddr::new(ip, first)).or_else(|_| bind_one(SocketAddr::new(ip, second)))
        }
    }
}

/// Binds an address for datagrams.
pub fn bind_udp(address: SocketAddr) -> Result<UdpSocket, BindError> {
    UdpSocket::bind(address).map_err(|source| refusal(address, source))
}

/// Which port [`bind`] would bind. Does not listen, so it does not disturb a process that binds the
/// port at the same time.
pub fn probe(ip: IpAddr, choice: PortChoice) -> Result<u16, BindError> {
    match choice {
        PortChoice::Exactly(port) => probe_one(SocketAddr::new(ip, port)),
        PortChoice::Prefer(first, second) => probe_one(SocketAddr::new(ip, first))
            .or_else(|_| probe_one(SocketAddr::new(ip, second))),
    }
}

fn probe_one(address: SocketAddr) -> Result<u16, BindError> {
    let bound = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // As listeners do: an address is refused only while a process listens there.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket.local_addr()?.port())
    };
    bound().map_err(|source| refusal(address, source))
}

fn refusal(address: SocketAddr, source: std::io::Error) -> BindError {
    match source.kind() {
        ErrorKind::AddrInUse => BindError::Taken {
            address,
            holder: find_holder(address.port()),
        },
        ErrorKind::PermissionDenied => BindError::Denied { address },
        _ => BindError::Other { address, source },
    }
}

fn bind_one(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listener = TcpListener::bind(address).map_err(|source| refusal(address, source))?;
    listener
        .set_nonblocking(true)
        .map_err(|source| BindError::Other { address, source })?;
    Ok(listener)
}

/// The process that listens on `port`, if the process table shows it (Linux, readable processes).
fn find_holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|table| find_inode(&table, port).map(str::to_owned))?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|text| text.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|target| target.to_str() == Some(&wanted));
        if holds {
            let program = std::fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!("{} (pid {pid})", program.trim()));
        }
    }
    None
}

/// The socket inode of the listener on `port` in a table like `/proc/net/tcp`.
fn find_inode(table: &str, port: u16) -> Option<&str> {
    const LISTENING: &str = "0A";
    let wanted = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        (local.ends_with(&wanted) && state == LISTENING).then_some(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_taken_port_names_its_holder() {
        let holder = bind(LOOPBACK, PortChoice::Exactly(0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = bind(LOOPBACK, PortChoice::Exactly(port)).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("port {port} on 127.0.0.1 is in use")),
            "{text}"
        );
        if cfg!(target_os = "linux") {
            let pid = format!("(pid {})", std::process::id());
            assert!(text.contains(&pid), "{text}");
        }
    }

    #[test]
    fn a_probe_reports_what_binding_would_and_disturbs_no_listener() {
        let holder = bind(LOOPBACK, PortChoice::Exactly(0)).unwrap();
        let taken = holder.local_addr().unwrap().port();
        let error = probe(LOOPBACK, PortChoice::Exactly(taken)).unwrap_err();
        assert!(matches!(error, BindError::Taken { .. }), "{error}");
        drop(holder);
        let probing = TcpSocket::new_v4().unwrap();
        probing.set_reuseaddr(true).unwrap();
        probing.bind(SocketAddr::new(LOOPBACK, taken)).unwrap();
        assert_eq!(
            probe(LOOPBACK, PortChoice::Prefer(taken, 0)).unwrap(),
            taken
        );
        assert!(bind(LOOPBACK, PortChoice::Exactly(taken)).is_ok());
    }

    #[test]
    fn the_second_choice_is_taken_when_the_first_is_not_free() {
        let holder = bind(LOOPBACK, PortChoice::Exactly(0)).unwrap();
        let taken = holder.local_addr().unwrap().port();
        let second = bind(LOOPBACK, PortChoice::Prefer(taken, 0)).unwrap();
        assert_ne!(second.local_addr().unwrap().port(), taken);
    }

    #[test]
    fn the_kernels_socket_table_is_parsed() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 0100007F:9000 01 00000000:00000000 00:00000000 00000000  1000        0 111 1\n   \
            1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n";
        assert_eq!(find_inode(table, 8080), Some("4242"));
        assert_eq!(find_inode(table, 80), None);
    }
}
