//! What the core answers to the messages of RFC 4475 and RFC 5118, to VoLTE messages, and to the REGISTERs of real phones.

#[path = "support/vectors.rs"]
mod vectors;

use imsbox::base::rng::Rng;
use imsbox::base::time::{Instant, UnixTime};
use imsbox::base::trace::Silent;
use imsbox::config::model::{AuthentType, Config, Impu, OperatorCode, Sim, SimAlgo, SipSocket, User};
use imsbox::ims::core::Core;
use imsbox::proto::cx::Cx;
use imsbox::proto::flow::{ConnId, Flow, LocalId};
use imsbox::proto::outbox::{Outbox, Output};
use imsbox::proto::sip::digest::Credentials;
use imsbox::proto::sip::sec_agree::Policy;
use imsbox::wire::sip::{HeaderId, Index, Message};

/// No answer: the message is dropped.
const DROPPED: u16 = 0;

/// Every file, the status that it is answered with, and where that stands. The core has the users that the messages name, all
/// with a password, none registered.
const TABLE: &[(&str, u16, &str)] = &[
    ("valid/wsinv.dat", 481, "RFC 4475 3.1.1.1: fine, in a dialog that is not ours"),
    ("valid/intmeth.dat", 501, "RFC 4475 3.1.1.2"),
    ("valid/esc01.dat", 403, "RFC 4475 3.1.1.3: fine, from somebody who has not registered"),
    ("valid/esc02.dat", 501, "RFC 4475 3.1.1.5: RE%47IST%45R is not REGISTER"),
    ("valid/lwsdisp.dat", 200, "RFC 4475 3.1.1.6"),
    ("valid/longreq.dat", 403, "RFC 4475 3.1.1.7: fine, from somebody who has not registered"),
    ("valid/dblreq.dat", 401, "RFC 4475 3.1.1.8: one answer, to the REGISTER"),
    ("valid/transports.dat", 200, "RFC 4475 3.1.1.10"),
    ("valid/mpart01.dat", 403, "RFC 4475 3.1.1.11: fine, from somebody who has not registered"),
    ("valid/unreason.dat", DROPPED, "RFC 4475 3.1.1.12: a response to nothing of ours"),
    ("valid/noreason.dat", DROPPED, "RFC 4475 3.1.1.13: likewise"),
    ("invalid/clerr.dat", 400, "RFC 4475 3.1.2.2"),
    ("invalid/ncl.dat", 400, "RFC 4475 3.1.2.3"),
    ("invalid/scalar02.dat", 400, "RFC 4475 3.1.2.4"),
    ("invalid/scalarlg.dat", DROPPED, "RFC 4475 3.1.2.5"),
    ("invalid/ltgtruri.dat", 400, "RFC 4475 3.1.2.7"),
    ("invalid/lwsruri.dat", 400, "RFC 4475 3.1.2.8"),
    ("invalid/lwsstart.dat", 400, "RFC 4475 3.1.2.9"),
    ("invalid/trws.dat", 400, "RFC 4475 3.1.2.10"),
    ("invalid/baddate.dat", 403, "RFC 4475 3.1.2.12: Date is ignored; from somebody who has not registered"),
    ("invalid/regbadct.dat", 400, "RFC 4475 3.1.2.13"),
    ("invalid/badaspec.dat", 400, "RFC 4475 3.1.2.14"),
    ("invalid/baddn.dat", 200, "RFC 4475 3.1.2.15: taken, as it is clear what is meant"),
    ("invalid/mismatch01.dat", 400, "RFC 4475 3.1.2.17"),
    ("invalid/mismatch02.dat", 400, "RFC 4475 3.1.2.18"),
    ("invalid/bigcode.dat", DROPPED, "RFC 4475 3.1.2.19"),
    ("invalid/badbranch.dat", 200, "RFC 4475 3.2.1: matched as RFC 2543 did"),
    ("valid/unkscm.dat", 416, "RFC 4475 3.3.2"),
    ("valid/novelsc.dat", 416, "RFC 4475 3.3.3"),
    ("valid/unksm2.dat", 404, "RFC 4475 3.3.4: To is no address-of-record of ours"),
    ("valid/bext01.dat", 420, "RFC 4475 3.3.5"),
    ("valid/regaut01.dat", 401, "RFC 4475 3.3.7"),
    ("invalid/multi01.dat", 400, "RFC 4475 3.3.8"),
    ("invalid/mcl01.dat", 400, "RFC 4475 3.3.9"),
    ("valid/bcast.dat", DROPPED, "RFC 4475 3.3.10"),
    ("valid/cparam01.dat", 401, "RFC 4475 3.3.12"),
    ("valid/cparam02.dat", 401, "RFC 4475 3.3.13"),
    ("valid/regescrt.dat", 401, "RFC 4475 3.3.14"),
    ("valid/sdp01.dat", 406, "RFC 4475 3.3.15"),
    ("invalid/test.dat", DROPPED, "RFC 4475 appendix A: no version, so no SIP"),
    ("valid/rfc5118-ipv6-good.dat", 401, "RFC 5118 4.1"),
    ("invalid/rfc5118-ipv6-bad.dat", 400, "RFC 5118 4.2"),
    ("valid/rfc5118-port-ambiguous.dat", 401, "RFC 5118 4.3"),
    ("valid/rfc5118-via-received-param-with-delim.dat", 481, "RFC 5118 4.5: a BYE of no dialog"),
    ("valid/rfc5118-via-received-param-no-delim.dat", 200, "RFC 5118 4.5"),
    ("valid/rfc5118-ipv6-in-sdp.dat", 403, "RFC 5118 4.6: fine, from somebody who has not registered"),
    ("valid/rfc5118-mult-ip-in-header.dat", 481, "RFC 5118 4.7: a BYE of no dialog"),
    ("valid/rfc5118-ipv4-mapped-ipv6.dat", 403, "RFC 5118 4.9: fine, from somebody who has not registered"),
    ("invalid/rfc5118-ipv6-bug-abnf-3-colons.dat", 400, "RFC 5118 4.10"),
    ("valid/rfc5118-ipv6-correct-abnf-2-colons.dat", 200, "RFC 5118 4.10"),
    ("volte/01_register_initial_ipsec.sip", 401, "TS 24.229 5.4.1.2.1"),
    ("volte/03_register_auth_protected.sip", 401, "its nonce is not ours"),
    ("volte/04_register_auts.sip", 401, "its nonce is not ours"),
    ("volte/05_register_md5_noipsec.sip", 401, "no credentials"),
    ("volte/06_register_dereg_star.sip", 401, "de-registration is proven too"),
    ("volte/10_invite_precondition_a.sip", 403, "TS 24.229 5.2.6.3: not registered"),
    ("volte/11_invite_precondition_require.sip", 403, "not registered; precondition is understood"),
    ("volte/12_invite_video_ipv6_tcp.sip", 403, "not registered"),
    ("volte/13_invite_no_precondition_anonymous.sip", 403, "not registered"),
    ("volte/15_invite_emergency_anonymous.sip", 403, "anonymous calls are not configured"),
    ("volte/16_183_precondition_answer.sip", DROPPED, "a response to nothing of ours"),
    ("volte/17_180_ringing_reliable.sip", DROPPED, "likewise"),
    ("volte/18_200_invite_timer.sip", DROPPED, "likewise"),
    ("volte/20_prack.sip", 481, "no such dialog"),
    ("volte/21_reinvite_hold.sip", 481, "no such dialog"),
    ("volte/22_reinvite_hold_zero_addr.sip", 481, "no such dialog"),
    ("volte/30_message_sms_mo.sip", 403, "not registered"),
    ("volte/32_message_sms_mt.sip", 403, "not registered"),
    ("volte/33_subscribe_reg.sip", 480, "the user is not registered"),
    ("volte/34_notify_reg_full.sip", 481, "no such dialog"),
    ("volte/35_notify_reg_deactivated.sip", 481, "no such dialog"),
    ("volte/37_bye_reason.sip", 481, "no such dialog"),
];

