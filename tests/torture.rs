//! The messages of RFC 4475 and RFC 5118, and VoLTE messages: each gets the verdict of this table, and its parts are what the
//! RFC says they are.

#[path = "support/vectors.rs"]
mod vectors;

use imsbox::wire::sdp::{Direction, Sdp};
use imsbox::wire::sip::{
    AccessNetwork, Contact, Defect, HeaderId, Host, Index, Message, Method, ParseError, RetryAfter, Scheme,
    Uri, Via,
};

/// What `Message::parse` and then `Message::check` say.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Verdict {
    /// Nothing is wrong.
    Good,
    /// It is answered 400 (505 for a version), or discarded if it is a response.
    Bad(Defect),
    /// There is nothing to answer.
    No(ParseError),
}
use Verdict::{Bad, Good, No};

/// Every file, what is expected of it, and where that stands.
const TABLE: &[(&str, Verdict, &str)] = &[
    ("valid/wsinv.dat", Good, "RFC 4475 3.1.1.1"),
    ("valid/intmeth.dat", Good, "RFC 4475 3.1.1.2"),
    ("valid/esc01.dat", Good, "RFC 4475 3.1.1.3"),
    ("valid/esc02.dat", Good, "RFC 4475 3.1.1.5"),
    ("valid/lwsdisp.dat", Good, "RFC 4475 3.1.1.6"),
    ("valid/longreq.dat", Good, "RFC 4475 3.1.1.7"),
    ("valid/dblreq.dat", Good, "RFC 4475 3.1.1.8: octets behind the body are left out"),
    ("valid/transports.dat", Good, "RFC 4475 3.1.1.10"),
    ("valid/mpart01.dat", Good, "RFC 4475 3.1.1.11"),
    ("valid/unreason.dat", Good, "RFC 4475 3.1.1.12"),
    ("valid/noreason.dat", Good, "RFC 4475 3.1.1.13"),
    ("invalid/clerr.dat", Bad(Defect::BodyTruncated), "RFC 4475 3.1.2.2"),
    ("invalid/ncl.dat", Bad(Defect::ContentLength), "RFC 4475 3.1.2.3"),
    ("invalid/scalar02.dat", Bad(Defect::Malformed("CSeq")), "RFC 4475 3.1.2.4"),
    ("invalid/scalarlg.dat", Bad(Defect::Malformed("CSeq")), "RFC 4475 3.1.2.5: a response, so discarded"),
    ("invalid/ltgtruri.dat", Bad(Defect::RequestUri), "RFC 4475 3.1.2.7"),
    ("invalid/lwsruri.dat", Bad(Defect::RequestUri), "RFC 4475 3.1.2.8"),
    ("invalid/lwsstart.dat", Bad(Defect::RequestLine), "RFC 4475 3.1.2.9"),
    ("invalid/trws.dat", Bad(Defect::RequestLine), "RFC 4475 3.1.2.10"),
    ("invalid/baddate.dat", Good, "RFC 4475 3.1.2.12: Date is ignored, as the RFC allows"),
    ("invalid/regbadct.dat", Bad(Defect::Malformed("Contact")), "RFC 4475 3.1.2.13"),
    ("invalid/badaspec.dat", Bad(Defect::Malformed("To")), "RFC 4475 3.1.2.14"),
    (
        "invalid/baddn.dat",
        Good,
        "RFC 4475 3.1.2.15: the display names are clear, which the RFC lets us accept",
    ),
    ("invalid/mismatch01.dat", Bad(Defect::CSeqMethod), "RFC 4475 3.1.2.17"),
    ("invalid/mismatch02.dat", Bad(Defect::CSeqMethod), "RFC 4475 3.1.2.18"),
    ("invalid/bigcode.dat", No(ParseError::StartLine), "RFC 4475 3.1.2.19"),
    ("invalid/badbranch.dat", Good, "RFC 4475 3.2.1: without a unique branch it is matched as RFC 2543 did"),
    ("valid/unkscm.dat", Good, "RFC 4475 3.3.2: the scheme is the service's matter, 416"),
    ("valid/novelsc.dat", Good, "RFC 4475 3.3.3"),
    ("valid/unksm2.dat", Good, "RFC 4475 3.3.4"),
    ("valid/bext01.dat", Good, "RFC 4475 3.3.5"),
    ("valid/regaut01.dat", Good, "RFC 4475 3.3.7"),
    ("invalid/multi01.dat", Bad(Defect::Repeated("From")), "RFC 4475 3.3.8"),
    ("invalid/mcl01.dat", Bad(Defect::ContentLength), "RFC 4475 3.3.9"),
    ("valid/bcast.dat", Good, "RFC 4475 3.3.10: the second Via is the transport's matter"),
    ("valid/cparam01.dat", Good, "RFC 4475 3.3.12"),
    ("valid/cparam02.dat", Good, "RFC 4475 3.3.13"),
    ("valid/regescrt.dat", Good, "RFC 4475 3.3.14"),
    ("valid/sdp01.dat", Good, "RFC 4475 3.3.15"),
    ("invalid/test.dat", No(ParseError::StartLine), "RFC 4475 appendix A: a request line without version"),
    ("valid/rfc5118-ipv6-good.dat", Good, "RFC 5118 4.1"),
    ("invalid/rfc5118-ipv6-bad.dat", Bad(Defect::RequestUri), "RFC 5118 4.2"),
    ("valid/rfc5118-port-ambiguous.dat", Good, "RFC 5118 4.3"),
    ("valid/rfc5118-via-received-param-with-delim.dat", Good, "RFC 5118 4.5"),
    ("valid/rfc5118-via-received-param-no-delim.dat", Good, "RFC 5118 4.5"),
    ("valid/rfc5118-ipv6-in-sdp.dat", Good, "RFC 5118 4.6"),
    ("valid/rfc5118-mult-ip-in-header.dat", Good, "RFC 5118 4.7"),
    ("valid/rfc5118-ipv4-mapped-ipv6.dat", Good, "RFC 5118 4.9"),
    (
        "invalid/rfc5118-ipv6-bug-abnf-3-colons.dat",
        Bad(Defect::Malformed("To")),
        "RFC 5118 4.10: To is looked at first",
    ),
    ("valid/rfc5118-ipv6-correct-abnf-2-colons.dat", Good, "RFC 5118 4.10"),
    ("volte/01_register_initial_ipsec.sip", Good, "TS 24.229 5.1.1.2"),
    ("volte/03_register_auth_protected.sip", Good, "TS 24.229 5.1.1.5.1"),
    ("volte/04_register_auts.sip", Good, "TS 24.229 5.1.1.5.3"),
    ("volte/05_register_md5_noipsec.sip", Good, "TS 24.229 5.1.1.2.3"),
    ("volte/06_register_dereg_star.sip", Good, "RFC 3261 10.2.2"),
    ("volte/10_invite_precondition_a.sip", Good, "TS 24.229 6.1.2"),
    ("volte/11_invite_precondition_require.sip", Good, "RFC 3312 11"),
    ("volte/12_invite_video_ipv6_tcp.sip", Good, "RFC 3261 18.1.1"),
    ("volte/13_invite_no_precondition_anonymous.sip", Good, "RFC 3325 9.3"),
    ("volte/15_invite_emergency_anonymous.sip", Good, "TS 24.229 5.1.6.8.2"),
    ("volte/16_183_precondition_answer.sip", Good, "RFC 3262 3"),
    ("volte/17_180_ringing_reliable.sip", Good, "RFC 3262 3"),
    ("volte/18_200_invite_timer.sip", Good, "RFC 4028 9"),
    ("volte/20_prack.sip", Good, "RFC 3262 4"),
    ("volte/21_reinvite_hold.sip", Good, "RFC 3264 8.4"),
    ("volte/22_reinvite_hold_zero_addr.sip", Good, "RFC 3264 8.4"),
    ("volte/30_message_sms_mo.sip", Good, "TS 24.341 5.3.1.2"),
    ("volte/32_message_sms_mt.sip", Good, "TS 24.341 5.3.2.3"),
    ("volte/33_subscribe_reg.sip", Good, "TS 24.229 5.1.1.3"),
    ("volte/34_notify_reg_full.sip", Good, "RFC 3680 4.4"),
    ("volte/35_notify_reg_deactivated.sip", Good, "RFC 3680 4.4"),
    ("volte/37_bye_reason.sip", Good, "RFC 3326 2"),
];

