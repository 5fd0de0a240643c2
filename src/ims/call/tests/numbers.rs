//! Whom the forms reach in which phones dial, and what is said of numbers that reach nobody.

use super::*;

/// Request-URIs of captured handsets and soft phones, each with the identity that a configuration has for it.
const DIALLED: &[(&str, &str)] = &[
    ("tel:+8616500000062", "tel:+8616500000062"),
    ("tel:+8616500000062", "sip:+8616500000062@ims.test"),
    ("tel:13800000907;phone-context=ims.mnc001.mcc001.3gppnetwork.org", "tel:13800000907"),
    ("tel:13800000907;phone-context=ims.mnc001.mcc001.3gppnetwork.org", "tel:+8613800000907"),
    ("tel:01000007389;phone-context=lte-example.co.kr", "tel:01000007389"),
    ("tel:01000007389;phone-context=lte-example.co.kr", "tel:+821000007389"),
    (
        "sip:15550100275;phone-context=ims.mnc001.mcc001.3gppnetwork.org@ims.mnc001.mcc001.3gppnetwork.org;user=phone",
        "tel:+15550100275",
    ),
    (
        "sip:15550100275;phone-context=ims.mnc001.mcc001.3gppnetwork.org@ims.mnc001.mcc001.3gppnetwork.org;user=phone",
        "tel:5550100275",
    ),
    (
        "sip:194;phone-context=ims.mnc001.mcc001.3gppnetwork.org@ims.mnc001.mcc001.3gppnetwork.org;user=phone",
        "tel:194",
    ),
    ("sip:*%2367%23;phone-context=ims.test@ims.test;user=phone", "tel:*#67#"),
    ("sip:%23%2367@ims.test", "tel:##67"),
    ("sip:1003@192.168.66.113;transport=UDP", "sip:1003@ims.test"),
    ("sip:23@10.1.58.85", "tel:23"),
    ("sip:202@[fde1:c0fe::7]:5061", "sip:202@ims.test"),
    ("tel:0033612345678", "tel:+33612345678"),
    ("tel:06-12-34-56-78;phone-context=+33", "tel:+33612345678"),
    ("tel:0612345678", "tel:+33612345678"),
    ("tel:+33612345678", "tel:0612345678"),
];

#[test]
fn callee_is_reached_however_a_handset_dials() {
    for (uri, identity) in DIALLED {
        let mut w =
            World::with(|c| c.users[1].impus = vec![Impu::new("sip:bob@ims.test"), Impu::new(*identity)]);
        w.register(ALICE, "");
        w.register(BOB, "");
        let _ = w.invite(ALICE, uri, "", SDP);
        let invite = w.expect(BOB, "INVITE sip:bob@192.0.2.2:5060");
        assert_eq!(header(&invite, HeaderId::To), format!("<{uri}>"), "as it was dialled");
    }
}

#[test]
fn an_unknown_number_and_an_incomplete_one_are_refused_in_words() {
    let mut w = World::registered();
    for (uri, status, words) in [
        ("tel:+999", 404, "nobody has this number"),
        ("sip:0612;phone-context=ims.test@ims.test;user=phone", 404, "nobody has this number"),
        ("sip:carol@ims.test", 404, "nobody has this identity"),
        ("tel:+3360000", 484, "the number is incomplete: nobody has it, and longer ones begin with it"),
        ("tel:+", 484, "there is no number in it"),
        ("tel:66", 484, "the number is incomplete: nobody has it, and longer ones begin with it"),
    ] {
        let _ = w.invite(ALICE, uri, "", SDP);
        let refused = w.expect(ALICE, &format!("SIP/2.0 {status} "));
        let warning = header(&refused, HeaderId::Warning);
        assert_eq!(warning, format!("399 198.51.100.1:5060 \"{words}\""), "{uri}");
        w.expect_nothing();
    }
    w.quiet();
}

#[test]
fn a_pattern_takes_what_no_number_is() {
    let barred = |w: &mut World, uri: &str| {
        let _ = w.invite(ALICE, uri, "", SDP);
        w.expect(ALICE, "SIP/2.0 603");
    };
    let mut w = World::with(|c| {
        let mut bars = Impu::new("tel:bar");
        bars.pattern = Some("^(\\+33|0)8[0-9]+$".to_owned());
        bars.code = Some(603);
        let mut range = Impu::new("tel:echoes");
        range.pattern = Some("^\\+3399".to_owned());
        c.echo.extend([bars, range]);
        // whoever dials 5 and anything calls Bob
        c.users[1].impus[1].pattern = Some("^5".to_owned());
        c.users[1].impus.push(Impu::new("tel:+33812345678"));
    });
    w.register(ALICE, "");
    w.register(BOB, "");
    for uri in
        ["tel:+33899", "sip:0899;phone-context=ims.test@ims.test;user=phone", "tel:08-99", "sip:+33899@h"]
    {
        barred(&mut w, uri);
    }
    for uri in ["tel:+33812345678", "tel:0812345678", "tel:51", "sip:5666@h;user=phone"] {
        let _ = w.invite(ALICE, uri, "", SDP);
        w.expect(BOB, "INVITE");
    }
    let _ = w.invite(ALICE, "tel:+33991", "", SDP);
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(300));
    w.drop_all();
}
