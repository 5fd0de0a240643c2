//! Sets in the kernel: all or nothing, old beside new, guarded ports, what an earlier run left behind.

use crate::wire::{Agreed, CK, IK, Pair, protection};
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Suite};
use platform::xfrm::{Lifetime, Ours, Removed, guard};
use std::io;
use std::net::SocketAddr;

fn suite() -> Suite {
    Suite::new(Integrity::HmacSha1_96, Encryption::AesCbc).unwrap()
}

/// Puts the core's side alone into its kernel.
fn install_core(pair: &mut Pair, agreed: &Agreed) -> io::Result<()> {
    let keys = suite().keys(&CK, &IK);
    pair.core.xfrm.install(&agreed.core, &protection(suite(), &keys, Lifetime::ENDLESS))
}

#[test]
fn a_set_that_collides_with_another_leaves_no_part_of_itself() {
    let mut pair = Pair::new("whole");
    for v6 in [false, true] {
        let (first, mut second) = (pair.agree(v6), pair.agree(v6));
        install_core(&mut pair, &first).unwrap();
        let before = (pair.core.xfrm.states().unwrap(), pair.core.xfrm.policies().unwrap());
        // an SPI of ours that is taken
        second.core[3].spi = first.core[3].spi;
        let error = install_core(&mut pair, &second).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().starts_with("security association from "), "{error}");
        assert_eq!((pair.core.xfrm.states().unwrap(), pair.core.xfrm.policies().unwrap()), before);
        // ports that are taken
        let mut third = pair.agree(v6);
        (third.core[2].from, third.core[2].to) = (first.core[2].from, first.core[2].to);
        let error = install_core(&mut pair, &third).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().starts_with("policy from "), "{error}");
        assert_eq!((pair.core.xfrm.states().unwrap(), pair.core.xfrm.policies().unwrap()), before);
        assert_eq!(pair.core.xfrm.remove(&first.core).unwrap(), Removed { states: 4, policies: 4 });
        assert_eq!(pair.core.xfrm.remove(&first.core).unwrap(), Removed::default());
        pair.core.assert_empty();
    }
}

#[test]
fn a_new_set_works_beside_the_old_one_and_after_it() {
    let mut pair = Pair::new("beside");
    for v6 in [false, true] {
        let old = pair.agree(v6);
        let mut new = pair.agree(v6);
        // a phone keeps its server port and the core keeps its own when associations are renewed (TS 33.203 7.4)
        for (kept, set) in [(&old.core, &mut new.core), (&old.phone, &mut new.phone)] {
            (set[0].to, set[1].from) = (kept[0].to, kept[1].from);
            (set[2].to, set[3].from) = (kept[2].to, kept[3].from);
        }
        pair.install(&old, suite());
        pair.exchange_udp(&old);
        pair.install(&new, suite());
        pair.packets();
        pair.exchange_udp(&new);
        pair.exchange_udp(&old);
        pair.exchange_tcp(&new);
        pair.remove(&old);
        pair.exchange_udp(&new);
        assert!(pair.packets().iter().all(|p| p.protocol == 50));
        for state in pair.core.xfrm.states().unwrap() {
            assert!(state.counters.packets > 0, "{state:?}");
        }
        pair.remove(&new);
    }
    pair.core.assert_empty();
    pair.phone.assert_empty();
}

#[test]
fn clear_packets_to_a_protected_port_are_dropped_and_none_leave_it() {
    let mut pair = Pair::new("guard");
    for v6 in [false, true] {
        let agreed = pair.agree(v6);
        let (ps, uc) = (agreed.core[0].to, agreed.core[0].from);
        for policy in guard(ps).iter().chain(&guard(ps)) {
            pair.core.xfrm.update_policy(policy).unwrap();
        }
        assert_eq!(pair.core.xfrm.policies().unwrap().len(), 2, "twice is as good as once");
        pair.packets();
        {
            let (core, phone) = (pair.core.udp(ps), pair.phone.udp(uc));
            assert!(!pair.gets_through(&phone, &core), "clear text came in");
            assert!(!pair.gets_through(&core, &phone), "clear text went out");
            let seen = pair.packets();
            assert!(matches!(&seen[..], [only] if only.protocol == 17), "the phone's own: {seen:?}");
        }
        // the set opens what the guard closes
        pair.install(&agreed, suite());
        pair.exchange_udp(&agreed);
        pair.exchange_tcp(&agreed);
        pair.remove(&agreed);
        let (core, phone) = (pair.core.udp(ps), pair.phone.udp(uc));
        assert!(!pair.gets_through(&core, &phone), "clear text went out after the set was gone");
        let ours = Ours { reqids: 0..=0, addresses: &[] };
        assert_eq!(pair.core.xfrm.remove_ours(&ours).unwrap(), Removed { states: 0, policies: 2 });
        assert!(pair.gets_through(&core, &phone), "without guard it does");
    }
    pair.core.assert_empty();
}