const FOLDERS: [&str; 3] = ["valid", "invalid", "volte"];

fn verdict(octets: &[u8]) -> Verdict {
    let mut index = Index::new();
    match Message::parse(octets, &mut index).map(|m| m.check()) {
        Ok(Ok(())) => Good,
        Ok(Err(defect)) => Bad(defect),
        Err(error) => No(error),
    }
}

/// Runs `look` over one message, which must parse.
fn with(name: &str, look: impl FnOnce(Message<'_>)) {
    let (folder, file) = name.split_once('/').expect("folder/file");
    let all = vectors::messages(&format!("sip_torture/{folder}"));
    let (_, octets) = all.iter().find(|(n, _)| n == file).unwrap_or_else(|| panic!("no {name}"));
    let mut index = Index::new();
    look(Message::parse(octets, &mut index).unwrap_or_else(|e| panic!("{name}: {e}")));
}

#[test]
fn every_message_gets_its_verdict() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for folder in FOLDERS {
        for (file, octets) in vectors::messages(&format!("sip_torture/{folder}")) {
            let name = format!("{folder}/{file}");
            seen += 1;
            match TABLE.iter().find(|(n, ..)| *n == name) {
                None => wrong.push(format!("{name} is not in the table")),
                Some((_, expected, clause)) if verdict(&octets) != *expected => {
                    wrong.push(format!("{name}: {:?}, not {expected:?} ({clause})", verdict(&octets)));
                }
                Some(_) => {}
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(seen, TABLE.len(), "the table names files that are not there");
}

#[test]
fn a_defect_is_answered_400_and_a_version_505() {
    for (name, verdict, clause) in TABLE {
        if let Bad(defect) = verdict {
            assert_eq!(defect.status(), 400, "{name} ({clause})");
        }
    }
    assert_eq!(verdict(b"OPTIONS sip:h SIP/3.0\r\nX: y\r\n\r\n"), Bad(Defect::Version));
    assert_eq!(Defect::Version.status(), 505);
}

/// RFC 4475 3.1.1.1: folding, white space and odd quoting everywhere.
#[test]
fn wsinv_in_its_parts() {
    with("valid/wsinv.dat", |m| {
        assert_eq!(
            (m.method(), m.max_forwards(), m.cseq().map(|c| c.number)),
            (Method::Invite, Some(68), Some(9))
        );
        let vias: Vec<Via<'_>> = m.values(HeaderId::Via).map(|v| Via::parse(v).expect("Via")).collect();
        assert_eq!(vias.len(), 3);
        assert_eq!((vias[0].transport, vias[0].branch()), (&b"UDP"[..], Some(&b"390skdjuw"[..])));
        assert_eq!(vias[0].unique_branch(), None);
        assert_eq!((vias[1].host, vias[1].transport), (Host::Name(b"spindle.example.com"), &b"TCP"[..]));
        assert_eq!(vias[1].unique_branch(), Some(&b"z9hG4bK9ikj8"[..]));
        assert_eq!(vias[2].host, Host::Ip("192.168.255.111".parse().unwrap()));
        assert_eq!(vias[2].unique_branch(), Some(&b"z9hG4bK30239"[..]));
        let (from, to) = (m.from().unwrap(), m.to().unwrap());
        assert_eq!(
            (to.uri_text, to.tag()),
            (&b"sip:vivekg@chair-dnrc.example.com"[..], Some(&b"1918181833n"[..]))
        );
        assert_eq!((from.display, from.tag()), (&br#""J Rosenberg \\\"""#[..], Some(&b"98asjd8"[..])));
        assert_eq!(m.header(HeaderId::Subject), Some(&b""[..]));
        let contact = m.registered_contacts().next().unwrap();
        assert_eq!((contact.q(), contact.addr.params.get("newparam")), (330, Some(&b"newvalue"[..])));
        assert!(contact.has("secondparam"));
        let route = m.addresses(HeaderId::Route).next().unwrap().unwrap().uri.unwrap();
        assert!(route.params.has("lr") && route.params.has("unknown-no-value"));
        let odd = m.fields().find(|f| f.name == b"UnknownHeaderWithUnusualValue").unwrap();
        assert_eq!(odd.value, b";;,,;;,;");
        assert_eq!(Sdp::parse(m.body()).unwrap().medias().count(), 2);
    });
}

/// RFC 4475 3.1.1.2, 3.1.1.5: all token characters; a percent sign is one of them, not an escape.
#[test]
fn method_and_header_names_are_tokens_taken_as_they_are() {
    with("valid/intmeth.dat", |m| {
        assert_eq!(
            (m.method(), m.method_token()),
            (Method::Other, &b"!interesting-Method0123456789_*+`.%indeed'~"[..])
        );
        assert_eq!(m.cseq().map(|c| c.number), Some(139_122_385));
        let uri = Uri::parse(m.request_uri()).unwrap();
        assert_eq!(uri.host, Host::Name(b"example.com"));
        assert_eq!(uri.password, Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
        assert_eq!(m.from().unwrap().tag(), Some(&b"_token~1'+`*%!-."[..]));
        assert_eq!(m.call_id(), Some(&br#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#[..]));
        assert_eq!(m.max_forwards(), Some(255));
    });
    with("valid/esc02.dat", |m| {
        assert_eq!((m.method(), m.method_token()), (Method::Other, &b"RE%47IST%45R"[..]));
        assert_eq!(m.contacts().count(), 2, "C%6Fntact is another header");
        assert_eq!(m.to().unwrap().display, b"\"%Z%45\"");
    });
}

/// RFC 4475 3.1.1.3, 3.1.1.4: escapes in a user part are text, decoded once and not parsed again.
#[test]
fn escapes_are_decoded_once() {
    with("valid/esc01.dat", |m| {
        let uri = Uri::parse(m.request_uri()).unwrap();
        assert_eq!((uri.scheme, uri.host), (Scheme::Sip, Host::Name(b"example.net")));
        assert_eq!(uri.user_decoded().as_ref(), b"sips:user@example.com");
        assert_eq!(m.to().unwrap().uri.unwrap().user_decoded().as_ref(), b"user");
        assert_eq!(m.from().unwrap().uri.unwrap().user_decoded().as_ref(), b"I have spaces");
        let contact = m.registered_contacts().next().unwrap().addr.uri.unwrap();
        assert_eq!(contact.user_decoded().as_ref(), b"caller");
        assert!(!contact.params.has("lr"), "an escaped name is no `lr`");
    });
}

/// RFC 4475 3.1.1.8: what follows the body of a datagram is nothing.
#[test]
fn octets_behind_the_body_are_left_out() {
    with("valid/dblreq.dat", |m| {
        assert_eq!((m.method(), m.body()), (Method::Register, &b""[..]));
        assert_eq!(m.headers(HeaderId::Via).count(), 1);
    });
}

/// RFC 4475 3.1.1.7: long values are taken whole.
#[test]
fn longreq_in_its_parts() {
    with("valid/longreq.dat", |m| {
        assert_eq!(m.call_id().unwrap().len(), 141);
        let from = m.from().unwrap();
        assert!(from.tag().unwrap().ends_with(b"2982982424") && from.params.iter().count() == 3);
        assert_eq!(m.values(HeaderId::Via).filter_map(Via::parse).count(), 34);
        assert_eq!(Sdp::parse(m.body()).unwrap().medias().count(), 2);
    });
}

/// RFC 4475 3.1.1.10, 3.1.1.11.
#[test]
fn transports_and_binary_parts() {
    with("valid/transports.dat", |m| {
        let names: Vec<_> = m.values(HeaderId::Via).filter_map(Via::parse).map(|v| v.transport).collect();
        assert_eq!(names, [&b"UDP"[..], b"SCTP", b"TLS", b"UNKNOWN", b"TCP"]);
    });
    with("valid/mpart01.dat", |m| {
        let parts: Vec<_> = m.parts().unwrap().collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(m.body_of("text/plain"), Some(&b"Hello"[..]));
        assert!(parts[1].has_content_type("application/octet-stream"));
        assert_eq!(parts[1].body, m.body_of("application/octet-stream").unwrap());
        // the part is one DER sequence: tag, form of the length, two octets of length, content
        let [0x30, 0x82, high, low, content @ ..] = parts[1].body else { panic!("no DER sequence") };
        assert_eq!(content.len(), usize::from(u16::from_be_bytes([*high, *low])));
    });
}

/// RFC 4475 3.1.1.12, 3.1.1.13.
#[test]
fn reason_phrases_are_octets_and_may_be_empty() {
    with("valid/unreason.dat", |m| {
        assert_eq!((m.status(), m.method()), (200, Method::Invite));
        assert!(std::str::from_utf8(m.reason()).unwrap().starts_with('='));
    });
    with("valid/noreason.dat", |m| assert_eq!((m.status(), m.reason()), (100, &b""[..])));
}

/// RFC 4475 3.1.2.4, 3.1.2.5: numbers beyond their range are refused, or count as the largest where time is meant.
#[test]
fn large_numbers() {
    with("invalid/scalar02.dat", |m| {
        assert_eq!((m.cseq(), m.max_forwards(), m.expires()), (None, None, Some(u32::MAX)));
        assert_eq!(m.registered_contacts().next().unwrap().expires_secs(), Some(u32::MAX));
    });
    with("invalid/scalarlg.dat", |m| {
        assert_eq!(m.retry_after(), Some(RetryAfter { delay_secs: u32::MAX, duration_secs: None }));
    });
}

/// RFC 4475 3.1.2.15, 3.2.1, 3.3.2-3.3.14: what the service decides on is there to be read.
#[test]
fn what_the_service_decides_on_is_readable() {
    with("invalid/baddn.dat", |m| assert_eq!(m.from().unwrap().display, b"Bell, Alexander"));
    with("invalid/badbranch.dat", |m| assert_eq!(m.via().unwrap().unique_branch(), None));
    with("valid/lwsdisp.dat", |m| assert_eq!(m.from().unwrap().display, b"caller"));
    for file in ["valid/unkscm.dat", "valid/novelsc.dat"] {
        with(file, |m| assert_eq!(Uri::parse(m.request_uri()).unwrap().scheme, Scheme::Other));
    }
    with("valid/unksm2.dat", |m| {
        assert_eq!(m.to().unwrap().uri.unwrap().scheme, Scheme::Other);
        assert_eq!(m.registered_contacts().next().unwrap().addr.uri.unwrap().scheme, Scheme::Other);
    });
    with("valid/bext01.dat", |m| {
        assert!(m.lists(HeaderId::Require, "nothingsupportsthiseither"));
        assert!(m.lists(HeaderId::ProxyRequire, "noProxiesSupportThis"));
    });
    with("valid/cparam01.dat", |m| {
        let contact = m.registered_contacts().next().unwrap();
        assert!(contact.has("unknownparam") && !contact.addr.uri.unwrap().params.has("unknownparam"));
    });
    with("valid/cparam02.dat", |m| {
        let contact = m.registered_contacts().next().unwrap();
        assert!(!contact.has("unknownparam") && contact.addr.uri.unwrap().params.has("unknownparam"));
    });
    with("valid/regescrt.dat", |m| {
        let uri = Contact::parse(m.header(HeaderId::Contact).unwrap()).unwrap().addr.uri.unwrap();
        assert_eq!(uri.headers, b"Route=%3Csip:sip.example.com%3E");
    });
}

/// RFC 5118: IPv6 references wherever an address may stand.
#[test]
fn ipv6_references() {
    let uri_host = |m: &Message<'_>| Uri::parse(m.request_uri()).unwrap().socket_addr().unwrap().to_string();
    with("valid/rfc5118-ipv6-good.dat", |m| assert_eq!(uri_host(&m), "[2001:db8::10]:5060"));
    with("valid/rfc5118-port-ambiguous.dat", |m| assert_eq!(uri_host(&m), "[2001:db8::10:5070]:5060"));
    with("valid/rfc5118-ipv6-correct-abnf-2-colons.dat", |m| {
        assert_eq!(uri_host(&m), "[2001:db8::c000:201]:5060")
    });
    for file in
        ["valid/rfc5118-via-received-param-with-delim.dat", "valid/rfc5118-via-received-param-no-delim.dat"]
    {
        with(file, |m| {
            assert_eq!(m.via().unwrap().received(), Some("2001:db8::9:255".parse().unwrap()), "{file}")
        });
    }
    with("valid/rfc5118-mult-ip-in-header.dat", |m| {
        let hosts: Vec<_> =
            m.values(HeaderId::Via).filter_map(Via::parse).map(|v| v.host.to_string()).collect();
        assert_eq!(hosts, ["[2001:db8::9:1]", "192.0.2.1", "[2001:db8::9:255]"]);
    });
    with("valid/rfc5118-ipv6-in-sdp.dat", |m| {
        let sdp = Sdp::parse(m.body()).unwrap();
        let addrs: Vec<_> = sdp.medias().map(|x| x.rtp_addr().unwrap().to_string()).collect();
        assert_eq!(addrs, ["[2001:db8::20]:6000", "[2001:db8::20]:6024"]);
    });
    with("valid/rfc5118-ipv4-mapped-ipv6.dat", |m| {
        assert_eq!(m.via().unwrap().host, Host::Ip("::ffff:192.0.2.10".parse().unwrap()));
        assert_eq!(Sdp::parse(m.body()).unwrap().connection(), Some("::ffff:192.0.2.2".parse().unwrap()));
    });
}

/// The headers on which the registrar stands, from REGISTERs of every kind.
#[test]
fn volte_registers_in_their_parts() {
    with("volte/01_register_initial_ipsec.sip", |m| {
        let offers: Vec<_> = m.mechanisms(HeaderId::SecurityClient).collect();
        assert_eq!(offers.len(), 4);
        assert!(offers.iter().all(|o| o.is_ipsec_3gpp() && o.spi_c().is_some() && o.port_s().is_some()));
        let contact = m.registered_contacts().next().unwrap();
        assert!(contact.has_smsip() && contact.imei().is_some());
        assert!(contact.has_icsi("urn:urn-7:3gpp-service.ims.icsi.mmtel"));
        assert!(m.access_networks().all(|a: AccessNetwork<'_>| a.is_3gpp() && a.cell_id().is_some()));
    });
    with("volte/03_register_auth_protected.sip", |m| {
        assert_eq!(m.mechanisms(HeaderId::SecurityVerify).count(), 1);
    });
    with("volte/06_register_dereg_star.sip", |m| {
        assert!(m.contact_star());
        assert_eq!((m.expires(), m.registered_contacts().count()), (Some(0), 0));
    });
}

/// What calls stand on: offers, hold, reliability and session timers.
#[test]
fn volte_calls_in_their_parts() {
    with("volte/10_invite_precondition_a.sip", |m| {
        let uri = Uri::parse(m.request_uri()).unwrap();
        assert!(uri.scheme == Scheme::Tel && uri.params.has("phone-context"));
        assert!(m.lists(HeaderId::Supported, "precondition"));
        assert!(
            Sdp::parse(m.body_of("application/sdp").unwrap())
                .unwrap()
                .medias()
                .next()
                .unwrap()
                .qos_lines()
                .count()
                >= 4
        );
    });
    with("volte/12_invite_video_ipv6_tcp.sip", |m| {
        let uri = Uri::parse(m.request_uri()).unwrap();
        assert!(m.octets().len() > 1300);
        assert!(
            uri.user.windows(15).any(|w| w == b";phone-context="),
            "the number's context is part of the user"
        );
        assert_eq!(Sdp::parse(m.body()).unwrap().medias().count(), 2);
    });
    with("volte/13_invite_no_precondition_anonymous.sip", |m| {
        assert!(m.privacy().id && m.privacy().withholds_identity());
        assert!(m.addresses(HeaderId::PPreferredIdentity).all(|a| a.is_some_and(|a| a.uri.is_some())));
    });
    with("volte/15_invite_emergency_anonymous.sip", |m| {
        assert_eq!(Uri::parse(m.request_uri()).unwrap().scheme, Scheme::Urn);
    });
    with("volte/17_180_ringing_reliable.sip", |m| {
        assert!(m.rseq().is_some() && m.lists(HeaderId::Require, "100rel"));
    });
    with("volte/18_200_invite_timer.sip", |m| assert!(m.session_expires().unwrap().refresher.is_some()));
    with("volte/20_prack.sip", |m| {
        assert_eq!(m.rack().map(|r| (r.rseq, r.method)), Some((1, Method::Invite)))
    });
    for file in ["volte/21_reinvite_hold.sip", "volte/22_reinvite_hold_zero_addr.sip"] {
        with(file, |m| {
            let direction = Sdp::parse(m.body()).unwrap().medias().next().unwrap().direction();
            assert_eq!(direction, Direction::SendOnly, "{file}");
        });
    }
    with("volte/37_bye_reason.sip", |m| assert_eq!(m.reasons().filter(|r| r.cause().is_some()).count(), 2));
}

/// Subscriptions and SMS.
#[test]
fn volte_other_requests_in_their_parts() {
    with("volte/30_message_sms_mo.sip", |m| {
        let body = m.body_of("application/vnd.3gpp.sms").unwrap();
        assert_eq!(Some(body.len().to_string().as_bytes()), m.header(HeaderId::ContentLength));
    });
    with("volte/33_subscribe_reg.sip", |m| assert_eq!(m.header(HeaderId::Event), Some(&b"reg"[..])));
    with("volte/34_notify_reg_full.sip", |m| {
        assert!(m.subscription_state().is_some_and(|s| s.expires_secs().is_some()));
        assert!(m.body_of("application/reginfo+xml").is_some_and(|b| b.starts_with(b"<?xml")));
    });
}