/// The users that the messages name.
const IDENTITIES: &[&str] = &[
    "user@example.com",
    "j.user@example.com",
    "j_user@example.com",
    "watson@example.com",
    "user1@ims.mnc001.mcc001.3gppnetwork.org",
    "001010123456789@ims.mnc001.mcc001.3gppnetwork.org",
];

fn user(impi: &str, impu: &str, authent_type: AuthentType) -> User {
    let c = |n: u128| n.to_be_bytes();
    let op = OperatorCode::Opc([2; 16]);
    let algo = SimAlgo::Milenage { op, r: [64, 0, 32, 64, 96], c: [c(0), c(1), c(2), c(4), c(8)] };
    User {
        impi: impi.into(),
        domain: impi.split_once('@').map_or("ims.test", |(_, domain)| domain).into(),
        impus: vec![Impu::new(impu)],
        password: Some("secret".into()),
        sim: Some(Sim {
            algo,
            k: vec![1; 16],
            amf: [0x80, 0],
            sqn: 0,
            force_sqn_resync: false,
            res_len: 8,
            unused: Vec::new(),
        }),
        auth_on_register_only: true,
        authent_type,
        // there is no kernel here; phones that require IPsec are let in without
        ipsec: Policy::Off,
        ..User::default()
    }
}

