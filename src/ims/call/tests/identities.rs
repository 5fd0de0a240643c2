//! What the settings of an identity do, and whose identity a phone is shown: in INVITE, its answers, inside the call, in texts.

use super::*;

const ALICE_ONE: &str = "<sip:+33600000001@ims.test;user=phone>";

fn registered(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.register(ALICE, "");
    w.register(BOB, "");
    w
}

/// All values of P-Asserted-Identity, in order.
fn asserted(text: &str) -> Vec<String> {
    let mut index = Index::new();
    let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
    let values = msg.headers(HeaderId::PAssertedIdentity);
    values.map(|v| String::from_utf8(v.to_vec()).unwrap()).collect()
}

/// What Bob's phone gets when Alice calls.
fn invited(w: &mut World, headers: &str) -> String {
    w.invite(ALICE, "tel:+33600000002", headers, SDP);
    w.expect(BOB, "INVITE")
}

/// What Bob's phone gets when Alice sends a text.
fn texted(w: &mut World, headers: &str) -> String {
    let branch = w.branch();
    let text = format!(
        "MESSAGE tel:+33600000002 SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@ims.test>;tag=m\r\nTo: <tel:+33600000002>\r\nCall-ID: text{branch}\r\nCSeq: 1 MESSAGE\r\n\
         {headers}Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
        ALICE.addr
    );
    w.send(ALICE, &text);
    w.expect(BOB, "MESSAGE")
}

/// Bob answers with these headers: what Alice gets.
fn answered(w: &mut World, invite: &str, status: u16, headers: &str) -> String {
    w.answer(BOB, invite, status, headers, if status == 200 { SDP } else { "" });
    w.expect(ALICE, &format!("SIP/2.0 {status}"))
}

#[test]
fn an_asserted_identity_is_said_in_both_forms_and_never_taken_from_a_phone() {
    let forged = "P-Asserted-Identity: <tel:+999>\r\nP-Preferred-Identity: <tel:+33600000002>\r\n";
    let mut w = registered(|_| {});
    let both = ["<sip:alice@ims.test>", "<tel:+33600000001>"];
    let invite = invited(&mut w, forged);
    assert_eq!(asserted(&invite), both, "a foreign identity: her own instead");
    assert_eq!(asserted(&texted(&mut w, forged)), both);
    for (status, forged) in
        [(180, forged), (183, ""), (200, "P-Preferred-Identity: <sip:alice@ims.test>\r\n")]
    {
        let answer = answered(&mut w, &invite, status, forged);
        let called = ["<sip:+33600000002@ims.test;user=phone>", "<tel:+33600000002>"];
        assert_eq!(asserted(&answer), called, "{status}: what was called");
    }
    for preferred in ["tel:+33600000001", "sip:+33600000001@ims.test;user=phone", "tel:0600000001"] {
        let invite = invited(&mut registered(|_| {}), &format!("P-Preferred-Identity: <{preferred}>\r\n"));
        assert_eq!(asserted(&invite), [ALICE_ONE, "<tel:+33600000001>"], "{preferred}");
        assert!(!invite.contains("P-Preferred-Identity"), "{invite}");
    }
}

#[test]
fn an_answer_says_who_was_called_unless_the_phone_or_the_settings_say_otherwise() {
    let answer = |change: fn(&mut Config), headers: &str| {
        let mut w = registered(change);
        let invite = invited(&mut w, "");
        asserted(&answered(&mut w, &invite, 180, headers)).remove(0)
    };
    let number = "<sip:+33600000002@ims.test;user=phone>";
    assert_eq!(answer(|_| {}, ""), number);
    assert_eq!(answer(|_| {}, "P-Preferred-Identity: <sip:bob@ims.test>\r\n"), "<sip:bob@ims.test>");
    assert_eq!(answer(|c| c.users[1].impus[0].asserted = true, ""), "<sip:bob@ims.test>");
    assert_eq!(answer(|c| c.users[1].impus[1].barred = true, ""), "<sip:bob@ims.test>");
}

#[test]
fn inside_a_call_the_party_that_answers_is_asserted_too() {
    let mut w = registered(|_| {});
    let (_, mut bob) = w.call();
    w.request(&mut bob, "INVITE", "P-Asserted-Identity: <tel:+999>\r\n", SDP);
    w.expect(BOB, "SIP/2.0 100");
    let again = w.expect(ALICE, "INVITE");
    assert_eq!(asserted(&again), [""; 0], "{again}");
    w.answer(ALICE, &again, 200, "P-Asserted-Identity: <tel:+999>\r\n", SDP);
    assert_eq!(asserted(&w.expect(BOB, "SIP/2.0 200")), ["<sip:alice@ims.test>", "<tel:+33600000001>"]);
}

