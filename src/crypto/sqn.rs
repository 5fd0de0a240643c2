//! Sequence numbers of the AuC: SQN = SEQ || IND (TS 33.102 Annex C.1.1), not time-based (profile 2, C.3.2).
//!
//! The IND of 5 bits is an index into the array of 32 SEQ values in the USIM; consecutive vectors use consecutive
//! indices, so that a vector which arrives late or never does not spoil the others.

/// Bits of SQN.
pub const SQN_BITS: u32 = 48;
/// Bits of IND (C.3.2).
pub const IND_BITS: u32 = 5;
/// The greatest SQN.
pub const MAX: u64 = (1 << SQN_BITS) - 1;

/// The SQN of the next vector: SEQ and IND both one up, IND modulo 32 (C.1.1.3, C.1.2).
///
/// Greater than `sqn` and of a greater SEQ, so the same call continues from the SQN_MS of a re-synchronisation
/// (6.3.5). `None` when SEQ is used up: the counter never goes backwards, because a USIM takes no such number (C.2.2).
pub fn next(sqn: u64) -> Option<u64> {
    after(sqn, 1)
}

/// The SQN so many vectors later, as [`next`] counts.
pub fn after(sqn: u64, vectors: u64) -> Option<u64> {
    let later = seq(sqn).checked_add(vectors).filter(|later| *later <= seq(MAX))?;
    let ind = (ind(sqn) + vectors) % (1 << IND_BITS);
    Some(later << IND_BITS | ind)
}

/// The sequence part of `sqn`.
pub fn seq(sqn: u64) -> u64 {
    (sqn & MAX) >> IND_BITS
}

/// The index part of `sqn`.
pub fn ind(sqn: u64) -> u64 {
    sqn & ((1 << IND_BITS) - 1)
}

/// The six octets of `sqn`, most significant first; higher bits are dropped.
pub fn octets(sqn: u64) -> [u8; 6] {
    let [_, _, octets @ ..] = sqn.to_be_bytes();
    octets
}

/// The number that six octets hold.
pub fn from_octets(octets: [u8; 6]) -> u64 {
    octets.iter().fold(0, |sqn, octet| sqn << 8 | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seq_always_grows_and_ind_goes_round() {
        let mut sqn = 0;
        for step in 1..=100 {
            let following = next(sqn).expect("far from the end");
            assert_eq!(seq(following), step);
            assert_eq!(ind(following), step % 32);
            assert!(following > sqn);
            sqn = following;
        }
    }

    #[test]
    fn the_end_of_the_counter_is_not_wrapped() {
        assert_eq!(next(MAX), None);
        assert_eq!(next(MAX - 31), None);
        let last = next(MAX - 32).expect("one SEQ left");
        assert_eq!(seq(last), seq(MAX));
        assert_eq!(next(last), None);
    }

    #[test]
    fn many_vectors_later_is_what_one_after_the_other_comes_to() {
        for start in [0, 0x21, 0xff9b_b4d0_b607] {
            let mut sqn = start;
            for vectors in 0..100 {
                assert_eq!(after(start, vectors), Some(sqn));
                sqn = next(sqn).expect("far from the end");
            }
        }
        assert_eq!(after(0, seq(MAX)), Some(MAX), "IND is all ones by then");
        assert_eq!((after(1, seq(MAX) + 1), after(32, u64::MAX)), (None, None));
    }

    #[test]
    fn octets_are_big_endian() {
        assert_eq!(octets(0xff9b_b4d0_b607), [0xff, 0x9b, 0xb4, 0xd0, 0xb6, 0x07]);
        for sqn in [0, 1, 32, 0xff9b_b4d0_b607, MAX] {
            assert_eq!(from_octets(octets(sqn)), sqn);
        }
    }
}
