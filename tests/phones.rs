//! Messages of real handsets and clients: each parses whole, and each peculiarity that a server must tolerate or may rely on
//! has a test. What the service then does with it is tested with the service.

#[path = "support/vectors.rs"]
mod vectors;

use imsbox::proto::sip::digest::{Algorithm, Credentials};
use imsbox::wire::sdp::{MediaKind, Sdp, SdpError};
use imsbox::wire::sip::sec_agree::same_list;
use imsbox::wire::sip::{
    Contact, HeaderId, Host, Index, Message, Method, NameAddr, Refresher, Scheme, Uri, Via, list, text,
};

/// Runs `look` over the message whose file starts with `number`.
fn phone(number: &str, look: impl FnOnce(Message<'_>)) {
    let all = vectors::messages("phones");
    let (name, octets) =
        all.iter().find(|(n, _)| n.starts_with(number)).unwrap_or_else(|| panic!("no {number}"));
    let mut index = Index::new();
    let message = Message::parse(octets, &mut index).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(message.check(), Ok(()), "{name}");
    look(message);
}

fn credentials<'a>(m: &Message<'a>) -> Credentials<'a> {
    Credentials::parse(m.header(HeaderId::Authorization).expect("Authorization")).expect("digest")
}

fn contact<'a>(m: &Message<'a>) -> Contact<'a> {
    m.registered_contacts().next().expect("Contact")
}

fn contact_uri<'a>(m: &Message<'a>) -> Uri<'a> {
    contact(m).addr.uri.expect("a URI")
}

fn sdp<'a>(m: &Message<'a>) -> Sdp<'a> {
    Sdp::parse(m.body_of("application/sdp").expect("an offer or answer")).expect("SDP")
}

/// Where the first header of this kind stands.
fn place(m: &Message<'_>, id: HeaderId) -> usize {
    m.fields().position(|f| f.id == id).expect("header")
}

mod whole {
    use super::*;

    const ADDRESSES: [HeaderId; 9] = [
        HeaderId::From,
        HeaderId::To,
        HeaderId::Contact,
        HeaderId::Route,
        HeaderId::RecordRoute,
        HeaderId::Path,
        HeaderId::PPreferredIdentity,
        HeaderId::PAssertedIdentity,
        HeaderId::HistoryInfo,
    ];

