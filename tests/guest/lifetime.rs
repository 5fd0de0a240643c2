//! Lifetimes: the kernel ends what nobody extends, and says so; a refresh without challenge lets it live on.

use crate::network::until;
use crate::wire::{Agreed, CK, IK, Pair, protection};
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Suite};
use platform::xfrm::{Expired, Expiries, Lifetime, Removed};
use std::io;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn suite() -> Suite {
    Suite::new(Integrity::HmacMd5_96, Encryption::AesCbc).unwrap()
}

fn install(pair: &mut Pair, agreed: &Agreed, lifetime: Lifetime) {
    let keys = suite().keys(&CK, &IK);
    pair.core.xfrm.install(&agreed.core, &protection(suite(), &keys, lifetime)).unwrap();
    pair.phone.xfrm.install(&agreed.phone, &protection(suite(), &keys, lifetime)).unwrap();
}

/// What the kernel says until `count` lifetimes have ended.
fn news(expiries: &mut Expiries, count: usize) -> Vec<Expired> {
    let mut news = Vec::new();
    until("lifetimes end", || {
        news.extend(expiries.take().unwrap());
        news.len() >= count
    });
    news
}

#[test]
fn a_set_that_nobody_extends_is_gone_after_its_time_policies_too() {
    let mut pair = Pair::new("expire");
    let mut expiries = pair.core.within(Expiries::listen).unwrap();
    let agreed = pair.agree(true);
    install(&mut pair, &agreed, Lifetime { soft: Some(SECOND), hard: Some(8 * SECOND) });
    pair.exchange_udp(&agreed);
    let news = news(&mut expiries, 8);
    for traffic in &agreed.core {
        let ends: Vec<bool> = news.iter().filter(|n| n.id == traffic.state_id()).map(|n| n.hard).collect();
        assert_eq!(ends, [false, true], "soft, then hard");
        assert!(news.iter().any(|n| n.id == traffic.state_id() && n.reqid == traffic.reqid));
    }
    until("policies end", || pair.core.xfrm.policies().unwrap().is_empty());
    pair.core.assert_empty();
    assert_eq!(pair.core.xfrm.remove(&agreed.core).unwrap(), Removed::default());
}

#[test]
fn an_extended_set_outlives_its_first_time_with_its_counters() {
    let mut pair = Pair::new("extend");
    let mut expiries = pair.core.within(Expiries::listen).unwrap();
    let (agreed, other) = (pair.agree(false), pair.agree(false));
    install(&mut pair, &agreed, Lifetime::hard(10 * SECOND));
    install(&mut pair, &other, Lifetime::hard(11 * SECOND));
    pair.exchange_udp(&agreed);
    let keys = suite().keys(&CK, &IK);
    let longer = protection(suite(), &keys, Lifetime::hard(600 * SECOND));
    pair.core.xfrm.extend(&agreed.core, &longer).unwrap();
    pair.phone.xfrm.extend(&agreed.phone, &longer).unwrap();
    // the other set, which had more time, is the clock
    let ended = news(&mut expiries, 4);
    assert!(ended.iter().all(|n| n.hard && other.core.iter().any(|t| t.state_id() == n.id)), "{ended:?}");
    pair.exchange_udp(&agreed);
    let states = pair.core.xfrm.states().unwrap();
    assert_eq!(states.len(), 4);
    let packets: Vec<u64> = agreed
        .core
        .iter()
        .map(|t| states.iter().find(|s| s.id == t.state_id()).unwrap().counters.packets)
        .collect();
    assert_eq!(packets, [2, 0, 2, 2], "before and after");
    let error = pair.core.xfrm.extend(&other.core, &longer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    pair.remove(&agreed);
    until("policies end", || pair.core.xfrm.policies().unwrap().is_empty());
}
