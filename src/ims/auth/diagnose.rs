//! What is wrong with an answer that does not verify, in words: the configured keys are tried in the ways in which people
//! mistake them, against the very answer that failed. No key, password or response is put into the words.

use super::challenge::Pending;
use super::policy;
use super::slip::slips;
use crate::config::model::{OperatorCode, OperatorCodeTuak, SimAlgo, User};
use crate::crypto::aka::{self, Vector};
use crate::proto::sip::digest::{Algorithm, Credentials, Qop, aka as aka_digest};
use crate::wire::sip::text::lossy;
use crate::wire::sip::{Message, Uri};
use smallvec::SmallVec;
use std::fmt::Write as _;

#[cfg(test)]
mod tests;

/// Identities whose domain is tried as realm.
const MAX_IMPUS: usize = 4;

/// An answer that is tried on.
struct Trial<'a> {
    profile: &'a User,
    challenged: Algorithm,
    given: &'a Credentials<'a>,
    message: &'a Message<'a>,
}

impl Trial<'_> {
    /// Whether these credentials are what a client with this password computes.
    fn fits(&self, given: &Credentials<'_>, algorithm: Algorithm, password: &[u8]) -> bool {
        given.verify(algorithm, self.message.method_token(), self.message.body(), password)
    }

    /// Whether the answer is what a client with this password computes, by whatever algorithm it names.
    fn fits_as(&self, algorithm: Algorithm, password: &[u8]) -> bool {
        self.fits(&Credentials { algorithm: None, algorithm_name: None, ..*self.given }, algorithm, password)
    }
}

/// Why the answer to a challenge does not verify, or does not do.
pub fn wrong_answer(
    profile: &User,
    pending: &Pending,
    given: &Credentials<'_>,
    message: &Message<'_>,
) -> String {
    let trial = Trial { profile, challenged: pending.algorithm, given, message };
    match &pending.vector {
        // TS 24.229 5.1.1.5.3: no response and no auts is the SIM that found MAC-A wrong
        Some(_) if given.response.is_empty() => autn_rejected(profile),
        None if given.response.is_empty() => "the answer holds no response".to_owned(),
        vector => odd_form(&trial).unwrap_or_else(|| match vector {
            Some(vector) => wrong_res(&trial, vector),
            None => wrong_password(&trial),
        }),
    }
}

/// Why an AUTS does not verify.
pub fn wrong_auts(profile: &User, rand: &[u8; 16], auts: Option<&[u8; 14]>) -> String {
    let Some(auts) = auts else { return "the auts parameter is not base64 of 14 octets".to_owned() };
    let fits = |sim: &aka::Sim| aka::resynchronise(sim, rand, auts).is_ok();
    format!("MAC-S of AUTS does not match{}", tried(profile, fits))
}

/// Why a challenge may have had no answer at all, for those who wait for the phone.
pub fn no_answer(profile: &User, is_aka: bool) -> String {
    match is_aka {
        true => format!(
            "it did not hear of it, or its SIM rejects AUTN and says nothing: then {} of {} is not that of the SIM",
            keys(profile),
            who(profile)
        ),
        false => "it did not hear of it, or has no password".to_owned(),
    }
}

/// The SIM found MAC-A wrong. There is nothing to try anything on, so the causes are named by how often they are met.
fn autn_rejected(profile: &User) -> String {
    let advice = match profile.sim.as_ref().map(|sim| &sim.algo) {
        Some(SimAlgo::Milenage { op: OperatorCode::Op(_), .. }) => {
            "compare K digit by digit; if the vendor gives an OPc, configure it as opc"
        }
        Some(SimAlgo::Milenage { op: OperatorCode::Opc(_), .. }) => {
            "compare K digit by digit; if the vendor gives an OP, configure it as op"
        }
        Some(SimAlgo::Tuak { .. }) => {
            "compare K digit by digit; see whether the vendor gives TOP or TOPc, and how many Keccak iterations"
        }
        Some(SimAlgo::Xor) | None => {
            "compare K digit by digit; an operator's SIM has no XOR, configure sim_algo \"milenage\" with its opc"
        }
    };
    format!(
        "the SIM rejects our AUTN (MAC failure): {} of {} is not that of the SIM; {advice}; if the ISIM has keys of its own, \
         configure isim_auth",
        keys(profile),
        who(profile)
    )
}

/// What can be seen without any key.
fn odd_form(trial: &Trial<'_>) -> Option<String> {
    let Trial { profile, challenged, given, .. } = *trial;
    let unlike = given.algorithm.map(Algorithm::hash) != Some(challenged.hash());
    if let Some(name) = given.algorithm_name.filter(|_| unlike) {
        let name = lossy(name);
        return Some(format!("the answer uses the algorithm {name}, the challenge {}", challenged.name()));
    }
    if let Some(qop) = given.qop.filter(|qop| Qop::parse(qop).is_none()) {
        return Some(format!("the answer names the qop {}, which is neither auth nor auth-int", lossy(qop)));
    }
    let found = given.qop.map_or("no qop".to_owned(), |qop| format!("qop {}", lossy(qop)));
    (!policy::takes_qop(profile, given.qop)).then(|| {
        format!("the answer has {found}, and authent_qop asks for auth-int: for a client without it add auth")
    })
}

