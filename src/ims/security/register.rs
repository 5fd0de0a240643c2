//! A REGISTER held against the security agreement (TS 24.229 5.2.2, RFC 3329 2.3, TS 33.203 7.2): which protection it came
//! with, which it is offered, and why it is refused.

use super::set::{Set, SetId};
use super::view::Stage;
use crate::config::model::{AuthentType, User};
use crate::ims::auth::credentials;
use crate::ims::core::Service;
use crate::ims::dispatch::{Extra, Refusal};
use crate::ims::subscriber::UserId;
use crate::proto::flow::Flow;
use crate::proto::sip::sec_agree::{
    self, Choice, Conclusion, Fault, Mismatch, Named as _, Policy, Tags, Verdict, choose, decide, mechanisms,
};
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message};

/// What protects a REGISTER, and what is to protect the answer to its challenge.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Shield {
    /// The set that it came through.
    pub through: Option<SetId>,
    /// Whether it answers the challenge of that set.
    pub is_answer: bool,
    /// Whether that set carries a registration of the user: no stranger can have sent it.
    pub is_trusted: bool,
    /// What a challenge is offered with.
    pub offer: Option<Choice>,
}

/// Why a REGISTER is not taken.
#[derive(Debug)]
pub struct Unfit {
    /// For the phone.
    pub refusal: Refusal,
    /// For the operator.
    pub words: String,
}

impl Unfit {
    /// Told to both in the same words.
    pub(in crate::ims) fn new(status: u16, words: &str) -> Unfit {
        Unfit { refusal: Refusal::new(status, words), words: words.to_owned() }
    }
}

/// Holds the user's REGISTER against what is agreed and what is wanted.
pub fn judge(service: &Service, user: UserId, flow: Flow, msg: &Message<'_>) -> Result<Shield, Unfit> {
    match service.security.at(flow) {
        Some((id, set)) => protected(service, user, (id, set), msg),
        None => clear(service, user, flow, msg),
    }
}

fn protected(
    service: &Service,
    user: UserId,
    (id, set): (SetId, &Set),
    msg: &Message<'_>,
) -> Result<Shield, Unfit> {
    if set.user != user {
        let owner = &service.subscribers.user(set.user).impi;
        return Err(Unfit::new(403, &format!("it came through the security associations of {owner}")));
    }
    if set.is_void() {
        let words = "its security associations came to no registration; it has to begin again";
        return Err(Unfit::new(403, words));
    }
    let verified = match set.agreement.verify(msg.values(HeaderId::SecurityVerify)) {
        // what is protected by an agreement that was verified once needs no reminder of it
        Err(Mismatch::NoVerify) if set.stage != Stage::Offered => Ok(()),
        verified => verified,
    };
    verified.map_err(|mismatch| disagreed(service, &mismatch))?;
    let through = Shield { through: Some(id), ..Shield::default() };
    if set.stage == Stage::Offered {
        set.agreement
            .same_offer(msg.values(HeaderId::SecurityClient))
            .map_err(|mismatch| disagreed(service, &mismatch))?;
        let answers = credentials(msg).is_some_and(|given| given.nonce == set.nonce.as_bytes());
        let words =
            "new security associations carry the answer to the challenge that offered them, and nothing else";
        return answers
            .then_some(Shield { is_answer: true, ..through })
            .ok_or_else(|| Unfit::new(403, words));
    }
    let offer = match choose(msg.values(HeaderId::SecurityClient), service.security.preferences()) {
        Verdict::Chosen(choice) => Some(choice),
        Verdict::NotOffered | Verdict::NoCommon(_) => None,
    };
    Ok(Shield { is_trusted: matches!(set.stage, Stage::Active | Stage::Old), offer, ..through })
}

/// RFC 3329 2.3.1, TS 24.229 5.2.2: 494, and what was agreed ends.
fn disagreed(service: &Service, mismatch: &Mismatch) -> Unfit {
    let words = format!(
        "{mismatch}; somebody may have changed the agreement on its way, or the phone has mixed it up"
    );
    let list = mechanisms(service.security.preferences()).collect();
    Unfit { refusal: Refusal::new(494, &mismatch.to_string()).with(Extra::Mechanisms(list)), words }
}

