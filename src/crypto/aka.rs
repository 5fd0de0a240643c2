//! UMTS AKA at the authentication centre (TS 33.102 6.3): authentication vectors and re-synchronisation, for any
//! of the algorithms that a SIM may have.
//!
//! AUTN = (SQN xor AK) || AMF || MAC-A (6.3.2), AUTS = (SQN_MS xor AK*) || MAC-S (6.3.3). Keeping SQN is the
//! caller's; `sqn::next` steps it.

use crate::crypto::compare::constant_time_eq;
use crate::crypto::milenage::{Constants, Milenage};
use crate::crypto::sqn;
use crate::crypto::tuak::{Key, Lengths, Tuak};
use crate::crypto::xor::Xor;
use arrayvec::ArrayVec;
use std::fmt;
use std::num::NonZeroU8;

/// Longest RES in octets (TS 33.102 6.3.7).
pub const MAX_RES_LEN: usize = 16;
/// Shortest RES in octets (TS 33.102 6.3.7).
pub const MIN_RES_LEN: usize = 4;
/// Octets of MAC-A and MAC-S in AUTN and AUTS, whatever TUAK could give.
const MAC_LEN: usize = 8;
/// The AMF that goes into MAC-S (TS 33.102 6.3.3).
const AMF_STAR: [u8; 2] = [0, 0];

/// Authentication functions with the subscriber key and the operator's constants.
#[derive(Clone, PartialEq, Eq)]
pub enum Functions {
    /// MILENAGE (TS 35.206).
    Milenage {
        /// K.
        k: [u8; 16],
        /// OPc; see [`crate::crypto::milenage::derive_opc`].
        opc: [u8; 16],
        /// r1..r5 and c1..c5.
        constants: Constants,
    },
    /// TUAK (TS 35.231).
    Tuak {
        /// K.
        key: Key,
        /// TOPc; see [`crate::crypto::tuak::derive_topc`].
        topc: [u8; 32],
        /// Number of Keccak permutations.
        iterations: NonZeroU8,
    },
    /// The test algorithm (TS 34.108 8.1.2).
    Xor {
        /// K.
        k: [u8; 16],
    },
}

impl fmt::Debug for Functions {
    /// The name of the algorithm, no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Functions::Milenage { .. } => "Milenage",
            Functions::Tuak { .. } => "Tuak",
            Functions::Xor { .. } => "Xor",
        })
    }
}

/// A SIM as the authentication centre knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sim {
    functions: Functions,
    amf: [u8; 2],
    res_len: usize,
}

/// A RES length in octets that the functions cannot give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadResLen(pub usize);

impl fmt::Display for BadResLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RES cannot have {} octets with this algorithm", self.0)
    }
}

impl std::error::Error for BadResLen {}

/// MAC-S does not verify: the AUTS was not made by this SIM for this RAND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongMacS;

impl fmt::Display for WrongMacS {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MAC-S of AUTS does not verify")
    }
}

impl std::error::Error for WrongMacS {}

/// An authentication vector (TS 33.102 6.3.2); Debug shows RAND and AUTN, which go over the air, and no more.
#[derive(Clone, PartialEq, Eq)]
pub struct Vector {
    /// The challenge.
    pub rand: [u8; 16],
    /// The authentication token.
    pub autn: [u8; 16],
    /// The expected response, 4 to 16 octets.
    pub xres: ArrayVec<u8, MAX_RES_LEN>,
    /// The cipher key.
    pub ck: [u8; 16],
    /// The integrity key.
    pub ik: [u8; 16],
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vector").field("rand", &self.rand).field("autn", &self.autn).finish_non_exhaustive()
    }
}

impl Sim {
    /// A SIM with its authentication management field and the length of its RES in octets.
    ///
    /// XOR gives 4 to 16 octets, TUAK 4, 8 or 16. MILENAGE gives 4 to 8; as its f2 has no more, longer lengths up to
    /// 16 mean 8.
    pub fn new(functions: Functions, amf: [u8; 2], res_len: usize) -> Result<Self, BadResLen> {
        let valid = match functions {
            Functions::Tuak { .. } => matches!(res_len, 4 | 8 | 16),
            Functions::Milenage { .. } | Functions::Xor { .. } => {
                (MIN_RES_LEN..=MAX_RES_LEN).contains(&res_len)
            }
        };
        if valid { Ok(Sim { functions, amf, res_len }) } else { Err(BadResLen(res_len)) }
    }

