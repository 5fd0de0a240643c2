//! Which of the callee's phones ring, by what the caller wants of them.

use super::*;

const MMTEL: &str = "+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";

/// A world in which Bob has a VoLTE phone with video, and a tablet with these parameters.
fn world(tablet: &str) -> World {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB, &format!(";audio;video;{MMTEL}"));
    w.register(BOB_TABLET, tablet);
    w
}

/// Whether phone and tablet ring.
fn rings(w: &mut World, headers: &str) -> (bool, bool) {
    w.invite(ALICE, "sip:bob@ims.test", headers, SDP);
    let rings = [BOB, BOB_TABLET].map(|phone| w.find(phone, "INVITE").is_some());
    w.drop_all();
    rings.into()
}

#[test]
fn a_phone_with_the_features_rings_alone_where_they_are_demanded() {
    let strict = format!("Accept-Contact: *;{MMTEL};require;explicit\r\n");
    for (tablet, headers, ring) in [
        (";audio", "", (true, true)),
        (";audio", &*format!("Accept-Contact: *;{MMTEL}\r\n"), (true, true)),
        (";audio", &*strict, (true, false)),
        ("", &*strict, (true, true)),
        (";audio", "Accept-Contact: *;video;require;explicit\r\n", (true, false)),
        (";audio;video=\"FALSE\"", "a: *;video;require\r\n", (true, false)),
        (";audio", "Reject-Contact: *;video\r\n", (false, true)),
        (";audio", "Accept-Contact: *;video\r\nRequest-Disposition: no-fork\r\n", (true, false)),
        (";audio;q=0.2", "Reject-Contact: *;video\r\nd: no-fork\r\n", (false, true)),
    ] {
        assert_eq!(rings(&mut world(tablet), headers), ring, "{tablet} {headers}");
    }
}

#[test]
fn a_soft_phone_that_is_silent_of_features_is_reached_all_the_same() {
    let mut w = World::new();
    w.register(ALICE, "");
    w.register(BOB_TABLET, ";audio");
    let headers = format!("Accept-Contact: *;{MMTEL};require;explicit\r\n");
    w.invite(ALICE, "sip:bob@ims.test", &headers, SDP);
    let invite = w.expect(BOB_TABLET, "INVITE");
    assert!(invite.contains(&headers), "it is passed on: {invite}");
}

#[test]
fn when_nobody_has_what_is_demanded_it_is_said_in_words() {
    let mut w = world(";audio;video=\"FALSE\"");
    w.invite(
        ALICE,
        "sip:bob@ims.test",
        "Accept-Contact: *;+sip.instance=\"<urn:x>\";require\r\nReject-Contact: *;audio\r\n",
        SDP,
    );
    let refused = w.expect(ALICE, "SIP/2.0 480");
    assert!(
        header(&refused, HeaderId::Warning).contains("has the features that the caller requires"),
        "{refused}"
    );
    w.expect_nothing();
}
