//! The likely cause of an attempt that stopped, and the cure.

use super::report::{State, StepView, Trouble, advice, name};
use super::{Attempt, Counted, Packet};

fn trouble(step: &'static str, cause: impl Into<String>, cure: impl Into<String>) -> Trouble {
    Trouble { step, cause: cause.into(), cure: cure.into() }
}

/// What failed, with the advice that was told with it; without any, `otherwise`.
fn told(attempt: &Attempt, step: &StepView, otherwise: &str) -> Trouble {
    let advice = attempt.words.as_deref().and_then(advice);
    trouble(step.name, &*step.text, advice.unwrap_or(otherwise))
}

/// No REGISTER of the user has come.
pub(super) fn nothing_came(misnamed: &[Box<str>]) -> Trouble {
    let mut others = String::new();
    if !misnamed.is_empty() {
        others =
            format!(". REGISTERs have come that named nobody, perhaps this one: {}", misnamed.join("; "));
    }
    let cause = String::from(
        "no REGISTER of this user has come since the program started: the phone has no IMS PDN, was not told this \
         P-CSCF, cannot reach it, does no IMS on this network, or names another user",
    );
    trouble(
        name::SEEN,
        cause + &others,
        "see whether the phone asked the MME for the APN \"ims\" and got the address of sip_addr as P-CSCF; whether its \
         packets arrive (tcpdump port 5060); and whether the log has a REGISTER of a user who is not in ue_db",
    )
}

/// Why the attempt stopped at this step.
pub(super) fn of(attempt: &Attempt, step: &StepView, counted: Counted, unknown_spi: Option<u64>) -> Trouble {
    let failed = step.state == State::Failed;
    match step.name {
        name::AGREEMENT if failed => trouble(
            step.name,
            &*step.text,
            "let the lists ipsec_aalg_list and ipsec_ealg_list have a pair that the phone offers, or set `ipsec` of this \
             user to \"optional\" or \"off\"",
        ),
        name::ASSOCIATIONS if failed => told(
            attempt,
            step,
            "the command ipsec says what this machine lacks; CAP_NET_ADMIN and the kernel modules esp4, esp6 and those \
             of the algorithms are needed",
        ),
        name::ESP => no_esp(attempt, unknown_spi),
        name::INTEGRITY if failed => wrong_integrity(counted),
        name::ANSWER if failed => trouble(
            step.name,
            &*step.text,
            "the phone does not use the IPsec that it asked for, or somebody on the way takes Security-Server out: set `ipsec` \
             of this user to \"off\" if that is as it should be",
        ),
        name::ANSWER => no_answer(attempt),
        name::VERIFY if failed => trouble(
            step.name,
            &*step.text,
            "something between the phone and here changes messages (a SIP ALG of a router: turn it off), or the phone \
             mixes two attempts up: switch it to airplane mode and back",
        ),
        name::DIGEST if failed => told(attempt, step, "correct the user's keys or password in ue_db"),
        _ if failed => {
            trouble(step.name, &*step.text, "the log says more: log ims.level=info,sip.level=debug")
        }
        _ => trouble(
            step.name,
            "imsbox has not come so far",
            "the log says more: log all.level=debug; if it stays so, that is a mistake of imsbox",
        ),
    }
}

/// The challenge was to be answered in ESP, and none came.
fn no_esp(attempt: &Attempt, unknown_spi: Option<u64>) -> Trouble {
    if let Some(words) = behind_nat(&attempt.packet) {
        let cause = format!(
            "the 401 was sent and no ESP came back: {words}. Transport-mode ESP does not pass an address translation"
        );
        let cure = "route the phones' addresses to here instead of translating them (no MASQUERADE or SNAT towards \
                    sip_addr), or set `ipsec` of this user to \"off\"";
        return trouble(name::ESP, cause, cure);
    }
    let mut cause = String::from("the 401 was sent and no ESP came back: ");
    cause += match attempt.algorithm.starts_with("AKA") {
        true => {
            "the SIM rejects the challenge (another K, OP or OPc: a phone that cannot verify the network is silent, or sends \
             a REGISTER without an answer), or the phone's ESP does not reach this machine"
        }
        false => "the phone has no answer, or its ESP does not reach this machine",
    };
    if attempt.unanswered > 0 {
        cause += "; it has begun anew before, so that the 401 probably reaches it";
    }
    if let Some(packets) = unknown_spi.filter(|packets| *packets > 0) {
        cause += &format!(
            "; {packets} ESP packets have come for no association since the machine started, perhaps its own with an older one"
        );
    }
    trouble(
        name::ESP,
        cause,
        "compare K and op/opc of this user with the SIM's; see whether protocol 50 arrives (tcpdump esp) and no firewall \
         drops it; check that nothing translates addresses in between",
    )
}

/// ESP came, and its check values were wrong or it was not fresh.
fn wrong_integrity(counted: Counted) -> Trouble {
    if counted.integrity_failed == 0 {
        return trouble(
            name::INTEGRITY,
            "the phone's ESP came a second time or too late, and nothing else: something on the way repeats packets, or \
             the phone goes on with sequence numbers of older associations",
            "switch the phone to airplane mode and back; capture on both sides to see where packets double",
        );
    }
    trouble(
        name::INTEGRITY,
        "the phone's ESP has a wrong check value: its keys are others than ours. It accepted the challenge, so its CK and \
         IK come of other keys or functions: op given as opc or the reverse, other r or c, sim_algo xor instead of \
         milenage or the reverse, or the keys of the ISIM where ours are of the USIM",
        "compare K, op/opc and sim_algo of this user with the SIM's; give isim_auth where the SIM has an ISIM with keys \
         of its own",
    )
}

/// The challenge was not answered; with IPsec, though right ESP came.
fn no_answer(attempt: &Attempt) -> Trouble {
    if attempt.offer.is_some() {
        return trouble(
            name::ANSWER,
            "the phone's ESP comes with the right keys, and no REGISTER in it: a TCP connection that does not come to \
             be, or packets too long for the way",
            "look into the capture with the keys (imsbox monitor ipsec --wireshark); lower the MTU of the route to the \
             phone (ip route change … mtu 1360)",
        );
    }
    let mut cause = match attempt.algorithm.starts_with("AKA") {
        true => String::from(
            "the 401 was sent and nothing came back: the SIM rejects the challenge (another K, OP or OPc), or the 401 \
             does not reach the phone",
        ),
        false => String::from(
            "the challenge was sent and nothing came back: the client has no password, does not know the algorithm, or \
             the response does not reach it",
        ),
    };
    if attempt.unanswered > 0 {
        cause += "; it has begun anew before, so that the response probably reaches it";
    } else if let Some(words) = behind_nat(&attempt.packet) {
        cause += &format!("; {words}");
    }
    let cure = match attempt.algorithm.starts_with("AKA") {
        true => {
            "compare K and op/opc of this user with the SIM's; see with tcpdump whether the 401 arrives at the phone"
        }
        false => {
            "give the client the user's pwd, and domain as its realm; see with tcpdump whether the response arrives"
        }
    };
    trouble(name::ANSWER, cause, cure)
}

/// What speaks for an address translation on the way.
fn behind_nat(packet: &Packet) -> Option<String> {
    let told = packet.told.filter(|told| *told != packet.from.ip())?;
    Some(format!(
        "the phone calls itself {told} and comes from {}, so something on the way translates addresses",
        packet.from.ip()
    ))
}
