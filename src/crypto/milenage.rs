//! MILENAGE (TS 35.206): f1, f1*, f2, f3, f4, f5, f5* on AES-128 with OPc and the constants r1..r5, c1..c5.
//!
//! All arithmetic is on 128-bit numbers whose bit 0 of the specification is the most significant one.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use std::fmt;

/// The rotations r1..r5, in bits, and the constants c1..c5 (TS 35.206 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constants {
    /// Rotations towards the most significant bit; taken modulo 128.
    pub r: [u8; 5],
    /// Constants that are added.
    pub c: [[u8; 16]; 5],
}

impl Default for Constants {
    /// The values of TS 35.206 4.1.
    fn default() -> Self {
        let c = |n: u128| n.to_be_bytes();
        Constants { r: [64, 0, 32, 64, 96], c: [c(0), c(1), c(2), c(4), c(8)] }
    }
}

/// OPc of an operator's OP under the subscriber key `k` (TS 35.206 4.1).
pub fn derive_opc(k: &[u8; 16], op: &[u8; 16]) -> [u8; 16] {
    let op = u128::from_be_bytes(*op);
    (encrypt(&cipher(k), op) ^ op).to_be_bytes()
}

/// The functions of one subscriber key.
pub struct Milenage {
    aes: Aes128,
    opc: u128,
    constants: Constants,
}

impl fmt::Debug for Milenage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Milenage").finish_non_exhaustive()
    }
}

impl Milenage {
    /// The functions for key `k`, `opc` and constants.
    pub fn new(k: &[u8; 16], opc: &[u8; 16], constants: &Constants) -> Self {
        Milenage { aes: cipher(k), opc: u128::from_be_bytes(*opc), constants: *constants }
    }

    /// MAC-A, the network authentication code.
    pub fn f1(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        first_half(self.out1(rand, sqn, amf))
    }

    /// MAC-S, the re-synchronisation code; on the air `amf` is zero (TS 33.102 6.3.3).
    pub fn f1_star(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        second_half(self.out1(rand, sqn, amf))
    }

    /// RES.
    pub fn f2(&self, rand: &[u8; 16]) -> [u8; 8] {
        second_half(self.out(2, rand))
    }

    /// CK.
    pub fn f3(&self, rand: &[u8; 16]) -> [u8; 16] {
        self.out(3, rand).to_be_bytes()
    }

    /// IK.
    pub fn f4(&self, rand: &[u8; 16]) -> [u8; 16] {
        self.out(4, rand).to_be_bytes()
    }

    /// AK, which conceals SQN in AUTN.
    pub fn f5(&self, rand: &[u8; 16]) -> [u8; 6] {
        first_48(self.out(2, rand))
    }

    /// AK*, which conceals SQN_MS in AUTS.
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        first_48(self.out(5, rand))
    }

    /// OUT1 of TS 35.206 4.1.
    fn out1(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> u128 {
        let mut input = [0; 16];
        for half in input.chunks_exact_mut(8) {
            half[..6].copy_from_slice(sqn);
            half[6..].copy_from_slice(amf);
        }
        let (r1, c1) = self.constant(1);
        let input = u128::from_be_bytes(input) ^ self.opc;
        encrypt(&self.aes, self.temp(rand) ^ input.rotate_left(r1) ^ c1) ^ self.opc
    }

    /// OUT2..OUT5 of TS 35.206 4.1.
    fn out(&self, number: usize, rand: &[u8; 16]) -> u128 {
        let (r, c) = self.constant(number);
        encrypt(&self.aes, (self.temp(rand) ^ self.opc).rotate_left(r) ^ c) ^ self.opc
    }

    fn temp(&self, rand: &[u8; 16]) -> u128 {
        encrypt(&self.aes, u128::from_be_bytes(*rand) ^ self.opc)
    }

    fn constant(&self, number: usize) -> (u32, u128) {
        let Constants { r, c } = &self.constants;
        (u32::from(r[number - 1]), u128::from_be_bytes(c[number - 1]))
    }
}

fn cipher(k: &[u8; 16]) -> Aes128 {
    Aes128::new(&Array::from(*k))
}

fn encrypt(aes: &Aes128, block: u128) -> u128 {
    let mut block = Array::from(block.to_be_bytes());
    aes.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

fn first_half(out: u128) -> [u8; 8] {
    ((out >> 64) as u64).to_be_bytes()
}

fn second_half(out: u128) -> [u8; 8] {
    (out as u64).to_be_bytes()
}

fn first_48(out: u128) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = out.to_be_bytes();
    [a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::vectors::{array, load, rows};

    #[test]
    fn published_vectors() {
        let file = load("milenage");
        for row in rows(&file, "vectors") {
            let (k, rand, sqn, amf) =
                (array(row, "K"), array(row, "RAND"), array(row, "SQN"), array(row, "AMF"));
            let opc = derive_opc(&k, &array(row, "OP"));
            assert_eq!(opc, array(row, "OPc"), "{}", row["id"]);
            let m = Milenage::new(&k, &opc, &Constants::default());
            assert_eq!(m.f1(&rand, &sqn, &amf), array(row, "f1"), "{}", row["id"]);
            assert_eq!(m.f1_star(&rand, &sqn, &amf), array(row, "f1star"), "{}", row["id"]);
            assert_eq!(m.f2(&rand), array(row, "f2"), "{}", row["id"]);
            assert_eq!(m.f3(&rand), array(row, "f3"), "{}", row["id"]);
            assert_eq!(m.f4(&rand), array(row, "f4"), "{}", row["id"]);
            assert_eq!(m.f5(&rand), array(row, "f5"), "{}", row["id"]);
            assert_eq!(m.f5_star(&rand), array(row, "f5star"), "{}", row["id"]);
        }
    }

    #[test]
    fn each_constant_changes_its_own_function_only() {
        let (k, opc, rand, sqn, amf) = ([0x11; 16], [0x22; 16], [0x33; 16], [1, 2, 3, 4, 5, 6], [0x80, 0]);
        let outputs = |constants: &Constants| {
            let m = Milenage::new(&k, &opc, constants);
            [m.out1(&rand, &sqn, &amf), m.out(2, &rand), m.out(3, &rand), m.out(4, &rand), m.out(5, &rand)]
        };
        let standard = outputs(&Constants::default());
        for changed in 0..5 {
            let mut r = Constants::default();
            r.r[changed] += 8;
            let mut c = Constants::default();
            c.c[changed][0] ^= 0x80;
            for other in [outputs(&r), outputs(&c)] {
                for (i, (a, b)) in standard.iter().zip(other).enumerate() {
                    assert_eq!(*a == b, i != changed, "constant {} output {}", changed + 1, i + 1);
                }
            }
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let m = Milenage::new(&[0xab; 16], &[0xcd; 16], &Constants::default());
        assert_eq!(format!("{m:?}"), "Milenage { .. }");
    }
}
