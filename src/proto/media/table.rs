//! The media sessions: what happens to each packet, without I/O and without allocation.
//!
//! A session is one media stream (one `m=` line) of one call leg: a port pair of ours, the peer's addresses, an action. The
//! service opens it, tells it the peer's SDP, and closes it; the loop asks [`MediaTable::on_packet`] about each datagram.
//!
//! # Where packets go: symmetric RTP (RFC 4961) with latching
//! 1. Until a packet came in, the destination is the address of the peer's SDP.
//! 2. The source of the first valid packet becomes the destination (phones behind a NAT announce an address nobody reaches).
//! 3. From then on, packets of another source are dropped, unless
//!    a. the source is the address of the SDP itself: it takes the latch over, for good; or
//!    b. the latched source has been silent for [`RELATCH_AFTER`]: its NAT mapping or the phone's address has changed.
//! 4. A new address in the SDP (re-INVITE, UPDATE) opens the latch again.
//!
//! RTP and RTCP latch apart, each on its port. RTCP on the RTP port (RFC 5761) follows RTP's latch.
//!
//! Not here: SRTP, transcoding, reports of our own.

use crate::base::arena::{Arena, Id};
use crate::base::time::{Duration, Instant};
use crate::proto::flow::LocalId;
use crate::proto::media::demux::{Kind, classify};
use crate::proto::media::ports::PortPool;
use std::fmt;
use std::net::SocketAddr;

/// How long the latched source must be silent before another one is taken: well above a silence-suppressed stream's comfort
/// noise interval and below a caller's patience.
pub const RELATCH_AFTER: Duration = Duration::from_secs(2);

/// What is done with the packets of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// They go back to where they come from.
    Echo,
    /// They leave from the port of another session, to that session's peer.
    Forward {
        /// The other session.
        to: u64,
    },
}

/// A media direction, as it stands in our SDP (RFC 3264 5.1): what we do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// We send and receive.
    #[default]
    SendRecv,
    /// We only send.
    SendOnly,
    /// We only receive.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether we take packets.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// Whether we send packets.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }
}

/// The peer's media addresses from its SDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote {
    /// RTP: `c=` and `m=`.
    pub rtp: SocketAddr,
    /// RTCP: `a=rtcp` (RFC 3605), else RTP's port + 1; RTP's own with `a=rtcp-mux`.
    pub rtcp: SocketAddr,
}

impl Remote {
    /// RTP at `rtp`, RTCP on the port above it.
    pub fn new(rtp: SocketAddr) -> Self {
        Remote { rtp, rtcp: SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)) }
    }

    /// RTP and RTCP on one port (`a=rtcp-mux`, RFC 5761).
    pub const fn muxed(rtp: SocketAddr) -> Self {
        Remote { rtp, rtcp: rtp }
    }
}

/// Why a session could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The cap of sessions is reached.
    TooManySessions,
    /// The port range of the SIP socket is used up.
    NoFreePort,
}

/// Why a packet goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    /// The session has ended.
    NoSession,
    /// Neither RTP nor RTCP, or cut short.
    NotRtp,
    /// RTP on the RTCP port.
    WrongPort,
    /// Another source than the latched one.
    OtherSource,
    /// The stream does not run in this direction.
    Direction,
    /// The session to forward to has ended.
    NoTarget,
    /// The address to forward to is not known yet.
    NoPeer,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::NoSession => "the session has ended",
            DropReason::NotRtp => "neither RTP nor RTCP",
            DropReason::WrongPort => "RTP on the RTCP port",
            DropReason::OtherSource => "another source sends on this port",
            DropReason::Direction => "the stream does not run in this direction",
            DropReason::NoTarget => "the other session has ended",
            DropReason::NoPeer => "the peer's address is not known",
        })
    }
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
    /// Forget it; it has been counted.
    Drop(DropReason),
}

/// The counters of a session, in packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// RTP received, valid and from the right source.
    pub rtp_recv: u64,
    /// RTP sent.
    pub rtp_send: u64,
    /// RTCP received.
    pub rtcp_recv: u64,
    /// RTCP sent.
    pub rtcp_send: u64,
    /// Received and dropped, whatever the reason.
    pub dropped: u64,
}

/// What a session is called in the log: the number of its SIP dialog and the media type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Label {
    /// The SIP dialog's number.
    pub dialog: u32,
    /// `audio`, `video` or `text`.
    pub media: &'static str,
}

/// What can be seen of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Its name in the log.
    pub label: Label,
    /// The SIP socket whose media address it uses.
    pub local: LocalId,
    /// Our RTP port.
    pub port: u16,
    /// Where RTP goes: the latched source, else the peer's SDP.
    pub rtp: Option<SocketAddr>,
    /// Where RTCP goes.
    pub rtcp: Option<SocketAddr>,
    /// Direction.
    pub direction: Direction,
    /// Packet counters.
    pub counters: Counters,
    /// When the last valid packet came in, or the opening.
    pub last_activity: Instant,
}

/// One half of a session: RTP or RTCP.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    announced: Option<SocketAddr>,
    latched: Option<(SocketAddr, Instant)>,
}