#[test]
fn settings_choose_and_dress_the_asserted_identity() {
    let shown = |change: &dyn Fn(&mut [Impu])| {
        let mut w = registered(|c| {
            c.users[0].impus.push(Impu::new("sip:+33700000001@ims.test"));
            change(&mut c.users[0].impus);
        });
        let invite = asserted(&invited(&mut w, ""));
        assert_eq!(asserted(&texted(&mut w, "")), invite, "a text is as a call");
        invite
    };
    assert_eq!(shown(&|i| i[1].preferred = true), [ALICE_ONE, "<tel:+33600000001>"]);
    let both = |i: &mut [Impu]| (i[1].preferred, i[2].asserted) = (true, true);
    assert_eq!(shown(&both), ["<sip:+33700000001@ims.test;user=phone>", "<tel:+33700000001>"]);
    let dressed = |i: &mut [Impu]| {
        i[1].asserted = true;
        i[1].display_name = Some("Alice".to_owned());
        i[1].verstat = Some("TN-Validation-Passed".to_owned());
        i[1].domain = Some("other.test".to_owned());
    };
    assert_eq!(
        shown(&dressed),
        [
            "\"Alice\" <sip:+33600000001;verstat=TN-Validation-Passed@other.test;user=phone>",
            "\"Alice\" <tel:+33600000001;verstat=TN-Validation-Passed>"
        ]
    );
    assert_eq!(shown(&|i| i[0].phone = true)[0], "<sip:alice@ims.test;user=phone>");
    // the number that accompanies a name is that of the first identity in P-Associated-URI that has one
    assert_eq!(shown(&|i| i[1].associated = false), ["<sip:alice@ims.test>", "<tel:+33700000001>"]);
}

#[test]
fn a_display_name_is_in_from_and_in_the_answers() {
    let mut w = registered(|c| {
        c.users[0].impus[0].display_name = Some("Al".to_owned());
        c.users[1].impus[1].display_name = Some("Bo".to_owned());
    });
    let invite = invited(&mut w, "");
    assert!(header(&invite, HeaderId::From).starts_with("\"Al\" <sip:alice@ims.test>;tag="), "{invite}");
    assert_eq!(asserted(&answered(&mut w, &invite, 180, ""))[1], "\"Bo\" <tel:+33600000002>");
    let ok = answered(&mut w, &invite, 200, "");
    assert_eq!(asserted(&ok)[1], "\"Bo\" <tel:+33600000002>");
    let mut bob = Side::callee(BOB, &invite);
    w.request(&mut bob, "BYE", "", "");
    let bye = w.expect(BOB, "SIP/2.0 200");
    assert!(header(&bye, HeaderId::To).starts_with("\"Al\" <sip:alice@ims.test>;tag="), "{bye}");
}

#[test]
fn an_anonymous_identity_is_in_no_header() {
    let telling = "P-Preferred-Identity: <sip:alice@ims.test>\r\nIdentity: alice;info=<https://alice>\r\nCall-Info: <http://alice>\r\n\
        History-Info: <sip:alice@ims.test>;index=1\r\nUser-Agent: alice's\r\nPrivacy: none\r\n";
    for at in [0, 1] {
        // the second is what stands for her where the phone prefers none
        let mut w = registered(|c| {
            c.users[0].impus[at].anonymous = true;
            c.users[0].impus[at].asserted = true;
            c.users[0].impus[at].display_name = Some("alice".to_owned());
        });
        let headers = if at == 0 { telling } else { "" };
        for text in [invited(&mut w, headers), texted(&mut w, headers)] {
            assert!(
                text.contains("\r\nFrom: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag="),
                "{text}"
            );
            assert!(!text.contains("alice") && !text.contains("+33600000001"), "{text}");
        }
    }
}

#[test]
fn an_anonymous_callee_is_in_no_header_of_its_answers() {
    let telling = "P-Preferred-Identity: <sip:bob@ims.test>\r\nReply-To: <sip:bob@h>\r\nServer: bob's\r\n\
        Organization: bob\r\nP-Asserted-Identity: <sip:bob@ims.test>\r\n";
    let mut w = registered(|c| c.users[1].impus[1].anonymous = true);
    let invite = invited(&mut w, "");
    for status in [180, 200] {
        let answer = answered(&mut w, &invite, status, telling);
        assert!(!answer.contains("bob"), "{answer}");
    }
}

