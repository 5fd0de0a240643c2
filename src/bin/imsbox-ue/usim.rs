//! The card: network authentication as a USIM or ISIM does it (TS 33.102 6.3.3, 6.3.5, Annex C.2).
//!
//! The algorithms are those of `crypto`; which challenge is taken is decided here, apart from the server.

use imsbox::crypto::aka::Vector;
use imsbox::crypto::compare::constant_time_eq;
use imsbox::crypto::milenage::{Constants, Milenage};
use imsbox::crypto::sqn;
use imsbox::crypto::tuak::{Key, Lengths, Tuak};
use imsbox::crypto::xor::Xor;
use std::fmt;
use std::num::NonZeroU8;

/// The indexes that IND tells apart (TS 33.102 C.3.2: five bits).
pub const INDEXES: usize = 1 << sqn::IND_BITS;
/// How far SEQ may jump (TS 33.102 C.3.2: 2^28), so that a wrong number cannot use up the counter.
const DELTA: u64 = 1 << 28;
/// The AMF that goes into MAC-S (TS 33.102 6.3.3).
const AMF_STAR: [u8; 2] = [0, 0];

/// The authentication functions and the secrets that go into them.
#[derive(Clone, PartialEq, Eq)]
pub enum Functions {
    /// The test algorithm (TS 34.108 8.1.2).
    Xor {
        /// K.
        k: [u8; 16],
    },
    /// MILENAGE (TS 35.206).
    Milenage {
        /// K.
        k: [u8; 16],
        /// OPc.
        opc: [u8; 16],
    },
    /// TUAK (TS 35.231).
    Tuak {
        /// K.
        key: Key,
        /// TOPc.
        topc: [u8; 32],
        /// Keccak permutations.
        iterations: NonZeroU8,
    },
}

impl fmt::Debug for Functions {
    /// The name of the algorithm, no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Functions::Xor { .. } => "XOR",
            Functions::Milenage { .. } => "Milenage",
            Functions::Tuak { .. } => "TUAK",
        })
    }
}

/// What the card answers to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The challenge is taken: the vector with RES, CK and IK.
    Taken(Vector),
    /// The sequence number is not new (TS 33.102 6.3.3): AUTS asks for one above `highest`.
    Synchronise {
        /// The token that tells the network the card's own number.
        auts: [u8; 14],
        /// The number that came.
        came: u64,
        /// The highest number that was taken so far.
        highest: u64,
    },
    /// MAC-A does not verify: the network has other keys.
    WrongMac,
}

/// The sequence numbers that a card has taken: the highest SEQ for each IND (TS 33.102 C.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Taken([u64; INDEXES]);

impl Taken {
    /// The highest SQN that was taken; 0 when none was.
    pub fn highest(&self) -> u64 {
        let best = (0..INDEXES).max_by_key(|&ind| self.0[ind]).unwrap_or(0);
        if self.0[best] == 0 { 0 } else { self.0[best] << sqn::IND_BITS | best as u64 }
    }

    /// The SEQ that an index has seen.
    pub fn seq(&self, ind: usize) -> u64 {
        self.0.get(ind).copied().unwrap_or(0)
    }

    /// Remembers a SEQ for an index; what is too great for either is left out.
    pub fn set(&mut self, ind: usize, seq: u64) {
        if let Some(slot) = self.0.get_mut(ind).filter(|_| seq <= sqn::seq(sqn::MAX)) {
            *slot = seq;
        }
    }

    /// Takes a number if it is new.
    fn take(&mut self, number: u64) -> bool {
        let (seq, ind) = (sqn::seq(number), sqn::ind(number) as usize);
        let highest = sqn::seq(self.highest());
        // C.2.1: no jump beyond Δ; a card that has taken nothing yet may start anywhere
        let in_range = highest == 0 || seq.saturating_sub(highest) <= DELTA;
        // C.2.2: greater than what this index has seen
        let is_new = in_range && seq > self.0[ind];
        if is_new {
            self.0[ind] = seq;
        }
        is_new
    }
}

/// A card.
#[derive(Clone, Debug)]
pub struct Card {
    functions: Functions,
    res_len: usize,
    taken: Taken,
}

impl Card {
    /// A card whose RES has `res_len` octets (4 to 16; TUAK 4, 8 or 16), and the numbers that it has taken before.
    pub fn new(functions: Functions, res_len: usize, taken: Taken) -> Card {
        Card { functions, res_len, taken }
    }

