//! What the core says of a set, in the terms of the kernel, and back.

use crate::proto::sip::sec_agree::{Direction, Keys, SaCounters, SaNumbers, SaSet, Suite, Transform};
use platform::xfrm::{self, Algorithms, Lifetime, Protection, Replay, StateInfo, Traffic};
use std::time::Duration;

/// The traffic of each association; both of a pair have its number.
pub fn traffic(set: &SaSet) -> [Traffic; 4] {
    let [a, b, c, d] = set.associations;
    [(a, 0), (b, 0), (c, 1), (d, 1)].map(|(association, pair)| Traffic {
        direction: match association.direction {
            Direction::In => xfrm::Direction::In,
            Direction::Out => xfrm::Direction::Out,
        },
        from: association.from,
        to: association.to,
        spi: association.spi,
        reqid: set.reqid + pair,
    })
}

/// How a set is protected, from now on until its end.
pub fn protection(set: &SaSet, lifetime: Duration) -> Protection<'_> {
    Protection { algorithms: algorithms(set.suite, &set.keys), lifetime: Lifetime::hard(lifetime) }
}

/// The algorithms of a suite with their keys.
pub fn algorithms(suite: Suite, keys: &Keys) -> Algorithms<'_> {
    match suite.transform() {
        Transform::Separate { integrity, icv_bits, encryption } => Algorithms::Separate {
            integrity,
            integrity_key: keys.integrity.as_bytes(),
            icv_bits: Some(icv_bits),
            encryption,
            encryption_key: keys.encryption.as_bytes(),
        },
        Transform::Aead { name, icv_bits } => Algorithms::Aead { name, key: keys.aead.as_bytes(), icv_bits },
    }
}

/// The counters of a state.
pub fn counters(info: &StateInfo) -> SaCounters {
    let c = &info.counters;
    SaCounters {
        packets: c.packets,
        octets: c.octets,
        replayed: c.replayed,
        integrity_failed: c.integrity_failed,
    }
}

/// Where the numbers of a state are.
pub fn numbers(info: &StateInfo) -> Option<SaNumbers> {
    info.replay.map(|Replay { sent, received, window }| SaNumbers { sent, received, window })
}

/// Where the numbers of a state go on.
pub fn replay(numbers: &SaNumbers) -> Replay {
    let SaNumbers { sent, received, window } = *numbers;
    Replay { sent, received, window }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sip::sec_agree::{Encryption, Integrity, Parameters, REQIDS, associations};

    #[test]
    fn each_pair_of_ports_has_its_number_and_both_have_the_keys() {
        let ue = Parameters { spi_c: 1, spi_s: 2, port_c: 31_112, port_s: 31_113 };
        let own = Parameters { spi_c: 3, spi_s: 4, port_c: 5100, port_s: 6100 };
        let suite = Suite::new(Integrity::HmacSha1_96, Encryption::AesCbc).unwrap();
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.77".parse().unwrap());
        let set = SaSet {
            id: 1,
            reqid: *REQIDS.start(),
            suite,
            keys: suite.keys(&[1; 16], &[2; 16]),
            associations: associations(there, &ue, here, &own),
            lifetime: Duration::from_secs(240),
        };
        let all = traffic(&set);
        assert_eq!(all.map(|t| (t.reqid - set.reqid, t.spi)), [(0, 4), (0, 1), (1, 2), (1, 3)]);
        let port_of_ours = |t: &Traffic| match t.direction {
            xfrm::Direction::In => t.to.port(),
            xfrm::Direction::Out => t.from.port(),
        };
        assert_eq!(all.each_ref().map(port_of_ours), [6100, 6100, 5100, 5100]);
        let protection = protection(&set, set.lifetime);
        assert_eq!(format!("{:?}", protection.algorithms), "hmac(sha1) cbc(aes)");
        assert_eq!(protection.lifetime.hard, Some(set.lifetime));
    }
}
