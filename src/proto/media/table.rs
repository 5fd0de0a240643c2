//! The media sessions: what happens to each packet, without I/O and without allocation.
//!
//! A session is one media stream (one `m=` line) of one call leg ([`session`](super::session)): the service opens it, tells it
//! the peer's SDP, and closes it; the loop asks [`MediaTable::on_packet`] about each datagram.
//!
//! Not here: SRTP, transcoding, reports of our own.

use crate::base::arena::{Arena, Id};
use crate::base::time::Instant;
use crate::proto::flow::LocalId;
use crate::proto::media::demux::{Kind, classify};
use crate::proto::media::ports::PortPool;
use crate::proto::media::session::Session;
pub use crate::proto::media::session::{
    Action, Counters, Direction, DropReason, Label, Remote, SessionView, Treatment,
};
use std::net::SocketAddr;

/// Why a session could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The cap of sessions is reached.
    TooManySessions,
    /// The port range of the SIP socket is used up.
    NoFreePort,
}

/// What to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketVerdict {
    /// Send it, unchanged.
    Send {
        /// From a port of this session:
        session: u64,
        /// the RTCP port, else the RTP port.
        rtcp: bool,
        /// Where to.
        to: SocketAddr,
    },
    /// Keep it until then, and ask [`MediaTable::on_due`] again.
    Hold {
        /// When it is due.
        until: Instant,
    },
    /// Forget it; it has been counted.
    Drop(DropReason),
}

/// All media sessions and the ports they use.
#[derive(Debug)]
pub struct MediaTable {
    sessions: Arena<Session>,
    /// By [`LocalId`].
    pools: Vec<PortPool>,
}

impl MediaTable {
    /// An empty table of at most `cap` sessions; `ranges` are the lowest and highest media port of each SIP socket, in the order
    /// of their [`LocalId`].
    pub fn new(cap: usize, ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let pools = ranges.into_iter().map(|(min, max)| PortPool::new(min, max)).collect();
        MediaTable { sessions: Arena::with_cap(cap), pools }
    }

    /// Opens a session that echoes, without a peer yet, and takes a port pair for it. Returns its number and RTP port, to be
    /// put into `Output::OpenMedia`.
    pub fn open(&mut self, now: Instant, local: LocalId) -> Result<(u64, u16), OpenError> {
        if self.sessions.is_full() {
            return Err(OpenError::TooManySessions);
        }
        let pool = self.pools.get_mut(usize::from(local.0)).ok_or(OpenError::NoFreePort)?;
        let port = pool.take().ok_or(OpenError::NoFreePort)?;
        let session = Session::new(now, local, port);
        let id = self.sessions.insert(session).expect("there is room: asked above");
        Ok((id.to_bits(), port))
    }

    /// Ends a session and frees its port pair. Returns what `Output::CloseMedia` needs, or `None` if it has ended already.
    pub fn close(&mut self, session: u64) -> Option<(LocalId, u16)> {
        let Session { local, port, .. } = self.sessions.remove(Id::from_bits(session))?;
        self.pools[usize::from(local.0)].give(port);
        Some((local, port))
    }

