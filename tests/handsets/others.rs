//! Calls, texts and probes of the other vendors' phones.

use crate::call::{Play, reply};
use crate::capture::{body, captured, fitted, header, survives};
use crate::stage::{Phone, Stage};
use imsbox::wire::sip::HeaderId;

#[test]
fn a_samsung_calls_with_a_telephone_context_in_the_user_part() {
    let caller = ["sip:15550100284@ims.mnc001.mcc001.3gppnetwork.org", "tel:+15550100284"];
    let callee = ["sip:partner@ims.test", "tel:15550100275;phone-context=ims.mnc001.mcc001.3gppnetwork.org"];
    Play::new(captured("02"), &caller, &callee).through(None);
}

#[test]
fn a_qualcomm_modem_calls_in_compact_names() {
    let caller = ["sip:+8613800000767@sh.ims.mnc001.mcc001.3gppnetwork.org", "tel:+8613800000767"];
    let callee = ["sip:partner@ims.test", "tel:13800000925;phone-context=ims.mnc001.mcc001.3gppnetwork.org"];
    Play::new(captured("30"), &caller, &callee).through(Some("26"));
}

#[test]
fn korean_samsungs_call_with_headers_of_their_own() {
    let callee = ["sip:partner@ims.test", "tel:01000007389;phone-context=lte-example.co.kr"];
    Play::new(captured("31"), &["sip:01000007539@lte-example.co.kr"], &callee).through(None);
    let callee = ["sip:partner@ims.test", "tel:01000000212;phone-context=expims.net"];
    Play::new(captured("38"), &["sip:01000009012@expims.net"], &callee).through(None);
}

#[test]
fn a_unisoc_calls_with_video_over_tcp() {
    let callee = ["sip:partner@ims.test", "tel:13800011103;phone-context=one.exa.net"];
    Play::new(captured("53"), &["sip:13800011101@one.exa.net"], &callee).through(None);
}

#[test]
fn a_probe_for_capabilities_is_answered() {
    let probe = captured("22");
    let phone = Phone::of(&probe);
    let mut stage = Stage::new(&[&["tel:+8613800000839"]]);
    stage.register(&phone);
    stage.send(&phone, &probe);
    let ok = stage.expect(&phone, "SIP/2.0 200");
    for method in ["INVITE", "PRACK", "UPDATE"] {
        assert!(header(&ok, HeaderId::Allow).contains(method));
    }
    assert_eq!(header(&ok, HeaderId::CSeq), "633029490 OPTIONS");
    stage.quiet();
}

/// Texts as a phone hands them to a short message centre: whoever has that identity gets the octets, zeros and all.
#[test]
fn binary_texts_arrive_octet_by_octet() {
    let reported = ["sip:+818012341234@ims.mnc001.mcc001.3gppnetwork.org"];
    let submitted = ["sip:+15550100001@ims.mnc001.mcc001.3gppnetwork.org"];
    for (number, sender, target) in
        [("27", reported, "sip:centre@ims.test"), ("33", submitted, "tel:+13125550100")]
    {
        // a centre without a user part in its name can be no user's: the text is sent to one that has it
        let text = fitted(&captured(number), Some(&format!("MESSAGE {target} SIP/2.0")), &[]);
        let mut play = Play::new(text.clone(), &sender, &["sip:centre@ims.test", "tel:+13125550100"]);
        play.stage.send(&play.caller, &text);
        let passed = play.stage.expect(&play.partner, "MESSAGE");
        survives(&text, &passed, true);
        assert!(body(&passed).contains(&0), "{number}");
        reply(&mut play.stage, &play.partner, &passed, 202, "", "");
        play.stage.expect(&play.caller, "SIP/2.0 202");
        play.stage.expect_nothing();
        play.stage.quiet();
    }
}