    /// Offences of one header field, given as text.
    fn field(id: HeaderId, value: &[u8]) -> Result<(), &'static str> {
        let all = |good: &dyn Fn(&[u8]) -> bool| list::values(value).all(good);
        let good = match id {
            id if ADDRESSES.contains(&id) => all(&|v| NameAddr::parse(v).is_some_and(|a| a.uri.is_some())),
            HeaderId::Via => all(&|v| Via::parse(v).is_some_and(|v| v.branch().is_some())),
            HeaderId::Authorization => Credentials::parse(value)
                .is_some_and(|c| !c.username.is_empty() && !c.realm.is_empty() && !c.uri.is_empty()),
            HeaderId::ContentLength | HeaderId::Expires | HeaderId::MaxForwards | HeaderId::RSeq => {
                text::decimal(value).is_some()
            }
            _ => !value.is_empty(),
        };
        if good { Ok(()) } else { Err(id.name()) }
    }

    /// Whether the typed views of the whole message see what its headers hold.
    fn views(m: &Message<'_>) -> Result<(), &'static str> {
        let same = |id, count: usize| m.values(id).count() == count;
        let wanted = |id, seen: bool| m.header(id).is_some() == seen;
        for id in [HeaderId::SecurityClient, HeaderId::SecurityVerify] {
            let whole = m.mechanisms(id).filter(|s| {
                s.is_ipsec_3gpp()
                    && s.integrity().is_some()
                    && [s.spi_c(), s.spi_s()].iter().all(Option::is_some)
                    && [s.port_c(), s.port_s()].iter().all(Option::is_some)
            });
            if !same(id, whole.count()) {
                return Err(id.name());
            }
        }
        let checks = [
            ("Reason", same(HeaderId::Reason, m.reasons().count())),
            ("P-Access-Network-Info", same(HeaderId::PAccessNetworkInfo, m.access_networks().count())),
            ("Session-Expires", wanted(HeaderId::SessionExpires, m.session_expires().is_some())),
            ("Min-SE", wanted(HeaderId::MinSe, m.min_se_secs().is_some())),
            ("RAck", wanted(HeaderId::RAck, m.rack().is_some())),
            ("RSeq", wanted(HeaderId::RSeq, m.rseq().is_some())),
            (
                "Content-Length",
                m.header(HeaderId::ContentLength).and_then(text::decimal) == Some(m.body().len() as u32),
            ),
        ];
        checks.iter().find(|(_, good)| !good).map_or(Ok(()), |(name, _)| Err(name))
    }

    /// The one body that is no SDP although Content-Type says so: its author replaced it.
    const REPLACED_BODY: &str = "59_";

    #[test]
    fn every_message_parses_whole() {
        let mut index = Index::new();
        for (name, octets) in vectors::messages("phones") {
            let m = Message::parse(&octets, &mut index).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(m.check(), Ok(()), "{name}");
            let head = octets.windows(4).position(|w| w == b"\r\n\r\n").expect("an empty line");
            let lines = octets[..head].split(|&o| o == b'\n').count() - 1;
            assert_eq!(m.fields().count(), lines, "{name}: one field per line");
            for f in m.fields() {
                assert_eq!(field(f.id, f.value), Ok(()), "{name}");
            }
            assert_eq!(views(&m), Ok(()), "{name}");
            if let Some(body) = m.body_of("application/sdp") {
                let parsed = Sdp::parse(body).map(|s| assert!(s.origin().is_some(), "{name}"));
                let expected = if name.starts_with(REPLACED_BODY) { Err(SdpError::Version) } else { Ok(()) };
                assert_eq!(parsed, expected, "{name}");
            }
        }
    }

    /// The index that lies beside the messages names each of them, and its method.
    #[test]
    fn the_index_names_every_message() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/phones/index.json");
        let index: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let entry = |name: &str| index.as_array().unwrap().iter().find(|e| e["file"] == name).cloned();
        let all = vectors::messages("phones");
        for (name, octets) in &all {
            let mut fields = Index::new();
            let m = Message::parse(octets, &mut fields).unwrap();
            let entry = entry(name).unwrap_or_else(|| panic!("{name} is not in the index"));
            let method = if m.is_request() {
                String::from_utf8_lossy(m.method_token()).into_owned()
            } else {
                m.status().to_string()
            };
            assert_eq!(entry["method"], method.as_str(), "{name}");
            assert_eq!(entry["content_length"], m.body().len(), "{name}");
        }
        assert_eq!(index.as_array().unwrap().len(), all.len());
    }
}

mod huawei {
    use super::*;

    #[test]
    fn headers_come_in_any_order() {
        for number in ["01", "39"] {
            phone(number, |m| {
                assert!(place(&m, HeaderId::To) < place(&m, HeaderId::From));
                assert!(place(&m, HeaderId::Via) > place(&m, HeaderId::CallId));
                assert!(m.via().unwrap().unique_branch().is_some());
            });
        }
        let cseq_before_call_id = |m: &Message<'_>| place(m, HeaderId::CSeq) < place(m, HeaderId::CallId);
        phone("01", |m| assert!(!cseq_before_call_id(&m)));
        phone("39", |m| assert!(cseq_before_call_id(&m)));
    }

    #[test]
    fn a_protected_register_speaks_of_port_s() {
        phone("39", |m| {
            let offered = m.mechanisms(HeaderId::SecurityClient).next().unwrap().port_s();
            assert_eq!((m.via().unwrap().port, contact_uri(&m).port), (offered, offered));
            assert_eq!(m.cseq().map(|c| c.number), Some(2));
            assert_eq!(m.from().unwrap().tag(), Some(&b"W4fcb1D"[..]));
        });
    }

    #[test]
    fn aka_comes_without_qop_nc_and_cnonce() {
        phone("39", |m| {
            let c = credentials(&m);
            assert_eq!((c.qop, c.nc, c.cnonce), (None, None, None));
            assert_eq!(c.algorithm, Some(Algorithm::AkaV1Md5));
            assert_eq!((c.nonce.len(), c.response.len()), (44, 32));
        });
    }

