//! Re-INVITEs of ours that meet what the other side is just doing: how long they wait (RFC 3261 14.1, 14.2).

use super::session::Call;
use super::tag::Side;
use crate::base::time::Duration;
use crate::proto::cx::Cx;
use crate::wire::sip::Message;

/// How long we wait before looking again whether a change that is under way is done.
pub(super) const BUSY_FOR: Duration = Duration::from_millis(500);

/// The longest wait that is taken for one of a phone that is busy with a request of its own, seconds (RFC 3261 14.2).
const MAX_ASKED_SECS: u32 = 10;

/// How long a re-INVITE that a side has refused with this answer waits before it is made again; `None`: it is refused for good.
pub(super) fn wait(
    call: &Call,
    cx: &mut Cx<'_>,
    (leg, to): (u8, Side),
    msg: &Message<'_>,
) -> Option<Duration> {
    match msg.status() {
        491 => {
            let owns_call_id = call.legs[usize::from(leg)].dialog(to).is_some_and(|d| d.is_uac());
            Some(drawn(cx, owns_call_id))
        }
        // RFC 3261 14.2: the phone has not answered its own INVITE, or ours before, and says when it will have
        500 => {
            let asked = msg.retry_after()?.delay_secs;
            (asked <= MAX_ASKED_SECS).then(|| Duration::from_secs(u64::from(asked)))
        }
        _ => None,
    }
}

/// RFC 3261 14.1: 2.1 to 4 s for who has chosen the Call-ID, else up to 2 s, in steps of 10 ms.
fn drawn(cx: &mut Cx<'_>, owns_call_id: bool) -> Duration {
    let steps = if owns_call_id { 210 + cx.rng.below(191) } else { cx.rng.below(201) };
    Duration::from_millis(steps * 10)
}