#[test]
fn a_packet_that_does_not_come_through_its_own_association_is_dropped() {
    let mut pair = Pair::new("cross");
    let agreed = pair.agree(false);
    pair.install(&agreed, suite());
    // the phone's request to the server port, in the association that is for its answers to the client port
    let [to_server, .., to_client] = agreed.phone;
    let mut crossed = to_server;
    (crossed.spi, crossed.reqid) = (to_client.spi, to_client.reqid);
    pair.phone.xfrm.update_policy(&crossed.policy(Lifetime::ENDLESS)).unwrap();
    let (uc, ps) = (pair.phone.udp(to_server.from), pair.core.udp(to_server.to));
    pair.packets();
    assert!(!pair.gets_through(&uc, &ps));
    assert!(pair.packets().iter().any(|p| p.protocol == 50), "it went out, protected");
    pair.phone.xfrm.update_policy(&to_server.policy(Lifetime::ENDLESS)).unwrap();
    assert!(pair.gets_through(&uc, &ps));
}

#[test]
fn what_an_earlier_run_left_is_found_by_number_and_address_and_removed() {
    let mut pair = Pair::new("stale");
    let (left, others, elsewhere) = (pair.agree(false), pair.agree(false), pair.agree(true));
    for agreed in [&left, &others, &elsewhere] {
        install_core(&mut pair, agreed).unwrap();
    }
    let port = SocketAddr::new(pair.core.v4, 5063);
    guard(port).iter().for_each(|p| pair.core.xfrm.update_policy(p).unwrap());
    let first = left.core[0].reqid;
    let addresses = [pair.core.v4];
    let ours = Ours { reqids: first..=first + 1, addresses: &addresses };
    // a new run opens the kernel anew
    pair.core.xfrm = pair.core.within(platform::xfrm::Xfrm::open).unwrap();
    assert_eq!(pair.core.xfrm.remove_ours(&ours).unwrap(), Removed { states: 4, policies: 6 });
    let reqids = others.core[0].reqid..=elsewhere.core[3].reqid;
    let states = pair.core.xfrm.states().unwrap();
    assert_eq!(states.len(), 8);
    assert!(states.iter().all(|s| reqids.contains(&s.reqid)));
    let ours = Ours { reqids: first..=*reqids.end(), addresses: &addresses };
    assert_eq!(pair.core.xfrm.remove_ours(&ours).unwrap(), Removed { states: 4, policies: 4 });
    let ours = Ours { addresses: &[], ..ours };
    assert_eq!(pair.core.xfrm.remove_ours(&ours).unwrap(), Removed { states: 4, policies: 4 });
    pair.core.assert_empty();
}

#[test]
fn thousands_of_sets_come_and_go() {
    const COUNT: usize = 2000;
    let mut pair = Pair::new("many");
    let all: Vec<Agreed> = (0..COUNT).map(|i| pair.agree(i % 2 == 1)).collect();
    for agreed in &all {
        install_core(&mut pair, agreed).unwrap();
    }
    assert_eq!(pair.core.xfrm.states().unwrap().len(), 4 * COUNT);
    assert_eq!(pair.core.xfrm.policies().unwrap().len(), 4 * COUNT);
    let keys = suite().keys(&CK, &IK);
    let last = &all[COUNT - 1];
    let endless = protection(suite(), &keys, Lifetime::ENDLESS);
    pair.phone.xfrm.install(&last.phone, &endless).unwrap();
    pair.exchange_udp(last);
    for agreed in &all[..COUNT / 2] {
        assert_eq!(pair.core.xfrm.remove(&agreed.core).unwrap(), Removed { states: 4, policies: 4 });
    }
    let half = 4 * (COUNT - COUNT / 2);
    let ours = Ours { reqids: 0..=u32::MAX, addresses: &[] };
    assert_eq!(pair.core.xfrm.remove_ours(&ours).unwrap(), Removed { states: half, policies: half });
    pair.core.assert_empty();
}