    #[test]
    fn sec_agree_is_required_without_security_verify() {
        phone("03", |m| {
            assert!(m.lists(HeaderId::Require, "sec-agree") && m.lists(HeaderId::ProxyRequire, "sec-agree"));
            assert_eq!(m.header(HeaderId::SecurityVerify), None);
        });
    }

    #[test]
    fn a_display_name_may_touch_the_bracket() {
        phone("13", |m| {
            let to = m.to().unwrap();
            assert_eq!((to.display, to.uri.unwrap().scheme), (&b"\"8616500000062\""[..], Scheme::Tel));
        });
        // the same party, written with a space by the network and without it by the phone
        let mut octets = Vec::new();
        phone("17", |m| octets = m.header(HeaderId::To).unwrap().to_vec());
        phone("35", |m| {
            assert_ne!(m.header(HeaderId::From), Some(&octets[..]));
            assert_eq!(m.from(), NameAddr::parse(&octets));
        });
    }

    #[test]
    fn session_expires_in_a_183_and_max_forwards_in_responses() {
        phone("17", |m| {
            assert_eq!((m.status(), m.max_forwards()), (183, Some(70)));
            assert_eq!(m.session_expires().map(|s| (s.interval_secs, s.refresher)), Some((1800, None)));
            assert_eq!(m.rseq(), Some(1));
        });
    }

    #[test]
    fn a_200_to_invite_may_have_no_sdp() {
        phone("25", |m| {
            assert_eq!((m.status(), m.method(), m.body_of("application/sdp")), (200, Method::Invite, None));
            assert_eq!(m.session_expires().unwrap().refresher, Some(Refresher::Uas));
        });
    }

    #[test]
    fn prack_has_no_sec_agree_where_update_and_cancel_do() {
        phone("21", |m| {
            assert_eq!(m.method(), Method::Prack);
            assert!(m.header(HeaderId::Require).is_none() && m.header(HeaderId::SecurityVerify).is_none());
            assert_eq!(m.rack().map(|r| (r.rseq, r.cseq, r.method)), Some((1, 1, Method::Invite)));
        });
        for number in ["54", "55"] {
            phone(number, |m| assert_eq!(m.mechanisms(HeaderId::SecurityVerify).count(), 1));
        }
        phone("55", |m| assert_eq!(m.reasons().next().unwrap().cause(), Some(487)));
    }

    #[test]
    fn a_route_is_the_record_route_however_its_ipv6_is_written() {
        let sent = Uri::parse(b"sip:[2001:0DB8:2222:4444:0000:0000:0000:0001]:9900;lr;Hpt=8e62_116;CxtId=3")
            .unwrap();
        phone("49", |m| {
            let route = m.addresses(HeaderId::Route).next().unwrap().unwrap().uri.unwrap();
            assert_ne!(route.text, sent.text);
            assert!(route.host.same(&sent.host));
            assert_eq!((route.port, route.socket_addr()), (sent.port, sent.socket_addr()));
            for p in sent.params.iter() {
                let name = std::str::from_utf8(p.name).unwrap();
                assert_eq!(route.params.get(name), sent.params.get(name));
            }
            assert_eq!(route.params.get("X-HwB2bUaCookie"), Some(&b"2030"[..]));
        });
    }

    #[test]
    fn video_offers_avp_with_a_capability_for_avpf() {
        phone("37", |m| {
            let sdp = sdp(&m);
            let video = sdp.medias().find(|x| x.kind == MediaKind::Video).unwrap();
            assert_eq!((video.proto, video.port), (&b"RTP/AVP"[..], 37058));
            assert_eq!(video.attribute("tcap"), Some(&b"1 RTP/AVPF"[..]));
            assert_eq!(video.attribute("pcfg"), Some(&b"1 t=1"[..]));
            let h265 = video.fmtp(b"120").unwrap();
            assert_eq!((h265.get("level-id"), h265.get("max-br")), (Some(&b"93"[..]), Some(&b"1340"[..])));
            assert_eq!(
                video.fmtp(b"123").unwrap().get("sprop-parameter-sets"),
                Some(&b"Z0LAHtoHgUSAeEAhUA==,aM48gA=="[..])
            );
        });
    }