fn wrong_res(trial: &Trial<'_>, vector: &Vector) -> String {
    let Trial { profile, challenged, given, .. } = *trial;
    let right = aka_digest::password(challenged, vector);
    let others = [Algorithm::AkaV1Md5, Algorithm::AkaV2Md5, Algorithm::AkaV2Sha256];
    for other in others.into_iter().filter(|other| *other != challenged) {
        if aka_digest::password(other, vector).is_some_and(|password| trial.fits_as(other, &password)) {
            return format!(
                "RES is right, but the phone computed {} with it, the challenge says {}: see authent_type of {}",
                other.name(),
                challenged.name(),
                who(profile)
            );
        }
    }
    let as_text = |upper: bool| {
        vector.xres.iter().fold(String::new(), |mut text, octet| {
            let _ = if upper { write!(text, "{octet:02X}") } else { write!(text, "{octet:02x}") };
            text
        })
    };
    if [false, true].iter().any(|upper| trial.fits_as(challenged, as_text(*upper).as_bytes())) {
        return "RES is right, but the client took it as text of hexadecimal digits (RFC 3310 3.3: the octets themselves)"
            .to_owned();
    }
    if trial.fits_as(challenged, b"") {
        return "the client computed with an empty password, as for AUTS, but sent no auts".to_owned();
    }
    if profile.password.as_ref().is_some_and(|password| trial.fits_as(challenged, password.as_bytes())) {
        return format!(
            "the client answers with pwd, not with a SIM: for a client without one set authent_type \"MD5\" for {}",
            who(profile)
        );
    }
    if let Some(words) = right.and_then(|right| other_name(trial, &right, "RES")) {
        return words;
    }
    let fits = |sim: &aka::Sim| {
        let vector = aka::generate(sim, &vector.rand, 0);
        aka_digest::password(challenged, &vector).is_some_and(|p| trial.fits(given, challenged, &p))
    };
    format!("RES does not match{}{}", tried(profile, fits), odd_counts(given))
}

fn wrong_password(trial: &Trial<'_>) -> String {
    let Trial { profile, challenged, given, .. } = *trial;
    let right = profile.password.as_deref().unwrap_or_default().as_bytes();
    if trial.fits(given, challenged, b"") {
        return "the client has an empty password".to_owned();
    }
    if trial.fits(given, challenged, right.trim_ascii()) {
        return "the configured pwd has blanks around the client's password".to_owned();
    }
    if let Some(words) = other_name(trial, right, "the password") {
        return words;
    }
    format!("wrong password: the client's is not the pwd of {}{}", who(profile), odd_counts(given))
}

/// The secret is right, and went in with another user name or realm than those that were sent.
fn other_name(trial: &Trial<'_>, right: &[u8], secret: &str) -> Option<String> {
    let Trial { profile, challenged, given, message } = *trial;
    let user_part = profile.impi.split('@').next().unwrap_or_default();
    for username in [profile.impi.as_str(), user_part] {
        let computed = Credentials { username: username.as_bytes(), ..*given };
        if trial.fits(&computed, challenged, right) {
            let sent = lossy(given.username);
            return Some(format!(
                "{secret} is right, but the client computed with the username {username} and sent {sent}"
            ));
        }
    }
    let found = realms(profile, message)
        .into_iter()
        .find(|realm| trial.fits(&Credentials { realm, ..*given }, challenged, right))?;
    let (found, ours) = (lossy(&found), &profile.domain);
    Some(format!(
        "{secret} is right, but the client computed with the realm \"{found}\" instead of \"{ours}\""
    ))
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

/// What is odd about nc and cnonce of an answer that fails, which may be why.
fn odd_counts(given: &Credentials<'_>) -> String {
    if given.qop.is_none() {
        return String::new();
    }
    let nc = match given.nc {
        None => Some("no nc".to_owned()),
        Some(nc) if given.nonce_count().is_none() => {
            let shown = lossy(&nc[..nc.len().min(16)]);
            Some(format!("the nc {shown}, which is no number of up to 8 hexadecimal digits"))
        }
        Some(_) => None,
    };
    let cnonce = given.cnonce.is_none().then(|| "no cnonce".to_owned());
    let odd: Vec<String> = nc.into_iter().chain(cnonce).collect();
    match &odd[..] {
        [] => String::new(),
        odd => format!(" (beside its qop the answer has {})", odd.join(" and ")),
    }
}

/// What each usual slip comes to, for those who look for the mistake: the remedy where one fits.
fn tried(profile: &User, fits: impl Fn(&aka::Sim) -> bool) -> String {
    let slips = profile.sim.as_ref().map(slips).unwrap_or_default();
    if let Some(slip) = slips.iter().find(|slip| policy::sim(&slip.sim).is_ok_and(|sim| fits(&sim))) {
        return format!(", but it does when {}: {} for {}", slip.what, slip.remedy, who(profile));
    }
    let mut also: Vec<&str> = slips.iter().map(|slip| slip.kind).collect();
    also.dedup();
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
