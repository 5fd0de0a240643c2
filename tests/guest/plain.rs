//! Phones without IPsec: what they do is seen in clear on the wire, and nobody's kernel is asked for anything.

use crate::network::{Network, until};
use crate::people::{ALICE, MILENAGE, USERS};
use crate::program::{Ims, SIP_PORT};
use crate::seen::{Kind, count, take};
use std::net::SocketAddr;

#[test]
fn a_phone_without_ipsec_registers_calls_and_leaves_and_the_kernels_stay_empty() {
    let mut network = Network::new("plain", 1);
    let mut ims = Ims::start(&network.core, USERS);
    for v6 in [false, true] {
        let pcscf = SocketAddr::new(network.core.address(v6), SIP_PORT);
        for transport in ["--udp", "--tcp"] {
            for who in [ALICE, MILENAGE] {
                take(&mut network.phones[0]);
                let options = [who, &[transport]].concat();
                let script = "register; expect registered; call 666 0.5; expect rtp-loss = 0; expect echo = 100; deregister";
                let text = ims.phone(&network.phones[0].phone, pcscf, &options, script).succeeds();
                assert!(text.ends_with("\nderegistered"), "{transport} {pcscf}: {text}");

                // the sniffer sees what there is to be seen, so that seeing none of it means something elsewhere
                let seen = take(&mut network.phones[0]);
                assert_eq!((count(&seen, Kind::Esp), count(&seen, Kind::Other)), (0, 0), "{seen:#?}");
                assert!(count(&seen, Kind::Sip) >= 2 * 6, "{seen:#?}");
                assert!(count(&seen, Kind::Media) >= 2 * 20, "{seen:#?}");
                assert!(transport == "--udp" || count(&seen, Kind::Bare) > 0, "{seen:#?}");
                for line in ["REGISTER sip:", "SIP/2.0 401 ", "INVITE ", "BYE "] {
                    assert!(
                        seen.iter().any(|s| s.kind == Kind::Sip && s.line.starts_with(line)),
                        "{line}: {seen:#?}"
                    );
                }
            }
        }
    }
    network.phones[0].phone.assert_empty();
    ims.stop();
    network.core.assert_empty();
}

#[test]
fn two_phones_without_ipsec_talk_and_a_wrong_key_is_named() {
    let mut network = Network::new("talk", 2);
    let ims = Ims::start(&network.core, USERS);
    for v6 in [false, true] {
        let pcscf = SocketAddr::new(network.core.address(v6), SIP_PORT);
        let [one, other] = &network.phones[..] else { panic!("two phones") };
        let script = "register; auto-answer on; wait ended 60; expect rtp-lost 0; expect rtp-received > 10";
        let mut callee = ims.phone(&one.phone, pcscf, MILENAGE, script);
        callee.until("registered as");
        let script = "register; call 603 0.5; expect rtp-loss = 0; expect rtp-received > 10; expect echo 0";
        ims.phone(&other.phone, pcscf, ALICE, script).succeeds();
        callee.succeeds();
    }
    let pcscf = SocketAddr::new(network.core.v4, SIP_PORT);
    let wrong = [MILENAGE, &["--k", "00000000000000000000000000000000"]].concat();
    let text = ims.phone(&network.phones[0].phone, pcscf, &wrong, "register").fails();
    assert!(text.contains("the network's key differs"), "{text}");
    assert!(ims.log().contains("the SIM rejects our AUTN (MAC failure)"), "{}", ims.log());
    network.phones.iter_mut().for_each(|link| link.phone.assert_empty());
}

#[test]
fn a_phone_without_ipsec_comes_back_to_an_ims_that_was_killed() {
    let network = Network::new("back", 1);
    let mut ims = Ims::start(&network.core, &format!("{USERS} binding_expires: 6,"));
    let pcscf = SocketAddr::new(network.core.v6, SIP_PORT);
    let script = "register; wait incoming 60";
    let mut phone = ims.phone(&network.phones[0].phone, pcscf, MILENAGE, script);
    phone.until("registered as");
    ims.kill();
    ims.run(&network.core);
    assert!(!ims.monitor(&["users"]).contains("fd09::2"), "nothing is known of it");
    phone.until("registration refreshed");
    until("the IMS knows it again", || ims.monitor(&["users"]).contains("fd09::2"));
}
