//! Every rule of what is answered.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::DNSClass;
use proptest::prelude::*;

use super::*;

const HOST: Asker = Asker {
    platform: IpAddr::V4(Ipv4Addr::LOCALHOST),
};
const CONTAINER: Asker = Asker {
    platform: IpAddr::V4(GATEWAY),
};

fn reverse(addresses: &mut [Ipv4Addr]) {
    addresses.reverse();
}

fn ask(message: &Message, transport: Transport, asker: Asker) -> Answer {
    answer(&bytes(message), transport, asker, &names(), &reverse)
}

fn reply(message: &Message, asker: Asker) -> Message {
    match ask(message, Transport::Udp, asker) {
        Answer::Reply(bytes) => Message::from_vec(&bytes).expect("valid"),
        other => panic!("{other:?}"),
    }
}

fn a(name: &str) -> Message {
    question(name, RecordType::A)
}

#[test]
fn instances_are_answered_in_another_order_and_without_a_lifetime() {
    let found = reply(&a("shop.apps.internal."), CONTAINER);
    assert_eq!(
        addresses(&found),
        ["172.18.1.2", "172.18.1.1", "172.18.1.0"]
    );
    assert!(found.answers.iter().all(|record| record.ttl == 0));
    let said = &found.metadata;
    assert_eq!((said.id, said.response_code), (4711, ResponseCode::NoError));
    assert!(said.authoritative && said.recursion_desired && said.recursion_available);
    assert_eq!(said.message_type, MessageType::Response);
    let found = reply(&a("1.shop.apps.internal."), CONTAINER);
    assert_eq!(addresses(&found), ["172.18.1.1"]);
}

#[test]
fn case_does_not_count_and_comes_back_as_it_was_asked() {
    let asked = a("ShOp.aPPs.InterNAL.");
    let found = reply(&asked, CONTAINER);
    assert_eq!(found.answers.len(), 3);
    assert_eq!(found.queries[0].name.to_ascii(), "ShOp.aPPs.InterNAL.");
    assert_eq!(found.answers[0].name.to_ascii(), "ShOp.aPPs.InterNAL.");
}

#[test]
fn the_platform_has_the_address_by_which_the_asker_reaches_it() {
    for name in [
        "cf.example.",
        "api.cf.example.",
        "any.thing.cf.example.",
        "shop.example.org.",
        "host.cflite.internal.",
    ] {
        assert_eq!(addresses(&reply(&a(name), HOST)), ["127.0.0.1"], "{name}");
        assert_eq!(
            addresses(&reply(&a(name), CONTAINER)),
            ["127.0.91.1"],
            "{name}"
        );
    }
    let asker = Asker {
        platform: "fd00::1".parse().expect("an address"),
    };
    assert!(addresses(&reply(&a("cf.example."), asker)).is_empty());
    let found = reply(&question("cf.example.", RecordType::AAAA), asker);
    assert_eq!(addresses(&found), ["fd00::1"]);
}

#[test]
fn names_of_ours_without_such_records_and_names_that_do_not_exist_are_empty() {
    let kinds = [
        RecordType::AAAA,
        RecordType::TXT,
        RecordType::SRV,
        RecordType::HTTPS,
    ];
    let known = kinds.map(|kind| question("shop.apps.internal.", kind));
    let platform = kinds.map(|kind| question("api.cf.example.", kind));
    let unknown = [
        "apps.internal.",
        "gone.apps.internal.",
        "asleep.apps.internal.",
        "9.shop.apps.internal.",
        "other.cflite.internal.",
    ];
    let unknown = unknown.map(a);
    for asked in known.iter().chain(&platform).chain(&unknown) {
        let found = reply(asked, CONTAINER);
        assert_eq!(
            found.metadata.response_code,
            ResponseCode::NoError,
            "{asked:?}"
        );
        assert!(
            found.metadata.authoritative && found.answers.is_empty(),
            "{asked:?}"
        );
    }
    let any = reply(&question("shop.apps.internal.", RecordType::ANY), CONTAINER);
    assert_eq!(any.answers.len(), 3);
}

#[test]
fn other_names_are_for_others() {
    for name in [".", "example.com.", "xcf.example.", "internal.", "org."] {
        let asked = a(name);
        assert_eq!(
            ask(&asked, Transport::Udp, HOST),
            Answer::Forward { limit: 512 }
        );
        let large = with_payload(asked.clone(), 4000);
        assert_eq!(
            ask(&large, Transport::Udp, HOST),
            Answer::Forward { limit: 4000 }
        );
        let limit = 65_535;
        assert_eq!(ask(&asked, Transport::Tcp, HOST), Answer::Forward { limit });
    }
}

