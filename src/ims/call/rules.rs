//! What the configuration changes in the calls of its users: reliable answers, 183, early media, preconditions, calls that begin
//! on hold. Everything else passes as the phones have it.

use super::tag::Side;
use crate::config::model::{CallSettings, Impu, Precondition};
use crate::wire::sdp::edit::{Edit, MediaEdit, QosEdit};
use crate::wire::sdp::{Direction, Sdp};
use crate::wire::sip::{HeaderId, Message};

/// The rules of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `100rel`: reliable provisional answers (RFC 3262), by side.
    pub reliable: [bool; 2],
    /// `use183`: 183 Session Progress, where it is not reliable.
    pub use183: bool,
    /// `early_media`: P-Early-Media (RFC 5009).
    pub early_media: bool,
    /// `precondition` is not `off` (RFC 3312).
    pub preconditions: bool,
    /// `allow_held_invite`: a call may begin on hold.
    pub held_start: bool,
    /// The sides that are plain SIP peers, without the ways of an IMS: the trunk.
    pub plain: [bool; 2],
}

impl Default for Rules {
    /// Everything passes.
    fn default() -> Self {
        Rules {
            reliable: [true; 2],
            use183: true,
            early_media: true,
            preconditions: true,
            held_start: true,
            plain: [false; 2],
        }
    }
}

impl Rules {
    /// The rules for a call between these identities, the caller's and the callee's, where they are known: what the global
    /// settings forbid is forbidden on both sides, what an identity forbids, on its own; 183 and early media concern both.
    pub fn of(settings: &CallSettings, impus: [Option<&Impu>; 2]) -> Rules {
        let all = |takes: fn(&Impu) -> bool| impus.into_iter().flatten().all(takes);
        // the callee's wish comes first
        let own = impus.into_iter().rev().flatten().find_map(|i| i.precondition);
        Rules {
            reliable: impus
                .map(|i| settings.reliable_provisional && i.is_none_or(|i| i.reliable_provisional)),
            use183: settings.use183 && all(|i| i.use183),
            early_media: settings.early_media && all(|i| i.early_media),
            preconditions: own.unwrap_or(settings.precondition) != Precondition::Off,
            held_start: settings.allow_held_invite,
            plain: [false; 2],
        }
    }

    /// The same for a call with sides that are plain SIP peers, which know no preconditions.
    pub fn with_plain(self, plain: [bool; 2]) -> Rules {
        Rules { preconditions: self.preconditions && plain == [false; 2], plain, ..self }
    }

    /// Whether a side is a plain SIP peer.
    pub fn is_plain(&self, side: Side) -> bool {
        self.plain[side as usize]
    }

    /// Whether a side may have reliable provisional answers.
    pub fn reliable(&self, side: Side) -> bool {
        self.reliable[side as usize]
    }

    /// Whether an option tag is taken out of what passes to a side.
    pub fn removes_option(&self, to: Side, tag: &[u8]) -> bool {
        (!self.reliable(to) && tag.eq_ignore_ascii_case(b"100rel"))
            || (!self.preconditions && tag.eq_ignore_ascii_case(b"precondition"))
    }

    /// Whether a header is taken out of what passes to a side.
    pub fn removes_header(&self, to: Side, id: HeaderId) -> bool {
        (!self.early_media && id == HeaderId::PEarlyMedia) || (self.is_plain(to) && is_of_ims(id))
    }

