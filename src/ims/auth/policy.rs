//! Which algorithm a user is challenged with, and the keys for it (manual 5.2.1 `authent_type`, `pwd`, `sim_algo` and its
//! companions).
//!
//! A challenge names one algorithm. RFC 8760 2.3 allows one header for each, the preferred one first; but old clients read the
//! first header only, and one that begins with SHA-256 shuts them out, while one that begins with MD5 gains nothing, because
//! clients take the first that they know. So SHA-256 is for those who propose it.

use crate::config::model::{AuthentType, OperatorCode, OperatorCodeTuak, Sim, SimAlgo, User};
use crate::crypto::aka::{self, Functions};
use crate::crypto::milenage::{Constants, derive_opc};
use crate::crypto::tuak::{Key, derive_topc};
use crate::proto::sip::digest::{AkaVersion, Algorithm, Qop};
use smallvec::SmallVec;
use std::num::NonZeroU8;

/// Why a user cannot be challenged, in words for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKeys(pub String);

/// The algorithm for a challenge: what the client proposes if it is not weaker than the user's least authentication and the
/// keys are there, else the weakest that is enough and has its keys.
pub fn algorithm(user: &User, proposed: Option<Algorithm>) -> Result<Algorithm, NoKeys> {
    let enough = |a: &Algorithm| level(*a) >= user.authent_type && has_keys(user, *a);
    // the session variants gain nothing where every nonce serves once
    let proposed = proposed.map(|p| match p {
        Algorithm::Md5Sess => Algorithm::Md5,
        Algorithm::Sha256Sess => Algorithm::Sha256,
        Algorithm::Sha512_256Sess => Algorithm::Sha512_256,
        other => other,
    });
    const BY_STRENGTH: [Algorithm; 4] =
        [Algorithm::Md5, Algorithm::AkaV1Md5, Algorithm::AkaV2Md5, Algorithm::AkaV2Sha256];
    proposed.filter(enough).or_else(|| BY_STRENGTH.into_iter().find(enough)).ok_or_else(|| {
        let has = match (&user.password, &user.sim) {
            (None, None) => "neither a password nor SIM keys",
            (Some(_), _) => "a password but no SIM keys",
            (None, Some(_)) => "SIM keys but no password",
        };
        NoKeys(format!("IMPI {} has {has}, and authent_type asks for {:?}", user.impi, user.authent_type))
    })
}

/// The level of `authent_type` that an algorithm meets.
pub fn level(algorithm: Algorithm) -> AuthentType {
    match (algorithm.aka(), algorithm) {
        (None, _) => AuthentType::Md5,
        (Some(AkaVersion::V1), _) => AuthentType::AkaV1,
        (Some(AkaVersion::V2), Algorithm::AkaV2Sha256) => AuthentType::AkaV2Sha256,
        (Some(AkaVersion::V2), _) => AuthentType::AkaV2,
    }
}

fn has_keys(user: &User, algorithm: Algorithm) -> bool {
    match algorithm.aka() {
        Some(_) => user.sim.is_some(),
        None => user.password.is_some(),
    }
}

/// The qualities of protection that the user is offered.
pub fn offered_qop(user: &User) -> SmallVec<[Qop; 2]> {
    user.qop.iter().filter_map(|name| Qop::parse(name.as_bytes())).collect()
}

/// Whether an answer with this qop will do. Where nothing but auth-int is offered, the operator wants the body protected; else
/// an answer without any is taken as RFC 2069 has it (RFC 2617 3.2.2: older clients), although more was offered.
pub fn takes_qop(user: &User, given: Option<&[u8]>) -> bool {
    let insists = offered_qop(user)[..] == [Qop::AuthInt];
    !insists || given.and_then(Qop::parse) == Some(Qop::AuthInt)
}

/// The authentication functions of the configured SIM.
pub fn sim(sim: &Sim) -> Result<aka::Sim, NoKeys> {
    let functions = match &sim.algo {
        SimAlgo::Xor => Functions::Xor { k: k16(sim)? },
        SimAlgo::Milenage { op, r, c } => {
            let k = k16(sim)?;
            let opc = match op {
                OperatorCode::Op(op) => derive_opc(&k, op),
                OperatorCode::Opc(opc) => *opc,
            };
            Functions::Milenage { k, opc, constants: Constants { r: *r, c: *c } }
        }
        SimAlgo::Tuak { top, keccak_iter } => {
            let key = tuak_key(sim)?;
            let iterations = u8::try_from(*keccak_iter).ok().and_then(NonZeroU8::new);
            let iterations = iterations.ok_or_else(|| NoKeys("keccak_iter is not 1 to 255".into()))?;
            let topc = match top {
                OperatorCodeTuak::Top(top) => derive_topc(&key, top, iterations),
                OperatorCodeTuak::Topc(topc) => *topc,
            };
            Functions::Tuak { key, topc, iterations }
        }
    };
    aka::Sim::new(functions, sim.amf, sim.res_len).map_err(|e| NoKeys(format!("res_len: {e}")))
}

fn k16(sim: &Sim) -> Result<[u8; 16], NoKeys> {
    let wrong = || NoKeys(format!("K has {} octets, not 16", sim.k.len()));
    sim.k.as_slice().try_into().map_err(|_| wrong())
}

fn tuak_key(sim: &Sim) -> Result<Key, NoKeys> {
    let k = sim.k.as_slice();
    let short = k.try_into().ok().map(Key::K128);
    short
        .or_else(|| k.try_into().ok().map(Key::K256))
        .ok_or_else(|| NoKeys(format!("K has {} octets, neither 16 nor 32", sim.k.len())))
}