#[test]
fn what_does_not_fit_is_left_out_and_told() {
    let all = a("many.apps.internal.");
    let found = reply(&all, CONTAINER);
    assert!(found.metadata.truncation);
    let size = bytes(&found).len();
    assert!((450..=512).contains(&size), "{size}");
    let more = reply(&with_payload(all.clone(), 1232), CONTAINER);
    assert!(more.metadata.truncation && more.answers.len() > found.answers.len());
    assert!(more.edns.is_some() && found.edns.is_none());
    // Less than every client takes is not believed.
    let tiny = reply(&with_payload(all.clone(), 100), CONTAINER);
    assert!(tiny.answers.len() > 10);
    let Answer::Reply(whole) = ask(&all, Transport::Tcp, CONTAINER) else {
        panic!("no reply");
    };
    let whole = Message::from_vec(&whole).expect("valid");
    assert_eq!(
        (whole.answers.len(), whole.metadata.truncation),
        (200, false)
    );
    let Answer::Reply(huge) = ask(&a("huge.apps.internal."), Transport::Tcp, CONTAINER) else {
        panic!("no reply");
    };
    assert!(
        huge.len() <= 65_535 && huge.len() > 60_000,
        "{}",
        huge.len()
    );
}

#[test]
fn what_nobody_may_ask_is_refused() {
    let mut chaos = question("version.bind.", RecordType::TXT);
    chaos.queries[0].query_class = DNSClass::CH;
    let transfer = question("apps.internal.", RecordType::AXFR);
    for asked in [chaos, transfer] {
        let found = reply(&asked, HOST);
        assert_eq!(found.metadata.response_code, ResponseCode::Refused);
    }
    let mut update = a("shop.apps.internal.");
    update.metadata.op_code = OpCode::Notify;
    let found = reply(&update, HOST);
    assert_eq!(found.metadata.response_code, ResponseCode::NotImp);
    let mut newer = with_payload(a("cf.example."), 1232);
    if let Some(edns) = &mut newer.edns {
        edns.set_version(1);
    }
    let found = reply(&newer, HOST);
    // BADVERS and BADSIG are the same number.
    assert_eq!(u16::from(found.metadata.response_code), 16);
}

#[test]
fn malformed_messages_get_an_error_and_replies_nothing() {
    let code = |bytes: &[u8]| match answer(bytes, Transport::Udp, HOST, &names(), &reverse) {
        Answer::Reply(bytes) => {
            let message = Message::from_vec(&bytes).expect("valid");
            Some((message.metadata.id, message.metadata.response_code))
        }
        _ => None,
    };
    let whole = bytes(&a("cf.example."));
    assert_eq!(code(&whole[..20]), Some((4711, ResponseCode::FormErr)));
    assert_eq!(code(&whole[..11]), None);
    assert_eq!(code(&[]), None);
    let mut none = a("cf.example.");
    none.queries.clear();
    assert_eq!(code(&bytes(&none)), Some((4711, ResponseCode::FormErr)));
    let mut two = a("cf.example.");
    two.queries.push(two.queries[0].clone());
    assert_eq!(code(&bytes(&two)), Some((4711, ResponseCode::FormErr)));
    // A name that points at itself.
    let mut looping = whole[..12].to_vec();
    looping.extend([0xc0, 12, 0, 1, 0, 1]);
    assert_eq!(code(&looping), Some((4711, ResponseCode::FormErr)));
    let mut reply = a("cf.example.");
    reply.metadata.message_type = MessageType::Response;
    assert_eq!(code(&bytes(&reply)), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_what_is_replied_is_a_reply(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        tcp: bool,
    ) {
        check(&bytes, tcp)?;
    }

    #[test]
    fn damaged_questions_are_survived(at in 0_usize..60, byte: u8, cut in 0_usize..60, tcp: bool) {
        let mut bytes = bytes(&with_payload(a("0.shop.apps.internal."), 1232));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        check(&bytes, tcp)?;
        bytes.truncate(cut);
        check(&bytes, tcp)?;
    }
}

fn check(question: &[u8], tcp: bool) -> Result<(), TestCaseError> {
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    if let Answer::Reply(reply) = answer(question, transport, HOST, &names(), &reverse) {
        prop_assert_eq!(&reply[..2], &question[..2]);
        prop_assert!(reply[2] & 0x80 != 0);
    }
    Ok(())
}
