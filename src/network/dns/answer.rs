//! From a question to a reply; pure.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::names::{Asker, Found, Names};

/// The largest datagram that arrives whole nearly everywhere.
const PAYLOAD: u16 = 1232;
/// The least that every client takes in a datagram.
const SMALLEST: usize = 512;
/// Bytes of a message before its question.
const HEADER: usize = 12;

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// What to do with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Send this.
    Reply(Vec<u8>),
    /// Ask somebody else. The reply may have this many bytes.
    Forward {
        /// Bytes.
        limit: usize,
    },
    /// Send nothing: it was no question.
    Nothing,
}

/// Answers from the present names. `shuffle` brings addresses into another order, so that clients
/// that take the first one do not all take the same.
pub fn answer(
    question: &[u8],
    transport: Transport,
    asker: Asker,
    names: &Names,
    shuffle: &dyn Fn(&mut [Ipv4Addr]),
) -> Answer {
    let is_reply = question.get(2).is_none_or(|byte| byte & 0x80 != 0);
    if question.len() < HEADER || is_reply {
        // Whoever answered replies could be kept busy by two servers that do.
        return Answer::Nothing;
    }
    let Ok(message) = Message::from_vec(question) else {
        return error(question, ResponseCode::FormErr);
    };
    let limit = match transport {
        Transport::Udp => usize::from(message.max_payload()).max(SMALLEST),
        Transport::Tcp => usize::from(u16::MAX),
    };
    if message.metadata.op_code != OpCode::Query {
        return error(question, ResponseCode::NotImp);
    }
    let [query] = message.queries.as_slice() else {
        return error(question, ResponseCode::FormErr);
    };
    if message.version() > 0 {
        return reply(respond(&message, ResponseCode::BADVERS), limit);
    }
    let is_transfer = matches!(query.query_type, RecordType::AXFR | RecordType::IXFR);
    if is_transfer || !matches!(query.query_class, DNSClass::IN | DNSClass::ANY) {
        return reply(respond(&message, ResponseCode::Refused), limit);
    }
    let name = query.name.to_lowercase().to_ascii();
    let mut addresses = match names.find(name.trim_end_matches('.')) {
        Found::NotOurs => return Answer::Forward { limit },
        Found::Nothing => Vec::new(),
        Found::Platform => vec![asker.platform],
        Found::Instances(mut found) => {
            shuffle(&mut found);
            found.into_iter().map(IpAddr::V4).collect()
        }
    };
    addresses.retain(|address| has_type(*address, query.query_type));
    let mut response = respond(&message, ResponseCode::NoError);
    response.metadata.authoritative = true;
    response.add_answers(addresses.into_iter().map(|one| record(query, one)));
    reply(response, limit)
}

/// The reply to a question that cannot be answered: only its header is sent back.
fn error(question: &[u8], code: ResponseCode) -> Answer {
    failure(question, code).map_or(Answer::Nothing, Answer::Reply)
}

/// That nobody could say, or that nobody may ask.
pub(super) fn failure(question: &[u8], code: ResponseCode) -> Option<Vec<u8>> {
    if let Ok(message) = Message::from_vec(question) {
        return respond(&message, code).to_vec().ok();
    }
    let [high, low, flags] = *question.first_chunk()?;
    let mut response = Message::response(u16::from_be_bytes([high, low]), OpCode::Query);
    response.metadata.op_code = OpCode::from_u8((flags >> 3) & 0x0f);
    response.metadata.recursion_desired = flags & 1 != 0;
    response.metadata.recursion_available = true;
    response.metadata.response_code = code;
    response.to_vec().ok()
}

fn respond(message: &Message, code: ResponseCode) -> Message {
    let asked = &message.metadata;
    let mut response = Message::new(asked.id, MessageType::Response, asked.op_code);
    response.metadata.recursion_desired = asked.recursion_desired;
    response.metadata.recursion_available = true;
    response.metadata.checking_disabled = asked.checking_disabled;
    response.metadata.response_code = code;
    response.queries.clone_from(&message.queries);
    if message.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        response.set_edns(edns);
    }
    response
}

fn has_type(address: IpAddr, wanted: RecordType) -> bool {
    match wanted {
        RecordType::ANY => true,
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        _ => false,
    }
}

/// Without a lifetime: instances come and go.
fn record(query: &Query, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::from(address),
        IpAddr::V6(address) => RData::from(address),
    };
    Record::from_rdata(query.name.clone(), 0, data)
}

/// The bytes of a response. Records that do not fit are left out, which the response tells, so that
/// the client asks again on a connection.
fn reply(mut response: Message, limit: usize) -> Answer {
    let Ok(whole) = response.to_vec() else {
        return Answer::Nothing;
    };
    if whole.len() <= limit {
        return Answer::Reply(whole);
    }
    response.metadata.truncation = true;
    let all = std::mem::take(&mut response.answers);
    // Records differ in size: only the first names of a message are compressed.
    let (mut fit, mut excess) = (None, all.len());
    let mut count = 0;
    while count < excess {
        response.answers = all[..count].to_vec();
        match response.to_vec() {
            Ok(bytes) if bytes.len() <= limit => fit = Some((count, bytes)),
            _ => excess = count,
        }
        let most = fit.as_ref().map_or(0, |(most, _)| *most);
        count = most + (excess - most).div_ceil(2);
    }
    fit.map_or(Answer::Nothing, |(_, bytes)| Answer::Reply(bytes))
}
