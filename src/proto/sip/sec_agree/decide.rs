//! What becomes of an unprotected REGISTER: protected, taken plainly, or refused.
//!
//! TS 24.229 5.2.2 lets the 401 of the registration carry Security-Server, where RFC 3329 2.3.1 has a 494; so the 494 is left
//! for a UE with which no agreement can be reached.

use super::choose::{Choice, Fault, Verdict};

/// Whether IPsec is used, for all users or one of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Policy {
    /// Never.
    Off,
    /// With every UE that offers it.
    #[default]
    Optional,
    /// With every UE.
    Required,
}

/// Where the request names the option tag `sec-agree`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tags {
    /// In Require or Proxy-Require.
    pub required: bool,
    /// In Supported.
    pub supported: bool,
}

/// What becomes of the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conclusion {
    /// It is taken without IPsec.
    Plain,
    /// It is challenged, and what follows comes protected.
    Protect(Choice),
    /// It is refused.
    Refuse(Refusal),
}

/// A refusal, and what goes with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 420 with `Unsupported: sec-agree`.
    BadExtension,
    /// 421 with `Require: sec-agree` and Security-Server.
    ExtensionRequired,
    /// 494 with `Require: sec-agree` and Security-Server.
    AgreementRequired,
    /// 503: IPsec is demanded of every UE and this machine cannot do it.
    Unavailable,
}

impl Refusal {
    /// The status code.
    pub fn status(self) -> u16 {
        match self {
            Refusal::BadExtension => 420,
            Refusal::ExtensionRequired => 421,
            Refusal::AgreementRequired => 494,
            Refusal::Unavailable => 503,
        }
    }

    /// Whether the response carries `Require: sec-agree` and the values of [`super::mechanisms`] as Security-Server.
    pub fn lists_mechanisms(self) -> bool {
        matches!(self, Refusal::ExtensionRequired | Refusal::AgreementRequired)
    }
}

/// Decides. `available`: the kernel can do IPsec with at least one pair of algorithms.
pub fn decide(policy: Policy, available: bool, tags: Tags, verdict: Verdict) -> Conclusion {
    match policy {
        // phones that require sec-agree by habit go on after a challenge without Security-Server; a 420 would lock them out
        Policy::Off => Conclusion::Plain,
        Policy::Optional | Policy::Required if !available => without_kernel(policy, tags),
        Policy::Optional => optional(tags, verdict),
        Policy::Required => required(tags, verdict),
    }
}

/// RFC 3261 8.2.2.3: what cannot be done is said, so that the UE may fall back; it never falls back unknowingly.
fn without_kernel(policy: Policy, tags: Tags) -> Conclusion {
    match policy {
        _ if tags.required => Conclusion::Refuse(Refusal::BadExtension),
        Policy::Required => Conclusion::Refuse(Refusal::Unavailable),
        Policy::Off | Policy::Optional => Conclusion::Plain,
    }
}

fn optional(tags: Tags, verdict: Verdict) -> Conclusion {
    match verdict {
        Verdict::Chosen(choice) => Conclusion::Protect(choice),
        // Some phones require sec-agree and offer nothing; RFC 3329 2.3.1 has a 494 for them, which they do not understand.
        Verdict::NotOffered => Conclusion::Plain,
        // nothing of IPsec was offered, nor was any agreement demanded
        Verdict::NoCommon(Fault::OtherMechanism) if !tags.required => Conclusion::Plain,
        // RFC 3329 2.3.1. Going on in clear would let anybody on the way switch IPsec off by spoiling the offer.
        Verdict::NoCommon(_) => Conclusion::Refuse(Refusal::AgreementRequired),
    }
}

fn required(tags: Tags, verdict: Verdict) -> Conclusion {
    match verdict {
        Verdict::Chosen(choice) => Conclusion::Protect(choice),
        Verdict::NoCommon(_) => Conclusion::Refuse(Refusal::AgreementRequired),
        // RFC 3329 2.3.2
        Verdict::NotOffered if tags.required || tags.supported => {
            Conclusion::Refuse(Refusal::AgreementRequired)
        }
        Verdict::NotOffered => Conclusion::Refuse(Refusal::ExtensionRequired),
    }
}

#[cfg(test)]
mod tests {
    use super::super::algorithm::{Encryption, Integrity, Suite};
    use super::super::choose::Parameters;
    use super::*;

    const NONE: Tags = Tags { required: false, supported: false };
    const SUPPORTED: Tags = Tags { required: false, supported: true };
    const REQUIRED: Tags = Tags { required: true, supported: false };

    fn chosen() -> Choice {
        let ue = Parameters { spi_c: 1, spi_s: 2, port_c: 3, port_s: 4 };
        let suite = Suite::new(Integrity::HmacSha1_96, Encryption::Null).unwrap();
        Choice { suite, ue, prot: false, mode: false }
    }

    /// The status of a refusal; 401 for a protected challenge, 0 for going on plainly.
    fn outcome(policy: Policy, available: bool, tags: Tags, verdict: Verdict) -> u16 {
        match decide(policy, available, tags, verdict) {
            Conclusion::Plain => 0,
            Conclusion::Protect(choice) => {
                assert_eq!(choice, chosen());
                401
            }
            Conclusion::Refuse(refusal) => {
                assert_eq!(refusal.lists_mechanisms(), [421, 494].contains(&refusal.status()));
                refusal.status()
            }
        }
    }

    #[test]
    fn every_cell_of_the_table() {
        let verdicts = [
            Verdict::NotOffered,
            Verdict::Chosen(chosen()),
            Verdict::NoCommon(Fault::NotAccepted),
            Verdict::NoCommon(Fault::OtherMechanism),
        ];
        let all_tags = [NONE, SUPPORTED, REQUIRED];
        for (policy, available, expected) in [
            (Policy::Off, true, [[0; 4]; 3]),
            (Policy::Off, false, [[0; 4]; 3]),
            (Policy::Optional, true, [[0, 401, 494, 0], [0, 401, 494, 0], [0, 401, 494, 494]]),
            (Policy::Optional, false, [[0; 4], [0; 4], [420; 4]]),
            (Policy::Required, true, [[421, 401, 494, 494], [494, 401, 494, 494], [494, 401, 494, 494]]),
            (Policy::Required, false, [[503; 4], [503; 4], [420; 4]]),
        ] {
            for (tags, row) in all_tags.into_iter().zip(expected) {
                let got = verdicts.map(|verdict| outcome(policy, available, tags, verdict));
                assert_eq!(got, row, "{policy:?} {available} {tags:?}");
            }
        }
    }
}