fn clear(service: &Service, user: UserId, flow: Flow, msg: &Message<'_>) -> Result<Shield, Unfit> {
    let profile = service.subscribers.user(user);
    let policy = profile.ipsec;
    let has_keys = profile.sim.is_some() && profile.authent_type != AuthentType::None;
    match policy {
        Policy::Required if !has_keys => {
            return Err(Unfit::new(
                403,
                "ipsec is \"required\" of this user, and needs SIM keys, which it has none of",
            ));
        }
        // CK and IK come from the SIM; without them a phone that offers IPsec goes on without (TS 33.203 annex N)
        _ if !has_keys => return Ok(Shield::default()),
        Policy::Off | Policy::Optional | Policy::Required => {}
    }
    let verdict = choose(msg.values(HeaderId::SecurityClient), service.security.preferences());
    let has = |id: HeaderId| msg.values(id).any(|tag| tag.eq_ignore_ascii_case(b"sec-agree"));
    let required = has(HeaderId::Require) || has(HeaderId::ProxyRequire);
    let tags = Tags { required, supported: has(HeaderId::Supported) };
    match decide(policy, service.security.is_possible(flow.local), tags, verdict) {
        Conclusion::Plain => Ok(Shield::default()),
        Conclusion::Protect(choice) => Ok(Shield { offer: Some(choice), ..Shield::default() }),
        Conclusion::Refuse(refusal) => Err(refused(service, profile, refusal, verdict, msg)),
    }
}

fn refused(
    service: &Service,
    profile: &User,
    refusal: sec_agree::Refusal,
    verdict: Verdict,
    msg: &Message<'_>,
) -> Unfit {
    let security = &service.security;
    let lack = || security.lack().unwrap_or("no protected port is open at this address").to_owned();
    let words = match refusal {
        sec_agree::Refusal::BadExtension => {
            format!("the phone requires IPsec, and there is none here: {}", lack())
        }
        sec_agree::Refusal::Unavailable => {
            format!("ipsec is \"required\", and there is none here: {}", lack())
        }
        sec_agree::Refusal::ExtensionRequired => {
            "ipsec is \"required\", and the phone offers none: there is no Security-Client".to_owned()
        }
        sec_agree::Refusal::AgreementRequired => no_common(security.preferences().suites(), verdict, msg),
    };
    let plain = Refusal::new(refusal.status(), &words);
    let refusal = match refusal {
        sec_agree::Refusal::BadExtension => plain.with(Extra::Unsupported("sec-agree".to_owned())),
        _ if refusal.lists_mechanisms() => {
            plain.with(Extra::Mechanisms(mechanisms(security.preferences()).collect()))
        }
        _ => plain,
    };
    let hint =
        if profile.ipsec == Policy::Required { " (ipsec of this user can be \"optional\")" } else { "" };
    Unfit { refusal, words: format!("{words}{hint}") }
}

/// Why no offered mechanism can be taken, with both sides' algorithms.
fn no_common(accepted: &[sec_agree::Suite], verdict: Verdict, msg: &Message<'_>) -> String {
    let Verdict::NoCommon(fault) = verdict else {
        return "the phone requires IPsec and offers none: there is no Security-Client".to_owned();
    };
    let what = match fault {
        Fault::Malformed => "Security-Client cannot be read",
        Fault::OtherMechanism => "Security-Client offers no ipsec-3gpp",
        Fault::Protocol => "Security-Client offers no prot=esp",
        Fault::Mode => "Security-Client offers no mod=trans; a phone behind a NAT cannot use IPsec here",
        Fault::Parameters => "Security-Client lacks an SPI or a port, or has one that cannot be",
        Fault::Algorithms => "no offered alg and ealg are known and go together",
        Fault::NotAccepted => {
            "no offered algorithms are among those of ipsec_aalg_list and ipsec_ealg_list that the kernel has"
        }
    };
    let offers: Vec<_> = msg.values(HeaderId::SecurityClient).take(MAX_TOLD).map(lossy).collect();
    let accepted: Vec<_> =
        accepted.iter().map(|s| format!("{}/{}", s.integrity().name(), s.encryption().name())).collect();
    format!("{what}: offered {}; accepted are {}", offers.join(", "), accepted.join(", "))
}

/// Offered mechanisms that are told in a line.
const MAX_TOLD: usize = 8;