#[test]
fn privacy_hides_what_it_names() {
    let history = "History-Info: <sip:a@h>;index=1, <sip:b@h>;index=1.1\r\nDiversion: <tel:+1>;privacy=full, <tel:+2>\r\n";
    for (privacy, identity, from, past) in [
        ("", true, true, true),
        ("none", true, true, true),
        ("id", false, true, true),
        ("user", false, false, true),
        ("header", false, false, false),
        ("history", true, true, false),
        ("id;header;critical", false, false, false),
    ] {
        let wish = if privacy.is_empty() { String::new() } else { format!("Privacy: {privacy}\r\n") };
        for send in [invited, texted] {
            let text = send(&mut registered(|_| {}), &format!("{wish}{history}"));
            assert_eq!(!asserted(&text).is_empty(), identity, "{privacy}: {text}");
            assert_eq!(header(&text, HeaderId::From).contains("alice"), from, "{privacy}: {text}");
            assert_eq!(
                header(&text, HeaderId::HistoryInfo).contains("<sip:a@h>;index=1"),
                past,
                "{privacy}: {text}"
            );
            assert_eq!(header(&text, HeaderId::Privacy), privacy, "it is passed on");
            assert!(
                text.contains("Diversion: <sip:anonymous@anonymous.invalid>;privacy=full, <tel:+2>\r\n"),
                "{text}"
            );
        }
    }
    let mut w = registered(|_| {});
    let invite = invited(&mut w, "");
    assert_eq!(asserted(&answered(&mut w, &invite, 180, "Privacy: id\r\n")), [""; 0]);
}

#[test]
fn called_party_is_told_when_the_settings_say_so() {
    let told = |change: fn(&mut Config)| {
        let mut w = registered(change);
        let invite = header(&invited(&mut w, "P-Called-Party-ID: <tel:+999>\r\n"), HeaderId::PCalledPartyId);
        assert_eq!(header(&texted(&mut w, ""), HeaderId::PCalledPartyId), invite);
        invite
    };
    assert_eq!(told(|_| {}), "");
    assert_eq!(told(|c| c.call.p_called_party_id = true), "<tel:+33600000002>", "as it was dialled");
    assert_eq!(told(|c| c.users[1].impus[1].p_called_party_id = Some("sip:x@y".into())), "<sip:x@y>");
    assert_eq!(
        told(|c| c.users[1].impus[1].p_called_party_id = Some("\"X\" <sip:x@y>;p".into())),
        "\"X\" <sip:x@y>;p"
    );
    assert_eq!(
        told(|c| c.users[1].impus[0].p_called_party_id = Some("sip:x@y".into())),
        "",
        "another identity's"
    );
}

#[test]
fn a_preferred_identity_is_what_the_phone_is_called_by() {
    let mut w = registered(|c| c.users[1].impus[1].preferred = true);
    let invite = invited(&mut w, "");
    assert!(invite.starts_with("INVITE tel:+33600000002 SIP/2.0\r\n"), "{invite}");
    w.drop_all();
    w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let second = w.expect(BOB, "INVITE tel:+33600000002 SIP/2.0");
    // CANCEL and the ACK of a failure name what the INVITE names (RFC 3261 9.1, 17.1.1.3)
    w.answer(BOB, &second, 486, "", "");
    w.expect(BOB, "ACK tel:+33600000002 SIP/2.0");
    w.drop_all();
    // inside the dialog the contact counts
    let mut alice = w.invite(ALICE, "tel:+33600000002", "", SDP);
    let third = w.expect(BOB, "INVITE tel:+33600000002 SIP/2.0");
    w.answer(BOB, &third, 200, "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK sip:bob@192.0.2.2:5060 SIP/2.0");
    assert!(texted(&mut w, "").starts_with("MESSAGE sip:bob@192.0.2.2:5060 SIP/2.0\r\n"), "INVITE alone");
    let mut w = registered(|c| {
        c.users[1].impus[0].preferred = true;
        c.users[1].impus[0].phone = true;
    });
    assert!(invited(&mut w, "").starts_with("INVITE sip:bob@ims.test;user=phone SIP/2.0\r\n"));
}

#[test]
fn an_echo_number_says_who_it_is() {
    let answer = |change: fn(&mut Impu)| {
        let mut w = World::with(|c| {
            c.domain = Some("ims.test".to_owned());
            change(&mut c.echo[0]);
        });
        w.register(ALICE, "");
        w.invite(ALICE, "tel:666", "", SDP);
        asserted(&w.expect(ALICE, "SIP/2.0 200"))
    };
    assert_eq!(answer(|_| {}), ["<sip:666@ims.test;user=phone>", "<tel:666>"]);
    assert_eq!(answer(|i| i.display_name = Some("Echo".into()))[1], "\"Echo\" <tel:666>");
    assert_eq!(answer(|i| i.anonymous = true), [""; 0]);
}

#[test]
fn what_a_phone_says_to_the_network_is_not_shown_to_the_other_phone() {
    let told = "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100010000001\r\nP-Charging-Vector: icid-value=1\r\n\
        P-Visited-Network-ID: \"x\"\r\nSecurity-Verify: ipsec-3gpp;spi-c=1\r\nAuthorization: Digest username=\"alice\"\r\n";
    let mut w = registered(|_| {});
    let invite = invited(&mut w, told);
    let text = texted(&mut w, told);
    let ringing = answered(&mut w, &invite, 180, told);
    for sent in [invite, text, ringing] {
        for name in ["P-Access-Network-Info", "P-Charging", "P-Visited", "Security-", "Authorization"] {
            assert!(!sent.contains(name), "{name} in {sent}");
        }
    }
}