    #[test]
    fn a_normal_bye_says_why() {
        phone("07", |m| {
            let reason = m.reasons().next().unwrap();
            assert!(reason.is("SIP"));
            assert_eq!((reason.cause(), reason.text()), (Some(200), Some(&b"User term the call."[..])));
        });
    }

    #[test]
    fn privacy_repeats_itself_and_an_emergency_number_has_a_context() {
        phone("59", |m| {
            let privacy = m.privacy();
            assert!(privacy.none && !privacy.withholds_identity());
            let network = m.header(HeaderId::PVisitedNetworkId).map(text::unquote);
            assert_eq!(network, Some(&b"ims.mnc001.mcc001.3gppnetwork.org"[..]));
            let uri = Uri::parse(m.request_uri()).unwrap();
            assert_eq!((uri.user, uri.params.get("user")), (EMERGENCY, Some(&b"phone"[..])));
            assert_eq!(uri.host, Host::Name(b"ims.mnc001.mcc001.3gppnetwork.org"));
            assert!(m.access_networks().next().unwrap().is_network_provided());
            assert_eq!(m.addresses(HeaderId::PAssertedIdentity).flatten().count(), 2);
        });
    }

    const EMERGENCY: &[u8] = b"194;phone-context=ims.mnc001.mcc001.3gppnetwork.org";
}

mod qualcomm {
    use super::*;

    #[test]
    fn compact_and_long_names_mix() {
        phone("05", |m| {
            assert_eq!(m.fields().filter(|f| f.name.len() == 1).count(), 7);
            assert_eq!((m.method(), m.contacts().count()), (Method::Register, 1));
            assert!(m.lists(HeaderId::Supported, "path"));
            assert!(place(&m, HeaderId::CSeq) < place(&m, HeaderId::CallId));
            assert!(place(&m, HeaderId::CallId) < place(&m, HeaderId::Via));
        });
        phone("30", |m| {
            assert!(m.has_content_type("application/sdp"));
            assert_eq!(m.body().len(), 804);
        });
    }

    #[test]
    fn content_length_stands_amid_the_headers() {
        for number in ["05", "57"] {
            phone(number, |m| {
                assert!(place(&m, HeaderId::ContentLength) + 1 < m.fields().count());
                assert_eq!(m.body(), b"");
            });
        }
    }

    #[test]
    fn security_offers_lean_on_defaults() {
        phone("05", |m| {
            let offers: Vec<_> = m.mechanisms(HeaderId::SecurityClient).collect();
            assert_eq!(offers.len(), 6);
            assert!(offers.iter().all(|o| !o.params.has("prot") && !o.params.has("mod")));
            assert!(offers.iter().all(|o| (o.protocol(), o.mode()) == (&b"esp"[..], &b"trans"[..])));
            assert_eq!((offers[0].spi_c(), offers[0].port_s()), (Some(1_028_536_224), Some(8904)));
        });
        // what the phone echoes is what the server sent, in another order
        let sent = "ipsec-3gpp; ealg=null; mod=trans; spi-s=4228275757; spi-c=2198232621; port-s=9900; port-c=9950; alg=hmac-md5-96";
        phone("30", |m| {
            assert!(same_list(
                list::values(sent.as_bytes()),
                list::values(m.header(HeaderId::SecurityVerify).unwrap())
            ))
        });
    }

    #[test]
    fn a_contact_without_user_and_large_sequence_numbers() {
        phone("57", |m| {
            let uri = contact_uri(&m);
            assert_eq!(
                (uri.user, uri.socket_addr()),
                (&b""[..], Some("192.168.101.2:5060".parse().unwrap()))
            );
            assert_eq!(m.cseq().map(|c| c.number), Some(909_056_609));
            assert_eq!(m.header(HeaderId::UserAgent), None);
        });
        phone("30", |m| assert_eq!(contact_uri(&m).user.len(), 36));
    }

