//! TUAK (TS 35.231): TOPc, f1, f1*, f2345 and f5* on Keccak-f\[1600\], with 128 or 256-bit keys.
//!
//! Every value enters and leaves the state with its octets reversed (TS 35.231 clause 6).

use arrayvec::ArrayVec;
use keccak::Keccak;
use std::fmt;
use std::num::NonZeroU8;

/// An output of variable length, at most 32 octets.
pub type Octets = ArrayVec<u8, 32>;

/// A subscriber key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// 128 bits.
    K128([u8; 16]),
    /// 256 bits.
    K256([u8; 32]),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Key::K128(_) => "K128(..)",
            Key::K256(_) => "K256(..)",
        })
    }
}

impl Key {
    fn octets(&self) -> &[u8] {
        match self {
            Key::K128(k) => k,
            Key::K256(k) => k,
        }
    }

    /// The bit of INSTANCE that tells the key's length.
    fn instance(&self) -> u8 {
        u8::from(matches!(self, Key::K256(_)))
    }
}

/// Lengths of the outputs in octets; they are part of the input of every function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    mac: u8,
    res: u8,
    ck: u8,
    ik: u8,
}

impl Lengths {
    /// Lengths of MAC (8, 16, 32), RES (4, 8, 16, 32), CK and IK (16, 32); `None` for others.
    pub fn new(mac: usize, res: usize, ck: usize, ik: usize) -> Option<Self> {
        let valid = matches!(mac, 8 | 16 | 32)
            && matches!(res, 4 | 8 | 16 | 32)
            && matches!(ck, 16 | 32)
            && matches!(ik, 16 | 32);
        valid.then_some(Lengths { mac: mac as u8, res: res as u8, ck: ck as u8, ik: ik as u8 })
    }
}

/// What f2, f3, f4 and f5 give, which is one computation; Debug shows none of it.
pub struct F2345 {
    /// RES (f2).
    pub res: Octets,
    /// CK (f3).
    pub ck: Octets,
    /// IK (f4).
    pub ik: Octets,
    /// AK (f5).
    pub ak: [u8; 6],
}

impl fmt::Debug for F2345 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("F2345").finish_non_exhaustive()
    }
}

/// TOPc of an operator's TOP under the subscriber key (TS 35.231 6.1).
pub fn derive_topc(key: &Key, top: &[u8; 32], iterations: NonZeroU8) -> [u8; 32] {
    let mut state = State::new(top, key.instance(), key);
    state.permute(iterations);
    state.output(0)
}

/// The functions of one subscriber key.
pub struct Tuak {
    key: Key,
    topc: [u8; 32],
    iterations: NonZeroU8,
    lengths: Lengths,
}

impl fmt::Debug for Tuak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tuak").field("lengths", &self.lengths).finish_non_exhaustive()
    }
}

/// INSTANCE of f1* beside f1's (TS 35.231 6.3).
const F1_STAR: u8 = 0x80;
/// INSTANCE of f2345 (6.4).
const F2345: u8 = 0x40;
/// INSTANCE of f5* (6.5).
const F5_STAR: u8 = 0xc0;

impl Tuak {
    /// The functions for `key`, `topc`, the number of Keccak permutations and the lengths of the outputs.
    pub fn new(key: Key, topc: &[u8; 32], iterations: NonZeroU8, lengths: Lengths) -> Self {
        Tuak { key, topc: *topc, iterations, lengths }
    }

