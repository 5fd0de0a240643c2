//! Emergency calls, as the network's elements hand them on: whoever answers for the service gets everything that the phone said.

use crate::call::Play;
use crate::capture::captured;

const CENTRE: [&str; 2] = ["sip:centre@ims.test", "urn:service:sos"];

#[test]
fn location_and_offer_arrive_in_one_body_whatever_its_boundary() {
    let mut play =
        Play::new(captured("41"), &["sip:+9073990000002@ims.mnc002.mcc001.3gppnetwork.org"], &CENTRE);
    play.rings();
}

#[test]
fn two_access_networks_and_a_joined_via_are_taken() {
    Play::new(captured("58"), &["sip:73990000004@msg.pc.t-sample.com"], &CENTRE).through(None);
}

#[test]
fn a_local_emergency_number_with_a_context_is_found() {
    let number = ["sip:centre@ims.test", "tel:194;phone-context=ims.mnc001.mcc001.3gppnetwork.org"];
    let caller = ["sip:+5521900000082@ims.mnc001.mcc001.3gppnetwork.org", "tel:+5521900000082"];
    Play::new(captured("59"), &caller, &number).through(Some("07"));
}