    #[test]
    fn a_register_without_any_sec_agree() {
        phone("57", |m| {
            assert!(m.header(HeaderId::SecurityClient).is_none() && m.header(HeaderId::Require).is_none());
            let c = credentials(&m);
            assert_eq!((c.nonce, c.response), (&b""[..], &b""[..]));
        });
    }

    #[test]
    fn two_routes_in_one_header_and_tel_parties() {
        phone("30", |m| {
            let routes: Vec<_> = m.addresses(HeaderId::Route).map(|r| r.unwrap().uri.unwrap()).collect();
            assert_eq!((m.headers(HeaderId::Route).count(), routes.len()), (1, 2));
            assert!(routes.iter().all(|r| r.params.has("lr")));
            assert_eq!(routes[1].user, b"orig");
        });
        phone("22", |m| {
            assert_eq!(m.method(), Method::Options);
            let (from, to) = (m.from().unwrap().uri.unwrap(), m.to().unwrap().uri.unwrap());
            assert_eq!((from.scheme, from.user), (Scheme::Tel, &b"+8613800000839"[..]));
            assert_eq!((to.scheme, to.params.has("phone-context")), (Scheme::Tel, true));
        });
    }
}

mod motorola_zte_unisoc_xiaomi {
    use super::*;

    #[test]
    fn motorola_gives_a_private_reason_with_spaces() {
        phone("26", |m| {
            let reason = m.reasons().next().unwrap();
            assert_eq!((reason.protocol, reason.cause()), (&b"RELEASE_CAUSE"[..], Some(1)));
            assert_eq!(reason.text(), Some(&b"User ends call"[..]));
            assert!(place(&m, HeaderId::ContentLength) < place(&m, HeaderId::Reason));
            assert!(
                Uri::parse(m.request_uri()).unwrap().params.get("encoded-parm").unwrap().ends_with(b"__")
            );
        });
    }

    #[test]
    fn motorola_echoes_the_preference_and_spaces() {
        let sent = "ipsec-3gpp;q=0.1;prot=esp;mod=trans;alg=hmac-md5-96;ealg=null;spi-c=4289143273;spi-s=4289143272;port-c=65485;port-s=6000";
        phone("26", |m| {
            let verify = m.header(HeaderId::SecurityVerify).unwrap();
            assert_ne!(verify, sent.as_bytes());
            assert!(same_list(list::values(sent.as_bytes()), list::values(verify)));
            assert!(!same_list(list::values(sent.replace("6000", "6001").as_bytes()), list::values(verify)));
        });
    }

    #[test]
    fn zte_subscribes_without_accept_from_another_domain() {
        phone("47", |m| {
            assert_eq!(m.via().unwrap().transport, b"UDP");
            assert_eq!((m.header(HeaderId::Accept), m.header(HeaderId::Event)), (None, Some(&b"reg"[..])));
            assert_eq!(m.from().unwrap().uri.unwrap().host, Host::Name(b"ims.exmpl.com.cn"));
            assert_eq!(contact_uri(&m).user, b"");
        });
    }

    #[test]
    fn unisoc_offers_six_and_misspells_a_feature() {
        phone("11", |m| {
            let offers: Vec<_> = m.mechanisms(HeaderId::SecurityClient).collect();
            assert_eq!((offers.len(), offers[0].integrity()), (6, Some(&b"hmac-md5-96"[..])));
            assert!(contact(&m).has("+g-3gpp-ps-data-off") && !contact(&m).has("+g.3gpp.ps-data-off"));
            let c = credentials(&m);
            assert_eq!((c.username, c.realm), (&b"13800011103@private.exa.net"[..], &b"one.exa.net"[..]));
        });
    }

    #[test]
    fn unisoc_has_dots_in_branch_and_tag() {
        phone("53", |m| {
            assert!(m.via().unwrap().unique_branch().unwrap().ends_with(b"."));
            let sdp = sdp(&m);
            let video = sdp.medias().nth(1).unwrap();
            assert_eq!((video.proto, video.attribute("pcfg")), (&b"RTP/AVP"[..], Some(&b"1 t=1"[..])));
        });
        phone("11", |m| assert_eq!(m.from().unwrap().tag(), Some(&b"4VWkdTHOF9.Odc"[..])));
    }

