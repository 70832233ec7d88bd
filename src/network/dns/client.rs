//! Asking a server for the addresses of a name.

use std::io::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::exchange::ask_by_datagram;

/// The IPv4 addresses that a server has for a name; none when there is no such name.
pub async fn ask(server: SocketAddr, name: &str, limit: Duration) -> std::io::Result<Vec<IpAddr>> {
    let mut asked = Name::from_ascii(name).map_err(Error::other)?;
    asked.set_fqdn(true);
    let mut question = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(asked, RecordType::A));
    let question = question.to_vec().map_err(Error::other)?;
    let reply = timeout(limit, ask_by_datagram(&question, server)).await??;
    let reply = Message::from_vec(&reply).map_err(Error::other)?;
    match reply.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(Error::other(code.to_string())),
    }
    let addresses = reply
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        });
    Ok(addresses.collect())
}
