//! Emergency calls drawn as the wire saw them: the one that is to come another way (TS 24.229 5.1.6.8, 5.2.10, 5.4.8), and the calls
//! back (RFC 7090).

use super::emergency::{STRANGER, answered_by_bob, invite, sos};
use super::*;
use crate::config::model::Emergency;
use crate::ims::call::{Callee, Order};

#[test]
fn who_dials_112_is_told_to_register_first_and_gets_through() {
    let mut w = World::with(|c| {
        let number = sos(|s| s.emergency = Emergency::Registered);
        c.echo.push(Impu { uri: "tel:112".into(), ..number.clone() });
        c.echo.push(number);
    });
    w.register(ALICE, "");
    let mut call = w.invite(ALICE, "tel:112", "", SDP);
    call.remote = header(&w.expect(ALICE, "SIP/2.0 380"), HeaderId::To);
    w.ack_failure(&call);
    assert_eq!(w.core.ladder(10).map(|_| ()), None, "it has begun no call");
    // the phone of today takes another address for it, and keeps the one that it has
    w.register(ALICE, ";sos");
    let mut call = w.invite(ALICE, "urn:service:sos", "", SDP);
    call.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&call, 1, "");
    w.request(&mut call, "BYE", "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.expect_nothing();
    assert_eq!(
        w.wire(ALICE),
        "
alice                            imsbox
  |----------- REGISTER ----------->|
  |<-------- 200 REGISTER ----------|
  |--------- INVITE (sdp) --------->|
  |<--------- 100 INVITE -----------|
  |<-- 380 INVITE (3gpp-ims+xml) ---|
  |-------------- ACK ------------->|
  |----------- REGISTER ----------->|
  |<-------- 200 REGISTER ----------|
  |--------- INVITE (sdp) --------->|
  |<--------- 100 INVITE -----------|
  |<------ 200 INVITE (sdp) --------|
  |-------------- ACK ------------->|
  |-------------- BYE ------------->|
  |<----------- 200 BYE ------------|
"
    );
    assert_eq!(
        w.ladder(10),
        "
alice@ims.test                   imsbox
  |--------- INVITE (sdp) --------->|
  |<--------- 100 INVITE -----------|
* start
  |<------ 200 INVITE (sdp) --------|
  |-------------- ACK ------------->|
  |-------------- BYE ------------->|
* stop: the caller hung up
  |<----------- 200 BYE ------------|
"
    );
    w.quiet();
}

/// A call for help of a phone without registration, which Bob answers and the phone ends.
fn helped(w: &mut World) {
    let (mut side, text) = invite(w, "urn:service:sos", "", SDP);
    w.send(STRANGER, &text);
    w.expect(STRANGER, "SIP/2.0 100");
    let rings = w.expect(BOB, "INVITE");
    w.answer(BOB, &rings, 180, "", "");
    w.expect(STRANGER, "SIP/2.0 180");
    w.answer(BOB, &rings, 200, "", SDP);
    side.learn(&w.expect(STRANGER, "SIP/2.0 200"));
    w.ack(&side, 1, "");
    w.expect(BOB, "ACK");
    w.request(&mut side, "BYE", "", "");
    w.expect(STRANGER, "SIP/2.0 200");
    let bye = w.expect(BOB, "BYE");
    w.answer(BOB, &bye, 200, "", "");
    w.expect_nothing();
}

#[test]
fn who_called_for_help_without_registration_is_called_back() {
    let mut w = answered_by_bob(|s| s.anonymous_callback = Duration::from_secs(60));
    helped(&mut w);
    assert_eq!(
        w.ladder(10),
        "
356938035643800@ims.test         imsbox                   urn:service:sos
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<--------- 180 INVITE -----------|
* ringing
  |<--------- 180 INVITE -----------|                                 |
  |                                 |<------ 200 INVITE (sdp) --------|
* start
  |<------ 200 INVITE (sdp) --------|                                 |
  |-------------- ACK ------------->|                                 |
  |                                 |-------------- ACK ------------->|
  |-------------- BYE ------------->|                                 |
* stop: the caller hung up
  |<----------- 200 BYE ------------|                                 |
  |                                 |-------------- BYE ------------->|
  |                                 |<----------- 200 BYE ------------|
"
    );
    let mut bob = w.invite(BOB, "sip:356938035643800@ims.test", "", SDP);
    let rings = w.expect(STRANGER, "INVITE");
    w.answer(STRANGER, &rings, 180, "", "");
    w.expect(BOB, "SIP/2.0 180");
    w.answer(STRANGER, &rings, 200, "", SDP);
    bob.learn(&w.expect(BOB, "SIP/2.0 200"));
    w.ack(&bob, 1, "");
    w.expect(STRANGER, "ACK");
    w.request(&mut bob, "BYE", "", "");
    w.expect(BOB, "SIP/2.0 200");
    let bye = w.expect(STRANGER, "BYE");
    w.answer(STRANGER, &bye, 200, "", "");
    w.expect_nothing();
    let index = w.core.dialog_views(w.now).iter().map(|d| d.index).max().unwrap();
    assert_eq!(
        w.ladder(index),
        "
bob@ims.test                     imsbox          356938035643800@ims.test
  |--------- INVITE (sdp) --------->|                                 |
  |<--------- 100 INVITE -----------|                                 |
  |                                 |--------- INVITE (sdp) --------->|
  |                                 |<--------- 180 INVITE -----------|
* ringing
  |<--------- 180 INVITE -----------|                                 |
  |                                 |<------ 200 INVITE (sdp) --------|
* start
  |<------ 200 INVITE (sdp) --------|                                 |
  |-------------- ACK ------------->|                                 |
  |                                 |-------------- ACK ------------->|
  |-------------- BYE ------------->|                                 |
* stop: the caller hung up
  |<----------- 200 BYE ------------|                                 |
  |                                 |-------------- BYE ------------->|
  |                                 |<----------- 200 BYE ------------|
"
    );
    w.quiet();
}

#[test]
fn the_network_calls_back_who_called_for_help() {
    let mut w = answered_by_bob(|s| s.anonymous_callback = Duration::from_secs(60));
    helped(&mut w);
    let callee = Callee::Any("356938035643800".to_owned());
    let order =
        Order { callee, caller: None, media: None, duration: Some(Duration::from_secs(5)), sos: false };
    let (index, _) = w.input(|core, cx| core.call(cx, order)).unwrap();
    let rings = w.expect(STRANGER, "INVITE");
    w.answer(STRANGER, &rings, 180, "", "");
    w.answer(STRANGER, &rings, 200, "", &SDP.replace("AVP 0", "AVP 8"));
    w.expect(STRANGER, "ACK");
    w.pass(Duration::from_secs(5));
    let bye = w.expect(STRANGER, "BYE");
    w.answer(STRANGER, &bye, 200, "", "");
    w.expect_nothing();
    assert_eq!(
        w.ladder(index),
        "
imsbox         356938035643800@ims.test
  |--------- INVITE (sdp) --------->|
  |<--------- 180 INVITE -----------|
* ringing
  |<------ 200 INVITE (sdp) --------|
* start
  |-------------- ACK ------------->|
* stop: its duration of 5 s is over
  |-------------- BYE ------------->|
  |<----------- 200 BYE ------------|
"
    );
    w.quiet();
}