    #[test]
    fn xiaomi_requires_sec_agree_and_offers_nothing() {
        phone("34", |m| {
            assert!(m.lists(HeaderId::Require, "sec-agree"));
            assert_eq!(m.mechanisms(HeaderId::SecurityClient).count(), 0);
            assert!(contact(&m).imei().is_some());
        });
    }
}

mod samsung {
    use super::*;

    #[test]
    fn a_dialled_number_carries_its_context_in_the_user() {
        phone("02", |m| {
            let uri = Uri::parse(m.request_uri()).unwrap();
            assert_eq!(uri.user, b"15550100275;phone-context=ims.mnc001.mcc001.3gppnetwork.org");
            assert_eq!((uri.params.get("user"), uri.port), (Some(&b"phone"[..]), None));
            assert_eq!(m.call_id(), Some(&b"WJW0YkVy1vkpwJsITEw_gw..@2001:db8:f:538:0:3a:0637:0006"[..]));
        });
    }

    #[test]
    fn a_long_cell_id_and_two_history_lines() {
        phone("02", |m| {
            assert_eq!(m.access_networks().next().unwrap().cell_id().map(<[u8]>::len), Some(17));
            let history: Vec<_> = m.addresses(HeaderId::HistoryInfo).map(Option::unwrap).collect();
            assert_eq!(
                history.iter().map(|h| h.params.get("index").unwrap()).collect::<Vec<_>>(),
                [&b"1"[..], b"1.1"]
            );
        });
    }

    #[test]
    fn aka_without_sec_agree_and_features_of_its_own() {
        phone("19", |m| {
            assert!(m.header(HeaderId::SecurityClient).is_none() && m.header(HeaderId::Require).is_none());
            assert_eq!(credentials(&m).algorithm, Some(Algorithm::AkaV1Md5));
            assert_eq!(m.addresses(HeaderId::Route).flatten().count(), 1);
            let contact = contact(&m);
            assert_eq!((contact.q(), contact.expires_secs(), m.expires()), (1000, None, Some(600_000)));
            assert!(contact.has("v_cc") && contact.has_video() && contact.has_smsip());
        });
    }

    #[test]
    fn headers_and_attributes_of_the_korean_profile() {
        phone("31", |m| {
            let own = m.fields().find(|f| f.name == b"P-TTA-VoLTE-Info").unwrap();
            assert_eq!((own.id, own.value), (HeaderId::Other, &b"avchange"[..]));
            let (wildcard, params) =
                imsbox::wire::sip::Params::split(m.header(HeaderId::AcceptContact).unwrap());
            assert_eq!(wildcard, b"*");
            assert!(params.has("require") && params.has("explicit"));
            let sdp = sdp(&m);
            let audio = sdp.medias().next().unwrap();
            assert!(audio.attribute("pcfg").is_some() && audio.attribute("tcap").is_none());
            assert!(audio.attribute("candidate").is_some());
        });
    }

    #[test]
    fn the_connection_line_follows_the_media_line() {
        phone("38", |m| {
            let sdp = sdp(&m);
            assert_eq!(sdp.connection(), None);
            let audio = sdp.medias().next().unwrap();
            assert_eq!(audio.rtp_addr(), Some("10.45.242.196:20060".parse().unwrap()));
            let amr = audio.rtpmap(b"98").unwrap();
            assert_eq!((amr.name, amr.clock_rate), (&b"AMR"[..], 8000), "a space stands before the slash");
            assert_eq!(audio.fmtp(b"100").unwrap().get("octet-align"), Some(&b"1"[..]));
        });
    }