    /// The numbers that were taken, to be kept.
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Answers a challenge (TS 33.102 6.3.3).
    pub fn authenticate(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> Answer {
        let (xres, ck, ik, ak) = self.f2345(rand);
        let number: [u8; 6] = std::array::from_fn(|i| autn[i] ^ ak[i]);
        let amf = [autn[6], autn[7]];
        if !constant_time_eq(&self.f1(rand, &number, amf), &autn[8..]) {
            return Answer::WrongMac;
        }
        let came = sqn::from_octets(number);
        if !self.taken.take(came) {
            let highest = self.taken.highest();
            return Answer::Synchronise { auts: self.auts(rand, highest), came, highest };
        }
        let res = xres.iter().copied().take(self.res_len).collect();
        Answer::Taken(Vector { rand: *rand, autn: *autn, xres: res, ck, ik })
    }

    /// TS 33.102 6.3.3: SQN_MS xor AK*, MAC-S.
    fn auts(&self, rand: &[u8; 16], number: u64) -> [u8; 14] {
        let number = sqn::octets(number);
        let (mac, ak) = match &self.functions {
            Functions::Xor { k } => {
                let x = Xor::new(k, rand);
                (x.f1(&number, &AMF_STAR), x.f5())
            }
            Functions::Milenage { k, opc } => {
                let m = Milenage::new(k, opc, &Constants::default());
                (m.f1_star(rand, &number, &AMF_STAR), m.f5_star(rand))
            }
            Functions::Tuak { .. } => {
                let t = self.tuak();
                (cut(&t.f1_star(rand, &number, &AMF_STAR)), t.f5_star(rand))
            }
        };
        let mut auts = [0; 14];
        for (i, octet) in auts.iter_mut().enumerate() {
            *octet = if i < 6 { number[i] ^ ak[i] } else { mac[i - 6] };
        }
        auts
    }

    fn f1(&self, rand: &[u8; 16], number: &[u8; 6], amf: [u8; 2]) -> [u8; 8] {
        match &self.functions {
            Functions::Xor { k } => Xor::new(k, rand).f1(number, &amf),
            Functions::Milenage { k, opc } => {
                Milenage::new(k, opc, &Constants::default()).f1(rand, number, &amf)
            }
            Functions::Tuak { .. } => cut(&self.tuak().f1(rand, number, &amf)),
        }
    }

    /// RES in full length, CK, IK, AK.
    fn f2345(&self, rand: &[u8; 16]) -> (Vec<u8>, [u8; 16], [u8; 16], [u8; 6]) {
        match &self.functions {
            Functions::Xor { k } => {
                let x = Xor::new(k, rand);
                (x.f2().to_vec(), x.f3(), x.f4(), x.f5())
            }
            Functions::Milenage { k, opc } => {
                let m = Milenage::new(k, opc, &Constants::default());
                (m.f2(rand).to_vec(), m.f3(rand), m.f4(rand), m.f5(rand))
            }
            Functions::Tuak { .. } => {
                let out = self.tuak().f2345(rand);
                (out.res.to_vec(), cut(&out.ck), cut(&out.ik), out.ak)
            }
        }
    }

    fn tuak(&self) -> Tuak {
        let Functions::Tuak { key, topc, iterations } = &self.functions else {
            unreachable!("called for TUAK only")
        };
        let lengths =
            Lengths::new(8, self.res_len, 16, 16).expect("the settings were checked for this length");
        Tuak::new(*key, topc, *iterations, lengths)
    }
}

/// An output of a length that was asked for.
fn cut<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().expect("`tuak` asks for this length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::crypto::aka;
    use imsbox::crypto::milenage::derive_opc;
    use imsbox::crypto::tuak::derive_topc;

    const K: [u8; 16] = [0x46; 16];
    const RAND: [u8; 16] = [0x23; 16];

    fn pairs() -> Vec<(Functions, aka::Functions)> {
        let opc = derive_opc(&K, &[7; 16]);
        let (key, iterations) = (Key::K256([9; 32]), NonZeroU8::MIN);
        let topc = derive_topc(&key, &[3; 32], iterations);
        vec![
            (Functions::Xor { k: K }, aka::Functions::Xor { k: K }),
            (
                Functions::Milenage { k: K, opc },
                aka::Functions::Milenage { k: K, opc, constants: Constants::default() },
            ),
            (Functions::Tuak { key, topc, iterations }, aka::Functions::Tuak { key, topc, iterations }),
        ]
    }

    #[test]
    fn the_card_and_the_authentication_centre_agree() {
        for (card, centre) in pairs() {
            let centre = aka::Sim::new(centre, [0x90, 1], 8).unwrap();
            let mut card = Card::new(card, 8, Taken::default());
            let vector = aka::generate(&centre, &RAND, 33);
            assert_eq!(card.authenticate(&vector.rand, &vector.autn), Answer::Taken(vector.clone()));
            // the same once more is no longer new, and AUTS tells the number
            let Answer::Synchronise { auts, came, highest } = card.authenticate(&vector.rand, &vector.autn)
            else {
                panic!("{card:?} took a number twice")
            };
            assert_eq!((came, highest), (33, 33));
            assert_eq!(aka::resynchronise(&centre, &RAND, &auts), Ok(33));
            let mut autn = vector.autn;
            autn[15] ^= 1;
            assert_eq!(card.authenticate(&RAND, &autn), Answer::WrongMac);
            assert_eq!(card.taken().highest(), 33);
        }
    }

    #[test]
    fn each_index_has_its_own_number() {
        let mut taken = Taken::default();
        let number = |seq: u64, ind: u64| seq << 5 | ind;
        assert!(taken.take(number(10, 3)));
        assert!(!taken.take(number(10, 3)), "the same");
        assert!(!taken.take(number(9, 3)), "an older one of this index");
        assert!(taken.take(number(9, 4)), "an older one of another index was only late");
        assert_eq!(taken.highest(), number(10, 3));
        assert!(!taken.take(number(11 + DELTA, 5)), "too far ahead");
        assert!(taken.take(number(10 + DELTA, 5)));
    }

    #[test]
    fn a_new_card_starts_anywhere() {
        let mut taken = Taken::default();
        assert_eq!(taken.highest(), 0);
        assert!(!taken.take(0), "no SEQ");
        assert!(taken.take(sqn::MAX));
        assert_eq!(taken.highest(), sqn::MAX);
    }
}
