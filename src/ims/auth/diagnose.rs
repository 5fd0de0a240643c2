//! What is wrong with an answer that does not verify, in words: the configured keys are tried in the ways in which people
//! mistake them, against the very answer that failed. No key, password or response is put into the words.

use super::challenge::Pending;
use super::policy;
use crate::config::model::{OperatorCode, OperatorCodeTuak, SimAlgo, User};
use crate::crypto::aka;
use crate::proto::sip::digest::{Credentials, aka as aka_digest};
use crate::wire::sip::text::lossy;
use crate::wire::sip::{Message, Uri};
use smallvec::SmallVec;

/// Identities whose domain is tried as realm.
const MAX_IMPUS: usize = 4;

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
            "the SIM rejects our AUTN (MAC failure): {} of {} is not that of the SIM",
            keys(profile),
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
    format!("RES does not match{}", tried(profile, fits))
}

/// Why an AUTS does not verify.
pub fn wrong_auts(profile: &User, rand: &[u8; 16], auts: Option<&[u8; 14]>) -> String {
    let Some(auts) = auts else { return "the auts parameter is not base64 of 14 octets".to_owned() };
    let fits = |sim: &aka::Sim| aka::resynchronise(sim, rand, auts).is_ok();
    format!("MAC-S of AUTS does not match{}", tried(profile, fits))
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
    let right = profile.password.as_deref().unwrap_or_default().as_bytes();
    let fits = |given: &Credentials<'_>, password: &[u8]| {
        given.verify(pending.algorithm, message.method_token(), message.body(), password)
    };
    if fits(given, b"") {
        return "the client has an empty password".to_owned();
    }
    if fits(given, right.trim_ascii()) {
        return "the configured pwd has blanks around the client's password".to_owned();
    }
    let user_part = profile.impi.split('@').next().unwrap_or_default();
    for username in [profile.impi.as_str(), user_part] {
        if fits(&Credentials { username: username.as_bytes(), ..*given }, right) {
            let sent = lossy(given.username);
            return format!(
                "the password is right, but the client computed with the username {username} and sent {sent}"
            );
        }
    }
    for realm in realms(profile, message) {
        if fits(&Credentials { realm: &realm, ..*given }, right) {
            return format!(
                "the password is right, but the client computed with the realm \"{}\" instead of \"{}\"",
                lossy(&realm),
                profile.domain
            );
        }
    }
    format!("wrong password: the client's is not the pwd of {}", who(profile))
}

/// The realms that a client may be configured with: names of ours, as it knows them.
fn realms(profile: &User, message: &Message<'_>) -> SmallVec<[Vec<u8>; 6]> {
    let host = |uri: Option<Uri<'_>>| uri.map(|uri| uri.host.to_string().into_bytes());
    let domain_of_impi = profile.impi.split_once('@').map(|(_, domain)| domain.as_bytes().to_vec());
    let impus = profile.impus.iter().map(|impu| host(Uri::parse(impu.uri.as_bytes())));
    let request =
        [host(Uri::parse(message.request_uri())), host(message.to().and_then(|to| to.uri)), domain_of_impi];
    request.into_iter().chain(impus.take(MAX_IMPUS)).flatten().chain([Vec::new()]).collect()
}

/// What each usual slip comes to, for those who look for the mistake: the remedy where one fits.
fn tried(profile: &User, fits: impl Fn(&aka::Sim) -> bool) -> String {
    let slips = profile.sim.as_ref().map(policy::slips).unwrap_or_default();
    if let Some(slip) = slips.iter().find(|slip| policy::sim(&slip.sim).is_ok_and(|sim| fits(&sim))) {
        return format!(", but it does when {}: {} for {}", slip.what, slip.remedy, who(profile));
    }
    let also: Vec<&str> = slips.iter().map(|slip| slip.what).collect();
    let also = if also.is_empty() {
        String::new()
    } else {
        format!(" (nor does it when {})", also.join(", or when "))
    };
    format!(": {} of {} is not that of the SIM{also}", keys(profile), who(profile))
}

/// The keys that the configuration holds.
fn keys(profile: &User) -> &'static str {
    match profile.sim.as_ref().map(|sim| &sim.algo) {
        Some(SimAlgo::Milenage { op: OperatorCode::Op(_), .. }) => "K or op",
        Some(SimAlgo::Milenage { op: OperatorCode::Opc(_), .. }) => "K or opc",
        Some(SimAlgo::Tuak { top: OperatorCodeTuak::Top(_), .. }) => "K or top",
        Some(SimAlgo::Tuak { top: OperatorCodeTuak::Topc(_), .. }) => "K or topc",
        Some(SimAlgo::Xor) | None => "K or sim_algo xor",
    }
}

fn who(profile: &User) -> String {
    if profile.imsi.is_empty() { format!("IMPI {}", profile.impi) } else { format!("IMSI {}", profile.imsi) }
}