impl Path {
    fn destination(&self) -> Option<SocketAddr> {
        // RFC 3264 8.4: an old peer holds by announcing 0.0.0.0, and wants neither RTP nor RTCP then
        if self.announced.is_some_and(|a| a.ip().is_unspecified()) {
            return None;
        }
        self.latched.map(|(source, _)| source).or(self.announced)
    }

    fn announce(&mut self, address: Option<SocketAddr>) {
        if self.announced != address {
            *self = Path { announced: address, latched: None };
        }
    }

    /// Whether a valid packet of this source is taken; moves the latch (rules 2 and 3 of the module).
    fn admit(&mut self, now: Instant, from: SocketAddr) -> bool {
        let admitted = match self.latched {
            None => true,
            Some((source, seen)) => {
                source == from || self.announced == Some(from) || now.since(seen) >= RELATCH_AFTER
            }
        };
        if admitted {
            self.latched = Some((from, now));
        }
        admitted
    }
}

#[derive(Debug)]
struct Session {
    label: Label,
    local: LocalId,
    port: u16,
    action: Action,
    direction: Direction,
    rtp: Path,
    rtcp: Path,
    counters: Counters,
    last_activity: Instant,
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
        let session = Session {
            label: Label::default(),
            local,
            port,
            action: Action::Echo,
            direction: Direction::default(),
            rtp: Path::default(),
            rtcp: Path::default(),
            counters: Counters::default(),
            last_activity: now,
        };
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

    /// Sets the peer's addresses from its SDP; `None` when they are not known or the peer refuses packets (port 0). An address
    /// that differs from the last one opens the latch. No effect on a session that has ended.
    pub fn set_remote(&mut self, session: u64, remote: Option<Remote>) {
        if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
            s.rtp.announce(remote.map(|r| r.rtp));
            s.rtcp.announce(remote.map(|r| r.rtcp));
        }
    }

    /// What can be seen of a session, unless it has ended.
    pub fn view(&self, session: u64) -> Option<SessionView> {
        let s = self.sessions.get(Id::from_bits(session))?;
        Some(SessionView {
            label: s.label,
            local: s.local,
            port: s.port,
            rtp: s.rtp.destination(),
            rtcp: s.rtcp.destination(),
            direction: s.direction,
            counters: s.counters,
            last_activity: s.last_activity,
        })
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
        let verdict = s.receive(now, rtcp, from, packet);
        let outcome = match verdict {
            Err(reason) => Err(reason),
            Ok(kind) => match s.action {
                Action::Echo => s.send(kind, rtcp).map(|to| (session, rtcp, to)),
                Action::Forward { to } => match self.sessions.get_mut(Id::from_bits(to)) {
                    Some(target) => {
                        let rtcp = kind == Kind::Rtcp && !target.is_muxed();
                        target.send(kind, rtcp).map(|address| (to, rtcp, address))
                    }
                    None => Err(DropReason::NoTarget),
                },
            },
        };
        match outcome {
            Ok((session, rtcp, to)) => PacketVerdict::Send { session, rtcp, to },
            Err(reason) => {
                if let Some(s) = self.sessions.get_mut(Id::from_bits(session)) {
                    s.counters.dropped += 1;
                }
                PacketVerdict::Drop(reason)
            }
        }
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

impl Session {
    /// Whether the peer takes RTCP on its RTP port (RFC 5761 5.1.1).
    fn is_muxed(&self) -> bool {
        self.rtp.announced.is_some() && self.rtp.announced == self.rtcp.announced
    }

    /// Admits a packet and counts it as received, or says why not.
    fn receive(
        &mut self,
        now: Instant,
        rtcp: bool,
        from: SocketAddr,
        packet: &[u8],
    ) -> Result<Kind, DropReason> {
        let kind = classify(packet).ok_or(DropReason::NotRtp)?;
        if rtcp && kind == Kind::Rtp {
            return Err(DropReason::WrongPort);
        }
        let path = if rtcp { &mut self.rtcp } else { &mut self.rtp };
        if !path.admit(now, from) {
            return Err(DropReason::OtherSource);
        }
        self.last_activity = now;
        match kind {
            Kind::Rtp => self.counters.rtp_recv += 1,
            Kind::Rtcp => self.counters.rtcp_recv += 1,
        }
        // RFC 8866 6.7: the direction is the media's; RTCP runs whatever it is, even on an inactive stream
        if kind == Kind::Rtcp || self.direction.receives() { Ok(kind) } else { Err(DropReason::Direction) }
    }

    /// Counts a packet as sent and says where it goes, or why it does not.
    fn send(&mut self, kind: Kind, rtcp: bool) -> Result<SocketAddr, DropReason> {
        if kind == Kind::Rtp && !self.direction.sends() {
            return Err(DropReason::Direction);
        }
        let path = if rtcp { &self.rtcp } else { &self.rtp };
        let to = path.destination().ok_or(DropReason::NoPeer)?;
        match kind {
            Kind::Rtp => self.counters.rtp_send += 1,
            Kind::Rtcp => self.counters.rtcp_send += 1,
        }
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
