//! The sockets of a DNS server: one port for datagrams and connections.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use crate::net::ports::{self, BindError, PortChoice};

/// A free port for connections may be taken for datagrams.
const ATTEMPTS: usize = 16;

/// Both sockets of one address.
#[derive(Debug)]
pub struct Sockets {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
    address: SocketAddr,
}

impl Sockets {
    /// Binds the chosen port for both.
    pub fn bind(ip: IpAddr, choice: PortChoice) -> Result<Self, BindError> {
        match choice {
            PortChoice::Exactly(port) => Self::bind_one(ip, port),
            PortChoice::Prefer(first, second) => {
                Self::bind_one(ip, first).or_else(|_| Self::bind_one(ip, second))
            }
        }
    }

    /// Where they are.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// More handles of the same sockets.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self {
            udp: self.udp.try_clone()?,
            tcp: self.tcp.try_clone()?,
            address: self.address,
        })
    }

    fn bind_one(ip: IpAddr, port: u16) -> Result<Self, BindError> {
        let attempts = if port == 0 { ATTEMPTS } else { 1 };
        let mut last = None;
        for _ in 0..attempts {
            let tcp = ports::bind(ip, PortChoice::Exactly(port))?;
            let wanted = SocketAddr::new(ip, port);
            let other = |source| BindError::Other {
                address: wanted,
                source,
            };
            let address = tcp.local_addr().map_err(other)?;
            match ports::bind_udp(address) {
                Ok(udp) => return Ok(Self { udp, tcp, address }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| BindError::Other {
            address: SocketAddr::new(ip, port),
            source: std::io::ErrorKind::AddrInUse.into(),
        }))
    }
}