fn core(users: Vec<User>) -> Core {
    let sip = vec![SipSocket::new("192.168.4.1".parse().expect("an address"), 5060)];
    Core::new(Config { sip, users, ..Config::default() }, &mut Rng::from_seed(1))
}

fn torture_core(authent_type: AuthentType) -> Core {
    core(IDENTITIES.iter().map(|id| user(id, &format!("sip:{id}"), authent_type)).collect())
}

/// The messages that the core sends for this one.
fn sent(core: &mut Core, flow: Flow, octets: &[u8]) -> Vec<(Flow, Vec<u8>)> {
    let (mut rng, mut out, mut sink) = (Rng::from_seed(2), Outbox::new(), Silent);
    let (now, wall) = (Instant::from_nanos(1), UnixTime::from_micros(1));
    let mut cx = Cx { now, wall, rng: &mut rng, out: &mut out, sink: &mut sink };
    core.on_sip(&mut cx, flow, octets);
    // nothing waits for a disk
    core.on_durable(&mut cx, u64::MAX);
    let messages = out.items().iter().filter_map(|item| match item {
        Output::Send { flow, range, .. } => Some((*flow, out.bytes(range).to_vec())),
        _ => None,
    });
    messages.collect()
}

fn from_somewhere() -> Flow {
    Flow::udp(LocalId(0), "192.0.2.77:5060".parse().expect("an address"))
}

fn file(name: &str) -> Vec<u8> {
    let (folder, file) = name.split_once('/').expect("a folder and a file");
    let all = vectors::messages(&format!("sip_torture/{folder}"));
    all.into_iter().find(|(name, _)| name == file).unwrap_or_else(|| panic!("{name}")).1
}

