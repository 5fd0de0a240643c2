//! What the configuration changes in the calls of its users: reliable answers, 183, early media, preconditions, calls that begin
//! on hold. Everything else passes as the phones have it.

use super::agent::Allowed;
use super::tag::Side;
use crate::config::model::{CallSettings, Impu, Precondition, SessionTimer};
use crate::ims::emergency::callback::PRIORITY;
use crate::wire::sdp::{Direction, Sdp};
use crate::wire::sip::{Field, HeaderId, Message};

/// The rules of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `100rel`: reliable provisional answers (RFC 3262), by side.
    pub reliable: [bool; 2],
    /// `use183`: 183 Session Progress, where it is not reliable.
    pub use183: bool,
    /// `early_media`: P-Early-Media (RFC 5009).
    pub early_media: bool,
    /// `precondition` (RFC 3312), by side.
    pub precondition: [Precondition; 2],
    /// `allow_held_invite`: a call may begin on hold.
    pub held_start: bool,
    /// `audio`, `video`, `text`: the kinds of media that a call may have.
    pub media: Allowed,
    /// The sides that are plain SIP peers, without the ways of an IMS: the trunk.
    pub plain: [bool; 2],
    /// `session_expires`: the session timer, by side.
    pub timers: [SessionTimer; 2],
    /// It is an emergency call.
    pub is_emergency: bool,
    /// It is the callback to who has made one.
    pub is_callback: bool,
}

impl Default for Rules {
    /// Everything passes.
    fn default() -> Self {
        Rules {
            reliable: [true; 2],
            use183: true,
            early_media: true,
            precondition: [Precondition::On; 2],
            held_start: true,
            media: Allowed::ALL,
            plain: [false; 2],
            timers: [SessionTimer::default(); 2],
            is_emergency: false,
            is_callback: false,
        }
    }
}

impl Rules {
    /// The rules for a call between these identities, the caller's and the callee's, where they are known: what the global
    /// settings forbid is forbidden on both sides, what an identity forbids, on its own; 183 and early media concern both.
    pub fn of(settings: &CallSettings, impus: [Option<&Impu>; 2]) -> Rules {
        let all = |takes: fn(&Impu) -> bool| impus.into_iter().flatten().all(takes);
        Rules {
            reliable: impus
                .map(|i| settings.reliable_provisional && i.is_none_or(|i| i.reliable_provisional)),
            use183: settings.use183 && all(|i| i.use183),
            early_media: settings.early_media && all(|i| i.early_media),
            precondition: impus.map(|i| i.and_then(|i| i.precondition).unwrap_or(settings.precondition)),
            held_start: settings.allow_held_invite,
            media: Allowed { audio: all(|i| i.audio), video: all(|i| i.video), text: all(|i| i.text) },
            // features of one's own side: the caller's for what it starts, the callee's for what reaches it
            timers: impus.map(|i| i.and_then(|i| i.session_timer).unwrap_or(settings.session_timer)),
            ..Rules::default()
        }
    }

    /// The same for a call with sides that are plain SIP peers, which know no preconditions.
    pub fn with_plain(self, plain: [bool; 2]) -> Rules {
        let of = |side: Side| if plain[side as usize] { Precondition::Off } else { self.precondition(side) };
        Rules { precondition: [Side::Caller, Side::Callee].map(of), plain, ..self }
    }

    /// Whether a side is a plain SIP peer.
    pub fn is_plain(&self, side: Side) -> bool {
        self.plain[side as usize]
    }

    /// Whether a side may have reliable provisional answers.
    pub fn reliable(&self, side: Side) -> bool {
        self.reliable[side as usize]
    }

    /// How preconditions are handled on a side.
    pub fn precondition(&self, side: Side) -> Precondition {
        self.precondition[side as usize]
    }