    #[test]
    fn an_emergency_call_names_boundary_and_location_wrongly() {
        phone("41", |m| {
            let uri = Uri::parse(m.request_uri()).unwrap();
            assert_eq!((uri.scheme, uri.user), (Scheme::Urn, &b"service:sos"[..]));
            assert_eq!(uri.params.get("user"), Some(&b"phone"[..]));
            let parts = m.parts().unwrap();
            assert_eq!(parts.count(), 2, "the boundary of the body counts, not that of the header");
            assert_eq!(
                sdp(&m).medias().next().unwrap().rtp_addr(),
                Some("10.26.130.37:16000".parse().unwrap())
            );
            let cid = m.header(HeaderId::Geolocation).unwrap();
            assert_eq!(parts.by_content_id(cid), None, "the location is under another name");
            assert!(m.body_of("application/pidf+xml").unwrap().starts_with(b"<?xml"));
            assert_eq!(contact(&m).imei().unwrap().digits(), "354114000000002");
        });
    }

    #[test]
    fn via_and_access_network_values_share_a_line() {
        phone("58", |m| {
            assert_eq!(m.headers(HeaderId::Via).count(), 1);
            let vias: Vec<_> = m.values(HeaderId::Via).map(|v| Via::parse(v).unwrap()).collect();
            assert_eq!((vias.len(), vias[1].port), (2, Some(5066)));
            let networks: Vec<_> = m.access_networks().map(|n| n.cell_id().unwrap()).collect();
            assert_eq!(networks, [&b"001012c340001815"[..], b"001012c340001816"]);
            assert_eq!(sdp(&m).medias().count(), 0);
        });
    }
}

mod clients {
    use super::*;

    const LAST_ATTRIBUTE: &[u8] = b"rtcp-fb:* ccm tmmbr";

    #[test]
    fn apple_deregisters_with_a_contact_that_says_otherwise() {
        phone("42", |m| {
            let via = m.via().unwrap();
            assert_eq!((via.branch(), via.unique_branch()), (Some(&b"4y479aZgQ6b15d63F"[..]), None));
            // RFC 3261 10.2.1.1: the contact's own lifetime goes before Expires
            assert_eq!((contact(&m).expires_secs(), m.expires()), (Some(600_000), Some(0)));
            assert!(contact(&m).has_icsi("urn:urn-7:3gpp-service.ims.icsi.mmtel"));
            assert!(contact(&m).has_icsi("urn:urn-7:3gpp-service.ims.icsi.gsma.callcomposer"));
        });
    }

    #[test]
    fn phh_sends_binary_and_brackets_in_a_call_id() {
        phone("27", |m| {
            assert_eq!(m.body_of("application/vnd.3gpp.sms"), Some(&[2, 0, b'A', 2, 0, 0][..]));
            assert!(m.header(HeaderId::InReplyTo).unwrap().contains(&b'['));
            assert_eq!(m.mechanisms(HeaderId::SecurityVerify).next().unwrap().q(), Some(500));
        });
    }

    #[test]
    fn a_test_client_sends_sms_to_a_tel_centre() {
        phone("33", |m| {
            let identity = m.addresses(HeaderId::PPreferredIdentity).next().unwrap().unwrap();
            assert_eq!(identity.uri.unwrap().user, b"+15550100001");
            assert_eq!(Uri::parse(m.request_uri()).unwrap().scheme, Scheme::Tel);
            assert!(!m.call_id().unwrap().contains(&b'@'));
            assert_eq!(m.body_of("application/vnd.3gpp.sms").map(<[u8]>::len), Some(37));
        });
    }

    #[test]
    fn doubango_comes_over_a_line_with_sigcomp() {
        for number in ["15", "45"] {
            phone(number, |m| {
                assert_eq!(m.access_networks().next().unwrap().access, b"ADSL");
                assert_eq!(m.contacts().count(), 1, "a comma in quotes does not split");
                assert_eq!(contact(&m).addr.params.get("language"), Some(&b"en,fr"[..]));
            });
        }
        phone("45", |m| {
            let id = Some(&b"urn:uuid:6591e8ef-3fa5-41c9-ad07-11eb36f969b0"[..]);
            assert_eq!(
                (m.via().unwrap().params.get("sigcomp-id"), contact_uri(&m).params.get("sigcomp-id")),
                (id, id)
            );
        });
    }