    /// MAC-A.
    pub fn f1(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> Octets {
        self.mac(self.lengths.mac, rand, sqn, amf)
    }

    /// MAC-S; on the air `amf` is zero (TS 33.102 6.3.3).
    pub fn f1_star(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> Octets {
        self.mac(self.lengths.mac | F1_STAR, rand, sqn, amf)
    }

    /// RES, CK, IK and AK.
    pub fn f2345(&self, rand: &[u8; 16]) -> F2345 {
        let Lengths { res, ck, ik, .. } = self.lengths;
        // RES of 32 bits is coded as zero, the longer ones as their number of octets.
        let res_code = if res == 4 { 0 } else { res };
        let key_code = u8::from(ck == 32) << 2 | u8::from(ik == 32) << 1;
        let state = self.run(F2345 | res_code | key_code, rand, None);
        F2345 {
            res: state.output_of(0, res),
            ck: state.output_of(32, ck),
            ik: state.output_of(64, ik),
            ak: state.output(96),
        }
    }

    /// AK*.
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        self.run(F5_STAR, rand, None).output(96)
    }

    fn mac(&self, instance: u8, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> Octets {
        self.run(instance, rand, Some((sqn, amf))).output_of(0, self.lengths.mac)
    }

    fn run(&self, instance: u8, rand: &[u8; 16], sqn_amf: Option<(&[u8; 6], &[u8; 2])>) -> State {
        let mut state = State::new(&self.topc, instance | self.key.instance(), &self.key);
        state.input(40, rand);
        if let Some((sqn, amf)) = sqn_amf {
            state.input(56, amf);
            state.input(58, sqn);
        }
        state.permute(self.iterations);
        state
    }
}

/// The 1600 bits that Keccak permutes, as octets of the specification's numbering.
struct State([u8; 200]);

impl State {
    /// What all functions share: TOP or TOPc, INSTANCE, ALGONAME, K and the padding (TS 35.231 6.2).
    fn new(operator: &[u8; 32], instance: u8, key: &Key) -> Self {
        let mut state = State([0; 200]);
        state.input(0, operator);
        state.0[32] = instance;
        state.input(33, b"TUAK1.0");
        state.input(64, key.octets());
        state.0[96] = 0x1f;
        state.0[135] = 0x80;
        state
    }

    fn input(&mut self, at: usize, value: &[u8]) {
        for (octet, v) in self.0[at..at + value.len()].iter_mut().zip(value.iter().rev()) {
            *octet = *v;
        }
    }

    fn output<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|i| self.0[at + N - 1 - i])
    }

    fn output_of(&self, at: usize, len: u8) -> Octets {
        self.0[at..at + usize::from(len)].iter().rev().copied().collect()
    }

    fn permute(&mut self, iterations: NonZeroU8) {
        let mut lanes = [0u64; 25];
        for (lane, octets) in lanes.iter_mut().zip(self.0.as_chunks::<8>().0) {
            *lane = u64::from_le_bytes(*octets);
        }
        Keccak::new().with_f1600(|f1600| (0..iterations.get()).for_each(|_| f1600(&mut lanes)));
        for (octets, lane) in self.0.as_chunks_mut::<8>().0.iter_mut().zip(lanes) {
            *octets = lane.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::vectors::{array, load, octets, rows};
    use serde_json::Value;

    fn key(row: &Value) -> Key {
        let k = octets(row, "K");
        k.as_slice().try_into().map(Key::K128).unwrap_or_else(|_| Key::K256(array(row, "K")))
    }

    fn lengths(row: &Value) -> Lengths {
        let of = |name: &str| row["lengths_bits"][name].as_u64().expect("a length") as usize / 8;
        Lengths::new(of("MAC"), of("RES"), of("CK"), of("IK")).expect("lengths of the specification")
    }

    #[test]
    fn keccak_f1600_vectors() {
        let file = load("tuak");
        for row in rows(&file, "keccak_f1600") {
            let mut state = State(array(row, "in"));
            state.permute(NonZeroU8::MIN);
            assert_eq!(state.0.as_slice(), octets(row, "out"), "{}", row["id"]);
        }
    }

    #[test]
    fn published_and_computed_vectors() {
        let file = load("tuak");
        for row in rows(&file, "vectors").iter().chain(rows(&file, "computed_vectors")) {
            let key = key(row);
            let iterations = row["KeccakIterations"].as_u64().expect("a number") as u8;
            let iterations = NonZeroU8::new(iterations).expect("at least one");
            let topc = derive_topc(&key, &array(row, "TOP"), iterations);
            assert_eq!(topc, array(row, "TOPc"), "{}", row["id"]);
            let t = Tuak::new(key, &topc, iterations, lengths(row));
            let (rand, sqn, amf) = (array(row, "RAND"), array(row, "SQN"), array(row, "AMF"));
            assert_eq!(t.f1(&rand, &sqn, &amf)[..], octets(row, "f1"), "{}", row["id"]);
            assert_eq!(t.f1_star(&rand, &sqn, &amf)[..], octets(row, "f1star"), "{}", row["id"]);
            let out = t.f2345(&rand);
            assert_eq!(out.res[..], octets(row, "f2"), "{}", row["id"]);
            assert_eq!(out.ck[..], octets(row, "f3"), "{}", row["id"]);
            assert_eq!(out.ik[..], octets(row, "f4"), "{}", row["id"]);
            assert_eq!(out.ak, array(row, "f5"), "{}", row["id"]);
            assert_eq!(t.f5_star(&rand), array(row, "f5star"), "{}", row["id"]);
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        assert!(Lengths::new(8, 8, 16, 16).is_some());
        for (mac, res, ck, ik) in [(4, 8, 16, 16), (8, 12, 16, 16), (8, 8, 8, 16), (8, 8, 16, 24)] {
            assert_eq!(Lengths::new(mac, res, ck, ik), None);
        }
    }
}
