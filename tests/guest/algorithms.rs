//! Every pair of algorithms through the kernel, in both IP versions, with UDP and TCP in the same associations.

use crate::network::until;
use crate::wire::{CK, IK, Pair, TEXT, protection};
use imsbox::proto::sip::sec_agree::{Encryption, Suite};
use platform::xfrm::{Algorithms, Bound, Family, Lack, Lifetime};

const ESP: u8 = 50;

#[test]
fn every_pair_carries_udp_and_tcp_in_both_ip_versions_and_nothing_else_is_on_the_wire() {
    let mut pair = Pair::new("algos");
    for v6 in [false, true] {
        for suite in Suite::all() {
            let agreed = pair.agree(v6);
            pair.install(&agreed, suite);
            pair.packets();

            pair.exchange_udp(&agreed);
            let udp = pair.packets();
            assert_eq!(udp.len(), 3, "{suite:?} {v6}: {udp:?}");
            pair.exchange_tcp(&agreed);
            let tcp = pair.packets();
            assert!(tcp.len() >= 2 * 6, "{suite:?} {v6}: two connections with data both ways: {tcp:?}");

            let readable = suite.encryption() == Encryption::Null;
            for packet in udp.iter().chain(&tcp) {
                assert_eq!(packet.protocol, ESP, "{suite:?} {v6}: clear text on the wire");
            }
            // null encryption is readable, and shows that the look at the wire would see it
            assert!(udp.iter().all(|p| p.is_readable == readable), "{suite:?} {v6}: {udp:?}");
            assert_eq!(tcp.iter().any(|p| p.is_readable), readable, "{suite:?} {v6}: {tcp:?}");

            for state in pair.core.xfrm.states().unwrap() {
                assert!(state.counters.packets > 0, "{suite:?} {v6}: nothing went through {state:?}");
                assert_eq!((state.counters.integrity_failed, state.counters.replayed), (0, 0));
            }
            pair.remove(&agreed);
            pair.core.assert_empty();
            pair.phone.assert_empty();
        }
    }
}

#[test]
fn the_kernel_is_asked_for_every_pair_and_says_what_it_lacks() {
    let mut pair = Pair::new("probe");
    let xfrm = &mut pair.core.xfrm;
    for family in [Family::V4, Family::V6] {
        assert_eq!(xfrm.available(family), Ok(()));
        for suite in Suite::all() {
            let keys = suite.keys(&CK, &IK);
            let algorithms = protection(suite, &keys, Lifetime::ENDLESS).algorithms;
            assert_eq!(xfrm.probe(family, algorithms), Ok(()), "{suite:?} {family:?}");
        }
        let strange = Algorithms::Separate {
            integrity: "hmac(sha1)",
            integrity_key: &[0; 20],
            icv_bits: Some(96),
            encryption: "cbc(rot13)",
            encryption_key: &[0; 16],
        };
        assert_eq!(xfrm.probe(family, strange), Err(Lack::Algorithm));
        let short = Algorithms::Aead { name: "rfc4106(gcm(aes))", key: &[0; 3], icv_bits: 128 };
        assert!(matches!(xfrm.probe(family, short), Err(Lack::Other(_))));
    }
    pair.core.assert_empty();
}

#[test]
fn different_keys_are_counted_and_nothing_gets_through() {
    let mut pair = Pair::new("keys");
    for suite in Suite::all() {
        let agreed = pair.agree(false);
        let (keys, other) = (suite.keys(&CK, &IK), suite.keys(&[7; 16], &[7; 16]));
        pair.core.xfrm.install(&agreed.core, &protection(suite, &keys, Lifetime::ENDLESS)).unwrap();
        pair.phone.xfrm.install(&agreed.phone, &protection(suite, &other, Lifetime::ENDLESS)).unwrap();
        let (uc, ps) = (pair.phone.udp(agreed.core[0].from), pair.core.udp(agreed.core[0].to));
        ps.set_nonblocking(true).unwrap();
        uc.send_to(TEXT, agreed.core[0].to).unwrap();
        let id = agreed.core[0].state_id();
        until("the packet is counted", || {
            let state = pair.core.xfrm.get_state(&id, Bound::default()).unwrap().unwrap();
            state.counters.integrity_failed == 1
        });
        assert!(ps.recv(&mut [0; 100]).is_err(), "{suite:?}");
        pair.remove(&agreed);
    }
}