    #[test]
    fn microsip_pads_content_length() {
        phone("10", |m| {
            assert_eq!((m.header(HeaderId::ContentLength), m.body()), (Some(&b"0"[..]), &b""[..]));
            assert!(contact_uri(&m).params.has("ob"));
            assert_eq!(m.via().unwrap().rport(), Some(None));
        });
        phone("51", |m| {
            assert_eq!((m.header(HeaderId::ContentLength), m.body().len()), (Some(&b"337"[..]), 337));
            let sdp = sdp(&m);
            let audio = sdp.medias().next().unwrap();
            assert_eq!(sdp.connection(), None, "the media has the connection line");
            assert_eq!(audio.rtcp_addr(), Some("10.2.149.10:4065".parse().unwrap()));
        });
        // a user name without a realm behind it
        let c = Credentials::parse(
            b"Digest username=\"001010000006791\", realm=\"ims.test\", nonce=\"n\", uri=\"sip:ims.test\"",
        );
        assert_eq!(c.unwrap().username, b"001010000006791");
    }

    #[test]
    fn zoiper_names_the_transport_everywhere() {
        phone("18", |m| {
            let uri = Uri::parse(m.request_uri()).unwrap();
            assert_eq!(uri.params.get("transport"), Some(&b"UDP"[..]));
            assert_eq!(m.from().unwrap().uri.unwrap().params.get("transport"), Some(&b"UDP"[..]));
            assert!(m.lists(HeaderId::Supported, "sec-agree") && m.header(HeaderId::Require).is_none());
            assert!(m.call_id().unwrap().ends_with(b".."));
        });
    }

    #[test]
    fn linphone_leaves_brackets_and_line_ends_out() {
        phone("09", |m| {
            let to = m.to().unwrap();
            assert_eq!((to.uri_text, to.tag()), (&b"sip:bob@192.168.25.116"[..], None));
            assert_eq!(contact(&m).expires_secs(), Some(3600));
            // the capture lost the last line's end
            let open = text::trim_end(m.body());
            assert_eq!(
                Sdp::parse(open).unwrap().medias().next().unwrap().attributes().last(),
                Some(LAST_ATTRIBUTE)
            );
            assert_eq!(sdp(&m).medias().next().unwrap().attributes().last(), Some(LAST_ATTRIBUTE));
        });
    }

    #[test]
    fn linphone_puts_push_parameters_into_its_contact() {
        phone("50", |m| {
            assert_eq!(m.reason(), b"Ok");
            let uri = contact_uri(&m);
            assert!(uri.params.get("pn-prid").unwrap().contains(&b':'));
            assert_eq!((uri.user, uri.params.get("pn-provider")), (&b"Nokia"[..], Some(&b"fcm"[..])));
            assert_eq!(
                sdp(&m).medias().next().unwrap().rtcp_addr(),
                Some("192.168.43.58:41192".parse().unwrap())
            );
        });
    }

    #[test]
    fn pjsua_repeats_its_route_and_aliases_its_connection() {
        phone("29", |m| {
            let routes: Vec<_> = m.values(HeaderId::Route).collect();
            assert!(routes.len() == 2 && routes[0] == routes[1]);
            assert!(m.via().unwrap().params.has("alias"));
            assert_eq!((contact(&m).reg_id(), contact(&m).imei()), (Some(1), None));
            assert_eq!(contact(&m).instance(), Some(&b"urn:uuid:00000000-0000-0000-0000-0000eb83488d"[..]));
        });
    }

    #[test]
    fn baresip_receives_at_a_bare_ipv6_address() {
        phone("43", |m| {
            let via = m.via().unwrap();
            assert_eq!(
                (via.received(), via.rport()),
                (Some("fde1:c0fe::7".parse().unwrap()), Some(Some(47469)))
            );
        });
        phone("14", |m| {
            assert!(place(&m, HeaderId::Contact) < place(&m, HeaderId::From));
            let sdp = sdp(&m);
            let video = sdp.medias().nth(1).unwrap();
            assert_eq!(video.rtcp_addr(), video.rtp_addr(), "rtcp-mux");
            assert_eq!(video.rtp_addr(), Some("[fde1:c0fe::7]:9010".parse().unwrap()));
        });
    }
}