    fn outputs(&self, rand: &[u8; 16]) -> Outputs {
        match &self.functions {
            Functions::Milenage { k, opc, constants } => {
                let m = Milenage::new(k, opc, constants);
                Outputs {
                    res: cut(&m.f2(rand), self.res_len),
                    ck: m.f3(rand),
                    ik: m.f4(rand),
                    ak: m.f5(rand),
                }
            }
            Functions::Tuak { .. } => {
                let out = self.tuak().f2345(rand);
                Outputs {
                    res: cut(&out.res, self.res_len),
                    ck: fixed(&out.ck),
                    ik: fixed(&out.ik),
                    ak: out.ak,
                }
            }
            Functions::Xor { k } => {
                let x = Xor::new(k, rand);
                Outputs { res: cut(&x.f2(), self.res_len), ck: x.f3(), ik: x.f4(), ak: x.f5() }
            }
        }
    }

    fn mac_a(&self, rand: &[u8; 16], sqn: &[u8; 6]) -> [u8; MAC_LEN] {
        match &self.functions {
            Functions::Milenage { k, opc, constants } => {
                Milenage::new(k, opc, constants).f1(rand, sqn, &self.amf)
            }
            Functions::Tuak { .. } => fixed(&self.tuak().f1(rand, sqn, &self.amf)),
            Functions::Xor { k } => Xor::new(k, rand).f1(sqn, &self.amf),
        }
    }

    fn mac_s(&self, rand: &[u8; 16], sqn_ms: &[u8; 6]) -> [u8; MAC_LEN] {
        match &self.functions {
            Functions::Milenage { k, opc, constants } => {
                Milenage::new(k, opc, constants).f1_star(rand, sqn_ms, &AMF_STAR)
            }
            Functions::Tuak { .. } => fixed(&self.tuak().f1_star(rand, sqn_ms, &AMF_STAR)),
            Functions::Xor { k } => Xor::new(k, rand).f1(sqn_ms, &AMF_STAR),
        }
    }

    fn ak_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        match &self.functions {
            Functions::Milenage { k, opc, constants } => Milenage::new(k, opc, constants).f5_star(rand),
            Functions::Tuak { .. } => self.tuak().f5_star(rand),
            Functions::Xor { k } => Xor::new(k, rand).f5(),
        }
    }

    fn tuak(&self) -> Tuak {
        let Functions::Tuak { key, topc, iterations } = &self.functions else {
            unreachable!("called for TUAK only")
        };
        let lengths = Lengths::new(MAC_LEN, self.res_len, 16, 16).expect("`new` took this RES length");
        Tuak::new(*key, topc, *iterations, lengths)
    }
}

/// The vector of `sim` for a random challenge and the 48-bit sequence number `sqn` (TS 33.102 6.3.2).
pub fn generate(sim: &Sim, rand: &[u8; 16], sqn: u64) -> Vector {
    let sqn = sqn::octets(sqn);
    let Outputs { res, ck, ik, ak } = sim.outputs(rand);
    let mut autn = [0; 16];
    autn[..6].copy_from_slice(&xor(sqn, ak));
    autn[6..8].copy_from_slice(&sim.amf);
    autn[8..].copy_from_slice(&sim.mac_a(rand, &sqn));
    Vector { rand: *rand, autn, xres: res, ck, ik }
}

/// SQN_MS of an AUTS that answers the challenge `rand`, once MAC-S verifies (TS 33.102 6.3.5).
pub fn resynchronise(sim: &Sim, rand: &[u8; 16], auts: &[u8; 14]) -> Result<u64, WrongMacS> {
    let [a, b, c, d, e, f, mac_s @ ..] = *auts;
    let sqn_ms = xor([a, b, c, d, e, f], sim.ak_star(rand));
    if constant_time_eq(&sim.mac_s(rand, &sqn_ms), &mac_s) {
        Ok(sqn::from_octets(sqn_ms))
    } else {
        Err(WrongMacS)
    }
}

struct Outputs {
    res: ArrayVec<u8, MAX_RES_LEN>,
    ck: [u8; 16],
    ik: [u8; 16],
    ak: [u8; 6],
}

fn xor(a: [u8; 6], b: [u8; 6]) -> [u8; 6] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// The first `len` octets, or all when there are fewer.
fn cut(octets: &[u8], len: usize) -> ArrayVec<u8, MAX_RES_LEN> {
    octets.iter().copied().take(len.min(MAX_RES_LEN)).collect()
}

fn fixed<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().expect("`tuak` asks for this length")
}

#[cfg(test)]
mod tests;