    /// An option tag that the INVITE requires and the caller may not have: 420 (RFC 3261 8.2.2.3).
    pub fn refused_option<'m>(&self, invite: &Message<'m>) -> Option<&'m [u8]> {
        invite.values(HeaderId::Require).find(|tag| self.removes_option(Side::Caller, tag))
    }

    /// A description as it passes, where that is not as it came. `begins` says that it is the offer which begins a call.
    pub fn description(&self, sdp: &[u8], begins: bool) -> Option<Vec<u8>> {
        let parsed = Sdp::parse(sdp).ok()?;
        let edit = self.edit(&parsed, begins);
        (!edit.is_nothing()).then(|| edit.apply(&parsed))
    }

    /// What is changed in a description on its way. `begins` says that it is the offer which begins a call.
    pub fn edit(&self, sdp: &Sdp<'_>, begins: bool) -> Edit {
        let streams = || sdp.medias().filter(|m| m.port != 0);
        let has_qos = streams().any(|m| m.qos_lines().next().is_some());
        let drops_qos = !self.preconditions && has_qos;
        let is_held = streams().next().is_some() && streams().all(|m| m.direction() != Direction::SendRecv);
        // phones wait for their resources with inactive streams: without preconditions there is nothing to wait for
        let unholds = begins && is_held && (!self.held_start || drops_qos);
        if !drops_qos && !unholds {
            return Edit::default();
        }
        let one = MediaEdit {
            qos: if drops_qos { QosEdit::Drop } else { QosEdit::Keep },
            direction: unholds.then_some(Direction::SendRecv),
            ..MediaEdit::default()
        };
        Edit { medias: sdp.medias().map(|_| one).collect(), ..Edit::default() }
    }
}

/// Headers by which phones and the elements of an IMS choose each other and each other's media (RFC 3841, RFC 6809, RFC 5009).
const fn is_of_ims(id: HeaderId) -> bool {
    use HeaderId as H;
    matches!(id, H::AcceptContact | H::RejectContact | H::FeatureCaps | H::PEarlyMedia)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n\
        a=inactive\r\na=curr:qos local none\r\na=des:qos mandatory local sendrecv\r\na=ptime:20\r\n";

    fn passed(rules: Rules, begins: bool, sdp: &[u8]) -> Option<String> {
        rules.description(sdp, begins).map(|d| String::from_utf8(d).unwrap())
    }

    #[test]
    fn each_identity_forbids_on_its_side() {
        let settings = CallSettings { use183: false, ..CallSettings::default() };
        let mut impus = [Impu::new("sip:a@x"), Impu::new("sip:b@x")];
        impus[1].reliable_provisional = false;
        impus[1].precondition = Some(Precondition::Off);
        let rules = Rules::of(&settings, [Some(&impus[0]), Some(&impus[1])]);
        let want = Rules { reliable: [true, false], use183: false, preconditions: false, ..Rules::default() };
        assert_eq!(rules, want);
        let removes = |side, tag: &str| rules.removes_option(side, tag.as_bytes());
        assert!(removes(Side::Callee, "100REL") && !removes(Side::Caller, "100rel"));
        assert!(removes(Side::Caller, "precondition") && !removes(Side::Callee, "timer"));
        assert_eq!(Rules::of(&CallSettings::default(), [Some(&impus[0]), None]), Rules::default());
    }

    #[test]
    fn descriptions_lose_what_is_forbidden_and_nothing_else() {
        assert_eq!(passed(Rules::default(), true, OFFER), None);
        let text = String::from_utf8(OFFER.to_vec()).unwrap();
        let plain = text
            .replace("a=curr:qos local none\r\n", "")
            .replace("a=des:qos mandatory local sendrecv\r\n", "");
        let off = Rules { preconditions: false, ..Rules::default() };
        let running = |sdp: &str| sdp.replace("a=inactive\r\n", "") + "a=sendrecv\r\n";
        assert_eq!(passed(off, true, OFFER), Some(running(&plain)));
        assert_eq!(passed(off, false, OFFER), Some(plain.clone()), "hold inside a call is hold");
        assert_eq!(passed(off, true, plain.as_bytes()), None, "a call that begins on hold may");
        let unhold = Rules { held_start: false, ..Rules::default() };
        assert_eq!(passed(unhold, true, OFFER), Some(running(&text)));
        assert_eq!(passed(unhold, false, OFFER), None);
        assert_eq!(passed(unhold, true, text.replace("inactive", "sendrecv").as_bytes()), None);
        assert_eq!(passed(off, true, b"no description"), None);
    }
}