#[test]
fn every_torture_message_gets_its_status() {
    let mut wrong = Vec::new();
    for (name, status, why) in TABLE {
        let messages = sent(&mut torture_core(AuthentType::Md5), from_somewhere(), &file(name));
        let mut index = Index::new();
        let got = match &messages[..] {
            [] => DROPPED,
            [(_, one)] => {
                let response = Message::parse(one, &mut index).expect("what we send parses");
                // a request without From, To, Call-ID or CSeq cannot be mirrored whole
                if *status != 400 {
                    assert_eq!(response.check(), Ok(()), "{name}: {}", String::from_utf8_lossy(one));
                }
                response.status()
            }
            more => panic!("{name}: {} messages", more.len()),
        };
        if got != *status {
            wrong.push(format!("{name}: {got}, not {status} ({why})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_holds_every_file() {
    for folder in ["valid", "invalid", "volte"] {
        for (name, _) in vectors::messages(&format!("sip_torture/{folder}")) {
            let name = format!("{folder}/{name}");
            assert_eq!(TABLE.iter().filter(|(n, ..)| *n == name).count(), 1, "{name}");
        }
    }
}

#[test]
fn unsupported_extensions_are_listed() {
    let messages = sent(&mut torture_core(AuthentType::Md5), from_somewhere(), &file("valid/bext01.dat"));
    let text = String::from_utf8_lossy(&messages[0].1).into_owned();
    let listed = "Unsupported: nothingSupportsThis, nothingSupportsThisEither";
    assert!(text.lines().any(|l| l.starts_with(listed)), "{text}");
}

#[test]
fn odd_contacts_are_bound_as_they_are() {
    for (name, contact) in [
        ("valid/cparam01.dat", "<sip:+19725552222@gw1.example.net>;unknownparam"),
        ("valid/cparam02.dat", "<sip:+19725552222@gw1.example.net;unknownparam>"),
        ("valid/regescrt.dat", "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"),
    ] {
        let messages = sent(&mut torture_core(AuthentType::None), from_somewhere(), &file(name));
        let mut index = Index::new();
        let response = Message::parse(&messages[0].1, &mut index).expect("what we send parses");
        assert_eq!(response.status(), 200, "{name}");
        let bound = response.header(HeaderId::Contact).map(String::from_utf8_lossy).unwrap_or_default();
        assert_eq!(bound, format!("{contact};expires=3600"), "{name}");
    }
}

/// The captured REGISTERs: file name, message, and the flow that it came on.
fn captured() -> Vec<(String, Vec<u8>, Flow)> {
    let registers = vectors::messages("phones").into_iter().filter(|(name, _)| name.contains("register"));
    let with_flow = registers.map(|(name, octets)| {
        let mut index = Index::new();
        let via = Message::parse(&octets, &mut index).expect("a message").via().expect("a Via");
        let address = format!("{}:{}", via.host, via.port.unwrap_or(5060)).parse().expect("an address");
        let flow = match via.transport {
            b"TCP" => Flow::tcp(LocalId(0), address, Some(ConnId(3))),
            _ => Flow::udp(LocalId(0), address),
        };
        (name, octets.clone(), flow)
    });
    let all: Vec<_> = with_flow.collect();
    assert!(all.len() >= 12);
    all
}

/// A core whose only user is the one that the REGISTER names.
fn core_for(octets: &[u8], authent_type: AuthentType) -> Core {
    let mut index = Index::new();
    let message = Message::parse(octets, &mut index).expect("a message");
    let to = String::from_utf8_lossy(message.to().expect("To").uri_text).into_owned();
    let credentials = message.header(HeaderId::Authorization).and_then(Credentials::parse);
    let impi = match credentials {
        Some(c) => String::from_utf8_lossy(c.username).into_owned(),
        None => to.trim_start_matches("sip:").to_owned(),
    };
    core(vec![user(&impi, &to, authent_type)])
}

#[test]
fn registers_of_real_phones_are_challenged_on_the_way_they_came() {
    for (name, octets, flow) in captured() {
        let messages = sent(&mut core_for(&octets, AuthentType::AkaV1), flow, &octets);
        let mut index = Index::new();
        let challenge = Message::parse(&messages[0].1, &mut index).expect("what we send parses");
        assert_eq!(challenge.status(), 401, "{name}");
        assert_eq!(messages[0].0, flow, "{name}");
        let value =
            challenge.header(HeaderId::WwwAuthenticate).map(String::from_utf8_lossy).unwrap_or_default();
        assert!(value.contains("algorithm=AKAv1-MD5") && !value.contains("qop"), "{name}: {value}");
    }
}

#[test]
fn registers_of_real_phones_are_bound_with_everything_they_said() {
    for (name, octets, flow) in captured() {
        let mut core = core_for(&octets, AuthentType::None);
        let messages = sent(&mut core, flow, &octets);
        let mut index = Index::new();
        let ok = Message::parse(&messages[0].1, &mut index).expect("what we send parses");
        assert_eq!((ok.status(), ok.check()), (200, Ok(())), "{name}");
        let mut asked_index = Index::new();
        let asked = Message::parse(&octets, &mut asked_index).expect("a message");
        if asked.expires() == Some(0) {
            assert_eq!(ok.contacts().count(), 0, "{name} leaves");
            continue;
        }
        let (theirs, ours) = (asked.contacts().flatten().next(), ok.contacts().flatten().next());
        let (theirs, ours) = (theirs.expect("a contact"), ours.expect("a contact"));
        assert_eq!(ours.uri_text, theirs.uri_text, "{name}");
        for param in theirs.params.iter().filter(|p| p.name != b"expires") {
            assert!(ours.params.iter().any(|p| p == param), "{name}: {param:?}");
        }
        let view = &core.user_views(Instant::from_nanos(1))[0].bindings[0];
        assert_eq!(view.smsip, theirs.params.has("+g.3gpp.smsip"), "{name}");
        assert_eq!(view.transport, flow.transport.via_token(), "{name}");
    }
}

/// The REGISTER of a phone that this SUBSCRIBE could have come from: same identity, same contact, same address.
fn register_before(subscribe: &Message<'_>, address: &str) -> String {
    let to = String::from_utf8_lossy(subscribe.to().expect("To").uri_text).into_owned();
    let contact = String::from_utf8_lossy(subscribe.header(HeaderId::Contact).expect("Contact")).into_owned();
    format!(
        "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKreg\r\nMax-Forwards: 70\r\nFrom: <{to}>;tag=1\r\n\
         To: <{to}>\r\nCall-ID: reg\r\nCSeq: 1 REGISTER\r\nContact: {contact}\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn subscribes_of_real_phones_are_taken_and_answered_with_a_notify() {
    let all = vectors::messages("phones").into_iter().filter(|(name, _)| name.contains("subscribe"));
    let all: Vec<_> = all.collect();
    assert!(all.len() >= 2);
    for (name, octets) in all {
        let mut index = Index::new();
        let subscribe = Message::parse(&octets, &mut index).expect("a message");
        let via = subscribe.via().expect("a Via");
        let address = format!("{}:{}", via.host, via.port.unwrap_or(5060));
        let flow = Flow::udp(LocalId(0), address.parse().expect("an address"));
        let mut core = core_for(&octets, AuthentType::None);
        let ok = sent(&mut core, flow, register_before(&subscribe, &address).as_bytes());
        assert!(ok[0].1.starts_with(b"SIP/2.0 200 "), "{name}");
        let messages = sent(&mut core, flow, &octets);
        assert_eq!(messages.len(), 2, "{name}");
        let (mut ok_index, mut notify_index) = (Index::new(), Index::new());
        let ok = Message::parse(&messages[0].1, &mut ok_index).expect("what we send parses");
        let notify = Message::parse(&messages[1].1, &mut notify_index).expect("what we send parses");
        assert_eq!((ok.status(), ok.check(), ok.expires()), (200, Ok(()), Some(600_000)), "{name}");
        assert_eq!((notify.method_token(), notify.check()), (&b"NOTIFY"[..], Ok(())), "{name}");
        let contact = subscribe.contacts().flatten().next().expect("a contact");
        assert_eq!(notify.request_uri(), contact.uri_text, "{name}");
        assert_eq!(notify.from().and_then(|f| f.tag()), ok.to().and_then(|t| t.tag()), "{name}");
        assert_eq!(notify.header(HeaderId::Event), Some(&b"reg"[..]), "{name}");
        let state = notify.subscription_state().expect("a state");
        assert_eq!(state.expires_secs(), Some(600_000), "{name}");
        assert!(notify.has_content_type("application/reginfo+xml"), "{name}");
        let body = String::from_utf8_lossy(notify.body()).into_owned();
        let uri = format!("<uri>{}</uri>", String::from_utf8_lossy(contact.uri_text));
        assert!(body.contains("version=\"0\" state=\"full\"") && body.contains(&uri), "{name}: {body}");
    }
}
