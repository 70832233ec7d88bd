//! Asks other servers, byte for byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

/// How long one question may take with all servers. Clients give up after four or five seconds, and
/// take an answer before that for the truth.
pub const PATIENCE: Duration = Duration::from_millis(3500);
/// The largest message.
const LARGEST: usize = u16::MAX as usize;

/// Asks servers in order until one knows; `None` when none answered. A server that cannot say, or
/// will not, is believed only when no other one can.
pub(super) async fn ask_any(
    question: &[u8],
    servers: &[SocketAddr],
    limit: usize,
) -> Option<Vec<u8>> {
    let count = u32::try_from(servers.len())
        .ok()
        .filter(|count| *count > 0)?;
    let patience = PATIENCE / count;
    let mut refusal = None;
    for server in servers {
        match timeout(patience, ask_one(question, *server, limit)).await {
            Ok(Ok(reply)) if !is_refusal(&reply) => return Some(reply),
            Ok(Ok(reply)) => refusal = Some(reply),
            Ok(Err(error)) => tracing::debug!(%server, %error, "a DNS server does not answer"),
            Err(_) => tracing::debug!(%server, "a DNS server does not answer in time"),
        }
    }
    refusal
}

/// As a datagram, and on a connection when the reply does not fit into one but into `limit`.
async fn ask_one(question: &[u8], server: SocketAddr, limit: usize) -> std::io::Result<Vec<u8>> {
    let short = ask_by_datagram(question, server).await?;
    if !is_truncated(&short) {
        return Ok(short);
    }
    match ask_on_connection(question, server).await {
        Ok(whole) if whole.len() <= limit => Ok(whole),
        // The client learns that there is more, and asks on a connection.
        Ok(_) | Err(_) => Ok(short),
    }
}

/// Sends a datagram and waits for its reply; the caller limits the time.
pub(super) async fn ask_by_datagram(
    question: &[u8],
    server: SocketAddr,
) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    // A port of its own for each question is hard to guess for whoever would forge a reply, and the
    // kernel drops what does not come from the server.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut reply = Vec::with_capacity(LARGEST);
    loop {
        reply.clear();
        socket.recv_buf(&mut reply).await?;
        if is_reply_to(question, &reply) {
            return Ok(reply);
        }
    }
}

async fn ask_on_connection(question: &[u8], server: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write(&mut stream, question).await?;
    let reply = read(&mut stream, LARGEST).await?;
    let reply = reply.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    if is_reply_to(question, &reply) {
        Ok(reply)
    } else {
        Err(std::io::ErrorKind::InvalidData.into())
    }
}

/// Whether this is a reply, and to this question: same id, and the same name where both have one.
fn is_reply_to(question: &[u8], reply: &[u8]) -> bool {
    let id = |message: &[u8]| message.first_chunk::<2>().copied();
    let is_reply = reply.len() >= 12 && reply[2] & 0x80 != 0 && id(question) == id(reply);
    is_reply
        && match (asked(question), asked(reply)) {
            (Some(question), Some(reply)) => question.eq_ignore_ascii_case(reply),
            // An error may come without the question.
            _ => reply.get(4..6) == Some(&[0, 0][..]),
        }
}

/// The bytes of a message's only question.
fn asked(message: &[u8]) -> Option<&[u8]> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return message.get(12..at + 5),
            1..64 => at += length + 1,
            // A pointer: the first name of a message has nothing to point at.
            _ => return None,
        }
    }
}

fn is_truncated(reply: &[u8]) -> bool {
    reply.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

/// SERVFAIL, NOTIMP or REFUSED.
fn is_refusal(reply: &[u8]) -> bool {
    reply
        .get(3)
        .is_some_and(|flags| matches!(flags & 0x0f, 2 | 4 | 5))
}

/// Writes a message on a connection.
pub(super) async fn write(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    let mut bytes = Vec::with_capacity(message.len() + 2);
    bytes.extend(length.to_be_bytes());
    bytes.extend(message);
    // In one go: some servers expect length and message in one packet.
    stream.write_all(&bytes).await
}

/// Reads a message; `None` when the connection ended before it, or it is larger than `most`.
pub(super) async fn read(stream: &mut TcpStream, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > most {
        return Ok(None);
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}

/// The same, until a deadline.
pub(super) async fn read_until(
    stream: &mut TcpStream,
    most: usize,
    deadline: Instant,
) -> std::io::Result<Option<Vec<u8>>> {
    match timeout_at(deadline, read(stream, most)).await {
        Ok(read) => read,
        Err(_) => Ok(None),
    }
}