    /// Whether an option tag is taken out of what passes to a side.
    pub fn removes_option(&self, to: Side, tag: &[u8]) -> bool {
        (!self.reliable(to) && tag.eq_ignore_ascii_case(b"100rel"))
            || (self.precondition(to) != Precondition::On && tag.eq_ignore_ascii_case(b"precondition"))
    }

    /// Whether a header is taken out of what passes to a side.
    pub fn removes_header(&self, to: Side, field: Field<'_>) -> bool {
        match field.id {
            HeaderId::PEarlyMedia if !self.early_media => true,
            // RFC 7090 6: a mark that whoever sets it is not trusted with goes; the one that is right is ours
            HeaderId::Priority if self.is_callback => true,
            HeaderId::Priority if field.value.eq_ignore_ascii_case(PRIORITY.as_bytes()) => true,
            id => self.is_plain(to) && is_of_ims(id),
        }
    }

    /// Whether what the network keeps to itself goes to a side all the same: who answers an emergency call is told where the
    /// caller is (TS 24.229 5.11.2).
    pub fn shows_place(&self, to: Side, field: Field<'_>) -> bool {
        let is_place = field.id == HeaderId::PAccessNetworkInfo
            || field.name.eq_ignore_ascii_case(b"Cellular-Network-Info");
        self.is_emergency && to == Side::Callee && is_place
    }

    /// An option tag that the INVITE requires and the caller may not have: 420 (RFC 3261 8.2.2.3).
    pub fn refused_option<'m>(&self, invite: &Message<'m>) -> Option<&'m [u8]> {
        invite.values(HeaderId::Require).find(|tag| self.removes_option(Side::Caller, tag))
    }

    /// Whether a description has streams, and none of a kind that the call may have.
    pub fn refuses_all(&self, sdp: &Sdp<'_>) -> bool {
        let mut streams = sdp.medias().filter(|m| m.port != 0).peekable();
        streams.peek().is_some() && streams.all(|m| !self.media.takes(m.kind))
    }

    /// Whether a call that begins with this offer, on hold, is made to run.
    pub fn unholds(&self, offer: &Sdp<'_>) -> bool {
        let mut streams = offer.medias().filter(|m| m.port != 0).peekable();
        !self.held_start && streams.peek().is_some() && streams.all(|m| m.direction() != Direction::SendRecv)
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

    #[test]
    fn each_identity_forbids_on_its_side() {
        let settings = CallSettings { use183: false, ..CallSettings::default() };
        let mut impus = [Impu::new("sip:a@x"), Impu::new("sip:b@x")];
        impus[1].reliable_provisional = false;
        impus[1].precondition = Some(Precondition::Off);
        let rules = Rules::of(&settings, [Some(&impus[0]), Some(&impus[1])]);
        let precondition = [Precondition::On, Precondition::Off];
        let want = Rules { reliable: [true, false], use183: false, precondition, ..Rules::default() };
        assert_eq!(rules, want);
        let removes = |side, tag: &str| rules.removes_option(side, tag.as_bytes());
        assert!(removes(Side::Callee, "100REL") && !removes(Side::Caller, "100rel"));
        assert!(removes(Side::Callee, "precondition") && !removes(Side::Caller, "precondition"));
        assert!(!removes(Side::Callee, "timer"));
        assert_eq!(Rules::of(&CallSettings::default(), [Some(&impus[0]), None]), Rules::default());
    }

    #[test]
    fn a_call_that_begins_on_hold_is_known() {
        let held = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\na=inactive\r\n";
        let forbids = Rules { held_start: false, ..Rules::default() };
        let unholds = |rules: Rules, text: &str| rules.unholds(&Sdp::parse(text.as_bytes()).unwrap());
        assert!(unholds(forbids, held) && !unholds(Rules::default(), held));
        assert!(!unholds(forbids, &held.replace("inactive", "sendrecv")));
        assert!(!unholds(forbids, &held.replace("4000", "0")), "nothing is offered");
    }
}
