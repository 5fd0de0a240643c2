//! What is wrong with an answer that does not verify, in words: the configured keys are tried in the ways in which people
//! mistake them, against the very answer that failed. No key, password or response is put into the words.

use super::challenge::Pending;
use super::policy;
use crate::config::model::{OperatorCode, SimAlgo, User};
use crate::crypto::aka;
use crate::proto::sip::digest::{Credentials, aka as aka_digest};
use crate::wire::sip::Message;
use crate::wire::sip::text::lossy;

/// Why the answer to a challenge does not verify.
pub fn wrong_answer(
    profile: &User,
    pending: &Pending,
    given: &Credentials<'_>,
    message: &Message<'_>,
) -> String {
    let Some(vector) = &pending.vector else { return wrong_password(profile, pending, given, message) };
    if given.response.is_empty() {
        // TS 24.229 5.1.1.5.3: no response and no auts is the SIM that found MAC-A wrong
        return format!(
            "the SIM rejects our AUTN (MAC failure): K, {} or AMF of {} are not those of the SIM",
            operator_code(profile),
            who(profile)
        );
    }
    if given.algorithm_name.is_some() && given.algorithm.is_none() {
        let name = lossy(given.algorithm_name.unwrap_or_default());
        return format!("the answer names the algorithm {name}, the challenge {}", pending.algorithm.name());
    }
    let fits = |sim: &aka::Sim| {
        let vector = aka::generate(sim, &vector.rand, 0);
        let password = aka_digest::password(pending.algorithm, &vector);
        password.is_some_and(|p| given.verify(pending.algorithm, message.method_token(), message.body(), &p))
    };
    format!(
        "RES does not match: K or {} of {} are not those of the SIM{}",
        operator_code(profile),
        who(profile),
        tried(profile, fits)
    )
}

/// Why an AUTS does not verify.
pub fn wrong_auts(profile: &User, rand: &[u8; 16], auts: Option<&[u8; 14]>) -> String {
    let Some(auts) = auts else { return "the auts parameter is not base64 of 14 octets".to_owned() };
    let fits = |sim: &aka::Sim| aka::resynchronise(sim, rand, auts).is_ok();
    format!(
        "MAC-S of AUTS does not match: K or {} of {} are not those of the SIM{}",
        operator_code(profile),
        who(profile),
        tried(profile, fits)
    )
}

fn wrong_password(
    profile: &User,
    pending: &Pending,
    given: &Credentials<'_>,
    message: &Message<'_>,
) -> String {
    if given.algorithm.is_some_and(|a| a.hash() != pending.algorithm.hash())
        || given.algorithm_name.is_some() && given.algorithm.is_none()
    {
        let name = lossy(given.algorithm_name.unwrap_or_default());
        return format!("the answer uses the algorithm {name}, the challenge {}", pending.algorithm.name());
    }
    if given.response.is_empty() {
        return "the answer holds no response".to_owned();
    }
    let with =
        |password: &[u8]| given.verify(pending.algorithm, message.method_token(), message.body(), password);
    if with(b"") {
        return "the client has an empty password".to_owned();
    }
    if profile.password.as_ref().is_some_and(|p| p.trim() != p && with(p.trim().as_bytes())) {
        return "the configured pwd has blanks around the client's password".to_owned();
    }
    let realm = lossy(given.realm);
    match realm == profile.domain {
        true => format!("wrong password: pwd of {} is not the client's", who(profile)),
        false => format!(
            "wrong password, or the client computed with another realm than it says: pwd of {} does not fit with realm \
             \"{realm}\", ours is \"{}\"",
            who(profile),
            profile.domain
        ),
    }
}

/// What each usual slip comes to, for those who look for the mistake.
fn tried(profile: &User, fits: impl Fn(&aka::Sim) -> bool) -> String {
    let Some(sim) = &profile.sim else { return String::new() };
    let slips = policy::slips(sim);
    let fitting = slips.iter().find(|(_, sim)| policy::sim(sim).is_ok_and(|sim| fits(&sim)));
    match fitting {
        Some((name, _)) => format!("; tried what else it could be: {name}, then it fits"),
        None => {
            let names: Vec<&str> = slips.iter().map(|(name, _)| *name).collect();
            if names.is_empty() {
                String::new()
            } else {
                format!("; does not fit either if {}", names.join(", or if "))
            }
        }
    }
}

fn operator_code(profile: &User) -> &'static str {
    match profile.sim.as_ref().map(|sim| &sim.algo) {
        Some(SimAlgo::Milenage { op: OperatorCode::Op(_), .. }) => "op",
        Some(SimAlgo::Milenage { op: OperatorCode::Opc(_), .. }) => "opc",
        Some(SimAlgo::Tuak { .. }) => "top/topc",
        Some(SimAlgo::Xor) | None => "sim_algo xor",
    }
}

fn who(profile: &User) -> String {
    if profile.imsi.is_empty() { format!("IMPI {}", profile.impi) } else { format!("IMSI {}", profile.imsi) }
}