    /// Names the session for the log. No effect on a session that has ended.
    pub fn set_label(&mut self, session: u64, label: Label) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.label = label;
        }
    }

    /// Sets what is done with the session's packets. No effect on a session that has ended.
    pub fn set_action(&mut self, session: u64, action: Action) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.action = action;
        }
    }

    /// Sets the direction, as in our SDP. No effect on a session that has ended.
    pub fn set_direction(&mut self, session: u64, direction: Direction) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.direction = direction;
        }
    }

    /// Sets what is done to the packets that come in from now on. No effect on a session that has ended.
    pub fn set_treatment(&mut self, session: u64, treatment: Treatment) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.treatment = treatment;
        }
    }

    /// Sets the peer's addresses from its SDP; `None` when they are not known or the peer refuses packets (port 0). An address
    /// that differs from the last one opens the latch. No effect on a session that has ended.
    pub fn set_remote(&mut self, session: u64, remote: Option<Remote>) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.announce(remote);
        }
    }

    /// What can be seen of a session, unless it has ended.
    pub fn view(&self, session: u64) -> Option<SessionView> {
        self.sessions.get(Id::from_bits(session)).map(Session::view)
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is no session.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Decides about one datagram that came in on a port of `session`: the RTCP port if `rtcp`, else the RTP port.
    pub fn on_packet(
        &mut self,
        now: Instant,
        session: u64,
        rtcp: bool,
        from: SocketAddr,
        packet: &[u8],
    ) -> PacketVerdict {
        let Some(s) = self.sessions.get_mut(Id::from_bits(session)) else {
            return PacketVerdict::Drop(DropReason::NoSession);
        };
        let passes = s.receive(now, rtcp, from, packet).and_then(|kind| Ok((kind, s.hold(now)?)));
        match passes {
            Ok((_, Some(until))) => PacketVerdict::Hold { until },
            Ok((kind, None)) => self.pass(session, rtcp, kind),
            Err(reason) => self.drop(session, reason),
        }
    }

    /// Decides about a datagram that was held back and is due.
    pub fn on_due(&mut self, session: u64, rtcp: bool, packet: &[u8]) -> PacketVerdict {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.let_go();
        }
        match classify(packet) {
            Some(kind) => self.pass(session, rtcp, kind),
            None => self.drop(session, DropReason::NotRtp),
        }
    }

    /// A datagram that [`MediaTable::on_packet`] said to hold back could not be kept.
    pub fn on_not_held(&mut self, session: u64) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.let_go();
            s.counters.dropped += 1;
        }
    }

    /// Where an admitted packet goes now.
    fn pass(&mut self, session: u64, rtcp: bool, kind: Kind) -> PacketVerdict {
        let Some(s) = self.sessions.get_mut(Id::from_bits(session)) else {
            return PacketVerdict::Drop(DropReason::NoSession);
        };
        let outcome = match s.action {
            Action::Echo => s.send(kind, rtcp).map(|to| (session, rtcp, to)),
            Action::Forward { to } => match self.sessions.get_mut(Id::from_bits(to)) {
                Some(target) => {
                    let rtcp = kind == Kind::Rtcp && !target.is_muxed();
                    target.send(kind, rtcp).map(|address| (to, rtcp, address))
                }
                None => Err(DropReason::NoTarget),
            },
        };
        match outcome {
            Ok((session, rtcp, to)) => PacketVerdict::Send { session, rtcp, to },
            Err(reason) => self.drop(session, reason),
        }
    }

    fn drop(&mut self, session: u64, reason: DropReason) -> PacketVerdict {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.counters.dropped += 1;
        }
        PacketVerdict::Drop(reason)
    }

    /// Takes back the count of a packet that [`MediaTable::on_packet`] said to send from `session` and the socket did not take.
    pub fn on_send_lost(&mut self, session: u64, packet: &[u8]) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            let c = &mut s.counters;
            let sent = if classify(packet) == Some(Kind::Rtcp) { &mut c.rtcp_send } else { &mut c.rtp_send };
            *sent = sent.saturating_sub(1);
            c.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::proto::media::limits::MAX_HELD_OF_SESSION;

    const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
    const RTCP: [u8; 8] = [0x80, 200, 0, 1, 0, 0, 0, 7];

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn table() -> (MediaTable, u64) {
        let mut table = MediaTable::new(8, [(10_000, 10_099)]);
        let (session, port) = table.open(at(0), LocalId(0)).unwrap();
        assert_eq!(port, 10_000);
        (table, session)
    }

    fn sent(session: u64, rtcp: bool, to: &str) -> PacketVerdict {
        PacketVerdict::Send { session, rtcp, to: addr(to) }
    }

    fn dropped(reason: DropReason) -> PacketVerdict {
        PacketVerdict::Drop(reason)
    }

    #[test]
    fn echo_answers_the_source_not_the_announced_address() {
        let (mut t, s) = table();
        t.set_remote(s, Some(Remote::new(addr("10.0.0.1:5000"))));
        assert_eq!(t.view(s).unwrap().rtp, Some(addr("10.0.0.1:5000")));
        assert_eq!(
            t.on_packet(at(1), s, false, addr("192.0.2.1:777"), &RTP),
            sent(s, false, "192.0.2.1:777")
        );
        assert_eq!(t.on_packet(at(2), s, true, addr("192.0.2.1:778"), &RTCP), sent(s, true, "192.0.2.1:778"));
        let view = t.view(s).unwrap();
        assert_eq!((view.rtp, view.rtcp), (Some(addr("192.0.2.1:777")), Some(addr("192.0.2.1:778"))));
        let counters = Counters { rtp_recv: 1, rtp_send: 1, rtcp_recv: 1, rtcp_send: 1, dropped: 0 };
        assert_eq!((view.counters, view.last_activity), (counters, at(2)));
    }

    #[test]
    fn another_source_is_taken_only_when_announced_or_after_silence() {
        let (mut t, s) = table();
        t.set_remote(s, Some(Remote::new(addr("10.0.0.1:5000"))));
        t.on_packet(at(0), s, false, addr("192.0.2.1:777"), &RTP);
        let other = dropped(DropReason::OtherSource);
        assert_eq!(t.on_packet(at(1999), s, false, addr("192.0.2.9:1"), &RTP), other);
        assert_eq!(t.on_packet(at(2000), s, false, addr("192.0.2.9:1"), &RTP), sent(s, false, "192.0.2.9:1"));
        assert_eq!(
            t.on_packet(at(2001), s, false, addr("10.0.0.1:5000"), &RTP),
            sent(s, false, "10.0.0.1:5000")
        );
        assert_eq!(
            t.on_packet(at(2002), s, false, addr("192.0.2.9:1"), &RTP),
            other,
            "the announced one keeps it"
        );
        assert_eq!(t.view(s).unwrap().counters.dropped, 2);
    }

    #[test]
    fn invalid_packets_do_not_latch_nor_count_as_activity() {
        let (mut t, s) = table();
        assert_eq!(t.on_packet(at(5), s, false, addr("192.0.2.66:6"), b"hello"), dropped(DropReason::NotRtp));
        assert_eq!(t.on_packet(at(5), s, true, addr("192.0.2.66:6"), &RTP), dropped(DropReason::WrongPort));
        let view = t.view(s).unwrap();
        assert_eq!((view.rtp, view.rtcp, view.last_activity, view.counters.dropped), (None, None, at(0), 2));
        assert_eq!(t.on_packet(at(6), s, false, addr("192.0.2.1:7"), &RTP), sent(s, false, "192.0.2.1:7"));
    }

    #[test]
    fn a_new_announced_address_opens_the_latch_and_the_same_one_does_not() {
        let (mut t, s) = table();
        let first = Some(Remote::new(addr("10.0.0.1:5000")));
        t.set_remote(s, first);
        t.on_packet(at(0), s, false, addr("192.0.2.1:777"), &RTP);
        t.set_remote(s, first);
        assert_eq!(t.view(s).unwrap().rtp, Some(addr("192.0.2.1:777")));
        t.set_remote(s, Some(Remote::new(addr("10.0.0.1:6000"))));
        assert_eq!(t.view(s).unwrap().rtp, Some(addr("10.0.0.1:6000")));
        assert_eq!(t.on_packet(at(1), s, false, addr("192.0.2.2:9"), &RTP), sent(s, false, "192.0.2.2:9"));
    }

    #[test]
    fn direction_stops_rtp_and_lets_rtcp_run() {
        let (mut t, s) = table();
        let from = addr("192.0.2.1:777");
        for direction in [Direction::SendOnly, Direction::RecvOnly, Direction::Inactive] {
            t.set_direction(s, direction);
            assert_eq!(
                t.on_packet(at(1), s, false, from, &RTP),
                dropped(DropReason::Direction),
                "{direction:?}"
            );
            assert_eq!(t.on_packet(at(1), s, true, from, &RTCP), sent(s, true, "192.0.2.1:777"));
        }
        t.set_direction(s, Direction::SendRecv);
        assert_eq!(t.on_packet(at(2), s, false, from, &RTP), sent(s, false, "192.0.2.1:777"));
        let counters = Counters { rtp_recv: 4, rtp_send: 1, rtcp_recv: 3, rtcp_send: 3, dropped: 3 };
        assert_eq!(t.view(s).unwrap().counters, counters);
    }

    #[test]
    fn hold_by_the_zero_address_stops_everything() {
        let (mut t, s) = table();
        t.set_remote(s, Some(Remote::new(addr("0.0.0.0:5000"))));
        let from = addr("192.0.2.1:777");
        assert_eq!(t.on_packet(at(1), s, false, from, &RTP), dropped(DropReason::NoPeer));
        assert_eq!(t.on_packet(at(1), s, true, from, &RTCP), dropped(DropReason::NoPeer));
        assert_eq!(t.view(s).unwrap().rtp, None);
    }

    #[test]
    fn rtcp_on_the_rtp_port_goes_back_from_it() {
        let (mut t, s) = table();
        t.set_remote(s, Some(Remote::muxed(addr("192.0.2.1:777"))));
        assert_eq!(
            t.on_packet(at(1), s, false, addr("192.0.2.1:777"), &RTCP),
            sent(s, false, "192.0.2.1:777")
        );
        let counters = Counters { rtcp_recv: 1, rtcp_send: 1, ..Counters::default() };
        assert_eq!(t.view(s).unwrap().counters, counters);
        t.on_send_lost(s, &RTCP);
        assert_eq!(t.view(s).unwrap().counters, Counters { rtcp_send: 0, dropped: 1, ..counters });
    }

    #[test]
    fn forward_leaves_from_the_other_session_to_its_peer() {
        let (mut t, a) = table();
        let (b, _) = t.open(at(0), LocalId(0)).unwrap();
        t.set_action(a, Action::Forward { to: b });
        t.set_action(b, Action::Forward { to: a });
        let (from_a, from_b) = (addr("192.0.2.1:100"), addr("192.0.2.2:200"));
        assert_eq!(t.on_packet(at(1), a, false, from_a, &RTP), dropped(DropReason::NoPeer));
        t.set_remote(b, Some(Remote::muxed(from_b)));
        assert_eq!(t.on_packet(at(2), a, false, from_a, &RTP), sent(b, false, "192.0.2.2:200"));
        assert_eq!(t.on_packet(at(2), a, true, from_a, &RTCP), sent(b, false, "192.0.2.2:200"), "B muxes");
        t.set_remote(a, Some(Remote::new(from_a)));
        assert_eq!(t.on_packet(at(3), b, false, from_b, &RTCP), sent(a, true, "192.0.2.1:101"), "A does not");
        t.set_direction(b, Direction::RecvOnly);
        assert_eq!(t.on_packet(at(4), a, false, from_a, &RTP), dropped(DropReason::Direction));
        t.close(b);
        assert_eq!(t.on_packet(at(5), a, false, from_a, &RTP), dropped(DropReason::NoTarget));
        assert_eq!(t.on_packet(at(5), b, false, from_b, &RTP), dropped(DropReason::NoSession));
    }

    #[test]
    fn forward_crosses_address_families_and_tells_each_direction() {
        let mut t = MediaTable::new(8, [(10_000, 10_099), (20_000, 20_099)]);
        let (a, _) = t.open(at(0), LocalId(0)).unwrap();
        let (b, _) = t.open(at(0), LocalId(1)).unwrap();
        t.set_action(a, Action::Forward { to: b });
        t.set_action(b, Action::Forward { to: a });
        let (v4, v6) = (addr("192.0.2.1:100"), addr("[2001:db8::2]:200"));
        t.set_remote(a, Some(Remote::new(v4)));
        t.set_remote(b, Some(Remote::new(v6)));
        for n in 0..3 {
            assert_eq!(t.on_packet(at(n), a, false, v4, &RTP), sent(b, false, "[2001:db8::2]:200"));
        }
        assert_eq!(t.on_packet(at(3), b, false, v6, &RTP), sent(a, false, "192.0.2.1:100"));
        assert_eq!(
            t.on_packet(at(9), b, true, addr("[2001:db8::2]:201"), &RTCP),
            sent(a, true, "192.0.2.1:101")
        );
        let (a, b) = (t.view(a).unwrap(), t.view(b).unwrap());
        let (to_b, to_a) =
            (Counters { rtp_recv: 3, rtp_send: 1, ..Counters::default() }, Counters::default());
        assert_eq!(a.counters, Counters { rtcp_send: 1, ..to_b });
        assert_eq!(b.counters, Counters { rtp_recv: 1, rtp_send: 3, rtcp_recv: 1, ..to_a });
        assert_eq!((a.last_activity, b.last_activity), (at(2), at(9)), "RTCP is activity, too");
    }

    #[test]
    fn blocked_packets_are_heard_and_go_nowhere() {
        let (mut t, s) = table();
        let from = addr("192.0.2.1:777");
        t.set_treatment(s, Treatment { rtp_block: true, ..Treatment::default() });
        assert_eq!(t.on_packet(at(1), s, false, from, &RTP), dropped(DropReason::Blocked));
        assert_eq!(t.on_packet(at(2), s, false, from, &RTCP), sent(s, false, "192.0.2.1:777"));
        t.set_treatment(s, Treatment { rtcp_block: true, ..Treatment::default() });
        assert_eq!(t.on_packet(at(3), s, false, from, &RTP), sent(s, false, "192.0.2.1:777"));
        assert_eq!(t.on_packet(at(4), s, false, from, &RTCP), dropped(DropReason::Blocked));
        let view = t.view(s).unwrap();
        let counters = Counters { rtp_recv: 2, rtp_send: 1, rtcp_recv: 2, rtcp_send: 1, dropped: 2 };
        assert_eq!((view.counters, view.last_activity), (counters, at(4)));
    }

    #[test]
    fn what_is_held_back_is_judged_again_when_it_is_due() {
        let (mut t, s) = table();
        let (from, moved) = (addr("192.0.2.1:777"), addr("192.0.2.1:888"));
        let slow = Treatment { delay: Duration::from_millis(300), ..Treatment::default() };
        t.set_treatment(s, slow);
        assert_eq!(t.on_packet(at(0), s, false, from, &RTP), PacketVerdict::Hold { until: at(300) });
        assert_eq!(t.view(s).unwrap().counters, Counters { rtp_recv: 1, ..Counters::default() });
        t.set_remote(s, Some(Remote::new(moved)));
        assert_eq!(t.on_due(s, false, &RTP), sent(s, false, "192.0.2.1:888"), "the peer has moved meanwhile");
        assert_eq!(t.on_packet(at(400), s, false, moved, &RTP), PacketVerdict::Hold { until: at(700) });
        t.set_treatment(s, Treatment::default());
        let verdict = t.on_packet(at(500), s, false, moved, &RTP);
        assert_eq!(verdict, PacketVerdict::Hold { until: at(700) }, "none passes an earlier one by");
        assert_eq!(t.on_due(s, false, &RTP), sent(s, false, "192.0.2.1:888"));
        assert_eq!(t.on_due(s, false, &RTP), sent(s, false, "192.0.2.1:888"));
        assert_eq!(t.on_packet(at(700), s, false, moved, &RTP), sent(s, false, "192.0.2.1:888"));
        t.close(s);
        assert_eq!(t.on_due(s, false, &RTP), dropped(DropReason::NoSession));
    }

    #[test]
    fn one_session_cannot_have_all_that_is_held_back() {
        let (mut t, s) = table();
        let from = addr("192.0.2.1:777");
        t.set_treatment(s, Treatment { delay: Duration::from_secs(60), ..Treatment::default() });
        let until = at(60_000);
        for _ in 0..MAX_HELD_OF_SESSION {
            assert_eq!(t.on_packet(at(0), s, false, from, &RTP), PacketVerdict::Hold { until });
        }
        assert_eq!(t.on_packet(at(0), s, false, from, &RTP), dropped(DropReason::NotHeld));
        t.on_not_held(s);
        assert_eq!(t.on_packet(at(0), s, false, from, &RTP), PacketVerdict::Hold { until });
        assert_eq!(t.view(s).unwrap().counters.dropped, 2);
    }

    #[test]
    fn sessions_and_ports_are_capped_and_come_back() {
        let mut t = MediaTable::new(2, [(10, 13), (20, 21)]);
        assert_eq!(t.open(at(0), LocalId(2)), Err(OpenError::NoFreePort), "no such socket");
        let (a, port) = t.open(at(0), LocalId(1)).unwrap();
        assert_eq!(port, 20);
        assert_eq!(t.open(at(0), LocalId(1)), Err(OpenError::NoFreePort));
        t.open(at(0), LocalId(0)).unwrap();
        assert_eq!(t.open(at(0), LocalId(0)), Err(OpenError::TooManySessions));
        assert_eq!((t.close(a), t.close(a), t.len()), (Some((LocalId(1), 20)), None, 1));
        assert_eq!(t.open(at(0), LocalId(1)).unwrap().1, 20);
    }
}
