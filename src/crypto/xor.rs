//! The test USIM's algorithm (TS 34.108 8.1.2): f1..f5 are a XOR of K and RAND, cut and rotated. For test cards only.

use std::fmt;

/// The functions of one key with one RAND.
pub struct Xor {
    /// XDOUT = K xor RAND.
    xdout: [u8; 16],
}

impl fmt::Debug for Xor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Xor").finish_non_exhaustive()
    }
}

impl Xor {
    /// The functions for `k` and `rand`.
    pub fn new(k: &[u8; 16], rand: &[u8; 16]) -> Self {
        Xor { xdout: std::array::from_fn(|i| k[i] ^ rand[i]) }
    }

    /// MAC; with the AMF zero it is MAC-S too (TS 34.108 8.1.2.2).
    pub fn f1(&self, sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        let cdout = sqn.iter().chain(amf);
        let mut mac = [0; 8];
        for ((mac, x), c) in mac.iter_mut().zip(self.xdout).zip(cdout) {
            *mac = x ^ c;
        }
        mac
    }

    /// RES at its full length; a shorter one is its first octets.
    pub fn f2(&self) -> [u8; 16] {
        self.xdout
    }

    /// CK.
    pub fn f3(&self) -> [u8; 16] {
        self.rotated(1)
    }

    /// IK.
    pub fn f4(&self) -> [u8; 16] {
        self.rotated(2)
    }

    /// AK, also used in AUTS.
    pub fn f5(&self) -> [u8; 6] {
        std::array::from_fn(|i| self.xdout[i + 3])
    }

    fn rotated(&self, octets: usize) -> [u8; 16] {
        let mut out = self.xdout;
        out.rotate_left(octets);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::vectors::{array, load, octets, rows};

    #[test]
    fn vectors_of_the_test_usim() {
        let file = load("xor");
        for row in rows(&file, "vectors") {
            let x = Xor::new(&array(row, "K"), &array(row, "RAND"));
            assert_eq!(x.f1(&array(row, "SQN"), &array(row, "AMF")), array(row, "MAC"), "{}", row["id"]);
            assert_eq!(x.f2(), array(row, "XDOUT"), "{}", row["id"]);
            let res_len = row["res_len"].as_u64().expect("a length") as usize;
            assert_eq!(x.f2()[..res_len], octets(row, "RES"), "{}", row["id"]);
            assert_eq!(x.f3(), array(row, "CK"), "{}", row["id"]);
            assert_eq!(x.f4(), array(row, "IK"), "{}", row["id"]);
            assert_eq!(x.f5(), array(row, "AK"), "{}", row["id"]);
            let resync = &row["resync"];
            let mac_s = x.f1(&array(resync, "SQN_MS"), &array(resync, "AMF_star"));
            assert_eq!(mac_s, array(resync, "MAC_S"), "{}", row["id"]);
        }
    }
}
