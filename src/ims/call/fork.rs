//! The callee's contacts: groups of equal q ring together, the next group when the one before has failed (RFC 3261 16.6, 16.7).

use super::anchoring;
use super::destination::next_group;
use super::forward;
use super::release::{self, End};
use super::session::{Call, Failure, LegState};
use super::sibling;
use super::state::State;
use crate::ims::core::View;
use crate::proto::cx::Cx;
use crate::wire::sip::{Message, Stored};

/// What a caller is told when the trunk answers 401 or 407 (RFC 3261 21.5.3): it is no fault of the caller's.
pub(super) const TRUNK_CHALLENGES: u16 = 502;

/// Lets the best group of contacts that was not tried yet ring. `false`: there is none left that an INVITE could be sent to.
pub(super) fn start_group(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) -> bool {
    call.be_patient(cx.now, view.config.call.dialog_timeout);
    loop {
        let Some(bridge) = call.bridge_mut() else { return false };
        let Some(group) = next_group(&mut bridge.waiting) else { return false };
        let started = group.into_iter().filter(|to| anchoring::start(call, view, cx, *to)).count();
        if started > 0 {
            return true;
        }
    }
}

/// A leg has failed: with a response, or by our own finding (timeout, transport) when there is none.
pub(super) fn on_failure(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    leg: u8,
    status: u16,
    response: Option<&Message<'_>>,
) {
    // a challenge of the trunk's is not the caller's to answer, and we have no password for it
    let is_challenge = call.callee.is_trunk && matches!(status, 401 | 407);
    let (status, response) = if is_challenge { (TRUNK_CHALLENGES, None) } else { (status, response) };
    let was_open = sibling::end_all(call, leg);
    if !was_open || call.invite.is_none() {
        return;
    }
    if let Some(bridge) = call.bridge_mut() {
        if bridge.best.as_ref().is_none_or(|best| rank(status) < rank(best.status)) {
            bridge.best = Some(Failure { status, response: response.map(Stored::new) });
        }
        if status >= 600 {
            // RFC 3261 16.7 step 5: nobody else is asked after a global failure
            bridge.waiting.clear();
        }
    }
    if status >= 600 {
        cancel_open(call, view, cx, None, "SIP;cause=603;text=\"declined elsewhere\"");
    }
    go_on(call, view, cx);
}

/// Lets the next group ring if nobody does any more, or gives up.
pub(super) fn go_on(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let is_ringing = call.legs.iter().any(|l| l.state.is_open())
        || call.bridge_mut().is_some_and(|b| b.waiting_for_ports.has_legs());
    if !is_ringing && !start_group(call, view, cx) {
        give_up(call, view, cx);
    }
}

/// Nobody has answered for too long: the contacts that were tried are given up, the next ones ring.
pub(super) fn on_silence(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    if call.invite.is_none() {
        return;
    }
    cancel_open(call, view, cx, None, "SIP;cause=408;text=\"no answer\"");
    if let Some(bridge) = call.bridge_mut()
        && bridge.best.as_ref().is_none_or(|best| rank(408) < rank(best.status))
    {
        bridge.best = Some(Failure { status: 408, response: None });
    }
    if !start_group(call, view, cx) {
        give_up(call, view, cx);
    }
}

/// Nobody is left to ring: the caller gets the best answer there was (RFC 3261 16.7 step 6).
pub(super) fn give_up(call: &mut Call, view: &mut View<'_>, cx: &mut Cx<'_>) {
    let (best, lacks) = call.bridge_mut().map_or((None, None), |b| (b.best.take(), b.lacks));
    let rang = call.state == State::Ringing;
    let (status, response) = match &best {
        // what a phone says of itself is not said of us: a 503 would keep the caller away from us (RFC 3261 21.5.4)
        Some(Failure { status: 503, response: Some(r) }) => (500, Some(r.message())),
        Some(Failure { status, response }) => (*status, response.as_ref().map(Stored::message)),
        None => (480, None),
    };
    // no answer after ringing is the callee's absence, not a lost request (RFC 3261 21.4.18)
    let status = if status == 408 && response.is_none() && rang { 480 } else { status };
    let whose = if call.callee.is_trunk { "the trunk" } else { "the callee's phone" };
    let text = match (&response, status) {
        (Some(r), _) => {
            let said = format!("{} {}", r.status(), forward::phrase(r).unwrap_or_default());
            if call.callee.is_trunk { format!("the trunk says {said}") } else { said }
        }
        (None, TRUNK_CHALLENGES) => {
            "the trunk asks for credentials, and must accept unauthenticated requests".to_owned()
        }
        (None, 408) => format!("{whose} does not answer"),
        (None, 503) => lacks.unwrap_or("there is no room for another transaction").to_owned(),
        (None, 500) if lacks.is_some() => lacks.unwrap_or_default().to_owned(),
        (None, _) if rang => "nobody took the call".to_owned(),
        (None, _) => format!("{whose} cannot be reached"),
    };
    release::refuse(call, view, cx, status, Some(&text), response.as_ref());
    release::end(call, view, cx, &End::new(&text, status));
}

/// Cancels every leg that may still answer, except one.
pub(super) fn cancel_open(
    call: &mut Call,
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    except: Option<u8>,
    reason: &str,
) {
    if let Some(bridge) = call.bridge_mut() {
        bridge.waiting_for_ports.drop_legs(view.media, cx.out);
    }
    for (number, leg) in call.legs.iter_mut().enumerate() {
        if leg.state.is_open() && except != Some(number as u8) {
            leg.state = LegState::Cancelled;
            leg.reliable.stop();
            if let Some(client) = leg.client {
                view.txs.cancel(cx, client, Some(reason));
            }
        }
    }
}

/// The place of a final failure in the order of preference, best first (RFC 3261 16.7 step 6): 6xx, then the lowest class; in
/// 4xx those that tell the caller how to call again, then those that tell something of the callee.
pub(in crate::ims) fn rank(status: u16) -> (u8, u8) {
    let class = match status / 100 {
        6 => 0,
        class => class as u8,
    };
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        486 => 1,
        480 => 3,
        408 | 487 | 503 => 4,
        _ => 2,
    };
    (class, within)
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn the_best_answer_comes_first() {
        let best = |all: &[u16]| all.iter().copied().min_by_key(|s| rank(*s)).unwrap();
        assert_eq!(best(&[408, 486, 603, 302]), 603);
        assert_eq!(best(&[486, 500, 302]), 302);
        assert_eq!(best(&[486, 415, 408]), 415);
        assert_eq!(best(&[408, 480, 486, 404]), 486);
        assert_eq!(best(&[408, 480]), 480);
        assert_eq!(best(&[503, 500]), 500);
        assert_eq!(best(&[503, 408]), 408);
    }
}
